"""Words of composed labels: plain tables, several phrasings each, from which the seed chooses.

A bucket's name stands before its phrasings; `wording` decides by numbers which bucket holds.
"""

from __future__ import annotations

Table = dict[str, tuple[str, ...]]

TEMPO: Table = {
    "very slow": ("very slowly", "at a very slow pace", "with drawn-out words"),
    "slow": ("slowly", "at a slow pace", "unhurriedly"),
    "normal": ("at a moderate pace", "at a normal speed", "with an even tempo"),
    "fast": ("quickly", "at a fast pace", "briskly"),
    "very fast": ("very quickly", "at a very fast pace", "in a rush"),
}
PITCH: Table = {
    "very low": ("with very low pitch", "in a very low register"),
    "low": ("with low pitch", "in a low register"),
    "normal": ("with medium pitch", "in a middle register"),
    "high": ("with high pitch", "in a high register"),
    "very high": ("with very high pitch", "in a very high register"),
}
LOUDNESS: Table = {
    "soft": ("softly", "at low volume", "quietly"),
    "normal": ("at normal volume", "at moderate volume"),
    "loud": ("loudly", "at high volume"),
}
PROSODY = (
    "Speaks {tempo}, {pitch} and {loudness}.",
    "Delivered {tempo}, {loudness}, {pitch}.",
    "Spoken {loudness} and {tempo}, {pitch}.",
    "The voice speaks {pitch}, {tempo} and {loudness}.",
)

REGISTER: Table = {
    "very deep": ("very deep", "dark and very deep"),
    "deep": ("deep", "low and full"),
    "medium": ("medium", "mid-range"),
    "bright": ("bright", "light"),
    "high": ("high and bright", "high and light"),
    "very high": ("very high", "very high and thin"),
    "unknown": ("",),
}
VOICE = {
    ("Male", "Adult"): "male voice",
    ("Female", "Adult"): "female voice",
    ("Male", "Child"): "boy's voice",
    ("Female", "Child"): "girl's voice",
    ("Male", "Elderly"): "elderly male voice",
    ("Female", "Elderly"): "elderly female voice",
    ("Male", None): "male voice",
    ("Female", None): "female voice",
    (None, "Child"): "child's voice",
}
"""By gender and age; any other pair is just a voice."""
CHANNEL: Table = {
    "near": ("clear and close", "clear and direct", "dry and near"),
    "roomy": ("slightly reverberant", "with some room around it"),
    "far": ("distant and reverberant", "far away, with much reverberation"),
    "telephone": ("thin, as over a telephone", "narrow, like a telephone line"),
    "muffled": ("muffled, without high frequencies", "dull and muffled"),
}
TIMBRE = ("{voice}, {channel}.", "{voice}; {channel}.", "{channel}: {voice}.")

ACCENT = ("{accent}", "{accent} accent", "native {accent}")
LANGUAGES = {
    "en-gb": "British English",
    "en-us": "American English",
    "es-mx": "Mexican Spanish",
    "fr-ca": "Canadian French",
    "ga": "Irish",
    "nb": "Norwegian",
    "nds": "Low German",
    "pt-br": "Brazilian Portuguese",
    "tn": "Tswana",
    "wa": "Walloon",
}
"""Names of languages and regions beyond those of Whisper's table."""

LENGTH: Table = {
    "brief": ("brief", "very short"),
    "short": ("short", "of short duration"),
    "long": ("long", "drawn-out"),
}
EVENT_LEVEL: Table = {
    "loud": ("loud", "strong"),
    "medium": ("clear", "of medium loudness"),
    "soft": ("faint", "soft", "quiet"),
}
PLACE: Table = {
    "beginning": ("at the beginning", "at the start"),
    "middle": ("in the middle", "around the middle"),
    "end": ("near the end", "towards the end"),
    "throughout": ("throughout", "the whole time"),
    "part": ("for part of the time", "for a while"),
}
CHARACTER = ("{level} and {length}, {place}", "{length}, {level}, {place}", "{level}, {place}")
LASTING_CHARACTER = ("{level}, {place}", "{level} and steady, {place}")
SENTENCE = (
    "{noun} can be heard {place}, {level}.",
    "{place}, {noun} can be heard, {level}.",
    "{noun} can be heard, {level}, {place}.",
)
ALONE = (
    "Only the voice can be heard, without other sounds.",
    "No sounds besides the voice.",
    "Speech without background sounds.",
)
REVERBERANT = ("The room reverberates.", "It sounds as in a reverberant room.")

