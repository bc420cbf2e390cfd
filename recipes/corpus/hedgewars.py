"""Hedgewars' voice packs: shouts of the game's hedgehogs; the phrase is the file's name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recipes.corpus.clip import Clip, read_audio
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages

_WORDS = {
    "Byebye": "bye bye",
    "Comeonthen": "come on then",
    "Cutitout": "cut it out",
    "Enemydown": "enemy down",
    "Firstblood": "first blood",
    "Flyaway": "fly away",
    "Gonnagetyou": "gonna get you",
    "Illgetyou": "I'll get you",
    "Justyouwait": "just you wait",
    "Leavemealone": "leave me alone",
    "Ohdear": "oh dear",
    "Runaway": "run away",
    "Sameteam": "same team",
    "Solong": "so long",
    "Takecover": "take cover",
    "Thisoneismine": "this one is mine",
    "Watchit": "watch it",
    "Watchthis": "watch this",
    "Whatthe": "what the",
    "Yessir": "yes sir",
    "Youllregretthat": "you'll regret that",
}
_PLAIN = (
    "Amazing Boring Brilliant Bugger Coward Drat Excellent Fire Flawless Grenade Hello Hurry "
    "Incoming Kamikaze Melon Missed Nutter Oops Reinforcements Revenge Stupid Traitor Victory"
)


def voices(packages: Packages) -> Iterator[Clip]:
    """All voice packs; text only where the pack speaks English and the name is a phrase."""
    tree = packages.tree(PACKAGES["hedgewars-data"])
    root = tree / "usr/share/games/hedgewars/Data/Sounds/voices"
    for path in sorted(root.glob("*/*.ogg")):
        pack = path.parent.name
        language = pack.split("_")[1] if "_" in pack else "en"
        text = phrase(path.stem) if language == "en" else ""
        samples, rate = read_audio(path)
        yield Clip(f"{pack}/{path.stem}", samples, rate, text, language, f"hedgewars-{pack}")


def phrase(name: str) -> str:
    """The words of a file name: `Youllregretthat` -> you'll regret that; "" for mere cries."""
    name = re.sub(r"\d+$", "", name)
    if name in _WORDS:
        return _WORDS[name]
    return name.lower() if name in _PLAIN.split() else ""
