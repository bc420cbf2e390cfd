"""Fish Fillets: acted dialogue in Czech and Dutch, text from the game's Lua scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recipes.corpus.clip import Clip, read_audio
from recipes.corpus.table import PACKAGES
from recipes.corpus.text import plain
from recipes.packages import Packages

_STRING = r'"(?:[^"\\]|\\.)*"'
_DIALOG = re.compile(
    rf'dialogId\(\s*"(?P<id>[^"]+)"(?:\s*,\s*{_STRING})*\s*\)'
    rf"\s*dialogStr\(\s*(?P<text>{_STRING})\s*\)"
)
_FISH = {"m": "small", "v": "big"}


def dialogue(packages: Packages, language: str) -> Iterator[Clip]:
    """Every spoken line of a language; the two fish are speakers, all other parts are "other"."""
    base = "usr/share/games/fillets-ng"
    sounds = packages.tree(PACKAGES[f"fillets-ng-data-{language}"]) / base / "sound"
    scripts = packages.tree(PACKAGES["fillets-ng-data"]) / base / "script"
    for level in sorted(folder.parent for folder in sounds.glob(f"*/{language}")):
        script = scripts / level.name / f"dialogs_{language}.lua"
        texts = dialog_texts(script.read_text(encoding="utf-8")) if script.exists() else {}
        for path in sorted((level / language).glob("*.ogg")):
            samples, rate = read_audio(path)
            part = path.stem.split("-")[1] if path.stem.count("-") >= 2 else ""
            yield Clip(
                f"{level.name}/{path.stem}",
                samples,
                rate,
                plain(texts.get(path.stem, "")),
                language,
                f"fillets-{language}-{_FISH.get(part, 'other')}",
            )


def dialog_texts(script: str) -> dict[str, str]:
    """Text by dialogue id of one Lua script (`dialogId("id", …)` followed by `dialogStr("…")`)."""
    found = {}
    for match in _DIALOG.finditer(script):
        found[match["id"]] = re.sub(r"\\(.)", r"\1", match["text"][1:-1].replace("\\n", " "))
    return found
