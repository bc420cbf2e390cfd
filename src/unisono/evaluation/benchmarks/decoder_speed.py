"""Decoding at the paper's size for several sampling settings, against the reference's time.

Quality of a setting is its mel distance to a solution in 100 Euler steps with full guidance, from
the same noise. Random weights say nothing about it: a trained flow is measured beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from unisono.evaluation.benchmarks import paper_size
from unisono.evaluation.timing import MatmulProbe, median_seconds
from unisono.synthesis.flow import FlowDecoder
from unisono.synthesis.solvers import evaluation_times, time_grid


@dataclass(frozen=True)
class Setting:
    """How the flow is sampled; `interval` limits guidance to those times."""

    steps: int
    solver: str
    interval: tuple[float, float] = (0.0, 1.0)

    @property
    def name(self) -> str:
        """Short name for tables."""
        limited = self.interval != (0.0, 1.0)
        part = f", guidance {self.interval[0]:g}-{self.interval[1]:g}" if limited else ""
        return f"{self.solver} {self.steps}{part}"

    def evaluations(self) -> int:
        """Passes through the network, a guided evaluation counting two."""
        times = evaluation_times(time_grid(self.steps), self.solver)
        low, high = self.interval
        return sum(2 if low <= t <= high else 1 for t in times)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `FlowDecoder.mel`."""
        return {"steps": self.steps, "solver": self.solver, "guidance_interval": self.interval}


REFERENCE = Setting(10, "euler")
SETTINGS = (
    REFERENCE,
    Setting(4, "midpoint", (0.01, 0.46)),
    Setting(4, "midpoint"),
    Setting(6, "euler"),
)


def measure(trained: Any = None, ids: Tensor | None = None, repeats: int = 3, quick: bool = False,
            settings: tuple[Setting, ...] = SETTINGS) -> dict[str, Any]:  # fmt: skip
    """Time every setting on 10 s of tokens at the paper's size.

    `trained` (a `FlowDecoder`) with its tokens `ids [1, T]` gives the quality that counts.
    `seconds_at_130` is the time scaled to a machine whose products run at 130 GFLOP/s.
    """
    probe = MatmulProbe(512 if quick else 2048)
    flow, vocoder = paper_size.flow(quick), paper_size.vocoder(quick)
    audio_seconds = 1 if quick else 10
    tokens = torch.randint(0, 8192, (1, 25 * audio_seconds))
    mel = torch.randn(1, 80, flow.frames(tokens.shape[1])) - 5
    share = audio_seconds / 10

    with torch.inference_mode():
        vocoder_time = _scaled(lambda: vocoder(mel), probe, repeats)
        finest = 20 if quick else 100
        learned = None
        if trained is not None and ids is not None:
            learned = _distances(trained, ids, settings, finest)
        rows = []
        for setting in settings:
            spent = _scaled(partial(flow.mel, tokens, **setting.arguments()), probe, repeats)
            total = (spent + vocoder_time) / share
            row = {
                "setting": setting.name,
                "evaluations": setting.evaluations(),
                "flow_seconds_at_130": spent / share,
                "seconds_at_130": total,
                "of_reference": total / sum(paper_size.REFERENCE_SECONDS.values()),
            }
            if learned is not None:
                row["mel_distance_trained"] = learned[setting]
            rows.append(row)
    return {
        "reference_seconds": paper_size.REFERENCE_SECONDS,
        "target_of_reference": 0.5,
        "matmul_gflop_per_second": probe.throughput() / 1e9,
        "vocoder_seconds_at_130": vocoder_time / share,
        "finest_steps": finest,
        "settings": rows,
    }


def _distances(
    flow: FlowDecoder, ids: Tensor, settings: tuple[Setting, ...], finest: int
) -> dict[Setting, float]:
    """Mean absolute log-mel difference of each setting to `finest` guided Euler steps."""
    target = flow.mel(ids, **Setting(finest, "euler").arguments())
    return {s: float((flow.mel(ids, **s.arguments()) - target).abs().mean()) for s in settings}


def _scaled(job: Callable[[], Any], probe: MatmulProbe, repeats: int) -> float:
    """Median seconds, scaled from this machine's throughput just now to 130 GFLOP/s."""
    before = probe.throughput()
    spent = median_seconds(job, repeats)
    return spent * (before + probe.throughput()) / 2 / paper_size.REFERENCE_THROUGHPUT
