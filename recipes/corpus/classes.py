"""Class labels of game sounds, from file names alone, and the takes that belong together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from recipes.corpus.package_classes import PACKAGE_RULES, SPEECH
from unisono.data.manifest import ManifestItem

CLASSES = (
    "footstep",
    "livestock",
    "birds",
    "metal impact",
    "gunshot",
    "water",
    "engine",
    "fire",
    "explosion",
    "wood work",
    "breaking",
    "horn or bell",
)

# The first pattern that a name matches decides. "" marks names that only look like a class. Names
# are lower case `PACKAGE/PATH` without the ending; packages use their words differently, so most
# patterns name the folder too.
_RULES = (
    ("", r"fire-flower|fireworks|firecracker|firepunch|gunpowder|waterbullet|buzz"),
    ("water", r"footsteps/(splash|water)|water_?footstep|water_sounds/|env_sounds_water"),
    ("water", r"ambience/water|impact/water|ambient/water|pipewater|outwater|water-blast"),
    ("water", r"/(rain|rain_1|lrrain_in_garden_01_la_cut)$|waterfall|/splash$|droplet\d"),
    ("water", r"core/resource/sounds/water|water_fill|clickgame/resource/drip|household/toilet"),
    ("water", r"beewater|planewater|rubberduck_water|fisher/fisher_"),
    ("footstep", r"footsteps/(carpet|dirt|grass|gravel|linoleum|metal|sand|snow|stone|tile|wood)"),
    ("footstep", r"footstep(\d|\.|$)|sounds/steps$|icy_walk"),
    (
        "livestock",
        r"/(cow|pig|bull|sheep)\d*_?(die|attack)?\d*$|mudchute_cow|sound/farm/(?!scythe)",
    ),
    ("livestock", r"animals/boar$|sounds/horse-(hit|die)|farm_animals/.*/(pig|horse|cow|sheep)$"),
    ("livestock", r"mammals/(bovines/(?!bison)|equines/(horse|donkey)$|pig$|pig_golden)"),
    ("birds", r"animals/birds?\d?(_\d\d)?(/|$)|critters/duck/|ambient/birds|/bird1$"),
    ("birds", r"/(owl|hawk|rooster|chicken|chickens|duck)$|chicken_(die|standing)|eagle_"),
    ("metal impact", r"anvil\d|metal(hitground|_hit|impact)|dig_metal|dug_metal|place_node_metal"),
    ("metal impact", r"sound/smiths/|metal/(gold|iron)ping|falling_tools|seq/sword-hit|pickaxe$"),
    ("metal impact", r"(grenade_|electro_)?bounce\d$|grenade-bounce|weapons/(casings|brass|tink)"),
    ("metal impact", r"commondata/.*(swordman|guard)_attack|sounds/(sword-1|mace|knife|spear)$"),
    ("metal impact", r"tools/(hammer|mallet_metal)$|sword2$|armorimpact"),
    ("gunshot", r"weapons/bullet-(?!flechette|gauss|needler|heavyneedler)|combat-gun$|/gunshot$"),
    ("gunshot", r"(campingrifle|shotgun|uzi)_fire\d?$|/(gun|shotgunfire|minigun|thunderstick)$"),
    (
        "explosion",
        r"weapons/explosion(-fire|-grenade|-plasma|-rocket)?$|combat-(explosion|rocket-exp)",
    ),
    ("explosion", r"(rocket|grenade|hookbomb)_?impact$|hagexp\d|electricity_explode|porto/explode"),
    ("explosion", r"sounds/explosion$|tnt_explode|commondata/.*(tower|catapult|air)_hit\d"),
    ("fire", r"ambience/(fire|smallfire)|weapons/flamer|/fire_(fire|large|small|extinguish)"),
    ("fire", r"furnace|campfire$|sounds/(fire|flame|burn|torch|melee-fire|flame-big)$|wicker_fire"),
    ("fire", r"flamethrower|blowtorch|molotov|fireball|firearrowhit|bow-puny-fire|crossbow-fire"),
    ("engine", r"ugv/diesel|ambience/(engine_|machine1|minepump|alienmachinery|alien-generator)"),
    ("engine", r"ambient/(machine|fan4)|(generator|machinevat)_loop|medplat\d|sounds/(rc)?plane$"),
    ("engine", r"carengine|traffic/resource/car$|factory_noise|railroad.*train$|helicopter"),
    ("engine", r"airship_fly|machine_walk|orni_fly|vacuum_cleaner|washing-machine|train_slowing"),
    ("wood work", r"sound/(woodcutting|sawmill|hammering)/|atlanteans/saw/|harvest_wood"),
    ("wood work", r"(worker|technician|shaman|initiate)_build\d|dig_choppy|tools/saw$|sounds/saw$"),
    ("wood work", r"sounds/(axe|hatchet)$|sounds/wood$"),
    ("breaking", r"misc/break|break_glass|tool_breaks|icecrash|crystallo-shatter|building_fall"),
    ("breaking", r"sounds/(brick|cracking)$|sounds/crash$|cave-in$"),
    ("horn or bell", r"horn-signals/|sounds/bell$|savebell|gong|lrring_01|fanfare|trumpet$"),
    ("horn or bell", r"instruments/.*/(horn|trombone|tuba)$|under_attack$|site_occupied$"),
)
_SPEECH = re.compile(
    r"_desc(_|$)|(^|[_/])(ack|sel|select)\d*$|/voices/|/announcer/|/tutorial/|/coms/|/player/torus/"
    r"|symbols/|town/|radiomessage|tv_news|dreydl|/speech/|/music|xylofon|carpet_sel|rap$"
)
_COMPILED = tuple((label, re.compile(pattern)) for label, pattern in _RULES)
_OF_PACKAGES = {
    package: tuple((label, re.compile(pattern)) for label, pattern in rules)
    for package, rules in PACKAGE_RULES.items()
}
_TAKE = re.compile(r"[-_. ]*(\d+[a-h]?|\d*x)$")


def sound_class(name: str, package: str = "") -> str:
    """The label for a lower-case `PACKAGE/PATH` without its ending; "" when unknown.

    One of `CLASSES`, or, for a package with rules of its own, also one of its further labels.
    """
    label = _first_match(name, _OF_PACKAGES.get(package, _COMPILED))
    return "" if label == SPEECH else label


def is_speech(name: str, package: str = "") -> bool:
    """True for names of spoken lines, spelled letters and music, which are no sounds."""
    if package in _OF_PACKAGES:
        return _first_match(name, _OF_PACKAGES[package]) == SPEECH
    return _SPEECH.search(name) is not None


def _first_match(name: str, rules: Iterable[tuple[str, re.Pattern[str]]]) -> str:
    return next((label for label, pattern in rules if pattern.search(name)), "")


def take_group(name: str) -> str:
    """A name without the number of its take: `sounds/water3` and `sounds/water1` -> sounds/water.

    Takes of one recording session are near duplicates, so a group never straddles two splits.
    """
    folder, _, stem = name.rpartition("/")
    while (shorter := _TAKE.sub("", stem)) not in ("", stem):
        stem = shorter
    return f"{folder}/{stem}" if folder else stem


def class_table(items: Iterable[ManifestItem]) -> str:
    """Clips of each of the twelve classes by split, as a text table."""
    counts = Counter[tuple[str, str]](
        (item.label, item.split) for item in items if item.kind == "sound"
    )
    splits = ("train", "valid", "eval")
    rows = [["class", *splits]]
    rows += [[name, *(str(counts[name, split]) for split in splits)] for name in CLASSES]
    return "\n".join(f"{row[0]:<14}" + "".join(f"{cell:>7}" for cell in row[1:]) for row in rows)
