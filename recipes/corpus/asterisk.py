"""Asterisk's telephone prompts: one professional speaker a language, wideband G.722, no text."""

from __future__ import annotations

from collections.abc import Iterator

from recipes.corpus.clip import Clip, read_audio
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages

_NOT_SPEECH = ("silence/", "beep", "ascending-", "descending-", "confbridge-leave", "tt-")


def prompts(packages: Packages, language: str, *, with_digits: bool = True) -> Iterator[Clip]:
    """Clips of `asterisk-core-sounds-LANGUAGE-g722`, without silence, tones and monkeys.

    `with_digits=False` leaves out spoken digits, letters and the phonetic alphabet too: single
    words that no recognizer scores fairly.
    """
    tree = packages.tree(PACKAGES[f"asterisk-core-sounds-{language}-g722"])
    (folder,) = (tree / "usr/share/asterisk/sounds").iterdir()
    for path in sorted(folder.rglob("*.g722")):
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key.startswith(_NOT_SPEECH):
            continue
        if not with_digits and key.startswith(("digits/", "letters/", "phonetic/")):
            continue
        samples, rate = read_audio(path)
        yield Clip(key, samples, rate, language=language, speaker=folder.name)
