"""Word error rate over a corpus, and the normaliser that texts go through first."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from unisono.errors import require_extra
from unisono.evaluation.result import MetricError

NORMALISER = "lower case, punctuation and symbols deleted except apostrophes, no number rewriting"
AVERAGING = "corpus level, (S + D + I) / N"


@dataclass(frozen=True)
class WordErrors:
    """Counts of an alignment: `words` is the length of the reference."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    words: int = 0

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
        )

    @property
    def rate(self) -> float:
        """(S + D + I) / N, may exceed 1; `MetricError` if the reference has no word."""
        if not self.words:
            raise MetricError("the reference transcript has no words")
        return (self.substitutions + self.deletions + self.insertions) / self.words


def normalise(text: str) -> str:
    """Lower case, without punctuation and symbols except `'`, words separated by one space."""
    text = (
        unicodedata.normalize("NFC", text).lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    kept = (c for c in text if c == "'" or unicodedata.category(c)[0] not in "PS")
    # An apostrophe that stands alone is a quotation mark, not part of a word.
    return " ".join(word for word in "".join(kept).split() if word.strip("'"))


def word_errors(reference: str, hypothesis: str) -> WordErrors:
    """Counts of one normalised pair; an empty reference makes every word an insertion."""
    words, heard = normalise(reference), normalise(hypothesis)
    if not words or not heard:
        return WordErrors(0, len(words.split()), len(heard.split()), len(words.split()))
    out = require_extra("jiwer", "eval").process_words(words, heard)
    total = out.hits + out.substitutions + out.deletions
    return WordErrors(out.substitutions, out.deletions, out.insertions, total)


def corpus_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Sum of the counts of all pairs; its `rate` is the corpus word error rate."""
    pairs = zip(references, hypotheses, strict=True)
    return sum((word_errors(*pair) for pair in pairs), WordErrors())
