"""Spectra in another voice: what S and P are given, so that they cannot tell whose it is (ours).

The idea is NANSY's [arXiv 2110.14513]: content is told from a version in which pitch, formants and
colour were changed at random, and the decoder has to take the voice from G.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_KNOTS = 6
_NARROWEST = 0.3
"""Of the frequencies, the smallest share that is left: 2.4 kHz at a rate of 16 kHz."""


def disguise(
    spectrum: Tensor, octaves: Tensor, colour: Tensor, band: Tensor | None = None
) -> Tensor:
    """Spectra whose frequencies are stretched and whose colour and band are changed.

    Args:
        spectrum: real and imaginary parts `[B, 2, T, F]`.
        octaves: `[B]`, by how much pitch and formants go up together; 0 leaves them.
        colour: `[B, knots]`, natural logarithm of the gain at knots from 0 to the highest
            frequency, in a line between them.
        band: `[B]`, share of the frequencies that is left, from 0 up; None: all.

    Returns:
        Parts of the same shape; magnitudes are interpolated, phases are those of the nearest bin.
    """
    bins = spectrum.shape[-1]
    places = torch.arange(bins, device=spectrum.device) / torch.exp2(octaves)[:, None]
    size = (spectrum.square().sum(1) + 1e-12).sqrt()
    low = places.floor().long()
    share = (places - low)[:, None]
    moved = _at(size, low) * (1 - share) + _at(size, low + 1) * share
    nearest = places.round().long()
    parts = torch.stack([_at(spectrum[:, n], nearest) for n in range(2)], dim=1)
    scale = moved / _at(size, nearest).clamp(min=1e-6)
    gain = F.interpolate(colour[:, None], bins, mode="linear", align_corners=True).exp()
    within = places <= bins - 1
    if band is not None:
        within = within & (torch.arange(bins, device=band.device) < band[:, None] * bins)
    return parts * (scale * gain * within[:, None]).unsqueeze(1)


def draw_disguises(
    count: int,
    octaves: float,
    colour: float,
    share: float,
    generator: torch.Generator,
    narrow: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Random `octaves [count]` (uniform up to ±), `colour [count, knots]` and `band [count]` for
    `disguise`.

    colour: standard deviation of the knots. share: of the items that are disguised at all; narrow:
    of those, how many lose their upper band.
    """
    chosen = torch.rand(count, generator=generator) < share
    shifts = (torch.rand(count, generator=generator) * 2 - 1) * octaves * chosen
    gains = torch.randn(count, _KNOTS, generator=generator) * colour * chosen[:, None]
    narrowed = chosen & (torch.rand(count, generator=generator) < narrow)
    kept = _NARROWEST + (1 - _NARROWEST) * torch.rand(count, generator=generator)
    return shifts, gains, torch.where(narrowed, kept, 1.0)


def _at(values: Tensor, places: Tensor) -> Tensor:
    """`values [B, T, F]` at the bins `places [B, F]` of each item; beyond the last, the last."""
    places = places.clamp(max=values.shape[-1] - 1)
    return values.gather(2, places[:, None].expand(-1, values.shape[1], -1))
