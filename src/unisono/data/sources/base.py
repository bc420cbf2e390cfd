"""What every source of clips offers, its options, and records of any origin as items."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unisono.data.manifest import Kind, ManifestItem, Split
from unisono.errors import ConfigError, DataError


class Source(Protocol):
    """Clips by number: what is known of each, and its samples (ours).

    Order and content of `items` depend on the data alone, so that a batch can be a function of
    seed and step. `read` may be called from several threads, and a source can be pickled.
    """

    @property
    def items(self) -> Sequence[ManifestItem]:
        """What is known of each clip."""

    @property
    def failures(self) -> Mapping[str, str]:
        """Clips left out because their header or record is of no use: where → why."""

    def read(self, index: int, offset: float, duration: float, rate: int) -> NDArray[np.float32]:
        """`duration` seconds of a clip from `offset`: mono float32 `[n]` at `rate` Hz.

        Raises `UnisonoError` or `OSError` when this clip cannot be read.
        """

    def where(self, index: int) -> str:
        """Place of a clip, for messages."""


class DamagedFileError(DataError):
    """A file of clips that is no use as a whole, such as a shard that was copied in part."""


class NoSource:
    """Stands for a damaged file: no clips, one failure; the files beside it go on."""

    def __init__(self, path: Path, error: DamagedFileError) -> None:
        self.items: Sequence[ManifestItem] = ()
        self.failures: Mapping[str, str] = {str(path): str(error)}

    def read(self, index: int, offset: float, duration: float, rate: int) -> NDArray[np.float32]:
        """There is nothing to read."""
        raise IndexError(index)

    def where(self, index: int) -> str:
        """There is nothing anywhere."""
        raise IndexError(index)


class SourceOptions(BaseModel):
    """What an entry says after `?`: what to take for granted about a whole source.

    Attributes:
        kind, split, source, language, speaker, licence: used for every clip that does not say
            itself; `split` even overrules what clips and names say.
        weight: how often the source counts in an epoch.
        hold_out: share of the training clips, chosen by name, that become split valid.
        labels: take a file's folder as its label (plain folders).
        audio: column with the audio (Parquet, Hugging Face).
        name: configuration of a Hugging Face set.
        index: folder for index files, where they cannot or should not lie beside the data.
        seed: which scenes a scene config composes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind | None = None
    split: Split | None = None
    source: str = ""
    language: str = ""
    speaker: str = ""
    licence: str = ""
    weight: int = Field(default=1, ge=0, le=1000)
    hold_out: float = Field(default=0.0, ge=0.0, lt=1.0)
    labels: bool = False
    audio: str = ""
    name: str | None = None
    index: Path | None = None
    seed: int = Field(default=0, ge=0)


def parse_entry(entry: str) -> tuple[str, SourceOptions]:
    """Split `PATH?key=value&key=value` into the path and its options.

    Raises `ConfigError` that names an unknown key or a wrong value.
    """
    path, _, query = entry.partition("?")
    if not query or Path(entry).exists():
        return entry.removesuffix("?"), SourceOptions()
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        return path, SourceOptions.model_validate(dict(pairs))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(SourceOptions.model_fields)
        raise ConfigError(f"{entry}: option {key}: {first['msg']}; options are {known}") from error
    except ValueError as error:
        raise ConfigError(f"{entry}: write options as path?key=value&key=value") from error


# Names that public data sets use for one thing, best known first.
_COLUMNS = {
    "text": ("text", "sentence", "transcription", "transcript", "normalized_text"),
    "language": ("language", "lang", "locale"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "licence": ("licence", "license"),
    "label": ("label", "category", "class", "cls"),
    "phonemes": ("phonemes",),
    "caption": ("caption",),
    "emotion": ("emotion",),
    "sap": ("sap",),
    "source": ("source",),
    "kind": ("kind",),
    "split": ("split",),
    "duration": ("duration",),
}
COLUMNS = frozenset(name for names in _COLUMNS.values() for name in names)
"""Columns and JSON keys that are understood; others are passed over."""


def facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """The understood part of a record under our names: texts, and `duration` as a number."""
    found: dict[str, Any] = {}
    for ours, names in _COLUMNS.items():
        for name in names:
            value = record.get(name)
            if value is None or value == "":
                continue
            if ours == "duration":
                if isinstance(value, (int, float)) and 0 < value < float("inf"):
                    found[ours] = float(value)
            else:
                found[ours] = value if isinstance(value, str) else _as_text(value)
            break
    return found


def make_item(
    path: str, duration: float, known: Mapping[str, Any], options: SourceOptions, default: str
) -> ManifestItem:
    """One clip's item from its facts, its name and the source's options.

    Args:
        path: the clip's name within its source; it decides what is held out.
        known: what `facts` gave.
        default: name of the source where neither clip nor options say one.

    Raises:
        DataError: kind or split is none of ours.
    """
    values: dict[str, Any] = {
        name: getattr(options, name) for name in ("source", "language", "speaker", "licence")
    }
    values |= {key: value for key, value in known.items() if key != "duration"}
    values["source"] = values["source"] or default
    values["kind"] = values.get("kind") or options.kind or "speech"
    split = options.split
    if split is None and "split" in values:
        split = split_named(values["split"])
        if split is None:
            raise DataError(f"{path}: split {values['split']!r} is not train, valid or eval")
    split = split or "train"
    if split == "train" and options.hold_out and _share(path) < options.hold_out:
        split = "valid"
    values |= {"path": path, "duration": duration, "split": split}
    try:
        return ManifestItem.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def check_facts(known: Mapping[str, Any]) -> None:
    """Raise `DataError` for facts of which `make_item` makes no item."""
    make_item("clip", 1.0, known, SourceOptions(), "")


def split_named(name: str) -> Split | None:
    """The split that a file's, folder's or column's name states, as in `validation-00000.tar`."""
    word = re.split(r"[-_.\d]", name.lower(), maxsplit=1)[0]
    if word in {"train", "training"}:
        return "train"
    if word in {"valid", "validation", "val", "dev"}:
        return "valid"
    return "eval" if word in {"test", "eval", "evaluation"} else None


def set_name(path: Path) -> str:
    """What the set of a file is called: `speech-00012.tar` and all its shards are `speech`."""
    name = re.sub(r"([-_.]?\d+(-of-\d+)?)+$", "", path.stem)
    if not name or split_named(name) is not None:
        return path.resolve().parent.name or path.stem
    return name


def split_of_path(path: str) -> Split | None:
    """The split that the innermost telling part of a relative path states."""
    found = (split_named(part) for part in reversed(PurePosixPath(path).parts))
    return next((split for split in found if split), None)


def _as_text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _share(path: str) -> float:
    digest = hashlib.blake2b(path.encode(), digest_size=8, person=b"hold-out").digest()
    return int.from_bytes(digest, "big") / 2**64