NOISE = {"white": "white noise", "pink": "pink noise"}
MUSIC = ("music", "music playing", "a piece of music")

RENAMED = {
    "bad year": "",
    "big crash": "crash",
    "bird": "birds",
    "building bridge": "",
    "cow": "livestock",
    "diesel/electric train station departure": "train",
    "early jet take off": "jet",
    "elec": "",
    "ferry horn": "horn or bell",
    "glitch": "",
    "good year": "",
    "heavy wind": "wind",
    "horse": "livestock",
    "level crossing": "horn or bell",
    "loop": "",
    "lumber mill: chainsaw": "saw",
    "lumber mill: crashing tree": "falling tree",
    "lumber mill: falling tree": "falling tree",
    "mach 1+ jet take off": "jet",
    "maglev train station departure": "train",
    "mehackit": "",
    "mining machinery": "machinery",
    "misc": "",
    "modern bus start": "engine",
    "modern car horn": "horn or bell",
    "modern jet take off": "jet",
    "monorail train station departure": "train",
    "old bus start": "engine",
    "oooh sound": "",
    "perc": "percussion",
    "propeller plane start": "propeller plane",
    "road vehicle breakdown": "",
    "sawmill": "saw",
    "sheep": "livestock",
    "ship horn": "horn or bell",
    "steam engine going in tunnel": "train",
    "steam train station departure": "train",
    "train/ship breakdown": "",
    "truck/old bus start, pull away": "engine",
    "truck/old bus start, pull away with horn": "engine",
}
"""Labels of known sets that say the same in other words; "" says nothing about the sound."""

NOUNS: Table = {
    "applause": ("applause", "people clapping"),
    "birds": ("birds", "birds singing", "bird calls"),
    "breaking": ("something breaking", "the sound of breaking"),
    "clap": ("a hand clap", "a clap"),
    "cowbell": ("a cowbell",),
    "cymbal": ("a cymbal", "a cymbal crash"),
    "dog": ("a dog", "the barking of a dog"),
    "engine": ("an engine", "the sound of an engine"),
    "crash": ("a crash", "something crashing"),
    "explosion": ("an explosion", "a blast"),
    "fire": ("fire", "the crackling of fire"),
    "footstep": ("footsteps", "the sound of footsteps"),
    "gunshot": ("a gunshot", "shooting"),
    "guitar": ("a guitar",),
    "helicopter": ("a helicopter",),
    "hi-hat": ("a hi-hat",),
    "horn or bell": ("a horn or bell",),
    "insects": ("insects", "the chirping of insects"),
    "jet": ("a jet taking off", "a jet plane"),
    "kick": ("a bass drum", "a kick drum"),
    "livestock": ("livestock", "farm animals"),
    "metal impact": ("a metal impact", "metal striking metal"),
    "music": MUSIC,
    "pink noise": ("pink noise", "a steady rushing noise"),
    "rain": ("rain", "falling rain"),
    "saw": ("a saw", "sawing"),
    "snare": ("a snare drum",),
    "tambourine": ("a tambourine",),
    "tom": ("a tom-tom",),
    "train": ("a train", "a train departing"),
    "vinyl": ("the crackle of a record",),
    "water": ("water", "the sound of water"),
    "white noise": ("white noise", "a steady hiss"),
    "wind": ("wind", "the blowing of wind"),
    "wood work": ("work on wood", "the sound of woodwork"),
}
"""How a description names a sound; others are "a sound of LABEL"."""

LASTING = frozenset({
    "ambience", "applause", "crowd", "engine", "fire", "helicopter", "insects", "jackhammer",
    "machinery", "rain", "saw", "sea", "steam", "stream", "traffic", "vinyl", "water", "waves",
    "wind",
})  # fmt: skip
"""Sounds that may last over a scene: continuous events when they do."""
