"""Tux Paint's stamps: short spoken descriptions whose text stands in the stamp's .txt file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from recipes.corpus.clip import Clip, read_audio
from recipes.corpus.table import PACKAGES
from recipes.corpus.text import plain
from recipes.packages import Packages


def descriptions(packages: Packages) -> Iterator[Clip]:
    """Every `NAME_desc_LANG.ogg` with the line `LANG.utf8=` of `NAME.txt`."""
    root = stamps(packages)
    for path in sorted(root.rglob("*_desc_*.ogg")):
        match = re.fullmatch(r"(.+)_desc_([a-z]{2}(?:_[A-Za-z]+)?)", path.stem)
        if match is None:
            continue
        language = match[2].lower()
        text = stamp_texts(path.with_name(f"{match[1]}.txt")).get(match[2], "")
        samples, rate = read_audio(path)
        key = path.relative_to(root).with_suffix("").as_posix()
        speaker = f"tuxpaint-{language}"
        yield Clip(key, samples, rate, plain(text), language.split("_")[0], speaker)


def english_descriptions(packages: Packages) -> Iterator[str]:
    """The English description (first line) of every stamp."""
    for path in sorted(stamps(packages).rglob("*.txt")):
        text = stamp_texts(path).get("en", "")
        if text:
            yield plain(text)


def stamps(packages: Packages) -> Path:
    """The folder with all stamps."""
    return packages.tree(PACKAGES["tuxpaint-stamps-default"]) / "usr/share/tuxpaint/stamps"


def stamp_texts(path: Path) -> dict[str, str]:
    """Texts of a stamp by language; English, the first line, under `en`. Empty without a file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    texts = {"en": lines[0]} if lines else {}
    for line in lines[1:]:
        name, separator, text = line.partition("=")
        if separator and name.endswith(".utf8"):
            texts[name.removesuffix(".utf8")] = text.strip()
    return texts
