"""Sounds of games with class labels from their file names; each package trains or evaluates."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import soundfile

from recipes.corpus.archives import read_c4group, read_pk3, read_rcc
from recipes.corpus.classes import is_speech, sound_class, take_group
from recipes.corpus.clip import RATE, Clip, clean
from recipes.corpus.duplicates import Heard
from recipes.corpus.package_classes import PACKAGE_RULES
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages

SHORTEST = 0.15  # footsteps and hits are short
_LONGEST_LABELLED, _LONGEST = 10.0, 30.0
_CUT = 5.0  # where a sound gives several cuts
_ENDINGS = (".ogg", ".wav")
_ZIPS = (".pk3", ".wz", ".zip")
_C4GROUPS = (".ocd", ".ocg")


@dataclass(frozen=True)
class Game:
    """One package with sounds.

    Attributes:
        source: name of the source that is made of it.
        package: name of the package.
        folders: where the sounds are in the unpacked package; other folders are not read.
        licence: of the sounds; SPDX.
        evaluation: True for packages that are never trained on.
        cuts: how many cuts a long sound with a class gives at most.
        endings: of the files that are read.
    """

    source: str
    package: str
    folders: tuple[str, ...]
    licence: str
    evaluation: bool = False
    cuts: int = 1
    endings: tuple[str, ...] = _ENDINGS


_SHARE = "usr/share/games"
GAMES = (
    Game(
        "ufoai-sounds",
        "ufoai-sound",
        (f"{_SHARE}/ufoai/base",),
        "GPL-2.0-or-later AND CC-BY-SA-3.0 AND CC-BY-3.0",
        evaluation=True,
    ),
    Game(
        "widelands-sounds",
        "widelands-data",
        (f"{_SHARE}/widelands/data/sound", f"{_SHARE}/widelands/data/world"),
        "GPL-2.0-or-later",
        evaluation=True,
    ),
    Game(
        "gcompris-sounds",
        "gcompris-qt-data",
        ("usr/share/gcompris-qt/rcc",),
        "various free, see debian/copyright",
        evaluation=True,
    ),
    Game(
        "supertux-sounds",
        "supertux-data",
        (f"{_SHARE}/supertux2/sounds",),
        "GPL-2.0-or-later",
        evaluation=True,
    ),
    Game("megaglest-sounds", "megaglest-data", (f"{_SHARE}/megaglest",), "CC-BY-SA-3.0"),
    Game("wesnoth-sounds", "wesnoth-1.16-data", (f"{_SHARE}/wesnoth/1.16",), "GPL-2.0-or-later"),
    Game("nexuiz-sounds", "nexuiz-data", (f"{_SHARE}/nexuiz/data",), "GPL-2.0"),
    Game(
        "minetest-sounds",
        "minetest-data",
        (f"{_SHARE}/minetest/games",),
        "CC-BY-SA-3.0 AND CC-BY-3.0 AND CC0-1.0",
    ),
    Game("hedgewars-sounds", "hedgewars-data", (f"{_SHARE}/hedgewars/Data/Sounds",), "GPL-2.0"),
    Game(
        "freedink-sounds",
        "freedink-data",
        (f"{_SHARE}/dink/dink/Sound",),
        "various free, see README-REPLACEMENTS.txt",
    ),
    Game("tuxpaint-sounds", "tuxpaint-stamps-default", ("usr/share/tuxpaint/stamps",), "GPL-2.0"),
    Game("0ad-sounds", "0ad-data", (f"{_SHARE}/0ad/mods/public",), "CC-BY-SA-3.0"),
    Game(
        "openclonk-sounds",
        "openclonk-data",
        (f"{_SHARE}/openclonk",),
        "CC-BY-3.0 AND CC0-1.0 AND ISC",
    ),
    Game(
        "redeclipse-sounds",
        "redeclipse-data",
        (f"{_SHARE}/redeclipse/data/sounds",),
        "CC-BY-SA-3.0 AND CC-BY-3.0 AND CC0-1.0",
    ),
    Game("warzone-sounds", "warzone2100-data", (f"{_SHARE}/warzone2100",), "GPL-2.0-or-later"),
    Game("warmux-sounds", "warmux-data", (f"{_SHARE}/warmux/sound",), "GPL-2.0-or-later"),
    Game("btanks-sounds", "btanks-data", (f"{_SHARE}/btanks/data",), "GPL-2.0-or-later"),
    Game("lugaru-sounds", "lugaru-data", (f"{_SHARE}/lugaru/Sounds",), "CC-BY-SA-3.0"),
    Game("flare-sounds", "flare-game", (f"{_SHARE}/flare/mods",), "CC-BY-SA-3.0"),
    Game("ardentryst-sounds", "ardentryst", (f"{_SHARE}/ardentryst/Sounds",), "CC-BY-SA-3.0"),
    Game("openarena-sounds", "openarena-data", (f"{_SHARE}/openarena/baseoa",), "GPL-2.0-or-later"),
    Game(
        "triplea-sounds",
        "triplea",
        (f"{_SHARE}/triplea/assets/sounds",),
        "GPL-2.0-or-later",
        cuts=4,
        endings=(".mp3",),
    ),
    Game(
        "unknown-horizons-sounds",
        "unknown-horizons",
        ("usr/share/unknown-horizons/content/audio/sounds",),
        "CC-BY-SA-3.0",
        cuts=4,
    ),
    Game(
        "lincity-sounds",
        "lincity-ng-data",
        (f"{_SHARE}/lincity-ng/sounds",),
        "GPL-2.0-or-later",
        cuts=4,
    ),
    Game(
        "cube2-sounds",
        "cube2-data",
        tuple(
            f"{_SHARE}/cube2/packages/sounds/{folder}"
            for folder in ("audioaugust", "olpc", "q009", "sfx", "yo_frankie")
        ),
        "CC-BY-SA-4.0 AND CC-BY-SA-3.0 AND CC-BY-3.0",
        cuts=4,
    ),
    Game(
        "caveexpress-sounds",
        "caveexpress-data",
        (f"{_SHARE}/caveexpress/sounds",),
        "CC-BY-SA-4.0",
        cuts=4,
    ),
    Game("madbomber-sounds", "madbomber-data", (f"{_SHARE}/madbomber/sounds",), "GPL-2.0", cuts=4),
    Game(
        "brainparty-sounds",
        "brainparty-data",
        (f"{_SHARE}/brainparty",),
        "GPL-3.0-or-later",
        cuts=4,
    ),
    Game(
        "hyperrogue-sounds",
        "hyperrogue-music",
        ("usr/share/hyperrogue/sounds",),
        "CC-BY-SA-4.0",
        cuts=4,
    ),
    Game(
        "freedroidrpg-sounds",
        "freedroidrpg-data",
        ("usr/share/freedroidrpg/data/sound/effects",),
        "GPL-2.0-or-later",
        cuts=4,
    ),
    Game(
        "hex-a-hop-sounds",
        "hex-a-hop-data",
        (f"{_SHARE}/hex-a-hop",),
        "CC-BY-SA-3.0 AND CC-BY-3.0 AND public-domain",
        cuts=4,
    ),
    Game(
        "plee-the-bear-sounds",
        "plee-the-bear-data",
        tuple(f"{_SHARE}/plee-the-bear/sound/{name}" for name in ("effect", "forest", "weather")),
        "CC-BY-SA-3.0",
        cuts=4,
    ),
    Game(
        "pekka-kana-sounds",
        "pekka-kana-2-data",
        (f"{_SHARE}/pekka-kana-2/data",),
        "BSD-2-Clause",
        cuts=4,
    ),
    Game(
        "scratch-sounds",
        "scratch",
        ("usr/share/scratch/Media/Sounds",),
        "CC-BY-SA-3.0",
        cuts=4,
        endings=(".wav", ".mp3"),
    ),
    Game(
        "simutrans-sounds",
        "simutrans-pak64",
        (f"{_SHARE}/simutrans/pak/sound",),
        "Artistic-1.0",
        cuts=4,
    ),
    Game(
        "homedecor-sounds",
        "minetest-mod-homedecor",
        (f"{_SHARE}/minetest/mods/homedecor",),
        "CC-BY-SA-4.0",
        cuts=4,
    ),
    Game(
        "unified-inventory-sounds",
        "minetest-mod-unified-inventory",
        (f"{_SHARE}/minetest/mods/unified_inventory/sounds",),
        "LGPL-2.1-or-later",
        cuts=4,
    ),
    Game(
        "pomodoro-sounds",
        "gnome-shell-pomodoro-data",
        ("usr/share/gnome-pomodoro/sounds",),
        "GPL-3.0-or-later",
        cuts=4,
    ),
    Game(
        "7kaa-sounds",
        "7kaa-data",
        (f"{_SHARE}/7kaa/SOUND",),
        "GPL-2.0-or-later",
        cuts=4,
        endings=(".WAV",),
    ),
    Game(
        "dustracing-sounds",
        "dustracing2d-data",
        (f"{_SHARE}/dustracing2d/sounds",),
        "GPL-3.0-or-later",
        cuts=4,
    ),
    Game(
        "sound-icons-sounds",
        "sound-icons",
        ("usr/share/sounds/sound-icons",),
        "GPL-2.0-or-later",
        cuts=4,
    ),
    Game(
        "berusky-sounds",
        "berusky2-data",
        (f"{_SHARE}/berusky2/sound",),
        "GPL-2.0-or-later",
        cuts=4,
    ),
)


def game_sounds(packages: Packages, game: Game) -> Iterator[Clip]:
    """The sounds of a game that no evaluation package has, each content once.

    An evaluation package gives only the sounds with a class, a training package all that is not
    speech or music. Kept: rates of 16 kHz and more, 0.15 to 10 s with a class, up to 30 s without.
    Of longer sounds with a class, packages with rules of their own give 10 s, from a quarter into
    the sound, or, with `cuts`, up to that many cuts of 5 s.
    """
    heard = Heard()
    for other in GAMES:
        if other == game:
            break
        if other.evaluation:
            for clip in _sounds(packages, other):
                _is_new(clip, heard)
    yield from (clip for clip in _sounds(packages, game) if _is_new(clip, heard))


def _sounds(packages: Packages, game: Game) -> Iterator[Clip]:
    root = packages.tree(PACKAGES[game.package])
    for folder in game.folders:
        for name, load in _files(root / folder, game.endings):
            plain = PurePosixPath(f"{folder}/{name}").with_suffix("").as_posix().lower()
            label = sound_class(plain, game.package)
            if is_speech(plain, game.package) or (game.evaluation and not label):
                continue
            with soundfile.SoundFile(io.BytesIO(load())) as file:
                rate = file.samplerate
                if rate < RATE or file.frames / rate < SHORTEST:
                    continue
                for begin, count in _cuts(game, label, file.frames, rate):
                    file.seek(begin)
                    samples = file.read(count, dtype="float32", always_2d=True).mean(axis=1)
                    yield Clip(take_group(plain), samples, rate, label=label)


def _cuts(game: Game, label: str, frames: int, rate: int) -> list[tuple[int, int]]:
    """Begin and length, in frames, of what is used of one sound."""
    longest = _LONGEST_LABELLED if label else _LONGEST
    if frames / rate <= longest:
        return [(0, frames)]
    if not label or game.package not in PACKAGE_RULES:
        return []
    if game.cuts == 1:
        count = int(longest * rate)
        return [(min(frames // 4, frames - count), count)]
    count = int(_CUT * rate)
    part = frames // min(game.cuts, frames // count)  # each cut is in the middle of its part
    return [(begin, count) for begin in range((part - count) // 2, frames - count + 1, part)]


def _files(folder: Path, endings: tuple[str, ...]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every sound file below a folder and in the archives there: its name and its bytes."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix in endings:
            yield name, path.read_bytes
        elif path.suffix in _ZIPS:
            yield from ((member, partial(bytes, data)) for member, data in read_pk3(path, endings))
        elif path.suffix == ".rcc":
            archive = read_rcc(path.read_bytes(), endings, path.name)
            yield from ((member, partial(bytes, data)) for member, data in archive)
        elif path.suffix in _C4GROUPS:
            archive = read_c4group(path.read_bytes(), endings, path.name)
            yield from ((member, partial(bytes, data)) for member, data in archive)


def _is_new(clip: Clip, heard: Heard) -> bool:
    samples = clean(clip.samples, clip.rate, shortest=SHORTEST)
    return samples is not None and heard.is_new(samples)
