import av
import numpy as np
import pytest
import soundfile
from recipes.corpus.clip import RATE, clean, hash_fraction, read_audio, trim


def tone(seconds, rate=RATE, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(
        np.float32
    )


def silence(seconds):
    return np.zeros(int(seconds * RATE), dtype=np.float32)


def test_long_silence_is_trimmed_and_short_silence_stays():
    long = trim(np.concatenate([silence(1.0), tone(1.0), silence(2.0)]))
    assert long.size / RATE == pytest.approx(1.3, abs=0.05)
    short = np.concatenate([silence(0.2), tone(1.0), silence(0.25)])
    assert trim(short).size == short.size


def test_silence_inside_is_kept():
    both = np.concatenate([tone(0.5), silence(1.0), tone(0.5)])
    assert trim(both).size == both.size


def test_clean_resamples_limits_and_removes_offset():
    out = clean(tone(1.0, 44_100, amplitude=1.5) + 0.1, 44_100)
    assert abs(out.size - RATE) <= 1
    assert out.dtype == np.float32
    assert 0.9 < np.abs(out).max() <= 1.0
    assert abs(out.mean()) < 1e-3


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        silence(2.0),
        tone(2.0, amplitude=0.005),
        tone(0.2),
        np.full(RATE, np.nan, np.float32),
    ],
    ids=["empty", "silent", "faint", "short", "nan"],
)
def test_useless_clips_are_dropped(samples):
    assert clean(samples, RATE) is None


def test_hash_fraction_is_stable_and_even():
    values = np.array([hash_fraction(f"clip{i}") for i in range(4000)])
    assert hash_fraction("clip0") == values[0]
    assert values.min() >= 0 and values.max() < 1
    assert np.mean(values < 0.03) == pytest.approx(0.03, abs=0.01)


def test_stereo_becomes_mono(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.stack([tone(0.5), -tone(0.5)], axis=1), RATE)
    samples, rate = read_audio(tmp_path / "x.wav")
    assert rate == RATE and samples.shape == (RATE // 2,)
    assert np.abs(samples).max() < 1e-3


def test_g722_is_read_as_wideband(tmp_path):
    path = tmp_path / "x.g722"
    with av.open(str(path), "w", format="g722") as container:
        stream = container.add_stream("g722", rate=RATE)
        stream.layout = "mono"
        samples = np.round(tone(0.5) * 20_000).astype(np.int16)
        for begin in range(0, samples.size, 320):
            frame = av.AudioFrame.from_ndarray(
                samples[None, begin : begin + 320], format="s16", layout="mono"
            )
            frame.sample_rate = RATE
            frame.pts = begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    decoded, rate = read_audio(path)
    assert rate == RATE
    spectrum = np.abs(np.fft.rfft(decoded))
    assert np.argmax(spectrum) * RATE / decoded.size == pytest.approx(440, abs=5)
    path.write_bytes(b"")
    assert read_audio(path)[0].size == 0
