import pytest
from recipes.corpus.classes import CLASSES, class_table, is_speech, sound_class, take_group
from recipes.corpus.games import GAMES
from recipes.corpus.package_classes import PACKAGE_RULES

from unisono.data.manifest import ManifestItem


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("ufoai/base/sound/footsteps/wood4", "footstep"),
        ("ufoai/base/sound/footsteps/splash1", "water"),
        ("mods/default/sounds/default_water_footstep.3", "water"),
        ("mods/default/sounds/default_grass_footstep.1", "footstep"),
        ("units/sheep/sounds/sheep10", "livestock"),
        ("sound/farm/scythe_00", ""),
        ("sound/farm/ox_01", "livestock"),
        ("sound/animals/bird3_02", "birds"),
        ("commondata/sounds/anvil2", "metal impact"),
        ("misc/metalfootstep01", "footstep"),
        ("sound/weapons/bullet-smg-15x", "gunshot"),
        ("sound/weapons/bullet-gauss", ""),
        ("sound/ugv/diesel-move", "engine"),
        ("mods/fire/sounds/fire_fire.2", "fire"),
        ("sounds/fireworks", ""),
        ("sounds/fire-flower", ""),
        ("mods/tnt/sounds/tnt_explode", "explosion"),
        ("sound/woodcutting/fast_woodcutting_01", "wood work"),
        ("sound/misc/breakglass07", "breaking"),
        ("sounds/horn-signals/horn-8", "horn or bell"),
        ("sounds/orc-hit-1", ""),
    ],
)
def test_classes_of_file_names(name, label):
    assert sound_class(name) == label
    assert label in (*CLASSES, "")


@pytest.mark.parametrize(
    ("package", "name", "label"),
    [
        ("0ad-data", "audio/actor/fauna/animal/elephant_select1", "livestock"),
        ("0ad-data", "audio/actor/fauna/animal/chicken_10", "birds"),
        ("0ad-data", "audio/actor/fauna/animal/lion_attack1", "lion"),
        ("0ad-data", "audio/actor/human/movement/footsteps/foorstep_sand_running", "footstep"),
        ("0ad-data", "audio/resource/lumbering/lumber_tree_01", "wood work"),
        ("0ad-data", "audio/resource/lumbering/lumber_treeexpire_01", "falling tree"),
        ("0ad-data", "audio/attack/impact/arrow_metal_01", "metal impact"),
        ("0ad-data", "audio/attack/impact/arrow_wood_01", ""),
        ("openclonk-data", "sound.ocg/environment.ocg/tree.ocg/chop1", "wood work"),
        ("openclonk-data", "sound.ocg/fire.ocg/blastfirework", ""),
        ("warzone2100-data", "audio/sfx/weapons/mgheavy", "gunshot"),
        (
            "triplea",
            "generic/placed_infrastructure/placed_infrastructure_01_sawing_wood",
            "wood work",
        ),
        ("triplea", "preindustrial/battle_land/battle_land_05_musket_volley", "gunshot"),
        ("triplea", "preindustrial/battle_land/battle_land_02_cannons_and_muskets", ""),
        (
            "triplea",
            "classical/required_your_turn_series/required_your_turn_series_04_warhorn",
            "horn or bell",
        ),
        ("unknown-horizons", "audio/sounds/lumberjack_long", "wood work"),
        ("unknown-horizons", "audio/sounds/stonemason", "stone work"),
        ("unknown-horizons", "audio/sounds/chapel", ""),
        ("lincity-ng-data", "sounds/blacksmith3", "metal impact"),
        ("lincity-ng-data", "sounds/fire3", "fire"),
        ("lincity-ng-data", "sounds/firestation1", ""),
        ("cube2-data", "sounds/q009/shotgun2", "gunshot"),
        ("cube2-data", "sounds/q009/rlauncher", ""),
        ("caveexpress-data", "sounds/water-rising", "water"),
        ("caveexpress-data", "sounds/crate-hit1", ""),
        ("madbomber-data", "sounds/splash3", "water"),
        ("madbomber-data", "sounds/spray", ""),
        ("brainparty-data", "brainparty/glass_break", "breaking"),
        ("brainparty-data", "brainparty/whack", ""),
        ("hyperrogue-music", "sounds/seen-eagle", "birds"),
        ("hyperrogue-music", "sounds/seen-water", ""),
        ("freedroidrpg-data", "effects/glass_break", "breaking"),
        ("freedroidrpg-data", "effects/bullets/plasma_pistol", ""),
        ("hex-a-hop-data", "hex-a-hop/sound-crack", "breaking"),
        ("hex-a-hop-data", "hex-a-hop/sound-ice", ""),
        ("plee-the-bear-data", "sound/weather/rain", "water"),
        ("plee-the-bear-data", "sound/effect/earthquake", ""),
        ("pekka-kana-2-data", "sprites/crow_ko", "birds"),
        ("pekka-kana-2-data", "sprites/boxcrack", "breaking"),
        ("pekka-kana-2-data", "sprites/bonus10", ""),
        ("scratch", "sounds/human/footsteps-2", "footstep"),
        ("scratch", "sounds/effects/waterrunning", "water"),
        ("scratch", "sounds/effects/doorclose", ""),
        ("simutrans-pak64", "sound/buzzsaw", "wood work"),
        ("simutrans-pak64", "sound/desert", ""),
        ("minetest-mod-homedecor", "sounds/homedecor_doorbell", "horn or bell"),
        ("minetest-mod-homedecor", "sounds/homedecor_door_open", ""),
        ("minetest-mod-unified-inventory", "sounds/owl", "birds"),
        ("minetest-mod-unified-inventory", "sounds/trash", ""),
        ("gnome-shell-pomodoro-data", "sounds/loud-bell", "horn or bell"),
        ("gnome-shell-pomodoro-data", "sounds/clock", ""),
        ("7kaa-data", "sound/rain", "water"),
        ("7kaa-data", "sound/quake", ""),
        ("dustracing2d-data", "sounds/carengine", "engine"),
        ("dustracing2d-data", "sounds/carhit", ""),
        ("sound-icons", "sound-icons/canary-long", "birds"),
        ("sound-icons", "sound-icons/glass-water-1", ""),
        ("berusky2-data", "sound/rozpad4", "breaking"),
        ("berusky2-data", "sound/ptak10", "birds"),
        ("berusky2-data", "sound/stepswood", "footstep"),
        ("berusky2-data", "sound/seber1", ""),
    ],
)
def test_packages_with_rules_of_their_own(package, name, label):
    assert sound_class(name, package) == label
    assert not is_speech(name, package)


