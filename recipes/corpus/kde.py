"""KLettres and KTuberling: letters, syllables and words in some twenty languages each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recipes.corpus.clip import Clip, read_audio
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages

_SOUND = re.compile(r'<sound\s+name="(?P<name>[^"]+)"\s+file="(?P<file>[^"]+)"')


def letters(packages: Packages) -> Iterator[Clip]:
    """KLettres' letters and syllables; text for the syllables only.

    A letter may be read as its name or as its sound, so its text stays unknown. Rates outside
    16–96 kHz are left out: 29 Danish files claim 128 kHz.
    """
    root = packages.tree(PACKAGES["klettres-data"]) / "usr/share/klettres"
    for listing in sorted(root.glob("*/sounds.xml")):
        folder = listing.parent
        texts = {match["file"]: match["name"] for match in _sounds(listing.read_text("utf-8"))}
        for path in sorted(folder.rglob("*.ogg")):
            samples, rate = read_audio(path)
            if not 16_000 <= rate <= 96_000:
                continue
            file = path.relative_to(root).as_posix()
            text = texts.get(file, "").lower() if path.parent.name == "syllab" else ""
            yield Clip(file, samples, rate, text, _code(folder.name), f"klettres-{folder.name}")


def words(packages: Packages) -> Iterator[Clip]:
    """KTuberling's names of body parts, clothes and animals (no text: names are English)."""
    root = packages.tree(PACKAGES["ktuberling-data"]) / "usr/share/ktuberling/sounds"
    for path in sorted(p for p in root.glob("*/*") if p.suffix in (".ogg", ".wav")):
        samples, rate = read_audio(path)
        if not 16_000 <= rate <= 96_000:
            continue
        folder = path.parent.name
        english = folder == "en"
        text = re.sub(r"[-_\d]+", " ", path.stem).strip().lower() if english else ""
        file = path.relative_to(root).as_posix()
        yield Clip(file, samples, rate, text, _code(folder), f"ktuberling-{folder}")


def _sounds(listing: str) -> Iterator[re.Match[str]]:
    return _SOUND.finditer(listing)


def _code(folder: str) -> str:
    """Language code of a folder: `sr@latin` -> sr, `pt_BR` -> pt-br, `en_GB` -> en."""
    folder = folder.split("@")[0]
    return {"pt_BR": "pt-br", "en_GB": "en"}.get(folder, folder)
