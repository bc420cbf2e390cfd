"""UniCodec whole: codes, causality, batches, pieces, absent P."""

import numpy as np
import pytest
import torch

from unisono.unicodec import model as module
from unisono.unicodec.model import UniCodec, Vectors
from unisono.unicodec.state import StreamState


@torch.no_grad()
def test_shapes_and_ranges(model, waves):
    codes = model.encode(waves)
    assert codes["global"].shape == (2, 2)
    assert codes["semantic"].shape == (2, 25, 2) and codes["residual"].shape == (2, 25, 4)
    for stream in codes.values():
        assert stream.dtype == torch.int64 and stream.min() >= 0 and stream.max() < 8
    # Else equal codes would prove nothing.
    for name in ("semantic", "residual"):
        assert len(codes[name].unique()) > 4
    assert model.decode(codes).shape == waves.shape


@torch.no_grad()
def test_a_batch_equals_each_item_alone(model, both_ways, waves):
    for one in (model, both_ways):
        together = one.encode(waves)
        for n in range(2):
            alone = one.encode(waves[n : n + 1])
            assert all(torch.equal(alone[name][0], together[name][n]) for name in alone)
            part = {name: stream[n : n + 1] for name, stream in together.items()}
            torch.testing.assert_close(one.decode(part)[0], one.decode(together)[n])


@torch.no_grad()
def test_lengths_decide_what_global_hears(model, waves):
    frames = 15
    padded = waves.clone()
    padded[0, frames * 640 :] = 0
    made = model.encode(padded, torch.tensor([frames * 640, 16_000]))
    alone = model.encode(waves[:1, : frames * 640])
    assert torch.equal(made["global"][0], alone["global"][0])
    for name in ("semantic", "residual"):
        assert torch.equal(made[name][0, :frames], alone[name][0])


@torch.no_grad()
@pytest.mark.parametrize("frame", [1, 7, 18, 24])
def test_local_codes_do_not_hear_the_future(model, waves, frame):
    changed = waves.clone()
    changed[:, frame * 640 :] = torch.rand(2, 16_000 - frame * 640) - 0.5
    a, b = model.encode(waves), model.encode(changed)
    for name in ("semantic", "residual"):
        assert torch.equal(a[name][:, :frame], b[name][:, :frame])
    assert not torch.equal(a["residual"], b["residual"])


@torch.no_grad()
def test_without_causality_they_do(both_ways, waves):
    changed = waves.clone()
    changed[:, 12 * 640 :] = torch.rand(2, 13 * 640) - 0.5
    spectra = [both_ways.spectrum(x) for x in (waves, changed)]
    a, b = (both_ways.semantic_encoder(spectrum)[:, :11] for spectrum in spectra)
    assert (a - b).abs().max() > 1e-3


@torch.no_grad()
def test_waves_do_not_hear_later_codes(model, waves):
    codes = model.encode(waves)
    changed = {name: stream.clone() for name, stream in codes.items()}
    changed["semantic"][:, 12:] = 7 - changed["semantic"][:, 12:]
    changed["residual"][:, 12:] = 7 - changed["residual"][:, 12:]
    a, b = model.decode(codes), model.decode(changed)
    # The inverse spectrum's windows overlap by 30 ms.
    known = 12 * 640 - 480
    torch.testing.assert_close(a[:, :known], b[:, :known], atol=1e-6, rtol=0)
    assert (a[:, known:] - b[:, known:]).abs().max() > 1e-3


@torch.no_grad()
def test_pieces_of_long_audio_leave_no_mark(model, speech, monkeypatch):
    long = torch.from_numpy(np.resize(speech, (1, 200 * 640)))
    whole = model.encode(long)
    monkeypatch.setattr(module, "PIECE_SECONDS", 0.28)
    pieces = model.encode(long)
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


@torch.no_grad()
def test_absent_residual_has_its_own_vector(model, waves):
    codes = model.encode(waves)
    without = {name: codes[name] for name in ("global", "semantic")}
    vectors = model.vectors(without)
    assert torch.equal(vectors.residual, model.absent.expand(2, 25, 8))
    assert model.absent.abs().max() > 0
    wanted = model.synthesize(Vectors(vectors.glob, vectors.semantic, vectors.residual))
    assert torch.equal(model.decode(without), wanted)
    assert (model.decode(codes) - wanted).abs().max() > 1e-4


@torch.no_grad()
def test_decoding_in_pieces_with_its_end_equals_decoding_at_once(model, waves):
    codes = model.encode(waves)
    vectors, state, parts = model.vectors(codes), StreamState(), []
    for first, last in ((0, 3), (3, 4), (4, 20), (20, 25)):
        piece = Vectors(
            vectors.glob, vectors.semantic[:, first:last], vectors.residual[:, first:last]
        )
        parts.append(model.synthesize_piece(piece, state))
    end = Vectors(vectors.glob, vectors.semantic[:, -1:], vectors.residual[:, -1:])
    parts.append(model.synthesize_end(vectors.glob, end, state))
    made = torch.cat(parts, dim=1)
    assert made.shape == (2, 16_000 + 480)
    torch.testing.assert_close(made[:, 480:], model.decode(codes), atol=1e-5, rtol=0)


def test_half_a_frame_is_refused(model):
    with pytest.raises(ValueError, match="not whole frames of 640"):
        model.encode(torch.zeros(1, 700))


def test_every_weight_is_trained(make_config, waves):
    """Nothing in the model is dead: a training step's gradient reaches every parameter."""
    torch.manual_seed(0)
    model = UniCodec(make_config()).train()
    spectrum = model.spectrum(waves)
    voice = model.global_encoder.quantizer(model.global_encoder(spectrum), 1.0)
    semantic = model.semantic_encoder.quantizer(model.semantic_encoder(spectrum), 1.0)
    left = model.residual_encoder(spectrum, semantic.vectors)
    residual = model.residual_encoder.quantizer(left, 1.0).vectors
    half = torch.stack([residual[0], model.absent.expand_as(residual[1])])
    wave = model.synthesize(Vectors(voice.vectors, semantic.vectors, half))
    (wave - waves).square().mean().backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias before a norm that takes means out can do nothing, nor a scale of nothing yet.
    assert not [name for name in dead if not name.endswith("bias")], dead