def test_spoken_lines_of_packages_with_rules_of_their_own():
    for package, name in (
        ("0ad-data", "audio/voice/greek/civ/civ_dog_call"),
        ("0ad-data", "audio/music/forging_a_city_state"),
        ("warzone2100-data", "audio/memressp/power/pcv341"),
        ("openclonk-data", "sound.ocg/clonk.ocg/skin.ocg/farmer.ocg/hurt1"),
        ("triplea", "ww2/required_your_turn_series_british/british_anthem_intro"),
        ("freedroidrpg-data", "effects/bot_sounds/voice_samples/12"),
        ("scratch", "sounds/vocals/join-us"),
        ("hyperrogue-music", "sounds/speak-prince"),
    ):
        assert is_speech(name, package)
        assert sound_class(name, package) == ""


def test_only_training_packages_have_rules_of_their_own():
    evaluation = {game.package: game.evaluation for game in GAMES}
    assert not any(evaluation[package] for package in PACKAGE_RULES)


def test_spoken_lines_are_no_sounds():
    assert is_speech("animals/birds/duck_desc")
    assert is_speech("animals/birds/duck_desc_fr")
    assert is_speech("units/archer/sounds/archer_ack10")
    assert is_speech("sound/player/marine/coms/attack")
    assert not is_speech("animals/birds/duck")
    assert not is_speech("sound/tracks/attack")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a/water1", "a/water12"),
        ("a/env_water.1", "a/env_water.2"),
        ("a/bird2_00", "a/bird2_04"),
        ("a/machine_attack2", "a/machine_attack2b"),
        ("a/rifle-3x", "a/rifle-8x"),
        ("a/horn-1", "a/horn-8"),
    ],
)
def test_takes_share_a_group(first, second):
    assert take_group(first) == take_group(second)


def test_different_sounds_do_not_share_a_group():
    names = ["a/water1", "b/water1", "a/waterfall", "a/metal1", "a/7"]
    assert len({take_group(name) for name in names}) == len(names)


def test_class_table_counts_sounds_by_split():
    def item(label, split, kind="sound"):
        return ManifestItem(path="a.wav", duration=1.0, label=label, split=split, kind=kind)

    items = [item("fire", "train"), item("fire", "eval"), item("fire", "eval"), item("", "eval")]
    items.append(item("fire", "eval", "music"))
    rows = [line.split() for line in class_table(items).split("\n")]
    assert ["fire", "1", "0", "2"] in rows
    assert ["water", "0", "0", "0"] in rows
    assert len(rows) == 13
