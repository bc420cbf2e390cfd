"""The picture of a round trip: two mel spectrograms and the token raster (extra `plot`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unisono.errors import DataError
from unisono.storage.atomic import atomic_path
from unisono.tokens import AudioTokens


def draw(
    path: Path, mels: list[tuple[str, np.ndarray]], seconds: float, tokens: AudioTokens
) -> None:
    """Write a PNG: each `(title, log-mel [bands, frames])`, then every stream's codes in time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    streams = [s for s in tokens.layout.streams if s.rate is not None]
    rows = len(mels) + len(streams)
    figure = Figure(figsize=(11, 2.3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    low, high = mels[0][1].min(), mels[0][1].max()
    for axis, (title, mel) in zip(axes, mels, strict=False):
        axis.imshow(
            mel,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, len(mel)),
            vmin=low,
            vmax=high,
            cmap="magma",
        )
        axis.set(ylabel="mel band", title=title)
    for axis, stream in zip(axes[len(mels) :], streams, strict=True):
        assert stream.rate is not None
        shown = tokens[stream.name][:, : int(np.ceil(seconds * stream.rate))]
        times = np.arange(shown.shape[1]) / stream.rate
        for codes in shown:
            axis.scatter(times, codes, s=6, marker="s", linewidths=0)
        axis.set(
            ylabel="code",
            ylim=(-0.02 * stream.codebook_size, 1.02 * stream.codebook_size),
            title=f"tokens '{stream.name}': {stream.rate:g} Hz x {stream.groups} "
            f"x {stream.codebook_size}",
        )
    axes[-1].set(xlabel="seconds", xlim=(0, seconds))
    with atomic_path(path, DataError) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
