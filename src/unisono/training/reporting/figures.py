"""Samples of a run and their picture: log-mel in time, the gate's curve above it (extra `plot`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unisono.errors import DataError, require_extra
from unisono.storage.atomic import atomic_path
from unisono.synthesis.mel import MelConfig, MelSpectrogram

_GATE_COLOUR = "#d1495b"
_DECIBELS = 8.686
"""Of one unit of the natural logarithm of an amplitude."""


@dataclass(frozen=True)
class Sample:
    """Something to hear and see of a model in training; every part may be missing.

    Attributes:
        audio: wave `[n]` at `rate` Hz.
        rate: sample rate in Hz of `audio`; without audio it is not used.
        mel: natural-log mel `[mels, frames]`; none: drawn from the audio.
        gate: curve `[frames]` between 0 and 1 at its own frame rate, over the whole length.
        seconds: length in time when there is no audio; none: the time axis counts frames.
    """

    audio: Tensor | None
    rate: int
    mel: Tensor | None = None
    gate: Tensor | None = None
    seconds: float | None = None


def draw(path: Path, sample: Sample, title: str) -> np.ndarray | None:
    """Write the picture of a sample as PNG and return it as `[height, width, 3]` uint8.

    None, and no file, when there is nothing to draw. `MissingExtraError` without matplotlib.
    """
    mel = _mel(sample)
    gate = None if sample.gate is None or not sample.gate.numel() else _array(sample.gate.flatten())
    if mel is None and gate is None:
        return None
    backend = require_extra("matplotlib.backends.backend_agg", "plot")
    figures = require_extra("matplotlib.figure", "plot")
    image = require_extra("matplotlib.image", "plot")
    both = mel is not None and gate is not None
    figure = figures.Figure(figsize=(11, 4.4 if both else 3.4), dpi=110, layout="constrained")
    canvas = backend.FigureCanvasAgg(figure)
    ratios = [1.0] * (gate is not None) + [3.0] * (mel is not None)
    axes = figure.subplots(
        len(ratios), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios}
    )[:, 0]
    length, unit = _length(sample, mel, gate)
    if gate is not None:
        _draw_gate(axes[0], gate, length)
    if mel is not None:
        shown = _draw_mel(axes[-1], mel, length)
        figure.colorbar(shown, ax=axes[-1], pad=0.01, aspect=18, label="dB below the peak")
    axes[0].set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes[-1].set(xlabel=unit, xlim=(0, length))
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    with atomic_path(path, DataError) as temporary:
        image.imsave(temporary, picture, format="png")
    return picture


def _draw_gate(axis: Any, gate: np.ndarray, length: float) -> None:
    # Each value holds for its whole frame; the last edge closes the last frame.
    edges = np.linspace(0, length, len(gate) + 1)
    steps = np.append(gate, gate[-1:])
    axis.fill_between(edges, steps, step="post", color=_GATE_COLOUR, alpha=0.25, linewidth=0)
    axis.step(edges, steps, where="post", color=_GATE_COLOUR, linewidth=1.2)
    axis.set(ylabel="gate", ylim=(0, 1.02), yticks=(0, 0.5, 1))
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_mel(axis: Any, mel: np.ndarray, length: float) -> Any:
    decibels = _DECIBELS * (mel - mel.max())
    shown = axis.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, length, 0, len(mel)),
        vmin=max(-80.0, float(decibels.min())) if decibels.min() < 0 else -1.0,
        vmax=0.0,
        cmap="magma",
    )
    axis.set(ylabel="mel band")
    axis.spines[:].set_visible(False)
    return shown


def _mel(sample: Sample) -> np.ndarray | None:
    """Log-mel `[mels, frames]` of a sample, without NaN; None when there is none."""
    mel = sample.mel
    if mel is None and sample.audio is not None and sample.audio.numel():
        hop = max(1, sample.rate // 100)
        settings = MelConfig(sample.rate, 4 * hop, hop, 4 * hop, 80, 0.0, None)
        wave = sample.audio.detach().to("cpu", torch.float32).flatten().nan_to_num(0.0, 1.0, -1.0)
        mel = MelSpectrogram(settings)(wave[None])[0]
    if mel is None or not mel.numel():
        return None
    return _array(mel)


def _length(sample: Sample, mel: np.ndarray | None, gate: np.ndarray | None) -> tuple[float, str]:
    """Extent of the time axis and its unit."""
    if sample.audio is not None and sample.audio.numel():
        return sample.audio.numel() / sample.rate, "seconds"
    if sample.seconds:
        return sample.seconds, "seconds"
    frames = mel.shape[1] if mel is not None else len(gate) if gate is not None else 1
    return float(frames), "frames"


def _array(values: Tensor) -> np.ndarray:
    """As float32; what is not finite becomes the smallest finite value, so that it shows."""
    array = values.detach().to("cpu", torch.float32).numpy()
    finite = np.isfinite(array)
    if finite.all():
        return array
    return np.where(finite, array, array[finite].min() if finite.any() else 0.0)
