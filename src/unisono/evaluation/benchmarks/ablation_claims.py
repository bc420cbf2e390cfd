"""What the paper claims of SAP and SAE, and what our intervals say to it.

Claims (UniAudio-Token, arXiv 2605.31521): tokens of like sounds are more alike with SAP supervision
and with SAE, and SAE's gate opens further where a clip is no speech. Effects are differences on the
same clips; the interval is over clips, so it says nothing about another training of the same
models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from unisono.evaluation.benchmarks.ablation import ModelResult
from unisono.evaluation.metrics.bootstrap import Estimate, difference_of, mean_of, missing
from unisono.evaluation.metrics.clustering import DISTANCES

Verdict = Literal["agrees", "not decided", "disagrees", "not measured"]
MEASURES = tuple(
    f"{name} {distance}" for name in ("silhouette", "purity") for distance in DISTANCES
)
_FACTORS = {
    "SAE raises clustering": ("sae",),
    "SAP raises clustering": ("sap",),
    "SAP and SAE together raise clustering": ("sae", "sap"),
}


@dataclass(frozen=True)
class Finding:
    """One effect that a claim predicts to be above zero; `compared` says between what."""

    measure: str
    compared: str
    effect: Estimate

    @property
    def verdict(self) -> Verdict:
        """Whether the interval lies on the claimed side of zero, the other one, or neither."""
        return decide(self.effect)


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper and what was found about it."""

    text: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """What all findings say alike; "not decided" where they differ."""
        verdicts = {finding.verdict for finding in self.findings} - {"not measured"}
        if not verdicts:
            return "not measured"
        return verdicts.pop() if len(verdicts) == 1 else "not decided"

    @property
    def sentence(self) -> str:
        """The verdict with its count of findings."""
        counted = [finding.verdict for finding in self.findings]
        kinds = ("agrees", "not decided", "disagrees", "not measured")
        parts = [f"{counted.count(kind)} {kind}" for kind in kinds if kind in counted]
        return f"{self.text}: {self.verdict} ({', '.join(parts) or 'no models to compare'})"

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        findings = [
            {
                "measure": finding.measure,
                "compared": finding.compared,
                "effect": finding.effect.to_dict(),
                "verdict": finding.verdict,
            }
            for finding in self.findings
        ]
        return {"claim": self.text, "verdict": self.verdict, "findings": findings}


def decide(effect: Estimate) -> Verdict:
    """A verdict on "the effect is above zero" from the effect's interval."""
    if effect.low is None or effect.high is None:
        return "not measured"
    if effect.low > 0:
        return "agrees"
    return "disagrees" if effect.high < 0 else "not decided"


def claims(results: Sequence[ModelResult]) -> list[Claim]:
    """All claims, judged by all models that bear on them."""
    found = []
    for text, factors in _FACTORS.items():
        pairs = _pairs(results, factors)
        findings = [_clustering(measure, pairs) for measure in MEASURES] if pairs else []
        found.append(Claim(text, tuple(findings)))
    for kind, name in (("sound", "sounds"), ("music", "music")):
        gated = [result for result in results if result.gates]
        findings = [_gate(result, kind) for result in gated]
        found.append(Claim(f"the gate opens further for {name} than for speech", tuple(findings)))
    return found


def _pairs(
    results: Sequence[ModelResult], factors: Sequence[str]
) -> list[tuple[ModelResult, ModelResult]]:
    """(without, with) pairs of models that differ in all `factors` and in nothing else."""
    others = [factor for factor in ("sae", "sap") if factor not in factors]
    return [
        (one, other)
        for one in results
        for other in results
        if all(not getattr(one, f) and getattr(other, f) for f in factors)
        and all(getattr(one, f) == getattr(other, f) for f in others)
    ]


def _clustering(measure: str, pairs: Sequence[tuple[ModelResult, ModelResult]]) -> Finding:
    """The mean effect over the pairs, clip by clip."""
    names = ", ".join(f"{one.name} to {other.name}" for one, other in pairs)
    if any(measure not in result.clips for pair in pairs for result in pair):
        return Finding(measure, names, missing("too few labelled sounds"))
    changes = [other.clips[measure] - one.clips[measure] for one, other in pairs]
    return Finding(measure, names, mean_of(np.mean(changes, axis=0)))


def _gate(result: ModelResult, kind: str) -> Finding:
    gates = result.gates
    effect = difference_of(gates.get(kind, ()), gates.get("speech", ()))
    return Finding("mean |gate|", f"{result.name}: {kind} minus speech", effect)
