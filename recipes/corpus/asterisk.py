"""Asterisk's telephone prompts: one professional speaker a package, no text."""

from __future__ import annotations

from collections.abc import Iterator

from recipes.corpus.clip import Clip, read_audio
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages

_NOT_SPEECH = ("silence/", "beep", "ascending-", "descending-", "confbridge-leave", "tt-")


def prompts(packages: Packages, language: str, *, with_digits: bool = True) -> Iterator[Clip]:
    """Clips of `asterisk-core-sounds-LANGUAGE-g722` (wideband), without silence, tones and monkeys.

    `with_digits=False` leaves out spoken digits, letters and the phonetic alphabet too: single
    words that no recognizer scores fairly.
    """
    name = f"asterisk-core-sounds-{language}-g722"
    return _clips(packages, name, ".g722", language, with_digits)


def menardi(packages: Packages) -> Iterator[Clip]:
    """Clips of `asterisk-prompt-it-menardi-wav`, Italian at 8 kHz, without single words."""
    return _clips(packages, "asterisk-prompt-it-menardi-wav", ".wav", "it", False)


def _clips(
    packages: Packages, package: str, ending: str, language: str, with_digits: bool
) -> Iterator[Clip]:
    (folder,) = (packages.tree(PACKAGES[package]) / "usr/share/asterisk/sounds").iterdir()
    for path in sorted(folder.rglob(f"*{ending}")):
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key.startswith(_NOT_SPEECH):
            continue
        if not with_digits and key.startswith(("digits/", "letters/", "phonetic/")):
            continue
        samples, rate = read_audio(path)
        yield Clip(key, samples, rate, language=language, speaker=folder.name)
