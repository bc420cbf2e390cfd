"""A Parquet file with encoded audio in a column, as the reference and public data sets have it."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.data.decode import header_seconds, read_mono
from unisono.data.sources.base import (
    COLUMNS,
    DamagedFileError,
    SourceOptions,
    check_facts,
    facts,
    make_item,
    set_name,
    split_named,
)
from unisono.data.sources.index import Index, index_path, kept_index, stamp_of
from unisono.errors import AudioError, DataError, UnisonoError, require_extra

# Encoded audio of the row groups read last that a clip set holds.
KEPT_BYTES = 256 << 20
# Rows decoded at once while a large row group is passed through.
BATCH_ROWS = 32

log = logging.getLogger(__name__)


class ParquetSource:
    """Rows with `audio` (bytes, or a struct of `bytes` and `path`) and columns of facts.

    Rows are read a row group at a time, and the last ones are `kept`; a group too large for that
    is passed through in small batches, which is slow but bounded. Lengths come from the audio's
    headers, or from a `duration` column (seconds) when it agrees with the first header.
    """

    def __init__(self, path: Path, options: SourceOptions, kept: KeptGroups) -> None:
        self.path = path
        self.column = options.audio or "audio"
        place = index_path(path, options.index)
        try:
            stamp = [*stamp_of(path), self.column]
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        index = kept_index(place, stamp, self._build)
        self.failures: Mapping[str, str] = index.failures
        self._rows = [(row["group"], row["row"]) for row in index.rows]
        self.items = []
        split = split_named(path.stem)
        for number, row in enumerate(index.rows):
            known = ({"split": split} if split else {}) | row["facts"]
            name = f"{path.name}/{row['name'] or number}"
            self.items.append(make_item(name, row["duration"], known, options, set_name(path)))
        self._kept = kept

    def read(self, index: int, offset: float, duration: float, rate: int) -> NDArray[np.float32]:
        """See `Source.read`."""
        group, row = self._rows[index]
        name = self.where(index)
        audio = self._kept.value(self.path, self.column, group, row)
        return read_mono(encoded(audio, self.path.parent, name), name, offset, duration, rate)

    def where(self, index: int) -> str:
        """File, row group and row."""
        group, row = self._rows[index]
        return f"{self.path}, row group {group}, row {row} ({self.items[index].path})"

    def _build(self) -> Index:
        index = Index()
        for group, row, record in self._records():
            stated = self.column not in record
            audio = record.pop(self.column, None)
            name = _name(audio)
            where = f"{self.path}, row group {group}, row {row}"
            try:
                known = facts(record)
                seconds = known.pop("duration", None)
                if not (stated and seconds):
                    seconds = header_seconds(encoded(audio, self.path.parent, where), where)
                check_facts(known)
            except (UnisonoError, OSError) as error:
                index.failures[where] = str(error)
                continue
            index.rows.append(
                {"group": group, "row": row, "name": name, "duration": seconds, "facts": known}
            )
        return index

    def _records(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """(row group, row in it, record); without audio where the file states durations."""
        with _opened(self.path) as file, _clear_errors(self.path):
            names = file.schema_arrow.names
            if self.column not in names:
                raise DataError(
                    f"{self.path}: no column {self.column!r}, only {', '.join(names)}; name the "
                    "one with encoded audio as path?audio=COLUMN"
                )
            columns = [name for name in names if name in COLUMNS]
            if not ("duration" in columns and self._duration_agrees(file)):
                columns.append(self.column)
            for group in range(file.num_row_groups):
                row = 0
                for batch in file.iter_batches(
                    BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
                ):
                    for record in batch.to_pylist():
                        yield group, row, record
                        row += 1

    def _duration_agrees(self, file: Any) -> bool:
        """Whether the first row's `duration` is its length in seconds, not in ms or samples."""
        columns = ["duration", self.column]
        first = next(file.iter_batches(1, columns=columns, use_threads=False), None)
        if first is None or not len(first):
            return True
        record = first.to_pylist()[0]
        try:
            real = header_seconds(encoded(record[self.column], self.path.parent, "row 0"), "row 0")
        except (UnisonoError, OSError):
            return False
        stated = record["duration"]
        if isinstance(stated, (int, float)) and abs(stated - real) <= 0.05 + 0.02 * real:
            return True
        log.warning("%s: column duration says %s for %.2f s, not used", self.path, stated, real)
        return False


class KeptGroups:
    """Columns of the row groups read last, of any number of files, up to `limit` bytes.

    Safe for threads; a pickled copy starts empty.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self._start()

    def value(self, path: Path, column: str, group: int, row: int) -> Any:
        """One value as Python has it: bytes, or a dict of `bytes` and `path`."""
        key = (path, column, group)
        with self._lock:
            values = self._groups.get(key)
            if values is not None:
                self._groups.move_to_end(key)
        if values is None:
            with _opened(path) as file, _clear_errors(path):
                size = file.metadata.row_group(group).total_byte_size
                if size > self.limit:
                    return self._passed(file, path, column, group, row, size)
                table = file.read_row_group(group, columns=[column], use_threads=False)
            values = table.column(0)
            self._keep(key, values)
        return values[row].as_py()

    def kept_bytes(self) -> int:
        """What the kept groups take."""
        return sum(values.nbytes for values in self._groups.values())

    def _keep(self, key: tuple[Path, str, int], values: Any) -> None:
        with self._lock:
            self._groups[key] = values
            while self.kept_bytes() > self.limit:
                self._groups.popitem(last=False)

    def _passed(self, file: Any, path: Path, column: str, group: int, row: int, size: int) -> Any:
        if path not in self._warned:
            self._warned.add(path)
            log.warning(
                "%s: row groups of %d MB make random reads slow; write it with small row groups, "
                "or read it as hf:FOLDER",
                path,
                size >> 20,
            )
        passed = 0
        for batch in file.iter_batches(
            BATCH_ROWS, row_groups=[group], columns=[column], use_threads=False
        ):
            if row < passed + len(batch):
                return batch.column(0)[row - passed].as_py()
            passed += len(batch)
        raise DataError(f"{path}: row group {group} has no row {row}; was it changed?")

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[Path, str, int], Any] = OrderedDict()
        self._warned: set[Path] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {"limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.limit = state["limit"]
        self._start()


def encoded(audio: Any, folder: Path, name: str) -> bytes | Path:
    """The encoded audio of a cell: its bytes, or the file that it names.

    Raises `AudioError` when the cell holds neither.
    """
    path = None
    if isinstance(audio, dict):
        audio, path = audio.get("bytes"), audio.get("path")
    if isinstance(audio, (bytes, bytearray, memoryview)) and len(audio):
        return bytes(audio)
    if isinstance(audio, str):
        path = audio
    if path:
        return folder / path
    raise AudioError(f"{name} holds no audio bytes")


def _name(audio: Any) -> str:
    """The file name that a cell states, if any."""
    path = audio.get("path") if isinstance(audio, dict) else None
    return Path(path).name if isinstance(path, str) else ""


def _opened(path: Path) -> Any:
    pq = require_extra("pyarrow.parquet", "parquet")
    with _clear_errors(path):
        return pq.ParquetFile(path)


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Turns what pyarrow raises into one sentence about the file."""
    arrow = require_extra("pyarrow", "parquet")
    try:
        yield
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0]
        raise DamagedFileError(f"{path}: not a whole Parquet file ({reason})") from error
