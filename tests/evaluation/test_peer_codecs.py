import sys

import numpy as np
import pytest

from unisono.audio import Audio
from unisono.errors import ConfigError, MissingExtraError
from unisono.evaluation.metrics.stoi import stoi
from unisono.evaluation.peers import Codec2, Opus, TokenCodec, Untouched, classical, fitted
from unisono.storage.entropy import CodeStatistics


@pytest.fixture(scope="module")
def speech(examples):
    audio = Audio.read(examples / "speech.wav")
    return Audio(audio.samples[:, : 2 * audio.rate], audio.rate)


def lag(reference, other, most=400):
    """Samples by which the syllables of `other` come after those of `reference`."""

    def envelope(audio):
        window = np.hanning(audio.rate // 25)  # 40 ms: no single pitch pulses
        power = np.convolve(audio.samples[0].astype(float) ** 2, window, "same")
        return np.sqrt(np.maximum(power, 0)) - np.sqrt(np.maximum(power, 0)).mean()

    x, y = envelope(reference), envelope(other)
    shifts = range(-most, most + 1)
    middle = slice(most, len(x) - most)
    return shifts[int(np.argmax([np.dot(x[middle], np.roll(y, -s)[middle]) for s in shifts]))]


@pytest.mark.parametrize("codec", classical(), ids=lambda codec: codec.name)
def test_real_codecs_keep_rate_length_and_time(codec, speech):
    decoded, payload = codec.roundtrip(speech)
    assert (decoded.rate, decoded.length, decoded.channels) == (speech.rate, speech.length, 1)
    # Codec2's frames of 20 or 40 ms and the flushing of the delay weigh in two seconds.
    assert 8 * payload / speech.duration == pytest.approx(codec.bit_rate, rel=0.12)
    # 5 ms, a quarter of the frames that all of them work with.
    assert abs(lag(speech, decoded)) <= 0.005 * speech.rate
    assert stoi(speech, decoded) > 0.7


def test_more_bits_are_more_intelligible(speech):
    scores = [stoi(speech, codec.roundtrip(speech)[0]) for codec in (Opus(6000), Opus(24_000))]
    assert scores[0] < scores[1]


def test_opus_is_aligned_to_a_sample_where_it_keeps_the_wave(speech):
    decoded, _ = Opus(64_000).roundtrip(speech)
    x, y = speech.samples[0], decoded.samples[0]
    correlation = [np.dot(x[100:-100], np.roll(y, -s)[100:-100]) for s in range(-50, 51)]
    assert abs(int(np.argmax(correlation)) - 50) <= 1


@pytest.mark.parametrize("codec", [Opus(6000), Codec2(1200)], ids=lambda codec: codec.name)
@pytest.mark.parametrize(("channels", "length", "rate"), [(1, 1, 8000), (2, 4410, 44_100)])
def test_any_length_rate_and_channels(codec, channels, length, rate):
    noise = 0.1 * np.random.default_rng(0).standard_normal((channels, length))
    decoded, payload = codec.roundtrip(Audio(noise.astype(np.float32), rate))
    assert (decoded.rate, decoded.length, decoded.channels) == (rate, length, 1)
    assert payload > 0


def test_codec2_counts_the_bits_of_whole_frames(speech):
    # 16,000 samples at 8 kHz and the delay: 51 frames of 320 samples, 101 of 160.
    assert Codec2(1200).roundtrip(speech)[1] == 51 * 6
    assert Codec2(3200).roundtrip(speech)[1] == 101 * 8


def test_rates_that_no_codec_has_are_refused():
    with pytest.raises(ConfigError, match="6000 to 256000"):
        Opus(1000)
    with pytest.raises(ConfigError, match="1200 or 3200"):
        Codec2(2000)


def test_missing_packages_are_one_sentence(speech, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycodec2", None)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pycodec2 .*unisono\[eval\]"):
        Codec2(1200).roundtrip(speech)
    with pytest.raises(MissingExtraError, match=r"av .*unisono\[av\]"):
        Opus(6000).roundtrip(speech)


def test_the_untouched_clip_is_its_own_sixteen_bits(speech):
    decoded, payload = Untouched(speech.rate).roundtrip(speech)
    assert np.array_equal(decoded.samples, speech.samples)
    assert 8 * payload / speech.duration == Untouched(speech.rate).bit_rate


def test_a_tokenizer_pays_for_its_packed_tokens(uat, speech):
    codec = TokenCodec(uat, "tiny")
    decoded, payload = codec.roundtrip(speech)
    assert (decoded.rate, decoded.length) == (speech.rate, speech.length)
    # 2 s of 25 tokens of 6 bits, in whole bytes.
    assert (codec.name, codec.bit_rate, codec.coding) == ("tiny", 150.0, "packed")
    assert payload == -(-50 * 6 // 8)
    direct = uat.decode(uat.encode(speech), seed=0)
    assert np.array_equal(fitted(direct.samples[0], direct.rate, speech).samples, decoded.samples)


def test_a_tokenizer_with_statistics_pays_for_the_range_code(uat, speech, monkeypatch):
    # Counts so skewed to this clip's own codes that they cost next to nothing.
    tokens = uat.encode(speech)
    statistics = CodeStatistics.of([tokens] * 50)
    monkeypatch.setattr(uat, "statistics", statistics, raising=False)
    codec = TokenCodec(uat)
    assert codec.coding == "range"
    entropy = statistics.bits_per_second * tokens.duration / 8
    # Whole words of 32 bits.
    assert abs(codec.roundtrip(speech)[1] - entropy) <= 12


def test_fitting_cuts_and_fills():
    like = Audio(np.ones(100, np.float32), 16_000)
    assert fitted(np.ones(150, np.float32), 16_000, like).length == 100
    short = fitted(np.ones(60, np.float32), 16_000, like).samples[0]
    assert short[:60].all() and not short[60:].any()
    assert not fitted(np.zeros(0, np.float32), 16_000, like).samples.any()
