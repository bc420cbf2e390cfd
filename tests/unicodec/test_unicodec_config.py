"""Sizes of UniCodec: defaults of the specification, plain data, refusals."""

import json

import pytest

from unisono.errors import ConfigError
from unisono.unicodec.config import StreamConfig, UniCodecConfig


def test_the_full_size_has_the_specified_rates():
    config = UniCodecConfig()
    assert (config.frame, config.bins) == (640, 320)
    layout = config.layout
    facts = [(s.name, s.rate, s.groups, s.codebook_size) for s in layout.streams]
    assert facts == [
        ("global", None, 16, 1024), ("semantic", 25.0, 2, 256), ("residual", 25.0, 4, 1024)
    ]  # fmt: skip
    assert (layout.bits_per_second, layout.bits_once) == (1400.0, 160.0)
    assert layout.vocabulary_size == 20_992


def test_width_is_what_convolutions_leave():
    assert UniCodecConfig().semantic_stream.width(320) == 5 * 64
    odd = StreamConfig(UniCodecConfig().semantic_stream.book, channels=(3, 7), strides=(2, 4))
    assert odd.width(37) == 7 * 5


def test_plain_data_round_trip(make_config):
    for config in (UniCodecConfig(), make_config(causal=False, prior=3)):
        data = json.loads(json.dumps(config.to_dict()))
        assert UniCodecConfig.from_dict(data) == config
    assert UniCodecConfig.from_dict({}) == UniCodecConfig()
    part = UniCodecConfig.from_dict({"decoder": {"blocks": 1}})
    assert part.decoder.blocks == 1 and part.decoder.hidden == UniCodecConfig().decoder.hidden


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hops": 1}, "unknown hops"),
        ({"decoder": {"depth": 2}}, "decoder: unknown depth"),
        ({"decoder": 3}, "decoder must be a mapping"),
        ({"rate": "16k"}, "rate must be of type int"),
        ({"causal": 1}, "causal must be of type bool"),
        ({"hop": True}, "hop must be of type int"),
        ({"decoder": {"channels": [2, "x"]}}, "list of whole numbers"),
        ({"window": 500}, "multiple of two hops"),
        ({"decoder": {"channels": [2]}}, "as many strides as channels"),
        ({"decoder": {"hidden": 0}}, "size below 1"),
        ({"global_stream": {"strides": [1, 2, 6, 4, 2]}}, "global has a stride above 5"),
        ({"semantic_stream": {"book": {"groups": 3}}}, "no multiple of 3"),
        ({"transformer": {"width": 20, "heads": 4}}, "twice its heads"),
    ],
)
def test_what_cannot_run_is_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        UniCodecConfig.from_dict(values)
