"""The speech decoder: lengths, determinism, batches, joins."""

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from unisono.errors import ConfigError
from unisono.synthesis import SpeechDecoder
from unisono.synthesis.streaming import StreamingVocoder, context_frames

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name):
    with safe_open(GOLDEN / name, "pt") as file:
        config = json.loads(file.metadata()["config"])
        return config, {
            k[6:]: file.get_tensor(k)
            for k in file.keys()  # noqa: SIM118
            if k.startswith("state.")
        }


def make_config():
    return {
        "flow": golden("flow_conformer_prompt7.safetensors")[0],
        "hift": golden("hift.safetensors")[0],
        "mel": {"n_mels": 20},
        "steps": 2,
        "segment_seconds": 2.0,
        "prompt_seconds": 0.5,
    }


@pytest.fixture(scope="module")
def decoder():
    decoder = SpeechDecoder.from_config(make_config()).eval()
    decoder.flow.load_reference_state(golden("flow_conformer_prompt7.safetensors")[1])
    decoder.vocoder.load_reference_state(golden("hift.safetensors")[1])
    return decoder


def ids(n, seed=0):
    return torch.randint(0, 64, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [0, 1, 2, 25, 31, 49, 50, 51, 100, 128, 173])
def test_length_covers_the_tokens(decoder, n):
    wave = decoder.waves([ids(n)])[0]
    assert wave.shape == (decoder.samples(n),)
    assert 0 <= len(wave) - n * 22050 / 25 < 256
    assert wave.isfinite().all() and (n == 0 or wave.abs().max() > 0)


def test_exact_length_on_request(decoder):
    waves = decoder.waves([ids(30), ids(5), ids(0)], samples=[26000, 4411, 10])
    assert [len(w) for w in waves] == [26000, 4411, 10]


def test_same_seed_same_wave(decoder):
    a, b, c = (decoder.waves([ids(120)], seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.allclose(a, c)


def test_batch_equals_alone(decoder):
    items = [ids(120, 1), ids(7, 2), ids(64, 3), ids(1, 4)]
    together = decoder.waves(items, seed=3, batch_size=3)
    for item, wave in zip(items, together, strict=True):
        alone = decoder.waves([item], seed=3)[0]
        assert alone.shape == wave.shape
        assert (alone - wave).abs().max() <= 1e-3 * alone.abs().max()


def test_stream_is_the_wave_in_pieces(decoder):
    tokens = ids(173)
    pieces = list(decoder.stream(tokens, seed=5))
    assert len(pieces) >= 4
    assert torch.equal(torch.cat(pieces), decoder.waves([tokens], seed=5)[0])


def test_stream_is_lazy(decoder):
    first = next(decoder.stream(ids(100_000)))
    assert 0 < len(first) < 3 * 22050


def test_sampling_options_reach_the_flow(decoder):
    tokens = ids(20)
    base = decoder.waves([tokens])[0]
    assert not torch.equal(base, decoder.waves([tokens], steps=4)[0])
    assert not torch.equal(base, decoder.waves([tokens], guidance=0.0)[0])
    assert not torch.equal(base, decoder.waves([tokens], solver="midpoint")[0])


@pytest.mark.parametrize("sizes", [(200,), (1, 1, 1, 197), (3, 50, 7, 90, 50), (100, 99, 1)])
def test_streamed_vocoder_equals_the_whole(decoder, sizes):
    vocoder = decoder.vocoder
    mel = torch.randn(20, sum(sizes), generator=torch.Generator().manual_seed(9))
    stream = StreamingVocoder(vocoder, torch.Generator().manual_seed(1), max_frames=33)
    pieces = [
        stream.push(piece, i == len(sizes) - 1) for i, piece in enumerate(mel.split(sizes, 1))
    ]
    wave = torch.cat(pieces)
    # Noise is drawn piece by piece, so the whole gets the source that the stream made.
    again = StreamingVocoder(vocoder, torch.Generator().manual_seed(1), max_frames=10**6)
    again._forget = lambda frames: None
    for i, piece in enumerate(mel.split(sizes, 1)):
        again.push(piece, i == len(sizes) - 1)
    with torch.no_grad():
        want = vocoder.filter(mel[None], again._source)[0]
        f0 = vocoder.f0(mel[None])
        clean = vocoder.source(f0, again._phases, torch.zeros(1, 9, again._source.shape[2]))
    assert wave.shape == want.shape
    assert (wave - want).abs().max() <= 1e-4 * want.abs().max()
    # Its sines are those of the whole F0: only the small noise of voiced frames differs.
    voiced = (f0 > 10).repeat_interleave(256, 1)[:, None]
    assert voiced.any() and ((again._source - clean) * voiced).abs().max() < 0.05


def test_context_is_enough_and_not_wasteful(decoder):
    vocoder, context = decoder.vocoder, context_frames(decoder.vocoder)
    mel, source = torch.randn(1, 20, 121), torch.randn(1, 1, 121 * 256)
    other, other_source = mel.clone(), source.clone()
    other[:, :, 60], other_source[:, :, 60 * 256 : 61 * 256] = 3.0, 1.0
    with torch.no_grad():
        changed = (vocoder.filter(mel, source) - vocoder.filter(other, other_source))[0].abs()
    frames = changed.view(121, 256).amax(1).gt(1e-6).nonzero()[:, 0]
    assert 60 - context <= frames.min() and frames.max() <= 60 + context
    assert frames.max() - 60 > context / 4


def test_joins_have_no_click(decoder):
    """The steepest slope near a join is no steeper than elsewhere in the wave."""
    tokens = ids(400)
    wave = decoder.waves([tokens], seed=2)[0]
    slope, bend = wave.diff().abs(), wave.diff().diff().abs()
    joins = [decoder.flow.frames(n) * 256 for n in range(decoder._segment, 400, decoder._segment)]
    assert len(joins) >= 6
    near = torch.zeros(len(wave), dtype=torch.bool)
    for join in joins:
        near[join - 6 * 256 : join + 2 * 256] = True
    assert slope[near[1:]].max() <= 1.05 * slope[~near[1:]].max()
    assert bend[near[2:]].max() <= 1.05 * bend[~near[2:]].max()


def test_config_round_trip(decoder):
    again = SpeechDecoder.from_config(json.loads(json.dumps(decoder.config.to_dict()))).eval()
    again.load_state_dict(decoder.state_dict())
    assert torch.equal(again.waves([ids(9)])[0], decoder.waves([ids(9)])[0])


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c.update(colour=1), "unknown keys: colour"),
        (lambda c: c.pop("hift"), "lacks: hift"),
        (lambda c: c.update(prompt_seconds=5), "prompt_seconds"),
        (lambda c: c["mel"].update(hop=128), "must agree"),
        (lambda c: c["mel"].update(n_mels=80), "mel channels"),
        (lambda c: c["mel"].update(size=80), "wrong key"),
    ],
)
def test_bad_config_is_refused(change, words):
    config = copy.deepcopy(make_config())
    change(config)
    with pytest.raises(ConfigError, match=words):
        SpeechDecoder.from_config(config)
