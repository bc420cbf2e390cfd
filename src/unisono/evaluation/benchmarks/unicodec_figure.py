"""The disentanglement matrix as a heat map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unisono.errors import DataError, require_extra
from unisono.evaluation.benchmarks.unicodec_probes import TASKS, ProbeResult
from unisono.evaluation.benchmarks.unicodec_streams import STREAMS
from unisono.evaluation.metrics.probes import above_chance
from unisono.storage.atomic import atomic_path

TITLES = {"speaker": "speaker", "phones": "phones", "f0_level": "F0 level",
          "f0_movement": "F0 movement"}  # fmt: skip


def draw(path: Path, result: ProbeResult) -> None:
    """Write the picture as PNG: colour is the share told of what chance leaves (R² for F0).

    Figures stand in the cells, with their chance below; below chance is shown as chance.
    Raises `MissingExtraError` without matplotlib.
    """
    backend = require_extra("matplotlib.backends.backend_agg", "plot")
    figures = require_extra("matplotlib.figure", "plot")
    shares = np.array(
        [[above_chance(result.matrix[stream][task]) or 0.0 for task in TASKS] for stream in STREAMS]
    )
    figure = figures.Figure(figsize=(6.4, 3.4), dpi=140, layout="constrained")
    backend.FigureCanvasAgg(figure)
    axis = figure.subplots()
    image = axis.imshow(np.clip(shares, 0, 1), vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for row, stream in enumerate(STREAMS):
        for column, task in enumerate(TASKS):
            axis.text(
                column, row, _cell(result, stream, task), ha="center", va="center", fontsize=9,
                color="black" if shares[row, column] > 0.6 else "white",
            )  # fmt: skip
    axis.set_xticks(range(len(TASKS)), [TITLES[task] for task in TASKS])
    axis.set_yticks(range(len(STREAMS)), [f"{short} {name}" for name, short in STREAMS.items()])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title("what a linear probe reads off each stream", loc="left", fontsize=10)
    figure.colorbar(image, ax=axis, label="share told above chance", shrink=0.9)
    with atomic_path(path, DataError) as temporary:
        figure.savefig(temporary, format="png")


def _cell(result: ProbeResult, stream: str, task: str) -> str:
    estimate = result.matrix[stream][task]
    if estimate.value is None:
        return "–"
    kind = "R² " if task.startswith("f0") else ""
    chance = "" if kind else f"\n(chance {estimate.chance or 0:.2f})"
    # Adding zero makes -0.00 an ordinary 0.00.
    return f"{kind}{round(estimate.value, 2) + 0.0:.2f}{chance}"
