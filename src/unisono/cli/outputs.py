"""Where bulk encoding puts tokens: `.utok` files, one JSONL file, or Parquet shards.

Each can be killed at any moment and taken up again: `done` says which items are already there,
and nothing half-written counts.
"""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from unisono.cli.inputs import Item
from unisono.errors import DataError, require_extra
from unisono.storage.atomic import atomic_path
from unisono.storage.entropy import CodeStatistics
from unisono.tokens import AudioTokens

FORMATS = ("utok", "jsonl", "parquet")


class Sink(ABC):
    """A place for tokens; use as a context manager.

    Attributes:
        statistics: where set, `.utok` files are range-coded with them.
    """

    statistics: CodeStatistics | None = None

    @abstractmethod
    def done(self, item: Item) -> bool:
        """Whether the item's tokens are already there, whole."""

    @abstractmethod
    def put(self, item: Item, tokens: AudioTokens) -> None:
        """Store one item's tokens."""

    @abstractmethod
    def close(self) -> None:
        """Bring everything to the disk."""

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_sink(out: Path, kind: str, items: list[Item], overwrite: bool) -> Sink:
    """The sink for `kind` at `out`; `DataError` at once when nothing can be written there."""
    if kind == "jsonl":
        return JsonlSink(out if out.suffix == ".jsonl" else out / "tokens.jsonl", overwrite)
    if kind == "parquet":
        return ParquetSink(out, overwrite)
    return UtokSink(out, items, overwrite)


def ensure_folder(folder: Path) -> None:
    """Make `folder`, and find out now whether it takes files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot write into {folder}: {error.strerror or error}; choose another place"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"cannot write into {folder}: no permission; choose another place")


class UtokSink(Sink):
    """One `.utok` file an item, below a folder, at the item's relative path."""

    def __init__(self, out: Path, items: list[Item], overwrite: bool) -> None:
        self._overwrite = overwrite
        names = output_names([item.key for item in items], ".utok")
        single = len(items) == 1 and out.suffix == ".utok" and not out.is_dir()
        self._paths = {
            item.key: out if single else out / name for item, name in zip(items, names, strict=True)
        }
        ensure_folder(out.parent if single else out)

    def path(self, item: Item) -> Path:
        """The file of an item."""
        return self._paths[item.key]

    def done(self, item: Item) -> bool:
        """Files appear whole or not at all, so being there is being done."""
        return not self._overwrite and self.path(item).is_file()

    def put(self, item: Item, tokens: AudioTokens) -> None:
        """Write the file atomically."""
        path = self.path(item)
        ensure_folder(path.parent)
        tokens.save(path, self.statistics)

    def close(self) -> None:
        """Nothing is held back."""


class JsonlSink(Sink):
    """One JSON object a line: id, path, model, samples, rate, codes by stream.

    Lines are appended and brought to the disk every second or so; a line torn by a kill is cut
    off at the next start.
    """

    def __init__(self, path: Path, overwrite: bool, sync_seconds: float = 1.0) -> None:
        ensure_folder(path.parent)
        self._sync_seconds, self._synced = sync_seconds, time.monotonic()
        try:
            if overwrite:
                path.unlink(missing_ok=True)
            self._done = repair_jsonl(path)
            self._file = path.open("ab")
        except OSError as error:
            raise DataError(
                f"cannot write {path}: {error.strerror or error}; choose another place"
            ) from error

    def done(self, item: Item) -> bool:
        """Whether a whole line with this id is in the file."""
        return item.key in self._done

    def put(self, item: Item, tokens: AudioTokens) -> None:
        """Append one line."""
        record = {**_facts(item, tokens), "codes": {n: a.tolist() for n, a in tokens.codes.items()}}
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        self._file.write(line.encode() + b"\n")
        self._done.add(item.key)
        if time.monotonic() - self._synced > self._sync_seconds:
            self._sync()

    def close(self) -> None:
        """Bring all lines to the disk."""
        self._sync()
        self._file.close()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def repair_jsonl(path: Path) -> set[str]:
    """Cut a torn end off a bulk JSONL file; ids of its whole lines. Missing file: no ids.

    Only what follows the last newline, or a last line that is no JSON, can be torn. Any other line
    that is not ours means a foreign file: `DataError`, and nothing is changed.
    """
    if not path.is_file():
        return set()
    ids: set[str] = set()
    good = number = 0
    with path.open("rb") as file:
        for line in file:
            number += 1
            record_id = _line_id(line)
            if record_id is None:
                if file.read(1):
                    raise DataError(
                        f"{path}, line {number}, is not a line of tokens; it is another file or "
                        "damaged: choose another output or use --overwrite."
                    )
                break
            ids.add(record_id)
            good += len(line)
    if good < path.stat().st_size:
        if not ids and number == 1 and path.stat().st_size > 0 and not _looks_torn(path):
            raise DataError(f"{path} is not a file of tokens; choose another output.")
        with path.open("r+b") as file:
            file.truncate(good)
            os.fsync(file.fileno())
    return ids


