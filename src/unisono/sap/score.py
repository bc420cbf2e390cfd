"""A predicted SAP against the true one, field by field, and the sums over a data set.

Counts are kept, not means, so that the scores of parts add up to that of the whole. An answer that
is no SAP is wrong in every field; it is never left out. Fields and protocol: reference page
section 3 (judged fields: `judges`); scores of free text and events: ours (`lexical`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from unisono.errors import require_extra
from unisono.sap.lexical import matches, token_f1, words
from unisono.sap.schema import SAP, SapError

__all__ = [
    "CLOSED",
    "FREE",
    "EventCounts",
    "SapScores",
    "Share",
    "WordCounts",
    "score_clip",
    "score_clips",
    "score_texts",
]

CLOSED = ("age", "gender", "emotion")
"""Fields of closed sets: right if equal, or both null."""

FREE = ("accent", "prosody", "timbre")
"""Fields of free text that may be null."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Share:
    """Points out of `count`; apart, those out of the `known` clips whose true value is not null."""

    points: float = 0.0
    count: int = 0
    known_points: float = 0.0
    known: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(
            self.points + other.points,
            self.count + other.count,
            self.known_points + other.known_points,
            self.known + other.known,
        )

    @classmethod
    def of(cls, points: float, known: bool) -> Share:
        """One clip."""
        return cls(points, 1, points if known else 0.0, int(known))

    @property
    def value(self) -> float | None:
        """Mean over all clips, in [0, 1]; None without clips."""
        return self.points / self.count if self.count else None

    @property
    def value_known(self) -> float | None:
        """Mean over the clips whose true value is not null; None if there are none."""
        return self.known_points / self.known if self.known else None


@dataclass(frozen=True)
class WordCounts:
    """Edits (substitutions, deletions, insertions) that turn the true words into the predicted."""

    edits: int = 0
    words: int = 0

    def __add__(self, other: WordCounts) -> WordCounts:
        return WordCounts(self.edits + other.edits, self.words + other.words)

    @property
    def rate(self) -> float | None:
        """Corpus word error rate, may exceed 1; None without true words."""
        return self.edits / self.words if self.words else None


@dataclass(frozen=True)
class EventCounts:
    """Labels predicted, labels true, and pairs of them that name the same sound."""

    matched: int = 0
    predicted: int = 0
    true: int = 0

    def __add__(self, other: EventCounts) -> EventCounts:
        return EventCounts(
            self.matched + other.matched,
            self.predicted + other.predicted,
            self.true + other.true,
        )

    @property
    def precision(self) -> float | None:
        """Share of the predicted labels that are true; None if none was predicted."""
        return self.matched / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Share of the true labels that were predicted; None if there are none."""
        return self.matched / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two; None if there is no label at all."""
        total = self.predicted + self.true
        return 2 * self.matched / total if total else None


