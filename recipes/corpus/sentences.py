"""English sentences to be spoken: quotations, descriptions, verses, and sentences from templates.

Everything here is text that packages install or that this file composes; the prompts of the
evaluation sources are never read.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from recipes.corpus.table import PACKAGES
from recipes.corpus.templates import compose
from recipes.corpus.text import english_number, plain
from recipes.corpus.tuxpaint import english_descriptions
from recipes.packages import Packages

SEED = 2026
_SKIPPED = {"ascii-art", "translate-me", "songs-poems", "zippy", "off", "debian-hints"}
_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
_ALLOWED = re.compile(r"[A-Za-z ,.?!;:'-]+")
_ABBREVIATIONS = {"Mr.": "Mister", "Mrs.": "Missis", "Dr.": "Doctor", "St.": "Saint"}


def sentences(packages: Packages, dictionary: Path | None = None) -> list[str]:
    """All sentences in a fixed shuffled order, without repetition.

    About half are quotations, two fifths templates, the rest descriptions and verses.
    `dictionary` replaces the word list of `wamerican`.
    """
    words = dictionary or packages.tree(PACKAGES["wamerican"]) / "usr/share/dict/american-english"
    rng = random.Random(SEED)
    sayings = list(clean_sentences(_fortunes(packages)))
    descriptions = list(clean_sentences(english_descriptions(packages)))
    rng.shuffle(sayings)
    rng.shuffle(descriptions)
    composed = clean_sentences(compose(rng, words.read_text(encoding="utf-8").split(), 4000))
    verses = list(clean_sentences(_verses(packages)))
    rng.shuffle(verses)
    pool = sayings[:5000] + descriptions + list(composed) + verses[:800]
    unique = list({sentence.lower(): sentence for sentence in pool}.values())
    rng.shuffle(unique)
    return unique


def clean_sentences(texts: Iterable[str]) -> Iterator[str]:
    """Sentences of 3 to 20 words made of letters and basic punctuation, numbers spelled out."""
    for text in texts:
        for short, long in _ABBREVIATIONS.items():
            text = text.replace(short, long)
        text = re.sub(r"(?<=\d),(?=\d{3})", "", plain(" ".join(text.split())))
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text):
            sentence = re.sub(r"\b\d{1,6}\b", _spell, sentence).strip()
            words = _WORD.findall(sentence)
            if not 3 <= len(words) <= 20 or not _ALLOWED.fullmatch(sentence):
                continue
            if any(len(word) > 18 or (len(word) > 1 and word.isupper()) for word in words):
                continue
            if not re.search(r"\.\.|--|\b[b-hj-z]\b", sentence):
                yield sentence


def quotations(path: Path) -> Iterator[str]:
    """The quotations of a file of fortune cookies, without who said them."""
    for quotation in path.read_text(encoding="utf-8", errors="ignore").split("\n%"):
        yield re.split(r"\n\s*--\s", quotation)[0].lstrip("%\n")


def _fortunes(packages: Packages) -> Iterator[str]:
    for name in ("fortunes", "fortunes-min"):
        folder = packages.tree(PACKAGES[name]) / "usr/share/games/fortunes"
        for path in sorted(folder.iterdir()):
            if path.suffix or path.name in _SKIPPED or not path.is_file():
                continue
            yield from quotations(path)


def _verses(packages: Packages) -> Iterator[str]:
    """Proverbs, Luke and Acts of the King James Bible, read out by the package's own program."""
    program = packages.tree(PACKAGES["bible-kjv"]) / "usr/bin/bible"
    data = packages.tree(PACKAGES["bible-kjv-text"]) / "usr/lib"
    books = ("prov1:1-31:31", "luke1:1-24:53", "acts1:1-28:31")
    command = [str(program), "-p", str(data), "-l9999", *books]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        numbered = re.fullmatch(r"\s*\d+\s+(.+?)[,;:]?", line)
        if numbered:
            yield re.sub(r"[<>\[\]]", "", numbered[1])


def _spell(match: re.Match[str]) -> str:
    return english_number(int(match[0]))
