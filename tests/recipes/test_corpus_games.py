import io
import zipfile

import numpy as np
import pytest
import soundfile
from recipes.corpus import games
from recipes.corpus.clip import RATE
from recipes.packages import Packages


def sound(seed, seconds=0.5, rate=22_050):
    noise = 0.3 * np.random.default_rng(seed).standard_normal(int(seconds * rate))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(noise, -1, 1), rate, format="WAV")
    return buffer.getvalue()


def write(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture
def packages(tmp_path):
    """Unpacked trees with the folders of the real packages and constructed sounds."""
    for game in games.GAMES:
        for folder in game.folders:
            (tmp_path / "unpacked" / game.package / folder).mkdir(parents=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("sound/footsteps/wood1.wav", sound(1))
        archive.writestr("sound/footsteps/wood2.wav", sound(2))
        archive.writestr("sound/misc/popup.wav", sound(3))
    write(
        tmp_path / "unpacked/ufoai-sound/usr/share/games/ufoai/base", {"0.pk3": buffer.getvalue()}
    )
    write(
        tmp_path / "unpacked/minetest-data/usr/share/games/minetest/games",
        {
            "sounds/default_wood_footstep.1.wav": sound(1),  # also in the evaluation package
            "sounds/default_wood_footstep.2.wav": sound(4),
            "sounds/default_dirt_footstep.1.wav": sound(4),  # the same once more
            "sounds/door.wav": sound(5),
            "sounds/long.wav": sound(6, seconds=31.0),
            "sounds/fire_fire.1.wav": sound(7, seconds=11.0),
            "sounds/narrow.wav": sound(8, rate=11_025),
            "sounds/short.wav": sound(9, seconds=0.1),
            "voices/hello.wav": sound(10),
        },
    )
    return Packages(tmp_path / "cache", tmp_path / "unpacked")


def game(source):
    return next(game for game in games.GAMES if game.source == source)


def test_evaluation_packages_give_only_sounds_with_a_class(packages):
    clips = list(games.game_sounds(packages, game("ufoai-sounds")))
    assert [clip.label for clip in clips] == ["footstep", "footstep"]
    assert len({clip.key for clip in clips}) == 1
    assert all(clip.rate == 22_050 and clip.samples.dtype == np.float32 for clip in clips)


def test_training_packages_give_what_evaluation_does_not_have(packages):
    clips = list(games.game_sounds(packages, game("minetest-sounds")))
    names = [clip.key.rpartition("/")[2] for clip in clips]
    assert names == ["default_dirt_footstep", "door"]
    assert [clip.label for clip in clips] == ["footstep", ""]
    assert all(clip.samples.size >= games.SHORTEST * RATE for clip in clips)


def test_long_sounds_with_a_class_are_cut_where_the_package_has_its_own_rules(packages):
    folder = packages.unpacked / "0ad-data/usr/share/games/0ad/mods/public"
    buffer = io.BytesIO()
    long = sound(20, seconds=40.0, rate=16_000)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("audio/ambient/water/river_fast_21.wav", long)
        archive.writestr("audio/ambient/building/amb_farm_10.wav", sound(21, seconds=31.0))
        archive.writestr("audio/actor/fauna/animal/sheep_10.wav", sound(1))  # also in evaluation
        archive.writestr("audio/voice/latin/civ/attack.wav", sound(22))
    write(folder, {"public.zip": buffer.getvalue()})
    (clip,) = games.game_sounds(packages, game("0ad-sounds"))
    assert clip.label == "water"
    whole, _ = soundfile.read(io.BytesIO(long), dtype="float32")
    np.testing.assert_array_equal(clip.samples, whole[160_000:320_000])


def test_long_sounds_give_several_cuts_where_the_game_asks_for_them(packages):
    folder = packages.unpacked / "plee-the-bear-data/usr/share/games/plee-the-bear/sound/weather"
    long = sound(30, seconds=32.0, rate=16_000)
    write(
        folder, {"rain.wav": long, "rain2.wav": sound(31, seconds=10.5), "fog.wav": sound(32, 40)}
    )
    clips = list(games.game_sounds(packages, game("plee-the-bear-sounds")))
    assert [clip.label for clip in clips] == ["water"] * 6
    assert len({clip.key for clip in clips}) == 1
    assert all(clip.samples.size == 5 * clip.rate for clip in clips)
    whole, _ = soundfile.read(io.BytesIO(long), dtype="float32")
    for clip, begin in zip(clips[:4], (1.5, 9.5, 17.5, 25.5), strict=True):
        first = int(begin * 16_000)
        np.testing.assert_array_equal(clip.samples, whole[first : first + 80_000])


def test_only_the_endings_of_the_game_are_read(packages):
    folder = packages.unpacked / "7kaa-data/usr/share/games/7kaa/SOUND"
    write(folder, {"RAIN.WAV": sound(33), "THUNDER.wav": sound(34)})
    clips = list(games.game_sounds(packages, game("7kaa-sounds")))
    assert [clip.label for clip in clips] == ["water"]


def test_every_game_is_on_one_side_and_evaluation_comes_first():
    sides = [game.evaluation for game in games.GAMES]
    assert sides == sorted(sides, reverse=True)
    assert len({game.package for game in games.GAMES}) == len(games.GAMES)
    assert any(sides) and not all(sides)
