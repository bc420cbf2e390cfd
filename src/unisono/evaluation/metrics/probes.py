"""Linear probes: what can be read off a vector by a line, tested on clips that were not fitted.

Every row is tested once, by a probe fitted on the other folds; vectors are standardised by what
was fitted. A figure stands beside its chance: what an answer that ignores the vector reaches, the
most frequent answer of the fitted rows. Intervals: bootstrap over clips. Protocol of the kind of
SUPERB and DASB (simple probes on frozen features); folds and figures are ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unisono.errors import require_extra
from unisono.evaluation.metrics import bootstrap
from unisono.evaluation.metrics.bootstrap import Estimate

FOLDS = 3
INVERSE_PENALTIES = (0.01, 0.1, 1.0)
"""C of the logistic regression: what is best in three folds of the fitted rows."""
PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
"""Of the ridge regression: what is best on the fitted rows, each left out in turn."""
METHOD = (
    f"{FOLDS} folds; LogisticRegression for classes, ridge regression for numbers, penalties "
    "chosen on the fitted rows, on standardised vectors (scikit-learn)"
)

Floats = NDArray[np.float64]
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def class_probe(
    vectors: Floats, classes: Sequence[str], within: Sequence[str] | None = None
) -> Estimate:
    """Share of clips whose class is told, each class in every fold; `vectors [clips, D]`.

    within: each clip's part (language); every part has a probe of its own, so that telling the
    part does not help. Nothing is measured if a part has fewer than two classes, or a class fewer
    clips than folds.
    """
    labels = np.asarray(classes)
    right, chance = np.zeros(len(labels)), np.zeros(len(labels))
    selection = require_extra("sklearn.model_selection", "eval")
    for part in _parts(within, len(labels)):
        own = Counter(labels[part].tolist())
        if len(own) < 2 or min(own.values()) < FOLDS:
            return bootstrap.missing(f"needs two classes of {FOLDS} clips or more")
        split = selection.StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        for fold in split.split(part, labels[part]):
            fitted, tested = (part[rows] for rows in fold)
            right[tested] = _classified(vectors, labels, fitted, tested) == labels[tested]
            chance[tested] = labels[tested] == Counter(labels[fitted].tolist()).most_common(1)[0][0]
    return bootstrap.mean_of(right).over(float(chance.mean()))


def presence_probe(
    vectors: Floats,
    present: NDArray[np.bool_],
    groups: Sequence[str],
    within: Sequence[str] | None = None,
) -> Estimate:
    """Share of right yes-or-no answers about each clip: `present [clips, questions]`.

    No group (speaker) is in two folds. One probe a question and part; a clip's value is the share
    of its questions that are answered right. within: as for `class_probe`; a column may ask
    something else in each part.
    """
    right, chance = np.zeros(present.shape), np.zeros(present.shape)
    for part in _parts(within, len(present)):
        own = np.asarray(groups)[part]
        if len(set(own.tolist())) < FOLDS or not present.shape[1]:
            return bootstrap.missing(f"needs a question and {FOLDS} speakers or more")
        for fold in _group_folds(own):
            fitted, tested = (part[rows] for rows in fold)
            for question, answers in enumerate(present.T):
                guess = answers[fitted].mean() > 0.5
                both = 0 < answers[fitted].sum() < len(fitted)
                said = _classified(vectors, answers, fitted, tested) if both else guess
                chance[tested, question] = answers[tested] == guess
                right[tested, question] = answers[tested] == said
    return bootstrap.mean_of(right.mean(1)).over(float(chance.mean()))


def number_probe(
    vectors: Floats, numbers: Floats, clips: Sequence[str], groups: Sequence[str]
) -> Estimate:
    """R² of numbers `[rows]` told from `vectors [rows, D]`; 0 is telling the fitted rows' mean.

    clips, groups: of each row, the clip it comes from (what the bootstrap draws) and its speaker
    (no speaker is in two folds). May be negative: worse than the mean.
    """
    if len(set(groups)) < FOLDS:
        return bootstrap.missing(f"needs {FOLDS} speakers or more")
    missed, spread = np.zeros(len(numbers)), np.zeros(len(numbers))
    for fitted, tested in _group_folds(np.asarray(groups)):
        mean = numbers[fitted].mean()
        told = _regressed(vectors, numbers, fitted, tested)
        missed[tested] = (numbers[tested] - told) ** 2
        spread[tested] = (numbers[tested] - mean) ** 2
    _, rows = np.unique(np.asarray(clips), return_inverse=True)
    found = bootstrap.ratio_of(np.bincount(rows, missed), np.bincount(rows, spread))
    if found.value is None or found.low is None or found.high is None:
        return bootstrap.missing("the numbers are all the same")
    return replace(found, value=1 - found.value, low=1 - found.high, high=1 - found.low, chance=0.0)


def above_chance(estimate: Estimate) -> float | None:
    """Share of what chance leaves that is told: 0 chance, 1 everything; None: not measured."""
    if estimate.value is None or estimate.chance is None or estimate.chance >= 1:
        return None
    return (estimate.value - estimate.chance) / (1 - estimate.chance)


def _parts(within: Sequence[str] | None, count: int) -> list[NDArray[np.int64]]:
    """Rows of each part."""
    if within is None:
        return [np.arange(count)]
    names = np.asarray(within)
    return [np.flatnonzero(names == name) for name in sorted(set(within))]


def _group_folds(groups: NDArray) -> Iterator[Fold]:
    selection = require_extra("sklearn.model_selection", "eval")
    folds: Iterator[Fold] = selection.GroupKFold(FOLDS).split(groups, groups=groups)
    return folds


def _classified(
    vectors: Floats, answers: NDArray, fitted: NDArray[np.int64], tested: NDArray[np.int64]
) -> NDArray:
    linear = require_extra("sklearn.linear_model", "eval")
    selection = require_extra("sklearn.model_selection", "eval")
    scale, known = _scaling(vectors[fitted]), answers[fitted]
    probe = linear.LogisticRegression(max_iter=1000)
    if np.unique(known, return_counts=True)[1].min() >= FOLDS:
        probe = selection.GridSearchCV(probe, {"C": INVERSE_PENALTIES}, cv=FOLDS)
    probe.fit(scale(vectors[fitted]), known)
    return np.asarray(probe.predict(scale(vectors[tested])))


def _regressed(
    vectors: Floats, numbers: Floats, fitted: NDArray[np.int64], tested: NDArray[np.int64]
) -> Floats:
    linear = require_extra("sklearn.linear_model", "eval")
    scale = _scaling(vectors[fitted])
    probe = linear.RidgeCV(alphas=PENALTIES).fit(scale(vectors[fitted]), numbers[fitted])
    return np.asarray(probe.predict(scale(vectors[tested])))


def _scaling(vectors: Floats) -> Callable[[Floats], Floats]:
    """Mean 0 and standard deviation 1 by these rows; numbers that do not vary become 0."""
    mean, spread = vectors.mean(0), vectors.std(0)
    factor = np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)
    return lambda rows: (rows - mean) * factor
