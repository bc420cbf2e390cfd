"""Voices of five languages by small synthesizers: SVOX Pico's six women, Festival's two and three.

They are there for who speaks, above all women, and for languages whose prompts have no text. The
text is known: sentences from fortune cookies of each language, French from the stamps.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from recipes.corpus.clip import Clip
from recipes.corpus.sentences import quotations, sentences
from recipes.corpus.synthesis import Speak, said_by, spoken
from recipes.corpus.table import PACKAGES
from recipes.corpus.text import plain
from recipes.corpus.tuxpaint import stamp_texts, stamps
from recipes.packages import Packages
from unisono.errors import DataError

_RATE = 16_000  # of Pico
_SKIPPED = re.compile(r"/off/|ascii|banner|\.(dat|u8)$")
_SENTENCE = re.compile(r"[^\W\d_][^\W\d_]*(?:[ ,;:'-]+[^\W\d_]+)+[.!?]")


class Voice(NamedTuple):
    """One voice: its name, the language it speaks, and what its synthesizer calls it.

    `share` is the part of the language's sentences that is its own, of `shares`.
    """

    name: str
    language: str
    engine: str
    share: int = 0
    shares: int = 1


PICO = (
    Voice("pico-it", "it", "it-IT", 0, 3),
    Voice("pico-de", "de", "de-DE"),
    Voice("pico-es", "es", "es-ES"),
    Voice("pico-fr", "fr", "fr-FR"),
    Voice("pico-us", "en", "en-US", 0, 2),
    Voice("pico-gb", "en", "en-GB", 1, 2),
)
FESTIVAL = (
    Voice("festival-lp", "it", "lp_diphone", 1, 3),
    Voice("festival-pc", "it", "pc_diphone", 2, 3),
    Voice("festival-dita", "cs", "czech_dita", 0, 3),
    Voice("festival-ph", "cs", "czech_ph", 1, 3),
    Voice("festival-machac", "cs", "czech_machac", 2, 3),
)
FESTIVAL_LICENCE = "GPL-2.0-or-later AND GPL-3.0-or-later"
_ENCODINGS = {"it": "iso-8859-1", "cs": "iso-8859-2"}


def pico(packages: Packages, minutes: float = 6.0) -> Iterator[Clip]:
    """SVOX Pico's voices, `minutes` each, at tempos between 0.85 and 1.2."""
    for voice in PICO:
        yield from _spoken(packages, voice, pico_voice(voice.engine), minutes)


def festival(packages: Packages, minutes: float = 5.0) -> Iterator[Clip]:
    """Festival's Italian and Czech voices, `minutes` each."""
    for voice in FESTIVAL:
        speak = festival_voice(voice.engine, _ENCODINGS[voice.language])
        yield from _spoken(packages, voice, speak, minutes)


def pico_voice(engine: str) -> Speak:
    """A speaking function over the package `ttspico` (Apache-2.0; its voices are inside)."""
    try:
        import ttspico
    except ImportError as error:
        raise DataError("ttspico is not installed: pip install ttspico (needs a C compiler)") from (
            error
        )
    synthesizer: Any = ttspico.TtsEngine(engine)

    def speak(text: str, rng: random.Random) -> tuple[np.ndarray, int]:
        synthesizer.rate = rng.randrange(85, 121)
        pcm = np.frombuffer(synthesizer.speak(text), dtype="<i2")
        return pcm.astype(np.float32) / 32768, _RATE

    return speak


def festival_voice(engine: str, encoding: str) -> Speak:
    """A speaking function over the program `text2wave` of Festival."""

    def speak(text: str, rng: random.Random) -> tuple[np.ndarray, int]:
        stretch = f"(Parameter.set 'Duration_Stretch {rng.uniform(0.85, 1.15):.3f})"
        command = ["text2wave", "-eval", f"(voice_{engine})", "-eval", stretch]
        return said_by(command, "festival", text.encode(encoding))

    return speak


def foreign_sentences(packages: Packages, language: str) -> list[str]:
    """Sentences of 3 to 16 words in `language` in a fixed shuffled order, without repetition."""
    if language == "en":
        return sentences(packages)[5::6][::-1]  # the end of Kokoro's share, which it does not reach
    texts = _stamps(packages) if language == "fr" else _fortunes(packages, language)
    unique = list(dict.fromkeys(_split(texts)))
    random.Random(f"tongues/{language}").shuffle(unique)
    return unique


def _split(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for sentence in re.split(r"(?<=[.!?])\s+", plain(" ".join(text.split()))):
            if 3 <= len(sentence.split()) <= 16 and _SENTENCE.fullmatch(sentence):
                yield sentence


def _stamps(packages: Packages) -> Iterator[str]:
    for path in sorted(stamps(packages).rglob("*.txt")):
        text = stamp_texts(path).get("fr", "")
        yield text if text.endswith((".", "!", "?")) else f"{text}."


def _fortunes(packages: Packages, language: str) -> Iterator[str]:
    folder = packages.tree(PACKAGES[f"fortunes-{language}"]) / "usr/share/games/fortunes"
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if not _SKIPPED.search(path.as_posix()):
            yield from quotations(path)


def _spoken(packages: Packages, voice: Voice, speak: Speak, minutes: float) -> Iterator[Clip]:
    encoding = _ENCODINGS.get(voice.language, "utf-8")
    mine = foreign_sentences(packages, voice.language)[voice.share :: voice.shares]
    known = (
        text for text in mine if text.encode(encoding, errors="ignore").decode(encoding) == text
    )
    return spoken(voice.name, speak, known, minutes, voice.language)
