"""Clips to annotate, one by one and in order, from JSONL manifests and Parquet files.

Nothing but the clip in hand is in memory: a manifest is read by line, a Parquet file by a few rows.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.audio import encodable, probe
from unisono.data.decode import header_seconds, read_mono
from unisono.data.manifest import ManifestItem, audio_path, iterate_manifest, rebase
from unisono.data.sources.base import COLUMNS, facts
from unisono.data.sources.parquet import encoded
from unisono.errors import AudioError, DataError, require_extra

__all__ = ["Clip", "ClipStream", "ManifestClip", "RowClip", "item_key"]

# Rows of a Parquet file decoded at once.
ROWS = 16


class Clip(ABC):
    """One clip: a name that is unique and moves with the corpus, its audio, what is known of it.

    Attributes:
        key: place of the clip relative to the output's folder.
        where: place of the clip, for messages.
        known: text, language, caption, sap and so on, as far as known.
    """

    key: str
    where: str
    known: Mapping[str, str]

    @abstractmethod
    def seconds(self) -> float:
        """Length in seconds; `AudioError` when the file does not tell."""

    @abstractmethod
    def samples(self, rate: int) -> NDArray[np.float32]:
        """Mono float32 `[n]` at `rate` Hz; `AudioError` or `OSError` when it cannot be read."""

    @abstractmethod
    def encoded(self) -> tuple[bytes, str]:
        """The audio as a file's bytes, and a name for it."""


@dataclass(frozen=True)
class ManifestClip(Clip):
    """A line of a manifest; `item` has its path relative to the output's folder."""

    key: str
    where: str
    known: Mapping[str, str]
    item: ManifestItem
    file: Path

    def seconds(self) -> float:
        """See `Clip.seconds`."""
        return self.item.duration

    def samples(self, rate: int) -> NDArray[np.float32]:
        """See `Clip.samples`."""
        return read_mono(self.file, self.where, self.item.start, self.item.duration, rate)

    def encoded(self) -> tuple[bytes, str]:
        """The stretch as 16-bit mono FLAC at the file's own rate."""
        rate = probe(self.file).rate
        buffer = BytesIO()
        block = encodable(self.samples(rate)[:, None], "PCM_16")
        try:
            soundfile.write(buffer, block, rate, format="FLAC", subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self.where}: FLAC does not take {rate} Hz; resample it") from error
        return buffer.getvalue(), f"{PurePosixPath(self.item.path).stem}.flac"


@dataclass(frozen=True)
class RowClip(Clip):
    """A row of a Parquet file; `cell` is its audio as the file has it."""

    key: str
    where: str
    known: Mapping[str, str]
    folder: Path
    cell: Any

    def seconds(self) -> float:
        """See `Clip.seconds`."""
        return header_seconds(encoded(self.cell, self.folder, self.where), self._name())

    def samples(self, rate: int) -> NDArray[np.float32]:
        """See `Clip.samples`."""
        audio = encoded(self.cell, self.folder, self.where)
        return read_mono(audio, self._name(), 0.0, self.seconds(), rate)

    def encoded(self) -> tuple[bytes, str]:
        """The row's own bytes."""
        audio = encoded(self.cell, self.folder, self.where)
        name = self._stated()
        return (audio.read_bytes() if isinstance(audio, Path) else audio), Path(name).name

    def _stated(self) -> str:
        path = self.cell.get("path") if isinstance(self.cell, dict) else None
        return path or (self.cell if isinstance(self.cell, str) else "")

    def _name(self) -> str:
        # A name's suffix helps where the content does not tell the format.
        stated = self._stated()
        return f"{self.where} ({stated})" if stated else self.where


class ClipStream:
    """Clips of manifests (`.jsonl`), Parquet files and folders of Parquet files, each once.

    Args:
        inputs: paths.
        folder: where the output lies: keys are relative to it, and Parquet files in it are none
            of the input.
        settled: whether a key needs nothing more; such clips are left out and counted in
            `skipped`. Where all rows of a Parquet row group are settled, it is not read at all.

    Raises (while iterating):
        DataError: an input of another kind, or damaged.
    """

    def __init__(
        self, inputs: Sequence[str | Path], folder: Path, settled: Callable[[str], bool]
    ) -> None:
        self.inputs, self.folder, self.settled = [Path(path) for path in inputs], folder, settled
        self.skipped = 0

    def __iter__(self) -> Iterator[Clip]:
        for path in self.inputs:
            if path.is_dir():
                files = [
                    file
                    for file in sorted(path.rglob("*.parquet"))
                    if self.folder.resolve() not in file.resolve().parents
                ]
                if not files:
                    raise DataError(f"{path}: no Parquet file in this folder")
                for file in files:
                    yield from self._rows(file)
            elif path.suffix == ".jsonl":
                yield from self._lines(path)
            elif path.suffix == ".parquet":
                yield from self._rows(path)
            else:
                raise DataError(
                    f"{path}: give JSONL manifests, Parquet files or folders of Parquet files"
                )

    def manifests_only(self) -> bool:
        """Whether every clip lies in an audio file that a manifest can name."""
        return all(path.suffix == ".jsonl" and not path.is_dir() for path in self.inputs)

    def _lines(self, path: Path) -> Iterator[Clip]:
        for item in iterate_manifest(path):
            (moved,) = rebase([item], path.parent, self.folder)
            key = item_key(moved)
            if self.settled(key):
                self.skipped += 1
                continue
            file = audio_path(path, item)
            where = f"{file} from {item.start:g} s" if item.start else str(file)
            yield ManifestClip(key, where, _texts(item.model_dump()), moved, file)

    def _rows(self, path: Path) -> Iterator[Clip]:
        arrow, pq = require_extra("pyarrow", "parquet"), require_extra("pyarrow.parquet", "parquet")
        base = Path(os.path.relpath(path.resolve(), self.folder.resolve())).as_posix()
        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                if "audio" not in names:
                    raise DataError(f"{path}: no column 'audio', only {', '.join(names)}")
                columns = ["audio", *(name for name in names if name in COLUMNS)]
                row = 0
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    if all(self.settled(f"{base}#{n}") for n in range(row, row + rows)):
                        self.skipped += rows
                        row += rows
                        continue
                    batches = file.iter_batches(
                        ROWS, row_groups=[group], columns=columns, use_threads=False
                    )
                    for batch in batches:
                        for record in batch.to_pylist():
                            key = f"{base}#{row}"
                            if self.settled(key):
                                self.skipped += 1
                            else:
                                cell = record.pop("audio")
                                yield RowClip(
                                    key, f"{path}, row {row}", _texts(record), path.parent, cell
                                )
                            row += 1
        except (arrow.ArrowException, OSError) as error:
            reason = str(error).split("\n")[0]
            raise DataError(f"{path}: not a whole Parquet file ({reason})") from error


def item_key(item: ManifestItem) -> str:
    """Key of a manifest's line whose path is relative to the output's folder."""
    return f"{item.path}@{item.start!r}+{item.duration!r}"


def _texts(record: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in facts(record).items() if isinstance(value, str)}
