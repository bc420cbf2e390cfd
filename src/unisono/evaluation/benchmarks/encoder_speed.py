"""Encoder at the paper's size over the floor that matrix products of the same run set."""

from __future__ import annotations

from statistics import median
from typing import Any

import torch

from unisono.evaluation.benchmarks import paper_size
from unisono.evaluation.flops import encoder_flops
from unisono.evaluation.timing import MatmulProbe, seconds

TARGET = 0.9


def measure(repeats: int = 5, quick: bool = False) -> dict[str, Any]:
    """Efficiency = (FLOPs / throughput) / time of one 30 s clip, median of paired runs.

    Each encoder run is timed between two runs of the products, so that both see the same machine.
    """
    model = paper_size.encoder(quick)
    frames = 300 if quick else 3000
    features = torch.randn(1, model.config.num_mel_bins, frames)
    mask = torch.ones(1, frames, dtype=torch.int64)
    work = encoder_flops(model.config, frames)
    probe = MatmulProbe(512 if quick else 2048)
    efficiencies, times, rates = [], [], []
    with torch.inference_mode():
        model(features, mask)
        for _ in range(repeats):
            before = probe.throughput()
            spent = seconds(lambda: model(features, mask))
            rate = (before + probe.throughput()) / 2
            efficiencies.append(work / rate / spent)
            times.append(spent)
            rates.append(rate)
    return {
        "gflop": work / 1e9,
        "matmul_gflop_per_second": median(rates) / 1e9,
        "seconds": median(times),
        "real_time": frames / 100 / median(times),
        "efficiency": median(efficiencies),
        "efficiency_runs": efficiencies,
        "target": TARGET,
    }