@dataclass(frozen=True)
class SapScores:
    """Sums over clips.

    Attributes:
        clips: all of them. `valid`: answers that strict parsing takes. `readable`: answers that
            were scored (the valid ones, and with lenient reading the repaired ones).
        spoken: whether a transcription was given where there is speech, and null where not.
        transcription: over clips with speech only; words invented elsewhere show in `spoken`.
        closed: age, gender, emotion. `confusion`: (true, predicted) of each, null as None.
        free: token F1 of accent, prosody, timbre and the scene's description.
        events: `discrete`, `continuous`, and `all`, which forgives a wrong kind.
    """

    clips: int = 0
    valid: int = 0
    readable: int = 0
    spoken: Share = Share()
    transcription: WordCounts = WordCounts()
    closed: Mapping[str, Share] = field(default_factory=dict)
    confusion: Mapping[str, Counter[tuple[str | None, str | None]]] = field(default_factory=dict)
    free: Mapping[str, Share] = field(default_factory=dict)
    events: Mapping[str, EventCounts] = field(default_factory=dict)

    def __add__(self, other: SapScores) -> SapScores:
        return SapScores(
            self.clips + other.clips,
            self.valid + other.valid,
            self.readable + other.readable,
            self.spoken + other.spoken,
            self.transcription + other.transcription,
            _merge(self.closed, other.closed, lambda a, b: a + b),
            _merge(self.confusion, other.confusion, lambda a, b: a + b),
            _merge(self.free, other.free, lambda a, b: a + b),
            _merge(self.events, other.events, lambda a, b: a + b),
        )

    def balanced(self, name: str) -> float | None:
        """Mean of the recalls of the true values of a closed field, null left out.

        Tells a model that always says Neutral from one that hears emotions. None without values.
        """
        counts = self.confusion.get(name, Counter())
        totals: Counter[str] = Counter()
        for (true, _), number in counts.items():
            if true is not None:
                totals[true] += number
        recalls = [counts[true, true] / total for true, total in totals.items()]
        return sum(recalls) / len(recalls) if recalls else None

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Every figure by name, as `value` (None: no clip to measure it on) and `count`."""
        words_said = self.transcription
        out = {
            "valid": _figure(Share(self.valid, self.clips).value, self.clips),
            "readable": _figure(Share(self.readable, self.clips).value, self.clips),
            "spoken": _figure(self.spoken.value, self.spoken.count),
            "wer": _figure(words_said.rate, words_said.words),
        }
        for name, share in self.closed.items():
            out[name] = _figure(share.value, share.count)
            out[f"{name} (known)"] = _figure(share.value_known, share.known)
            out[f"{name} (balanced)"] = _figure(self.balanced(name), share.known)
        for name, share in self.free.items():
            out[f"{name} f1"] = _figure(share.value, share.count)
            out[f"{name} f1 (known)"] = _figure(share.value_known, share.known)
        for name, counts in self.events.items():
            out[f"{name} events precision"] = _figure(counts.precision, counts.predicted)
            out[f"{name} events recall"] = _figure(counts.recall, counts.true)
            out[f"{name} events f1"] = _figure(counts.f1, counts.predicted + counts.true)
        return out


def score_clip(predicted: SAP | None, true: SAP, valid: bool = True) -> SapScores:
    """Scores of one clip; None is an answer that could not be read, `valid` is whether strictly."""
    voice, wanted = predicted and predicted.paralinguistics, true.paralinguistics
    closed: dict[str, Share] = {}
    confusion: dict[str, Counter[tuple[str | None, str | None]]] = {}
    free: dict[str, Share] = {}
    for name in CLOSED:
        value, truth = getattr(voice, name, None), getattr(wanted, name)
        closed[name] = Share.of(float(voice is not None and value == truth), truth is not None)
        # An unreadable answer says nothing; that must not count as a right null.
        confusion[name] = Counter({(truth, value if voice else "(unreadable)"): 1})
    for name in FREE:
        value, truth = getattr(voice, name, None), getattr(wanted, name)
        points = float(voice is not None and value is None)
        if truth is not None:
            points = token_f1(value, truth) if value is not None else 0.0
        free[name] = Share.of(points, truth is not None)
    scene = true.nonLinguisticEvents
    guess = predicted.nonLinguisticEvents if predicted else None
    free["description"] = Share.of(
        token_f1(guess.description, scene.description) if guess else 0.0, True
    )
    said = predicted.transcription if predicted else None
    speech = true.transcription is not None
    found = predicted is not None and (said is not None) == speech
    return SapScores(
        clips=1,
        valid=int(valid and predicted is not None),
        readable=int(predicted is not None),
        spoken=Share.of(float(found), speech),
        transcription=_edits(said or "", true.transcription or "") if speech else WordCounts(),
        closed=closed,
        confusion=confusion,
        free=free,
        events=_events(predicted, true),
    )


def score_clips(pairs: Iterable[tuple[SAP | None, SAP]]) -> SapScores:
    """Sum over (predicted, true) pairs."""
    return sum((score_clip(*pair) for pair in pairs), SapScores())


def score_texts(texts: Sequence[str], truths: Sequence[SAP], lenient: bool = False) -> SapScores:
    """Sum over generated texts; with `lenient`, repaired ones are scored too, but are not valid."""
    total = SapScores()
    for text, true in zip(texts, truths, strict=True):
        strict = _read(text, False)
        predicted = strict or (_read(text, True) if lenient else None)
        total += score_clip(predicted, true, strict is not None)
    return total


def _read(text: str, lenient: bool) -> SAP | None:
    try:
        return SAP.parse(text, lenient)
    except SapError:
        return None


def _edits(predicted: str, true: str) -> WordCounts:
    wanted, heard = words(true), words(predicted)
    if not wanted or not heard:
        return WordCounts(len(wanted) + len(heard), len(wanted))
    out = require_extra("jiwer", "eval").process_words(" ".join(wanted), " ".join(heard))
    return WordCounts(out.substitutions + out.deletions + out.insertions, len(wanted))


def _events(predicted: SAP | None, true: SAP) -> dict[str, EventCounts]:
    guessed, wanted = _labels(predicted), _labels(true)
    return {
        kind: EventCounts(matches(guessed[kind], labels), len(guessed[kind]), len(labels))
        for kind, labels in wanted.items()
    }


def _labels(sap: SAP | None) -> dict[str, list[str]]:
    """Labels by kind, as sets: one that stands twice counts once."""
    scene = sap.nonLinguisticEvents if sap else None
    kinds = {
        "discrete": [event.label for event in scene.discreteEvents] if scene else [],
        "continuous": [event.label for event in scene.continuousEvents] if scene else [],
    }
    kinds["all"] = kinds["discrete"] + kinds["continuous"]
    return {kind: _once(labels) for kind, labels in kinds.items()}


def _once(labels: Iterable[str]) -> list[str]:
    return list({" ".join(words(label)) or label: label for label in labels}.values())


def _merge(
    one: Mapping[str, _T], other: Mapping[str, _T], add: Callable[[_T, _T], _T]
) -> dict[str, _T]:
    both = {name: add(one[name], other[name]) for name in one if name in other}
    return {**one, **other, **both}


def _figure(value: float | None, count: int) -> dict[str, Any]:
    return {"value": value, "count": count}
