"""Manifests: one JSON object a line that says where a clip lies and what is heard in it.

A manifest is a `.jsonl` file. Paths in it are relative to the manifest's own folder, so a corpus
can be moved as a whole. Many clips may share one audio file: `start` and `duration` cut them out.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from unisono.errors import DataError

Split = Literal["train", "valid", "eval"]
Kind = Literal["speech", "music", "sound"]


class ManifestItem(BaseModel):
    """One clip: a stretch of an audio file and what is known about it.

    Attributes:
        path: audio file, relative to the manifest's folder, with forward slashes.
        start: beginning of the clip in the file, seconds.
        duration: length of the clip, seconds.
        text: what is said; empty when unknown.
        phonemes: IPA of the text, words separated by one space; empty when unknown.
        language: BCP 47 code such as `en` or `cs`; empty when there is none.
        speaker: name of the voice, unique within the corpus; empty when there is none.
        kind: speech, music or sound.
        label: class of a sound (`snare`, `water`); empty when unknown.
        licence: SPDX identifier or a short name.
        source: the package or corpus that the clip comes from.
        split: train, valid or eval.
        caption: a sentence about the whole clip; empty when unknown.
        emotion: how the voice feels, one word; empty when unknown.
        sap: semantic-acoustic primitives as JSON text; empty when unknown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    path: str = Field(min_length=1)
    start: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    duration: float = Field(gt=0.0, allow_inf_nan=False)
    text: str = ""
    phonemes: str = ""
    language: str = ""
    speaker: str = ""
    kind: Kind = "speech"
    label: str = ""
    licence: str = ""
    source: str = ""
    split: Split = "train"
    caption: str = ""
    emotion: str = ""
    sap: str = ""

    @field_validator("path")
    @classmethod
    def _relative(cls, value: str) -> str:
        if PurePosixPath(value).is_absolute():
            raise ValueError("the path must be relative to the manifest's folder")
        return value


def read_manifest(path: str | Path, *, check_files: bool = False) -> list[ManifestItem]:
    """Read a whole manifest.

    With `check_files` every audio file must exist. Raises `DataError` naming file and line for the
    first line that is not valid.
    """
    return list(iterate_manifest(path, check_files=check_files))


def iterate_manifest(path: str | Path, *, check_files: bool = False) -> Iterator[ManifestItem]:
    """Read a manifest item by item; the same checks as `read_manifest`."""
    path = Path(path)
    known: set[str] = set()
    try:
        with path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    item = _parse(line, path, number)
                    if check_files and item.path not in known:
                        if not audio_path(path, item).is_file():
                            raise DataError(
                                f"{path}, line {number}: the audio file {item.path} does not exist "
                                "beside the manifest; move the corpus as a whole or correct `path`"
                            )
                        known.add(item.path)
                    yield item
    except OSError as error:
        raise DataError(f"cannot read the manifest {path}: {error.strerror}") from error


def write_manifest(path: str | Path, items: Iterable[ManifestItem]) -> None:
    """Write a manifest atomically: readers see the old file or the whole new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for item in items:
                line = json.dumps(item.model_dump(exclude_defaults=True), ensure_ascii=False)
                stream.write(line + "\n")
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def audio_path(manifest: str | Path, item: ManifestItem) -> Path:
    """Where the audio file of an item lies on disk."""
    return Path(manifest).parent / item.path


def rebase(items: Iterable[ManifestItem], old: str | Path, new: str | Path) -> list[ManifestItem]:
    """Items of a manifest in folder `old` with paths that hold for a manifest in folder `new`."""
    base = os.path.relpath(Path(old).resolve(), Path(new).resolve())
    return [
        item.model_copy(update={"path": Path(os.path.normpath(f"{base}/{item.path}")).as_posix()})
        for item in items
    ]


def summary_table(items: Sequence[ManifestItem]) -> str:
    """Clips and minutes by source, kind, language and split, as a text table with totals."""

    def key(item: ManifestItem) -> tuple[str, ...]:
        return (item.source, item.kind, item.language or "-", item.split)

    heads = ("source", "kind", "language", "split")
    rows = [(*group, *numbers) for group, numbers in _totals(items, key)]
    for split, numbers in _totals(items, lambda item: (item.split,)):
        rows.append(("all", "", "", *split, *numbers))
    rows = [(*heads, "clips", "minutes"), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column >= len(heads) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _totals(
    items: Sequence[ManifestItem], key: Callable[[ManifestItem], tuple[str, ...]]
) -> list[tuple[tuple[str, ...], tuple[str, str]]]:
    clips: dict[tuple[str, ...], int] = defaultdict(int)
    seconds: dict[tuple[str, ...], float] = defaultdict(float)
    for item in items:
        clips[key(item)] += 1
        seconds[key(item)] += item.duration
    return [(group, (str(clips[group]), f"{seconds[group] / 60:.1f}")) for group in sorted(clips)]


def _parse(line: bytes, path: Path, number: int) -> ManifestItem:
    where = f"{path}, line {number}"
    try:
        return ManifestItem.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        what = f"field `{field}`: {first['msg']}" if field else first["msg"]
        raise DataError(f"{where}: {what}") from error
