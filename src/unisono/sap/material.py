"""The clips that scenes are made of: which of a data set serve, and how one is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np

from unisono.data import effects
from unisono.data.dataset import Clip, ClipSet
from unisono.data.manifest import ManifestItem
from unisono.data.sources import Opener, Source
from unisono.errors import DataError
from unisono.sap import words
from unisono.sap.scene_config import EventMaterial, Material, SceneConfig, SpeechMaterial
from unisono.sap.speakers import LEAST_LETTERS, Voice, find_voice, letters, read_voices

__all__ = ["EventPool", "Pool", "Sources", "SpeechPool", "clip_name"]


class Sources:
    """Opens entries of data once, though several roles may name the same."""

    def __init__(self) -> None:
        self._opener = Opener()
        self._opened: dict[str, list[Source]] = {}

    def open(self, entries: Sequence[str]) -> list[Source]:
        """The sources of entries, each as often as its weight says."""
        return [source for entry in entries for source in self._one(entry)]

    def _one(self, entry: str) -> list[Source]:
        if entry not in self._opened:
            found = self._opener.open(entry)
            self._opened[entry] = [source for source, weight in found for _ in range(weight)]
        return self._opened[entry]


class Pool:
    """Clips of one role of which all that scenes need is known.

    Args:
        opened: opens the material's sources.
        keep: which of the clips serve.
        lack: what a clip must be, for the message when none is.

    Raises:
        DataError: there are none; the message says what they lack.
    """

    def __init__(
        self,
        material: Material,
        config: SceneConfig,
        opened: Sources,
        keep: Callable[[ManifestItem], bool] = lambda item: True,
        lack: str = "",
    ) -> None:
        self.clips = ClipSet(
            opened.open(material.sources),
            material.kinds,
            material.weights,
            config.rate,
            config.split,
            required=False,
        )
        self.indices = [i for i, item in enumerate(self.clips.items) if keep(item)]
        if not self.indices:
            raise DataError(
                f"scenes: no {config.split} clip {lack} in {', '.join(material.sources)}; name "
                "other sources, or leave such scenes out of mix"
            )
        self._usable = frozenset(self.indices)

    def draw(self, rng: np.random.Generator) -> int:
        """One of the clips, all alike."""
        return self.indices[int(rng.integers(len(self.indices)))]

    def item(self, index: int) -> ManifestItem:
        """What is known of a clip."""
        return self.clips.items[index]

    def take(self, index: int, offset: float = 0.0, duration: float | None = None) -> Clip | None:
        """A clip's sound, or that of another where it is damaged; None if that does not serve."""
        clip = self.clips.take(index, offset, duration)
        heard = effects.power(clip.samples) > 0
        return clip if heard and clip.index in self._usable else None


class SpeechPool(Pool):
    """Speech with text, no longer than a scene, by speaker; with the table of voices."""

    def __init__(self, config: SceneConfig, opened: Sources) -> None:
        material: SpeechMaterial = config.speech
        path = material.speakers
        self.voices: Mapping[str, Voice] = {} if path is None else read_voices(path)
        languages = {code.lower() for code in material.languages}

        def keep(item: ManifestItem) -> bool:
            known = not material.only_known_gender or self.voice(item).gender is not None
            spoken = not languages or item.language.lower() in languages
            return known and spoken and bool(item.text.strip()) and item.duration <= longest

        longest = config.seconds[1]
        lack = "of speech with text, in these languages, short enough for a scene"
        if material.only_known_gender:
            lack += ", of a voice whose gender the table of voices tells"
        super().__init__(material, config, opened, keep, lack)
        self._same: dict[tuple[str, str], list[int]] = {}
        for index in self.indices:
            self._same.setdefault(self._key(index), []).append(index)
        paces: dict[str, list[float]] = {}
        for voice in self.voices.values():
            if voice.pace is not None:
                paces.setdefault(voice.language, []).append(voice.pace)
        self._paces = {language: median(found) for language, found in paces.items()}

    def voice(self, item: ManifestItem) -> Voice:
        """What the table says of a clip's speaker."""
        name = item.speaker or "unknown"
        return find_voice(self.voices, name) or Voice(speaker=name, method="unknown")

    def another(self, index: int, rng: np.random.Generator) -> int | None:
        """A clip of the same speaker in the same language; None when nobody is named."""
        if not self.item(index).speaker:
            return None
        same = self._same[self._key(index)]
        return same[int(rng.integers(len(same)))]

    def tempo(self, items: list[ManifestItem]) -> float:
        """How fast clips of one speaker are, over what is usual in their language; 1 if unknown."""
        usual = self._paces.get(items[0].language)
        if usual is None:
            return 1.0
        counts = [letters(item.text) for item in items]
        count = sum(number or 0 for number in counts)
        if None not in counts and count >= LEAST_LETTERS:
            return count / sum(item.duration for item in items) / usual
        pace = self.voice(items[0]).pace
        return 1.0 if pace is None else pace / usual

    def _key(self, index: int) -> tuple[str, str]:
        return self.item(index).speaker, self.item(index).language


class EventPool(Pool):
    """Labelled sounds; a label is drawn first, then one of its clips."""

    def __init__(self, config: SceneConfig, opened: Sources) -> None:
        material: EventMaterial = config.events
        self._renamed = words.RENAMED | material.rename
        super().__init__(
            material,
            config,
            opened,
            lambda item: bool(self.label(item)),
            "of a sound with a label",
        )
        groups: dict[str, list[int]] = {}
        for index in self.indices:
            groups.setdefault(self.label(self.item(index)), []).append(index)
        self.labels = sorted(name for name, group in groups.items() if len(group) >= material.least)
        """All that may be heard."""
        self._groups = [groups[label] for label in self.labels]
        if not self._groups:
            raise DataError(f"events: no label has {material.least} clips; lower events.least")
        shares = np.array([len(group) for group in self._groups]) ** (1 - material.balance)
        self._edges = np.cumsum(shares / shares.sum())

    def label(self, item: ManifestItem) -> str:
        """The label under the name that scenes use; "" for one that is not used."""
        label = " ".join(item.label.split())
        return self._renamed.get(label, label)

    def draw(self, rng: np.random.Generator) -> int:
        """A clip of a label that was drawn first."""
        place = int(np.searchsorted(self._edges, rng.random(), side="right"))
        group = self._groups[min(place, len(self._groups) - 1)]
        return group[int(rng.integers(len(group)))]


def clip_name(item: ManifestItem) -> str:
    """How a scene names where a part comes from: `path@start`."""
    return f"{item.path}@{item.start:g}"
