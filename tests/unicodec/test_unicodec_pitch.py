"""P's first group as pitch and voicing: its book, its tracker, streams, other registers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from live import decode_in_pieces, encode_in_pieces, offline, same

from unisono.errors import ConfigError
from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.pitch import CEILING, FLOOR, PitchBook, PitchTracker, pitch_of_rows
from unisono.unicodec.source import Pitch
from unisono.unicodec.state import StreamState
from unisono.unicodec.tokenizer import BEYOND


@pytest.fixture(scope="module")
def book():
    return PitchBook(1024, 16, 4)


def said(book, codes):
    return pitch_of_rows(book.codebook[codes], book.fold, book)[0]


@settings(max_examples=30, deadline=None)
@given(
    start=st.floats(6.0, 9.0), slope=st.floats(-0.02, 0.02), first=st.integers(0, 8),
    voiced=st.integers(8, 40),
)  # fmt: skip
def test_a_pitch_comes_back_within_half_a_level(book, start, slope, first, voiced):
    octaves = (start + slope * torch.arange(48)).clamp(math.log2(FLOOR), math.log2(CEILING))[None]
    flags = torch.zeros(1, 48)
    flags[:, first : first + voiced] = 1
    made = said(book, book.codes(Pitch(octaves, flags)))
    assert torch.equal(made.voiced, flags)
    level = math.log2(CEILING / FLOOR) / 127
    heard = flags > 0
    # Half a level, and what a line from frame to frame may miss where voice begins.
    assert (made.octaves - octaves)[heard].abs().max() <= level / 2 + 3 * abs(slope) + 1e-5


def test_voicing_that_no_pattern_has_becomes_the_nearest(book):
    flags = torch.tensor([[1.0, 0, 1, 1, 0, 1, 1, 0]])
    made = said(book, book.codes(Pitch(torch.full((1, 8), 7.0), flags)))
    apart = (made.voiced - flags).abs().unflatten(1, (2, 4)).sum(-1)
    assert apart.tolist() == [[1.0, 1.0]]


def test_frames_without_voice_have_one_code(book):
    codes = book.codes(Pitch(6 + 3 * torch.rand(1, 40), torch.zeros(1, 40)))
    assert not codes.any()
    assert book.register_of(codes) is None
    assert torch.equal(book.transposed(codes, 1.0), codes)


def test_pitch_moves_by_octaves_and_stops_at_the_ends(book):
    codes = book.codes(Pitch(torch.full((1, 8), 7.0), torch.ones(1, 8)))
    register = book.register_of(codes)
    assert register == pytest.approx(7.0, abs=0.014)
    moved = book.transposed(codes, 0.5)
    assert book.register_of(moved) == pytest.approx(register + 0.5, abs=0.014)
    assert torch.equal(said(book, moved).voiced, said(book, codes).voiced)
    assert book.register_of(book.transposed(codes, 9.0)) == pytest.approx(math.log2(CEILING))
    assert book.register_of(book.transposed(codes, -9.0)) == pytest.approx(math.log2(FLOOR))


def test_rows_tell_codes_apart_but_for_silent_ones(book):
    voiced = book.codebook[book.levels :]
    assert len(voiced.unique(dim=0)) == len(voiced)
    assert len(book.codebook[: book.levels].unique(dim=0)) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_say_which_they_are(book, dtype):
    codes = torch.arange(1024)
    silent = codes < book.levels
    found = book.codes_of(book.codebook.to(dtype))
    assert torch.equal(found, torch.where(silent, 0, codes))


def test_a_line_goes_on_over_pieces(book):
    torch.manual_seed(0)
    codes = torch.randint(0, 1024, (2, 30))
    rows, state = book.codebook[codes], StreamState()
    whole, known = pitch_of_rows(rows, 4, book)
    parts = [pitch_of_rows(rows[:, a:b], 4, book, state)[0] for a, b in ((0, 1), (1, 9), (9, 30))]
    assert known.all()
    assert torch.equal(torch.cat([part.octaves for part in parts], 1), whole.octaves)
    assert torch.equal(torch.cat([part.voiced for part in parts], 1), whole.voiced)


@pytest.mark.parametrize("hertz", [80.0, 150.0, 333.0])
def test_what_the_tracker_looks_at_peaks_at_the_pitch(hertz):
    config = UniCodecConfig.from_dict({"decoder": {"source": True}})
    tracker = PitchTracker(config, 128)
    times = torch.arange(640) / 16_000
    wave = sum(torch.cos(2 * math.pi * hertz * k * times + k) for k in range(1, 20))
    size = torch.fft.rfft(wave * torch.hann_window(640))[:-1].abs() ** 0.4
    found = tracker._correlation(size[None, None])[0, 0]
    place = PitchBook(1024, 16, 4).place(torch.tensor(math.log2(hertz)))
    near = found[round(float(place)) - 1 : round(float(place)) + 2].max()
    assert near > found.mean() + 3 * found.std() or near == found.max()


def test_the_tracker_learns_a_pitch(pitched, speech):
    torch.manual_seed(0)
    tracker = PitchTracker(pitched.model.config, 128)
    book = PitchBook(1024, 16, 4)
    times = torch.arange(16_000) / 16_000
    hertz = torch.tensor([90.0, 140.0, 210.0, 320.0])
    waves = sum(torch.cos(2 * math.pi * hertz[:, None] * k * times) for k in range(1, 9))
    with torch.no_grad():
        size = pitched.model.spectrum(0.1 * waves).square().sum(1).sqrt()
    aims = book.place(hertz.log2()).round().long()[:, None].expand(-1, size.shape[1])
    optimizer = torch.optim.Adam(tracker.parameters(), 3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        levels, _ = tracker(size)
        torch.nn.functional.cross_entropy(levels.flatten(0, 1), aims.flatten()).backward()
        optimizer.step()
    tracker.eval()
    with torch.no_grad():
        right = (tracker(size)[0].argmax(-1) - aims).abs() <= 1
    assert right[:, 10:].float().mean() > 0.95


@settings(max_examples=6, deadline=None)
@given(sizes=st.lists(st.integers(300, 9_000), min_size=1, max_size=5))
def test_live_codes_and_waves_equal_offline_ones(pitched, speech, sizes):
    wave = speech[:20_001]
    codes = offline(pitched, wave)
    assert same(encode_in_pieces(pitched, wave, sizes), codes)
    assert len(np.unique(codes["residual"][0])) > 2
    made = decode_in_pieces(pitched, codes, [max(1, size // 640) for size in sizes])
    wanted = pitched.decode(pitched.encode((wave, 16_000))).samples[0]
    np.testing.assert_allclose(made[: len(wanted)], wanted, atol=1e-4)


@torch.no_grad()
def test_the_pitch_that_is_drawn_is_that_of_the_codes(pitched, speech):
    model = pitched.model
    codes = model.encode(torch.from_numpy(speech[: 25 * 640])[None])
    vectors = model.vectors(codes)
    wave, _ = model.draw(vectors)
    pitch, known = pitch_of_rows(vectors.residual[..., :8], 4, model)
    assert known.all()
    given_too, _ = model.draw(vectors, Pitch(pitch.octaves + 1, 1 - pitch.voiced))
    assert torch.equal(given_too, wave)  # what P tells counts
    without = model.vectors({k: v for k, v in codes.items() if k != "residual"})
    one, two = (
        model.draw(without, Pitch(pitch.octaves + n, torch.ones_like(pitch.voiced)))[0]
        for n in (0, 1)
    )
    assert (one - two).abs().max() > 1e-4  # and where it tells none, what is given


def test_without_residual_no_pitch_is_said_whatever_training_does(pitched):
    model = pitched.model
    assert not model.no_residual[:8].any()
    _, known = pitch_of_rows(model.no_residual[None, None, :8], 4, model)
    assert not known.any()


def test_another_voice_brings_its_register(pitched, speech):
    tokens = pitched.encode((speech, 16_000))
    low = speech[: len(speech) // 640 * 640]
    voice = pitched.encode((low, 16_000))
    book = pitched.model.residual_encoder.quantizer.book
    raised = {**voice.codes, "residual": voice["residual"].copy()}
    first = torch.from_numpy(voice["residual"][0].astype(np.int64))
    raised["residual"][0] = book.transposed(first, 0.8).numpy()
    changed = pitched.revoiced(tokens, type(voice)(raised, voice.samples, voice.rate, voice.layout))
    assert np.array_equal(changed["global"], voice["global"])
    assert np.array_equal(changed["semantic"], tokens["semantic"])
    assert changed["residual"].shape == (1, tokens["residual"].shape[1])
    assert pitched.accepts(changed.layout)
    register = [
        book.register_of(torch.from_numpy(x.astype(np.int64)))
        for x in (changed["residual"][0], raised["residual"][0])
    ]
    level = math.log2(CEILING / FLOOR) / (book.levels - 1)
    assert register[0] == pytest.approx(register[1], abs=level)
    same_voice = pitched.revoiced(tokens, tokens)
    assert same_voice == tokens.first_groups(residual=1)


@torch.no_grad()
def test_another_voice_goes_beyond_its_own_tokens(pitched, speech):
    tokens = pitched.encode((speech[:16_000], 16_000))
    voice = pitched.encode((speech, 16_000))
    made = pitched.decode(tokens, voice=(speech, 16_000)).samples
    assert np.array_equal(made, pitched.decode(tokens, voice=voice).samples)
    changed = pitched.revoiced(tokens, voice)
    model = pitched.model
    codes = {n: torch.from_numpy(x.T.astype(np.int64))[None] for n, x in changed.codes.items()}
    vectors = model.vectors({**codes, "global": codes["global"][:, 0]})
    own = torch.from_numpy(tokens["global"].T.astype(np.int64))
    away = vectors.glob - model.global_encoder.quantizer.lookup(own)
    wanted = model.synthesize(replace(vectors, glob=vectors.glob + BEYOND * away))
    np.testing.assert_allclose(made[0], wanted[0, : made.shape[1]], atol=1e-4)
    again = replace(tokens, codes={**tokens.codes, "global": voice["global"]})
    told = pitched.decode(again, voice=voice).samples  # it is this voice already
    assert np.array_equal(told, pitched.decode(pitched.revoiced(again, voice)).samples)


@torch.no_grad()
def test_of_another_voices_residual_only_the_pitch_is_decoded(pitched, speech):
    model, tokens = pitched.model, pitched.encode((speech[:16_000], 16_000))
    alone = tokens.first_groups(residual=1)
    assert alone.layout.tokens_per_second == 75
    codes = torch.from_numpy(tokens["residual"].T.astype(np.int64))
    vectors = model.residual_vectors(codes[:, :1])
    assert torch.equal(vectors, model.pitch_alone(model.residual_vectors(codes)))
    other = {**tokens.codes, "residual": tokens["residual"].copy()}
    other["residual"][1:] = (other["residual"][1:] + 1) % 64
    changed = replace(tokens, codes=other)
    assert not np.array_equal(pitched.decode(changed).samples, pitched.decode(tokens).samples)
    made = [pitched.decode(x.first_groups(residual=1)).samples for x in (tokens, changed)]
    assert np.array_equal(*made)


@torch.no_grad()
def test_without_residual_the_pitch_is_the_voices_alone(pitched, speech):
    model = pitched.model
    codes = model.encode(torch.from_numpy(speech[: 25 * 640])[None])
    without = model.vectors({k: v for k, v in codes.items() if k != "residual"})
    _, told = model.draw(without)
    register = model.decoder.pitch.register_of(without.glob)
    assert torch.equal(told.octaves, register.expand_as(told.octaves))
    _, nothing = model.draw(model.vectors(codes))
    assert nothing is None  # nobody asks where P says it


@torch.inference_mode()
def test_live_items_with_all_of_residual_its_pitch_and_none_equal_offline_ones(pitched, speech):
    waves = [speech[: n * 640] for n in (9, 12, 12)]
    tokens = [pitched.encode((wave, 16_000)) for wave in waves]
    given = [
        tokens[0].only("global", "semantic"), tokens[1], tokens[2].first_groups(residual=1)
    ]  # fmt: skip
    made = [[], [], []]
    with pitched.decoder_stream(3) as stream:
        for start, end in ((0, 5), (5, 12)):
            codes = [
                {n: x if n == "global" else x[:, start:end] for n, x in one.codes.items()}
                for one in given
            ]
            ends = [end >= one["semantic"].shape[1] for one in given]
            for parts, part in zip(made, stream.push(codes, ends=ends), strict=True):
                parts.append(part)
    for one, parts in zip(given, made, strict=True):
        np.testing.assert_allclose(np.concatenate(parts), pitched.decode(one).samples[0], atol=1e-4)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"decoder": {"source": False}}, "source"),
        ({"residual_stream": {"book": {"groups": 4, "codes": 60, "dim": 64}}}, "multiple of 8"),
        ({"residual_stream": {"book": {"groups": 4, "codes": 64, "dim": 16}}}, "6 numbers"),
        ({"residual_stream": {"book": {"groups": 1, "codes": 64, "dim": 16}}}, "two groups"),
    ],
)
def test_sizes_without_room_for_a_pitch_are_refused(more, words):
    sizes = {"pitch": True, "decoder": {"source": True}, **more}
    with pytest.raises(ConfigError, match=words):
        UniCodecConfig.from_dict(sizes)
