"""Crops said again by other voices of the batch: what G must bring, and what it must leave (ours).

Trained on reconstruction alone the decoder takes the voice from whatever tells it, S and P among
it. So every crop is decoded with the G of another and its pitch in that one's register; there is
nothing to compare that with, but the encoders can be asked whose voice they hear, and what it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unisono.unicodec.model import UniCodec, Vectors
from unisono.unicodec.source import Pitch


def swapped_voices(
    model: UniCodec, glob: Tensor, semantic: Tensor, spectrum: Tensor, pitch: Pitch | None
) -> tuple[Tensor, Tensor]:
    """How far other voices of the batch are from sounding like themselves, and from saying this.

    Args:
        glob: quantized G `[B, dg]`. semantic: quantized S `[B, T, ds]`.
        spectrum: of the crops as they were recorded, `[B, 2, T * fold, F]`.
        pitch: theirs, for models whose P says it.

    Returns:
        Means of 1 - cos between what G's encoder makes of the new waves and of the crop that lent
        its voice, and between what S's makes of them and of the crop that was said again. The
        encoders learn nothing from either.
    """
    moved: Pitch | None = None
    kept = model.no_residual.expand(*semantic.shape[:2], -1)
    if model.config.pitch and pitch is not None:
        register = registers(pitch)
        away = (register.roll(1) - register)[:, None]
        moved = Pitch(pitch.octaves + away, pitch.voiced)
        kept = model.saying(moved)
    said_by = Vectors(glob.roll(1, 0), semantic, kept, pitched=moved is not None)
    wave, _ = model.draw(said_by, moved)
    encoders = model.global_encoder, model.semantic_encoder
    with _as_they_are(*encoders):
        with torch.no_grad():
            lent, said = (encoder(spectrum) for encoder in encoders)
        made = model.spectrum(wave)
        heard, understood = (encoder(made) for encoder in encoders)
    voice = 1 - F.cosine_similarity(heard, lent.roll(1, 0), dim=-1)
    content = 1 - F.cosine_similarity(understood, said, dim=-1)
    return voice.mean(), content.mean()


def registers(pitch: Pitch) -> Tensor:
    """The mean pitch `[B]` of each item where it is voiced; that of all where it never is."""
    count = pitch.voiced.sum(1)
    total = (pitch.octaves * pitch.voiced).sum(1)
    everywhere = total.sum() / count.sum().clamp(min=1)
    return torch.where(count > 0, total / count.clamp(min=1), everywhere)


@contextmanager
def _as_they_are(*modules: nn.Module) -> Iterator[None]:
    """Modules in evaluation mode whose weights get no gradients, for the time being."""
    were = [module.training for module in modules]
    learning = [p for module in modules for p in module.parameters() if p.requires_grad]
    for module in modules:
        module.eval()
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        for module, training in zip(modules, were, strict=True):
            module.train(training)
