"""The tokenizer contract: inputs, streams, refusals, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import soundfile

from unisono import Audio, AudioTokens, TokenLayout
from unisono.errors import AudioError, ConfigError, ModelError, TokenError
from unisono.segments import batches_by_length, cut, prefetch
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import TokenStream


class Levels(AudioTokenizer):
    """The smallest system: one code for the loudness of each tenth of a second."""

    system = "levels"
    model_id = "levels-1"
    layout = TokenLayout((TokenStream("level", 10.0, 1, 16),))
    sample_rate = 1600
    output_rate = 800
    segment_seconds = 2.0

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def encode_segments(self, segments: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        self.batches.append([len(s) for s in segments])
        result = []
        for wave in segments:
            frames = np.pad(np.abs(wave), (0, -len(wave) % 160)).reshape(-1, 160)
            result.append({"level": (frames.max(1) * 15).astype(np.int32)[None]})
        return result

    def decode_blocks(
        self, tokens: AudioTokens, seed: int, steps: int | None, voice: Any
    ) -> Iterator[np.ndarray]:
        for code in tokens["level"][0]:
            yield np.full(80, code / 15, dtype=np.float32)

    def to(self, device: Any = None, dtype: Any = None) -> Levels:
        return self


@pytest.fixture
def ramp() -> np.ndarray:
    return np.linspace(0, 0.99, 8000, dtype=np.float32)


def test_every_kind_of_input_gives_the_same_tokens(tmp_path, ramp):
    import torch

    path = tmp_path / "ramp.wav"
    soundfile.write(path, ramp, 1600, subtype="FLOAT")
    tokenizer = Levels()
    wanted = tokenizer.encode(Audio(ramp, 1600))
    for given in (path, str(path), (ramp, 1600), (torch.from_numpy(ramp), 1600)):
        assert tokenizer.encode(given) == wanted
    assert tokenizer.encode([path, (ramp, 1600)]) == [wanted, wanted]
    assert tokenizer.encode([]) == []


def test_first_channel_or_mean(ramp):
    tokenizer = Levels()
    stereo = np.stack([ramp, np.zeros_like(ramp)])
    mean = tokenizer.encode((stereo, 1600))
    tokenizer.mono = "first"
    first = tokenizer.encode((stereo, 1600))
    assert first == tokenizer.encode((ramp, 1600))
    assert mean == tokenizer.encode((ramp / 2, 1600))


def test_batches_stay_within_the_budget_and_do_not_change_tokens(ramp):
    clips = [(ramp[: 160 * n + 7], 1600) for n in (1, 30, 5, 49, 2, 17)]
    small, large = Levels(), Levels()
    assert small.encode(clips, batch_seconds=2.0) == large.encode(clips, batch_seconds=100.0)
    assert all(len(b) * max(b) <= 3200 for b in small.batches if len(b) > 1)
    assert len(large.batches) == 1 and len(small.batches) > 3


def test_encode_iter_lists_bad_inputs_and_goes_on(tmp_path, ramp):
    clips = [(ramp, 1600), tmp_path / "missing.wav", (np.full(9, np.nan), 1600), (ramp[:9], 1600)]
    outcomes = dict(Levels().encode_iter(clips))
    assert isinstance(outcomes[0], AudioTokens) and isinstance(outcomes[3], AudioTokens)
    assert "missing.wav" in str(outcomes[1]) and "NaN" in str(outcomes[2])


def test_one_bad_input_of_a_list_raises(ramp):
    with pytest.raises(AudioError, match="NaN"):
        Levels().encode([(ramp, 1600), (np.array([np.nan]), 1600)])
    with pytest.raises(AudioError, match="cannot take int"):
        Levels().encode(5)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="batch_seconds"):
        Levels().encode((ramp, 1600), batch_seconds=0)


@pytest.mark.parametrize("rate", [1600, 4000, 22050])
def test_stream_parts_joined_are_the_whole(ramp, rate):
    tokenizer = Levels()
    whole = tokenizer.encode((ramp, rate))
    blocks = np.array_split(ramp, 13)
    parts = list(tokenizer.encode_stream(blocks, rate))
    assert sum(part.samples for part in parts) == len(ramp)
    assert np.array_equal(np.concatenate([p["level"] for p in parts], 1), whole["level"])


def test_decode_length_and_stream(tmp_path, ramp):
    tokenizer = Levels()
    for count in (1, 2, 159, 160, 161, 7777):
        tokens = tokenizer.encode((ramp[:count], 1600))
        audio = tokenizer.decode(tokens)
        assert audio.length == max(1, round(count / 2))
        assert np.array_equal(
            np.concatenate(list(tokenizer.decode_stream(tokens))), audio.samples[0]
        )
        path = tokenizer.decode_to_file(tokens, tmp_path / "out.wav")
        assert Audio.read(path).length == audio.length
    assert [a.length for a in tokenizer.decode([tokens, tokens])] == [3888, 3888]


def test_tokens_of_another_model_are_refused(ramp):
    tokenizer = Levels()
    tokens = tokenizer.encode((ramp, 1600))
    other = AudioTokens(tokens.codes, tokens.samples, tokens.rate, tokens.layout, "levels-2")
    with pytest.raises(TokenError, match="levels-2"):
        tokenizer.decode(other)
    layout = TokenLayout((TokenStream("level", 10.0, 1, 32),))
    with pytest.raises(TokenError, match="another layout"):
        tokenizer.decode(AudioTokens(tokens.codes, tokens.samples, tokens.rate, layout, "levels-1"))
    with pytest.raises(ConfigError, match="steps"):
        tokenizer.decode(tokens, steps=0)


def test_ids_of_a_language_model_decode_without_a_model_id():
    tokenizer = Levels()
    tokens = tokenizer.layout.from_ids([3, 4, 5])
    assert tokens.model == ""
    assert tokenizer.decode(tokens).duration == pytest.approx(0.3)


def test_an_interrupted_file_leaves_nothing(tmp_path, ramp):
    class Failing(Levels):
        def decode_blocks(self, tokens, seed, steps, voice):
            yield np.zeros(80, dtype=np.float32)
            raise ModelError("stopped")

    tokens = Levels().encode((ramp, 1600))
    with pytest.raises(ModelError):
        Failing().decode_to_file(tokens, tmp_path / "out.wav")
    assert list(tmp_path.iterdir()) == []


def test_no_int8_where_a_system_has_none():
    with pytest.raises(ConfigError, match="int8"):
        Levels().use_int8()


def test_cut_gives_exact_pieces():
    blocks = [np.arange(5), np.arange(5, 6), np.arange(6, 23), np.array([], dtype=int)]
    pieces = list(cut(blocks, 4))
    assert [len(p) for p in pieces] == [4, 4, 4, 4, 4, 3]
    assert np.array_equal(np.concatenate(pieces), np.arange(23))


def test_prefetch_passes_errors_and_stops_early():
    made = []

    def source():
        for i in range(1000):
            made.append(i)
            yield i
        raise ValueError("end")

    stream = prefetch(source(), depth=2)
    assert [next(stream), next(stream)] == [0, 1]
    stream.close()
    assert len(made) < 10
    with pytest.raises(ValueError, match="end"):
        list(prefetch(source()))


def test_batches_by_length_keep_all_and_hold_the_budget():
    lengths = list(np.random.default_rng(0).integers(1, 500, 200))
    groups = batches_by_length([int(n) for n in lengths], 1000)
    assert sorted(i for g in groups for i in g) == list(range(200))
    assert all(len(g) * max(lengths[i] for i in g) <= 1000 for g in groups)


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path):
    """Python's own peak while encoding: one hour against one minute."""
    import tracemalloc

    peaks = {}
    for minutes in (1, 60):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(np.full(60 * 8000, 0.5, dtype=np.float32))
        tokenizer = Levels()
        tracemalloc.start()
        tokens = tokenizer.encode(path)
        peaks[minutes] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert tokens["level"].shape == (1, minutes * 600)
    assert peaks[60] - peaks[1] < 50e6


def test_systems_without_a_text_decoder_refuse_to_read(ramp):
    tokenizer = Levels()
    tokens = tokenizer.encode((ramp, 1600))
    assert not tokenizer.reads_text
    for call in (tokenizer.transcribe, tokenizer.describe, tokenizer.describe_parts):
        with pytest.raises(ConfigError, match=r"Model 'levels-1' cannot read .* 'levels' have no"):
            call(tokens)
