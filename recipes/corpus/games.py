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
    """

    source: str
    package: str
    folders: tuple[str, ...]
    licence: str
    evaluation: bool = False


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
)


def game_sounds(packages: Packages, game: Game) -> Iterator[Clip]:
    """The sounds of a game that no evaluation package has, each content once.

    An evaluation package gives only the sounds with a class, a training package all that is not
    speech or music. Kept: rates of 16 kHz and more, 0.15 to 10 s with a class, up to 30 s without.
    Of longer sounds with a class, packages with rules of their own give 10 s, from a quarter into
    the sound.
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
        for name, load in _files(root / folder):
            plain = PurePosixPath(f"{folder}/{name}").with_suffix("").as_posix().lower()
            label = sound_class(plain, game.package)
            if is_speech(plain, game.package) or (game.evaluation and not label):
                continue
            with soundfile.SoundFile(io.BytesIO(load())) as file:
                seconds, rate = file.frames / file.samplerate, file.samplerate
                longest = _LONGEST_LABELLED if label else _LONGEST
                count = int(longest * rate)
                cut = game.package in PACKAGE_RULES and label and seconds > longest
                if rate < RATE or seconds < SHORTEST or (seconds > longest and not cut):
                    continue
                if cut:
                    file.seek(min(file.frames // 4, file.frames - count))
                samples = file.read(count, dtype="float32", always_2d=True).mean(axis=1)
            yield Clip(take_group(plain), samples, rate, label=label)


def _files(folder: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every sound file below a folder and in the archives there: its name and its bytes."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix in _ENDINGS:
            yield name, path.read_bytes
        elif path.suffix in _ZIPS:
            yield from ((member, partial(bytes, data)) for member, data in read_pk3(path, _ENDINGS))
        elif path.suffix == ".rcc":
            archive = read_rcc(path.read_bytes(), _ENDINGS, path.name)
            yield from ((member, partial(bytes, data)) for member, data in archive)
        elif path.suffix in _C4GROUPS:
            archive = read_c4group(path.read_bytes(), _ENDINGS, path.name)
            yield from ((member, partial(bytes, data)) for member, data in archive)


def _is_new(clip: Clip, heard: Heard) -> bool:
    samples = clean(clip.samples, clip.rate, shortest=SHORTEST)
    return samples is not None and heard.is_new(samples)
