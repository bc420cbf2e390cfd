"""The transcribed clips of PocketSphinx's test data (evaluation only)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recipes.corpus.clip import Clip, read_audio
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages

_LINE = re.compile(r"(?:<s>)?\s*(?P<text>.*?)\s*(?:</s>)?\s*\((?P<name>[^)]+)\)")


def transcribed(packages: Packages) -> Iterator[Clip]:
    """Five clips of a LibriVox reading and five of spoken cards."""
    tree = packages.tree(PACKAGES["pocketsphinx-testdata"])
    root = tree / "usr/share/pocketsphinx/test/data"
    for folder, list_name in (("librivox", "transcription"), ("cards", "cards.transcription")):
        for name, text in transcripts((root / folder / list_name).read_text()).items():
            samples, rate = read_audio(root / folder / f"{name}.wav")
            speaker = f"pocketsphinx-{folder}"
            yield Clip(f"{folder}/{name}", samples, rate, text, "en", speaker)


def transcripts(listing: str) -> dict[str, str]:
    """Text by clip name of a Sphinx transcription file: `<s> words </s> (name)` a line."""
    found = {}
    for line in listing.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match:
            found[match["name"]] = match["text"]
    return found
