"""What live streams refuse, with a sentence, and without a trace; and how items end."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from live import LATE, decode_in_pieces, joined, offline, same

from unisono.errors import AudioError, ConfigError, TokenError
from unisono.unicodec.decoder_stream import DecoderStream
from unisono.unicodec.streaming import EncoderStream


def test_streams_need_a_causal_model_and_sense(both_ways, tok):
    for make in (EncoderStream, DecoderStream):
        with pytest.raises(ConfigError, match="not causal, so it cannot stream"):
            make(both_ways)
        with pytest.raises(ConfigError, match="at least 1 item"):
            make(tok.model, 0)
    for lookahead in (0, -1.0, math.nan):
        with pytest.raises(ConfigError, match="lookahead must be above 0"):
            tok.encoder_stream(lookahead=lookahead)


def test_a_stream_lives_as_long_as_its_block(tok, speech):
    stream = tok.encoder_stream()
    with pytest.raises(ConfigError, match="inside its with block"):
        stream.push([speech])
    with stream:
        stream.push([speech])
    with pytest.raises(ConfigError, match="inside its with block"):
        stream.push([speech])
    with pytest.raises(ConfigError, match="not open"):
        tok.decoder_stream().push([None])


@pytest.mark.parametrize(
    ("waves", "ends", "said"),
    [
        ([np.zeros(5)], False, "1 waves for a stream of 2 items"),
        ([np.zeros(5), np.zeros((2, 5))], False, r"Item 1 has shape \[2, 5\]"),
        ([np.zeros(5), np.array([np.nan])], False, "Item 1 has samples that are NaN"),
        ([np.zeros(5), np.zeros(5)], [True], "ends has 1 flags"),
    ],
)
def test_wrong_waves_are_refused(tok, waves, ends, said):
    with tok.encoder_stream(2) as stream, pytest.raises((AudioError, ConfigError), match=said):
        stream.push(waves, ends)


def test_more_after_the_end_is_refused_and_changes_nothing(tok, speech):
    with tok.encoder_stream(2) as stream:
        first = stream.push([speech[:2000], speech[:2000]], [False, True])
        with pytest.raises(AudioError, match="Item 1 has ended"):
            stream.push([speech[2000:9000], speech[:1]])
        last = stream.push([speech[2000:9000], speech[:0]], [True, False])
    assert same(joined([first[0], last[0]]), offline(tok, speech[:9000]))
    assert same(joined([first[1], last[1]]), offline(tok, speech[:2000]))


def test_refresh_before_a_frame_or_of_no_item(tok):
    with tok.encoder_stream() as stream:
        with pytest.raises(AudioError, match="Nothing was heard yet"):
            stream.refresh()
        with pytest.raises(ConfigError, match="no item 3"):
            stream.refresh(3)


def frames(count, **more):
    codes = {
        "global": np.zeros((2, 1), int),
        "semantic": np.zeros((2, count), int),
        "residual": np.zeros((4, count), int),
    }
    return {name: array for name, array in (codes | more).items() if array is not None}


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ([frames(3)], "1 mappings of codes for a stream of 2 items"),
        ([frames(3), frames(2)], "Item 1 has 2 frames and another 3"),
        ([frames(3), None], "Item 1 has 0 frames and another 3"),
        ([frames(3), frames(3, pitch=np.zeros((1, 3)))], "unknown streams: pitch"),
        ([frames(3), frames(3, semantic=np.zeros((3, 3), int))], "semantic of item 1"),
        ([frames(3), frames(3, residual=np.zeros((4, 2), int))], "residual of item 1"),
        ([frames(3), frames(3, semantic=np.zeros((2, 3)))], "whole numbers"),
        ([frames(3), frames(3, residual=np.full((4, 3), 8))], "codes outside 0 to 7"),
        ([frames(3), frames(3, **{"global": None})], "Item 1 has no voice yet"),
    ],
)
def test_wrong_codes_are_refused_and_change_nothing(tok, codes, said):
    with tok.decoder_stream(2) as stream, tok.decoder_stream(2) as other:
        with pytest.raises(TokenError, match=said):
            stream.push(codes)
        a, b = stream.push([frames(4)] * 2, True), other.push([frames(4)] * 2, True)
    assert np.array_equal(a, b) and a[0].shape == (2560,)
    assert torch.is_inference_mode_enabled() is False


def test_codes_after_the_end_are_refused(tok):
    with tok.decoder_stream(2) as stream:
        waves = stream.push([frames(2), frames(2)], [True, False])
        assert [len(wave) for wave in waves] == [1280, 1280 - LATE]
        with pytest.raises(TokenError, match="Item 0 has ended"):
            stream.push([frames(1), frames(1)])
        waves = stream.push([None, frames(1)], True)
        assert [len(wave) for wave in waves] == [0, 640 + LATE]


def test_an_item_may_end_without_more_frames(tok, speech):
    codes = offline(tok, speech[:6400])
    with tok.decoder_stream() as stream:
        waves = [*stream.push([codes]), *stream.push([None], ends=True)]
    np.testing.assert_allclose(np.concatenate(waves), decode_in_pieces(tok, codes, [3]), atol=1e-5)
    with tok.decoder_stream() as stream:
        assert stream.push([{}], ends=True)[0].shape == (0,)
