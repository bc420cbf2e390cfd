"""What the fields of a SAP are in sequences of clips, as targets of a `FieldReader`."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unisono.data.manifest import ManifestItem
from unisono.errors import DataError, ModelError
from unisono.sap.schema import SAP
from unisono.sap.speakers import Voice, find_voice
from unisono.storage.atomic import write_bytes
from unisono.training.encoder_options import FieldsSection
from unisono.uniaudio.field_reader import EVENTS, NO, NOTHING, SPEECH, VOCAL, YES

FIELDS = "fields.json"
"""The values of each field, as a file in the run's folder."""

Facts = dict[str, tuple[str, ...]]
"""What is known of a clip: values by field; a field that is not there is unknown."""


@dataclass(frozen=True)
class FieldValues:
    """The values of each field that are told apart, and what an error of each costs."""

    values: dict[str, tuple[str, ...]]
    costs: dict[str, tuple[float, ...]]

    @classmethod
    def of(cls, facts: Iterable[Facts], options: FieldsSection) -> FieldValues:
        """The values that come `least` times or more, the `most` commonest of each field.

        Rarer ones cost more, as `balance` says; not knowing a field at all costs about 1, however
        many values it has.

        Raises:
            DataError: no field has two values.
        """
        counts: dict[str, Counter[str]] = {}
        for known in facts:
            for name, values in known.items():
                counts.setdefault(name, Counter()).update(values)
        kept = {}
        for name in (SPEECH, *VOCAL, EVENTS):
            common = counts.get(name, Counter()).most_common(options.most)
            chosen = {value: n for value, n in common if n >= options.least}
            if len(chosen) > 1:
                kept[name] = dict(sorted(chosen.items()))
        if not kept:
            raise DataError(
                "fields_weight: no field of the data's SAPs has two values that come "
                f"{options.least} times; name data with SAPs in data.train, or lower fields.least"
            )
        costs = {}
        for name, chosen in kept.items():
            mean, unit = sum(chosen.values()) / len(chosen), math.log(len(chosen))
            costs[name] = tuple((mean / n) ** options.balance / unit for n in chosen.values())
        return cls({name: tuple(chosen) for name, chosen in kept.items()}, costs)

    def targets(self, facts: Sequence[Facts]) -> dict[str, Tensor]:
        """By field `[B, values]`: equal shares for what is there, all zeros where unknown."""
        found = {}
        for name, values in self.values.items():
            place = {value: n for n, value in enumerate(values)}
            rows = torch.zeros(len(facts), len(values))
            for row, known in zip(rows, facts, strict=True):
                there = [place[value] for value in known.get(name, ()) if value in place]
                row[there] = 1 / max(1, len(there))
            found[name] = rows
        return found

    def losses(
        self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Weighted cross-entropy of each field, summed over items that have it; and their count."""
        found = {}
        for name, aim in targets.items():
            costs = aim.new_tensor(self.costs[name])
            each = -(aim * costs * logits[name].float().log_softmax(-1)).sum(-1)
            found[name] = each.sum(), (aim.sum(-1) > 0).sum()
        return found

    def right(
        self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, list[bool]]:
        """By field, of each item that has it, whether the likeliest value is there."""
        found = {}
        for name, aim in targets.items():
            hit = aim.gather(-1, logits[name].argmax(-1, keepdim=True))[:, 0] > 0
            found[name] = hit[aim.sum(-1) > 0].tolist()
        return found

    def write(self, path: Path) -> None:
        """Write the values as JSON; the folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps(self.values, ensure_ascii=False).encode(), DataError)


def read_values(path: Path) -> dict[str, tuple[str, ...]]:
    """The values that `FieldValues.write` wrote; `ModelError` if they cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): tuple(map(str, values)) for name, values in found.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: no values of fields ({error}); restore the file") from error


def facts_of(
    items: Sequence[ManifestItem], voices: Mapping[str, Voice], rename: Mapping[str, str]
) -> Facts:
    """What is known of clips in a row: a SAP's fields where one clip has one, else what all of
    them have in common.

    `rename` gives labels of events other names; with an empty one they do not count.
    """
    if len(items) == 1 and items[0].sap:
        found = _of_sap(SAP.parse(items[0].sap, lenient=True))
    else:
        parts = [_of_item(item, voices) for item in items]
        found = {name: values for name, values in parts[0].items()
                 if all(part.get(name) == values for part in parts)}  # fmt: skip
    if EVENTS in found:
        heard = [rename.get(label, label) for label in found[EVENTS]]
        found[EVENTS] = tuple(dict.fromkeys(filter(None, heard))) or (NOTHING,)
    return found


def _of_sap(sap: SAP) -> Facts:
    scene = sap.nonLinguisticEvents
    labels = [event.label for event in (*scene.discreteEvents, *scene.continuousEvents)]
    vocal = {name: getattr(sap.paralinguistics, name) for name in VOCAL}
    known: Facts = {name: (value,) for name, value in vocal.items() if value is not None}
    known[SPEECH] = (NO,) if sap.transcription is None else (YES,)
    known[EVENTS] = tuple(dict.fromkeys(labels))
    return known


def _of_item(item: ManifestItem, voices: Mapping[str, Voice]) -> Facts:
    if item.kind != "speech":
        heard: Facts = {SPEECH: (NO,)}
        if label := "music" if item.kind == "music" else item.label:
            heard[EVENTS] = (label,)
        return heard
    known: Facts = {SPEECH: (YES,)}
    voice = find_voice(voices, item.speaker)
    if voice is not None:
        told = {"gender": voice.gender, "age": voice.age}
        known |= {name: (value,) for name, value in told.items() if value is not None}
    return known