class ParquetSink(Sink):
    """Numbered shards `tokens-00000.parquet`, each written atomically (extra `parquet`).

    Columns: id, path, model, samples, rate, layout (JSON), and `codes_STREAM` (lists of groups). A
    kill loses at most the items of the shard in hand, which the next run makes again.
    """

    def __init__(
        self, folder: Path, overwrite: bool, shard_items: int = 1000, shard_seconds: float = 60.0
    ) -> None:
        self._arrow = require_extra("pyarrow", "parquet")
        self._parquet = require_extra("pyarrow.parquet", "parquet")
        if folder.is_file():
            raise DataError(f"cannot write into {folder}: it is a file; give a folder for shards")
        ensure_folder(folder)
        self._folder, self._items, self._seconds = folder, shard_items, shard_seconds
        self._rows: list[dict[str, Any]] = []
        self._began = time.monotonic()
        shards = sorted(folder.glob("tokens-*.parquet"))
        if overwrite:
            for shard in shards:
                shard.unlink()
            shards = []
        self._next = 1 + max((int(s.stem.rpartition("-")[2]) for s in shards), default=-1)
        self._done: set[str] = set()
        for shard in shards:
            self._done.update(self._ids(shard))

    def done(self, item: Item) -> bool:
        """Whether a finished shard holds this id."""
        return item.key in self._done

    def put(self, item: Item, tokens: AudioTokens) -> None:
        """Take one row; write a shard when it is full or a minute old."""
        codes = {f"codes_{name}": array.tolist() for name, array in tokens.codes.items()}
        layout = json.dumps(tokens.layout.to_dict())
        self._rows.append({**_facts(item, tokens), "layout": layout, **codes})
        old = time.monotonic() - self._began > self._seconds
        if len(self._rows) >= self._items or old:
            self._flush()

    def close(self) -> None:
        """Write the last shard."""
        self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = self._arrow.Table.from_pylist(self._rows)
            target = self._folder / f"tokens-{self._next:05d}.parquet"
            with atomic_path(target, DataError) as temporary:
                self._parquet.write_table(table, temporary)
            self._next += 1
            self._rows = []
        self._began = time.monotonic()

    def _ids(self, shard: Path) -> list[str]:
        try:
            ids = self._parquet.read_table(shard, columns=["id"]).column("id").to_pylist()
        except (self._arrow.ArrowException, KeyError, OSError) as error:
            raise DataError(f"{shard} is damaged or not ours ({error}); remove it.") from error
        return [str(one) for one in ids]


def output_names(keys: list[str], suffix: str) -> list[str]:
    """Relative output paths: the key's suffix replaced, or kept before ours where that collides.

    `DataError` when two items have one key: one output would overwrite the other.
    """
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise DataError(f"'{twice[0]}' comes twice in the inputs; give each item its own id.")
    plain = [PurePosixPath(key).with_suffix(suffix).as_posix() for key in keys]
    counts = Counter(plain)
    return [
        name if counts[name] == 1 else f"{key}{suffix}"
        for key, name in zip(keys, plain, strict=True)
    ]


def _facts(item: Item, tokens: AudioTokens) -> dict[str, Any]:
    return {
        "id": item.key,
        "path": str(item.path),
        "model": tokens.model,
        "samples": tokens.samples,
        "rate": tokens.rate,
    }


def _line_id(line: bytes) -> str | None:
    """The id of a whole line of ours, else None."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if isinstance(record, dict) and "codes" in record and isinstance(record.get("id"), str):
        return str(record["id"])
    return None


def _looks_torn(path: Path) -> bool:
    """Whether a file without one whole line begins like one of ours."""
    with path.open("rb") as file:
        head = file.read(6)
    return b'{"id":'.startswith(head) or head.startswith(b'{"id":')
