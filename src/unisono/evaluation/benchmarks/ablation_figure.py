"""A picture of SAE's gate over time above the log-mel spectrogram, clip beside clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unisono.audio import Audio
from unisono.errors import DataError, require_extra
from unisono.evaluation.benchmarks.sap_reading import Question
from unisono.evaluation.metrics.mel import MEL
from unisono.storage.atomic import atomic_path
from unisono.synthesis.mel import MelSpectrogram

_COLOURS = ("#d1495b", "#00798c", "#edae49", "#30638e")
_DECIBELS = 8.686
"""Of one unit of the natural logarithm of an amplitude."""
_RANGE = 70.0
"""Decibels below the peak that are shown."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A clip to draw; `border`: where its second part begins, seconds."""

    title: str
    audio: Audio
    border: float | None = None


def panels(asked: Sequence[Question]) -> list[Panel]:
    """One clip of speech, one labelled sound, and the sound after the speech, equally loud.

    The longest sound of at most 4 s, so that there is something to see, and the speech whose
    length comes nearest to 3 s; `DataError` if there is none of either.
    """
    speech = [question.clip for question in asked if question.clip.kind == "speech"]
    sounds = [question.clip for question in asked if question.labelled]
    if not speech or not sounds:
        raise DataError("The picture of the gate needs a clip of speech and a labelled sound.")
    said = min(speech, key=lambda clip: abs(clip.audio.duration - 3.0))
    short = [clip for clip in sounds if clip.audio.duration <= 4.0] or sounds
    heard = max(short, key=lambda clip: clip.audio.duration)
    voice, sound = (clip.audio.mono().resample(MEL.rate) for clip in (said, heard))
    level = _loudness(voice) / max(_loudness(sound), 1e-9)
    loud = np.clip(sound.samples * level, -1.0, 1.0)
    both = Audio(np.concatenate([voice.samples, loud], axis=1), MEL.rate)
    return [
        Panel("speech", voice),
        Panel(f"sound: {heard.label}", sound),
        Panel(f"speech, then {heard.label}", both, voice.duration),
    ]


def draw(path: Path, shown: Sequence[Panel], curves: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write the picture as PNG.

    Args:
        curves: by model, the gate's curve `[frames]` of each panel, see `gates.gate_curves`.

    Raises:
        MissingExtraError: without matplotlib.
    """
    backend = require_extra("matplotlib.backends.backend_agg", "plot")
    figures = require_extra("matplotlib.figure", "plot")
    widths = [panel.audio.duration for panel in shown]
    figure = figures.Figure(figsize=(12, 4.6), dpi=120, layout="constrained")
    backend.FigureCanvasAgg(figure)
    axes = figure.subplots(
        2,
        len(shown),
        squeeze=False,
        sharex="col",
        sharey="row",
        gridspec_kw={"height_ratios": [1.2, 2.0], "width_ratios": widths},
    )
    for column, panel in enumerate(shown):
        upper, lower = axes[:, column]
        for number, (name, own) in enumerate(curves.items()):
            _draw_gate(upper, own[column], panel, name, _COLOURS[number % len(_COLOURS)])
        _draw_mel(lower, panel)
        upper.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
        lower.set(xlabel="seconds", xlim=(0, panel.audio.duration))
    axes[0, 0].set(ylabel="mean |gate|", ylim=_limits(curves))
    axes[1, 0].set_ylabel("mel band")
    if len(curves) > 1:
        axes[0, -1].legend(loc="best", fontsize=8, frameon=False)
    with atomic_path(path, DataError) as temporary:
        figure.savefig(temporary, format="png")


def _draw_gate(axis: Any, curve: np.ndarray, panel: Panel, name: str, colour: str) -> None:
    # Each value holds for its whole frame; the last edge closes the last frame.
    edges = np.linspace(0, panel.audio.duration, len(curve) + 1)
    steps = np.append(curve, curve[-1:])
    axis.step(edges, steps, where="post", color=colour, linewidth=1.2, label=name)
    if panel.border is not None:
        axis.axvline(panel.border, color="0.4", linestyle="--", linewidth=0.9)
        for part in (edges[:-1] < panel.border, edges[:-1] >= panel.border):
            if part.any():
                ends = (edges[:-1][part][0], edges[1:][part][-1])
                axis.hlines(curve[part].mean(), *ends, color=colour, linewidth=2.4, alpha=0.35)
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_mel(axis: Any, panel: Panel) -> None:
    wave = torch.from_numpy(panel.audio.mono().resample(MEL.rate).samples)
    with torch.inference_mode():
        decibels = _DECIBELS * MelSpectrogram(MEL)(wave)[0].numpy()
    axis.imshow(
        decibels - decibels.max(),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, panel.audio.duration, 0, len(decibels)),
        vmin=-_RANGE,
        vmax=0.0,
        cmap="magma",
    )
    if panel.border is not None:
        axis.axvline(panel.border, color="white", linestyle="--", linewidth=0.9)


def _limits(curves: Mapping[str, Sequence[np.ndarray]]) -> tuple[float, float]:
    """The curves' own range with a margin: a gate may move by little."""
    values = np.concatenate([curve for own in curves.values() for curve in own])
    margin = max(0.02, 0.1 * float(np.ptp(values)))
    return max(0.0, float(values.min()) - margin), min(1.0, float(values.max()) + margin)


def _loudness(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio.samples, dtype=np.float64))))
