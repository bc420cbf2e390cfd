"""Live streams give what whole recordings give, however they are cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live import cuts, decode_in_pieces, encode_in_pieces, joined, offline, same

from unisono.unicodec.tokenizer import UniCodecTokenizer

# Exactness ----------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9_000), min_size=1, max_size=8),
    length=st.sampled_from([1, 640, 20_001, 47_840]),
)
def test_codes_equal_offline_ones_for_any_blocks(tok, speech, sizes, length):
    sizes = [max(size, length // 60) for size in sizes]
    wave = speech[:length]
    assert same(encode_in_pieces(tok, wave, sizes), offline(tok, wave))


@settings(max_examples=12, deadline=None)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6), plain=st.booleans())
def test_waves_equal_offline_ones_for_any_pieces(tok, speech, sizes, plain):
    tokens = tok.encode((speech, 16_000))
    tokens = tokens if plain else tokens.only("global", "semantic")
    made = decode_in_pieces(tok, dict(tokens.codes), sizes)
    wanted = tok.decode(tokens).samples[0]
    assert 0 <= len(made) - len(wanted) < 640
    np.testing.assert_allclose(made[: len(wanted)], wanted, atol=1e-4)


def test_a_minute_at_once_and_in_blocks(tok, speech):
    long = np.resize(speech, 60 * 16_000)
    wanted = offline(tok, long)
    assert same(encode_in_pieces(tok, long, [len(long)]), wanted)
    assert same(encode_in_pieces(tok, long, [12_345, 3 * 640]), wanted)
    made = decode_in_pieces(tok, wanted, [700, 33])
    np.testing.assert_allclose(made, tok.decode(tok.encode((long, 16_000))).samples[0], atol=1e-4)


@pytest.mark.parametrize("sizes", [[100], [640], [5_000, 1], [40_000]])
@pytest.mark.parametrize("lookahead", [0.04, 0.5, 1.01])
def test_global_hears_the_look_ahead_whatever_the_blocks(tok, speech, sizes, lookahead):
    made = encode_in_pieces(tok, speech, sizes, lookahead)
    heard = math.ceil(lookahead * 25) * 640
    assert np.array_equal(made["global"], offline(tok, speech[:heard])["global"])
    assert np.array_equal(made["residual"], offline(tok, speech)["residual"])


def test_global_comes_at_once_when_the_look_ahead_is_heard(tok, speech):
    with tok.encoder_stream(lookahead=0.4) as stream:
        told = ["global" in stream.push([speech[here]])[0] for here in cuts(15 * 640, [640])]
    assert told == [n == 9 for n in range(15)]


# Batches ------------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 30_000), min_size=3, max_size=3),
    size=st.integers(500, 9_000),
    lookahead=st.sampled_from([0.3, math.inf]),
)
def test_items_of_a_batch_equal_those_alone(tok, speech, lengths, size, lookahead):
    waves = [speech[1000 * n : 1000 * n + length] for n, length in enumerate(lengths)]
    found = [[], [], []]
    with tok.encoder_stream(3, lookahead) as stream:
        for start in range(0, max(lengths) + 1, size):
            blocks = [wave[start : start + size] for wave in waves]
            ends = [start + size > len(wave) for wave in waves]
            for own, part in zip(found, stream.push(blocks, ends), strict=True):
                own.append(part)
    alone = [encode_in_pieces(tok, wave, [size], lookahead) for wave in waves]
    together = [joined(parts) for parts in found]
    assert all(same(a, b) for a, b in zip(together, alone, strict=True))
    with tok.decoder_stream(3) as stream:
        heard = stream.push(together, ends=True)
    for own, codes in zip(heard, alone, strict=True):
        wanted = decode_in_pieces(tok, codes, [7]) if codes["semantic"].size else np.zeros(0)
        np.testing.assert_allclose(own, wanted, atol=1e-4)


def test_decoder_items_may_end_one_after_another(tok, speech):
    items = [offline(tok, speech[: n * 640]) for n in (30, 12, 12, 5)]
    made = [[] for _ in items]
    with tok.decoder_stream(4) as stream:
        for start in range(0, 32, 8):
            codes = [
                {"global": item["global"]}
                | {name: item[name][:, start : start + 8] for name in ("semantic", "residual")}
                if item["semantic"].shape[1] > start
                else None
                for item in items
            ]
            ends = [item["semantic"].shape[1] <= start + 8 for item in items]
            for own, wave in zip(made, stream.push(codes, ends), strict=True):
                own.append(wave)
    for own, item in zip(made, items, strict=True):
        np.testing.assert_allclose(
            np.concatenate(own), decode_in_pieces(tok, item, [50]), atol=1e-4
        )


def test_an_item_waits_for_those_that_go_on(tok, speech):
    with tok.encoder_stream(2) as stream:
        first, second = stream.push([speech[:6400], speech[:1300]])
        assert first["semantic"].shape == second["semantic"].shape == (2, 2)
        first, second = stream.push([speech[:0], speech[1300:6400]])
        assert first["semantic"].shape == (2, 8)
        assert same(first, second)


def test_rows_of_an_array_or_tensor_are_items(tok, waves):
    with tok.encoder_stream(2) as a, tok.encoder_stream(2) as b:
        made, again = a.push(waves.numpy(), True), b.push(waves, [True, True])
    assert all(same(x, y) for x, y in zip(made, again, strict=True))
    assert same(made[1], offline(tok, waves[1].numpy()))


# Global codes anew --------------------------------------------------------------------------------


def test_refresh_hears_all_so_far(tok, speech):
    with tok.encoder_stream(2, lookahead=0.2) as stream:
        (part, _) = stream.push([speech[:9_600], speech[:9_600] * 0])
        later = stream.refresh(0)
        assert len(later) == 1 and np.array_equal(later[0], offline(tok, speech[:9_600])["global"])
        assert np.array_equal(part["global"], offline(tok, speech[: 5 * 640])["global"])
        both = stream.refresh()
        assert len(both) == 2 and np.array_equal(both[0], later[0])


def test_a_new_voice_may_come_at_any_time(tok, speech):
    codes = offline(tok, speech[: 20 * 640])
    other = {"global": (codes["global"] + 3) % 8}
    half = [{name: codes[name][:, part] for name in ("semantic", "residual")}
            for part in (slice(10), slice(10, 20))]  # fmt: skip
    with tok.decoder_stream() as stream:
        first = stream.push([{**half[0], "global": codes["global"]}])[0]
        second = stream.push([{**half[1], **other}], ends=True)[0]
    plain = decode_in_pieces(tok, codes, [10])
    np.testing.assert_allclose(first, plain[: len(first)], atol=1e-5)
    assert np.abs(second - plain[len(first) :]).max() > 1e-4


# The contract's own stream ------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16_000, 8_000, 22_050, 44_100, 48_000, 11_127])
@pytest.mark.parametrize("length", [1, 5_000, 30_001])
def test_parts_joined_are_the_whole(tok, speech, rate, length):
    wave = speech[:length]
    whole = tok.encode((wave, rate))
    parts = list(tok.encode_stream(np.array_split(wave, 7), rate, lookahead=0.3))
    assert sum(part.samples for part in parts) == length
    codes = tok.join_codes([part.codes for part in parts])
    for name in ("semantic", "residual"):
        assert np.array_equal(codes[name], whole[name])
    assert list(tok.encode_stream([wave], rate, lookahead=math.inf)) == [whole]


def test_a_part_a_frame_after_the_look_ahead(tok, speech):
    """Each as soon as its samples were given."""
    given = 0

    def blocks():
        nonlocal given
        for n in range(30):
            given = n + 1
            yield speech[n * 640 : n * 640 + 640]

    seen = [(given, part.samples) for part in tok.encode_stream(blocks(), 16_000, 0.4)]
    assert seen[0] == (10, 6400)
    assert seen[1:] == [(n, 640) for n in range(11, 31)]


def test_stereo_blocks_and_no_blocks(tok, speech):
    stereo = np.stack([speech[:9000], speech[9000:18_000]])
    whole = tok.encode((stereo, 16_000))
    assert list(tok.encode_stream(np.array_split(stereo, 5, axis=1), 16_000, math.inf)) == [whole]
    assert list(tok.encode_stream([], 16_000)) == []


def test_a_model_that_is_not_causal_gives_segments(both_ways, speech):
    tok = UniCodecTokenizer(both_ways, "both-ways")
    parts = list(tok.encode_stream([speech], 16_000))
    assert parts == [tok.encode((speech, 16_000))]


# Memory -------------------------------------------------------------------------------------------


def test_what_a_stream_keeps_does_not_grow(tok, speech):
    def kept(stream):
        return sum(tensor.numel() for tensor in stream._state._buffers.values())

    codes = offline(tok, speech)
    with tok.encoder_stream() as encoder, tok.decoder_stream() as decoder:
        sizes = []
        for _ in range(4):
            encoder.push([speech])
            decoder.push([codes])
            sizes.append((kept(encoder), kept(decoder), len(encoder._held[0]) < 640))
    assert sizes[1] == sizes[2] == sizes[3]
