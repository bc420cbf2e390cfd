"""Music and sounds: SuperTux's songs, drum kits of Hydrogen, Sonic Pi, OpenTTD's effects."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator

import soundfile

from recipes.corpus.clip import Clip, read_audio
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages
from unisono.errors import DataError

_DRUMS = (
    ("cymbal", r"crash|ride|cymbal|splash|china|zildjian|\bcc\b|\brc\b|cra_"),
    ("hi-hat", r"hi-?hat|hat|\bhh|hh\b|_hh|chh|\bho\b"),
    ("snare", r"snare|\bsd\b|\bsr\b|rim|\brs\b|\bsd"),
    ("kick", r"kick|bass-?drum|\bbd|\bbassd"),
    ("tom", r"tom|\bft\b|\bt\b"),
    ("clap", r"clap|hands"),
    ("tambourine", r"tambourine"),
    ("cowbell", r"cowbell|agogo"),
)
_SONIC_PI = {
    "ambi": "ambience",
    "bass": "bass",
    "bd": "kick",
    "guit": "guitar",
    "loop": "loop",
    "sn": "snare",
    "tabla": "tabla",
    "vinyl": "vinyl",
}
_NOT_ONE_SHOTS = re.compile(r"beats_|emptysample|sfx|yfx|xfx", re.IGNORECASE)
_TAKE = re.compile(r"[-_ ]*(softest|soft|med|hardest|hard|\d+|[a-c])$", re.IGNORECASE)


def songs(packages: Packages, cut: float = 30.0) -> Iterator[Clip]:
    """One cut of about 30 s from each song of SuperTux, a quarter into the song."""
    root = packages.tree(PACKAGES["supertux-data"]) / "usr/share/games/supertux2/music"
    for path in sorted(root.rglob("*.ogg")):
        samples, rate = read_audio(path)
        length = round(cut * rate)
        begin = max(0, min(samples.size // 4, samples.size - length))
        key = path.relative_to(root).with_suffix("").as_posix()
        yield Clip(key, samples[begin : begin + length], rate, label="music")


def drums(packages: Packages) -> Iterator[Clip]:
    """The one-shots of Hydrogen's drum kits; takes of one instrument share their split."""
    root = packages.tree(PACKAGES["hydrogen-drumkits"]) / "usr/share/hydrogen/data/drumkits"
    for path in sorted(p for p in root.glob("*/*") if p.suffix in (".flac", ".wav")):
        if _NOT_ONE_SHOTS.search(path.stem):
            continue
        samples, rate = read_audio(path)
        kit = path.parent.name
        yield Clip(f"{kit}/{take_of(path.stem)}", samples, rate, label=drum_label(path.stem))


def sonic_pi(packages: Packages) -> Iterator[Clip]:
    """The samples of Sonic Pi; the label is the family that the file name begins with."""
    root = packages.tree(PACKAGES["sonic-pi-samples"]) / "usr/share/sonic-pi/samples"
    for path in sorted(root.glob("*.flac")):
        samples, rate = read_audio(path)
        yield Clip(take_of(path.stem), samples, rate, label=sonic_pi_label(path.stem))


def effects(packages: Packages) -> Iterator[Clip]:
    """OpenTTD's free sound effects; the label is the effect's title in lower case."""
    tree = packages.tree(PACKAGES["openttd-opensfx"])
    path = tree / "usr/share/games/openttd/baseset/opensfx/opensfx.cat"
    for title, data in read_cat(path.read_bytes()):
        if title.startswith(("Toyland", "Unused")):
            continue
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
        label = re.sub(r"\s*\(.*", "", title.removeprefix("Tropical: ")).lower()
        yield Clip(title, samples.mean(axis=1), rate, label=label)


def drum_label(name: str) -> str:
    """The instrument of a sample's file name: `VP Snare 2` -> snare; else `percussion`."""
    plain = re.sub(r"[_\d-]+|(?<=[a-z])(?=[A-Z])", " ", name).lower()
    for label, pattern in _DRUMS:
        if re.search(pattern, name.lower()) or re.search(pattern, plain):
            return label
    return "percussion"


def sonic_pi_label(name: str) -> str:
    """The kind of a Sonic Pi sample: `bd_fat` -> kick, `elec_hi_snare` -> snare, else its family.

    Drums and electronic percussion are named after the instrument, when their names tell it.
    """
    family = name.split("_")[0]
    if name.startswith("drum_bass"):
        return "kick"
    if family in ("drum", "elec"):
        label = drum_label(name)
        return label if label != "percussion" or family == "drum" else family
    return _SONIC_PI.get(family, family)


def take_of(name: str) -> str:
    """A sample's name without numbers and dynamics of the take: `Cowbell-softest` -> cowbell."""
    while (shorter := _TAKE.sub("", name)) not in ("", name):
        name = shorter
    return name.lower()


def read_cat(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Title and RIFF bytes of every entry of an OpenTTD `.cat` file.

    Layout: a table of (u32 offset, u32 size), the first offset tells its length, the highest bit
    of an offset is a flag; at each offset a byte with the length of the title, title, sound.
    """
    mask = 0x7FFFFFFF
    if len(data) < 8:
        raise DataError("the .cat file is empty")
    count = (struct.unpack_from("<I", data)[0] & mask) // 8
    for entry in range(count):
        offset, size = struct.unpack_from("<II", data, 8 * entry)
        offset &= mask
        begin = offset + 1 + data[offset]
        text = data[offset + 1 : begin].rstrip(b"\0").decode("utf-8", "replace")
        titled = re.match(r'"([^"]+)"', text)
        if begin + size > len(data):
            raise DataError(f"the .cat file ends within the sound {text[:40]}")
        yield (titled[1] if titled else text), data[begin : begin + size]
