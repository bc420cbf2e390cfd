"""Words of a text, and how many two texts share: scores that need neither a server nor a model.

Ours. They see words, not meaning: 'car' and 'vehicle' share nothing. For judgements of meaning see
`judges`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

__all__ = ["NORMALISER", "matches", "same_sound", "token_f1", "words"]

NORMALISER = (
    "NFKC, lower case, dashes and slashes become spaces, other punctuation and symbols are "
    "deleted, Chinese characters and kana are words of their own, no number rewriting"
)

_ARTICLES = frozenset({"a", "an", "the"})
_ENDINGS = ("ings", "ing", "ers", "er", "ed", "es", "s", "e")
_SAME = 0.5
"""Token F1 from which two labels name the same sound: 'dog' and 'dog barking', 2/3."""


def words(text: str) -> list[str]:
    """The words of a text, normalised as NORMALISER says."""
    out: list[str] = []
    for letter in unicodedata.normalize("NFKC", text).lower():
        kind = unicodedata.category(letter)
        if _is_cjk(letter):
            out.append(f" {letter} ")
        elif kind == "Pd" or letter == "/":
            out.append(" ")
        elif kind[0] not in "PS":
            out.append(letter)
    return "".join(out).split()


def token_f1(predicted: str, true: str) -> float:
    """F1 in [0, 1] of the shared words, each counted as often as it stands; articles do not count.

    English endings are cut, so that 'barks', 'barked' and 'barking' are one word. Two texts
    without any word are equal.
    """
    guessed, wanted = Counter(_stems(predicted)), Counter(_stems(true))
    total = guessed.total() + wanted.total()
    return 2 * (guessed & wanted).total() / total if total else 1.0


def same_sound(predicted: str, true: str) -> bool:
    """Whether two labels share so many words that they name the same sound."""
    return token_f1(predicted, true) >= _SAME


def matches(predicted: Sequence[str], true: Sequence[str]) -> int:
    """The largest number of pairs of the same sound in which no label stands twice."""
    partner: dict[int, int] = {}
    options = [[j for j, label in enumerate(true) if same_sound(p, label)] for p in predicted]

    def place(guess: int, tried: set[int]) -> bool:
        for other in options[guess]:
            if other not in tried:
                tried.add(other)
                if other not in partner or place(partner[other], tried):
                    partner[other] = guess
                    return True
        return False

    return sum(place(guess, set()) for guess in range(len(predicted)))


def _stems(text: str) -> list[str]:
    found = words(text)
    kept = [word for word in found if word not in _ARTICLES] or found
    return [_stem(word) for word in kept]


def _stem(word: str) -> str:
    """The word without one English ending, if three letters stay; doubled last letters become one.

    Made for comparing, not for reading: 'dripping', 'drips' and 'dripped' are 'drip'.
    """
    if not word.isascii() or not word.isalpha() or word.endswith("ss"):
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            cut = word.removesuffix(ending)
            doubled = len(ending) > 1 and cut[-1] == cut[-2] and cut[-1] not in "aeioulsz"
            return cut[:-1] if doubled and len(cut) > 3 else cut
    return word


def _is_cjk(letter: str) -> bool:
    code = ord(letter)
    return (
        0x3040 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFF
    )
