"""Models that differ in supervision (SAP) and architecture (SAE), measured side by side.

All on the same clips: words and SAP fields read from tokens, how the tokens of labelled sounds
group by class, how far the gate opens for speech, music and sounds, use of the codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unisono.errors import ConfigError, require_extra
from unisono.evaluation.benchmarks.sap_reading import Question, ask
from unisono.evaluation.benchmarks.sap_scores import SapReport, score
from unisono.evaluation.gates import gate_curves, has_equilibrium, has_gate
from unisono.evaluation.metrics.bootstrap import Estimate, mean_of
from unisono.evaluation.metrics.clustering import (
    DISTANCES,
    Clustering,
    cluster_report,
    kmeans,
    token_histograms,
)
from unisono.evaluation.metrics.codebook import codebook_report
from unisono.evaluation.result import MetricError
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import AudioTokens

KINDS = ("speech", "music", "sound")
ROLES = {"text": (False, False), "sae": (True, False), "sap": (False, True), "both": (True, True)}
"""Known names of models: whether they have SAE, and whether SAPs supervised them."""


@dataclass(frozen=True)
class Model:
    """A model of the comparison; `sap`: whether SAPs supervised its training."""

    name: str
    tokenizer: AudioTokenizer
    sap: bool

    @property
    def sae(self) -> bool:
        """Whether SAE reaches its tokens."""
        return has_equilibrium(self.tokenizer)


@dataclass(frozen=True)
class ModelResult:
    """What was measured of one model.

    Attributes:
        reading: words, and SAP fields where `sap`.
        classes: clustering of the labelled sounds, None with too few of them.
        clips: silhouette and purity of each labelled sound, `[sounds]`, by `measure distance`, in
            the order of the questions; their means are those of `classes`.
        gates: mean |gate| of each clip by kind; empty without SAE.
        codebook: use of the codes by all clips.
    """

    name: str
    sae: bool
    sap: bool
    reading: SapReport
    classes: Clustering | None
    clips: dict[str, np.ndarray]
    gates: dict[str, np.ndarray]
    codebook: dict[str, Any]

    def gate(self, kind: str) -> Estimate:
        """Mean |gate| over the clips of a kind."""
        return mean_of(self.gates[kind]) if len(self.gates.get(kind, ())) else Estimate()

    def cluster(self, measure: str) -> Estimate:
        """Silhouette or purity, as `silhouette cosine`, with its interval over clips."""
        return mean_of(self.clips[measure]) if measure in self.clips else Estimate()

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON, without the answers clip by clip."""
        reading = self.reading.to_dict()
        reading.pop("clips")
        return {
            "sae": self.sae,
            "sap": self.sap,
            "reading": reading,
            "classes": self.classes.to_dict() if self.classes else None,
            "clusters": {name: self.cluster(name).to_dict() for name in self.clips},
            "gate": {kind: self.gate(kind).to_dict() for kind in self.gates},
            "codebook": self.codebook,
        }


def check_role(model: Model) -> Model:
    """The model itself; `ConfigError` if it is named after an architecture that it has not."""
    expected = ROLES.get(model.name)
    if expected is not None and expected[0] != model.sae:
        raise ConfigError(
            f"The model called '{model.name}' has {'an' if model.sae else 'no'} SAE, but "
            f"'{model.name}' stands for one {'with' if expected[0] else 'without'} it; give the "
            "folders to the right names, or use other names with --sap-models."
        )
    return model


def measure(
    model: Model,
    asked: Sequence[Question],
    *,
    language: str = "",
    protocol: dict[str, Any] | None = None,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> ModelResult:
    """All figures of one model; SAPs are asked for only where they supervised its training.

    A model without a text decoder has no words either.
    """
    tokenizer = model.tokenizer
    audios = [question.clip.audio for question in asked]
    tokens = tokenizer.encode(audios)
    if tokenizer.reads_text:
        sap = model.sap
        answers = ask(tokenizer, asked, tokens, language=language, sap=sap, progress=progress)
    else:
        answers = []
    scored = asked if answers else []
    reading = score(tokenizer.model_id, scored, answers, protocol or {})
    sounds = [place for place, question in enumerate(asked) if question.labelled]
    classes, clips = clusters(
        [tokens[place] for place in sounds], [asked[place].clip.label for place in sounds]
    )
    gates: dict[str, np.ndarray] = {}
    if has_gate(tokenizer):
        means = np.array([curve.mean() for curve in gate_curves(tokenizer, audios)])
        kinds = np.array([question.clip.kind for question in asked])
        gates = {kind: means[kinds == kind] for kind in KINDS}
    codebook = codebook_report(tokens).to_dict()
    return ModelResult(model.name, model.sae, model.sap, reading, classes, clips, gates, codebook)


def clusters(
    tokens: Sequence[AudioTokens], labels: Sequence[str]
) -> tuple[Clustering | None, dict[str, np.ndarray]]:
    """The clustering of labelled clips, and silhouette and purity clip by clip.

    A clip's purity is the share of the k-means seeds that put it with its class: into a cluster
    whose commonest class is its own. The means over clips are the figures of the clustering.
    """
    if not tokens:
        return None, {}
    histograms = token_histograms(tokens)
    # Codes that nobody uses change no distance.
    histograms = histograms[:, histograms.any(0)]
    try:
        found = cluster_report(histograms, labels)
    except MetricError:
        return None, {}
    samples = require_extra("sklearn.metrics", "eval").silhouette_samples
    names, clips = np.asarray(labels), {}
    for distance in DISTANCES:
        values = samples(histograms, names, metric=distance)
        clips[f"silhouette {distance}"] = np.asarray(values, np.float64)
        seeds = [_at_home(c, names) for c in kmeans(histograms, len(set(labels)), distance)]
        clips[f"purity {distance}"] = np.mean(seeds, axis=0)
    return found, clips


def _at_home(numbers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1.0 for each item of its cluster's commonest class, else 0.0."""
    right = np.zeros(len(labels))
    for number in np.unique(numbers):
        inside = numbers == number
        names, counts = np.unique(labels[inside], return_counts=True)
        right[inside] = labels[inside] == names[counts.argmax()]
    return right
