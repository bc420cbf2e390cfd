"""Where annotated clips go: a manifest, or Parquet shards; what was answered survives any kill.

Each answer is one appended line, on the disk within a second. Clips whose answer is of no use lie
aside with the reason, in `OUT.rejected.jsonl` or `FOLDER/rejected.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unisono.data.manifest import ManifestItem
from unisono.errors import AudioError, DataError, require_extra
from unisono.sap.annotate_input import Clip, ManifestClip, item_key
from unisono.storage.atomic import atomic_path, write_bytes

__all__ = ["Label", "ManifestSink", "ParquetSink", "Sink", "open_sink"]

# One shard: this many clips, or this many bytes of audio, whichever comes first.
SHARD_CLIPS = 1000
SHARD_BYTES = 64 << 20
_FACTS = ("text", "phonemes", "language", "speaker", "kind", "label", "licence", "source", "split",
          "emotion")  # fmt: skip


@dataclass(frozen=True)
class Label:
    """What is stored for a clip: its caption and its SAP as JSON text."""

    caption: str
    sap: str


class Sink(ABC):
    """Takes labels and rejects; a context manager that one process at a time can hold."""

    def __init__(self, folder: Path, name: str, rejects: Path, retry_rejected: bool) -> None:
        self.folder = folder
        self.rejects = rejects
        # Keys that need nothing more, as digests: some 100 bytes a clip.
        self._settled: set[bytes] = set()
        _make_folder(folder)
        # filelock comes with transformers' hub client.
        locks = require_extra("filelock", "annotate")
        self._lock = locks.FileLock(folder / f".{name}.lock", timeout=0)
        try:
            self._lock.acquire()
        except locks.Timeout:
            raise DataError(
                f"{folder / name} is being written by another run; wait for it or stop it"
            ) from None
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            if retry_rejected and rejects.is_file():
                write_bytes(rejects, b"", DataError)
            self._rejected = _Lines(rejects, _reject_key, self.settle)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.close()
        finally:
            self._rejected.close()
            self._lock.release()

    def settled(self, key: str) -> bool:
        """Whether this clip is labelled, put aside or in work already."""
        return _digest(key) in self._settled

    def settle(self, key: str) -> None:
        """Note that this clip needs nothing more."""
        self._settled.add(_digest(key))

    def answered(self, key: str) -> Label | None:
        """An answer from an earlier run that is not yet in the output."""
        return None

    @abstractmethod
    def put(self, clip: Clip, label: Label) -> None:
        """Store one clip; `AudioError` when its audio cannot be read."""

    def reject(self, clip: Clip, reason: str, caption: str, answer: str) -> None:
        """Put a clip aside, with the reason and what the model said."""
        record = {"id": clip.key, "where": clip.where, "reason": reason, "caption": caption,
                  "answer": answer}  # fmt: skip
        self._rejected.append(record)

    @abstractmethod
    def close(self) -> None:
        """Bring everything to the disk."""


def open_sink(out: Path, retry_rejected: bool = False) -> Sink:
    """The sink for `out`: a manifest `.jsonl`, or a folder for Parquet shards.

    Raises:
        DataError: nothing can be written there, it is something else, or another run is at it.
    """
    if out.suffix == ".jsonl":
        return ManifestSink(out, retry_rejected)
    return ParquetSink(out, retry_rejected)


class ManifestSink(Sink):
    """A manifest with `caption` and `sap` in each line; its clips lie where they lay before."""

    def __init__(self, path: Path, retry_rejected: bool = False) -> None:
        rejects = path.with_name(f"{path.stem}.rejected.jsonl")
        super().__init__(path.parent, path.name, rejects, retry_rejected)
        self._lines = self._opened(path)

    def put(self, clip: Clip, label: Label) -> None:
        """Append one line."""
        if not isinstance(clip, ManifestClip):
            raise DataError(
                f"{clip.where}: a manifest cannot name audio in a Parquet file; give a folder "
                "as output"
            )
        item = clip.item.model_copy(update={"caption": label.caption, "sap": label.sap})
        self._lines.append(item.model_dump(exclude_defaults=True))

    def close(self) -> None:
        """Bring all lines to the disk."""
        self._lines.close()

    def _opened(self, path: Path) -> _Lines:
        try:
            return _Lines(path, _labelled_key, self.settle)
        except BaseException:
            self._rejected.close()
            self._lock.release()
            raise


class ParquetSink(Sink):
    """Shards `sap-00000.parquet` with `audio` (bytes, path), `sap`, `caption`, `id` and facts.

    Answers wait for their shard in `.answers.jsonl`, so that none is asked for twice.
    """

    def __init__(
        self,
        folder: Path,
        retry_rejected: bool = False,
        shard_clips: int = SHARD_CLIPS,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self._arrow = require_extra("pyarrow", "parquet")
        self._parquet = require_extra("pyarrow.parquet", "parquet")
        if folder.is_file():
            raise DataError(f"cannot write into {folder}: it is a file; give a folder for shards")
        super().__init__(folder, "sap", folder / "rejected.jsonl", retry_rejected)
        self._clips, self._bytes = shard_clips, shard_bytes
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self._journal = folder / ".answers.jsonl"
        try:
            shards = sorted(folder.glob("sap-*.parquet"))
            for shard in shards:
                for key in self._ids(shard):
                    self.settle(key)
            self._next = 1 + max((_number(shard) for shard in shards), default=-1)
            self._waiting: dict[str, Label] = {}
            self._lines = _Lines(self._journal, self._remember, lambda key: None)
        except BaseException:
            self._rejected.close()
            self._lock.release()
            raise

    def answered(self, key: str) -> Label | None:
        """See `Sink.answered`."""
        return self._waiting.get(key)

    def put(self, clip: Clip, label: Label) -> None:
        """Note the answer, take the row, write the shard when it is full."""
        if clip.key not in self._waiting:
            # Before anything of it can fail: an answer that was paid for is not lost.
            self._waiting[clip.key] = label
            self._lines.append({"id": clip.key, "caption": label.caption, "sap": label.sap})
        try:
            data, name = clip.encoded()
        except OSError as error:
            raise AudioError(f"{clip.where} cannot be read ({error.strerror or error})") from error
        row: dict[str, Any] = {"id": clip.key, "audio": {"bytes": data, "path": name}}
        row |= {"sap": label.sap, "caption": label.caption}
        row |= {fact: clip.known.get(fact, "") for fact in _FACTS}
        self._rows.append(row)
        self._size += len(data)
        if len(self._rows) >= self._clips or self._size >= self._bytes:
            self._flush()

    def close(self) -> None:
        """Write the last shard."""
        try:
            self._flush()
        finally:
            self._lines.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        arrow = self._arrow
        audio = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        texts = [(name, arrow.string()) for name in ("sap", "caption", *_FACTS)]
        schema = arrow.schema([("id", arrow.string()), ("audio", audio), *texts])
        table = arrow.Table.from_pylist(self._rows, schema=schema)
        with atomic_path(self.folder / f"sap-{self._next:05d}.parquet", DataError) as temporary:
            # Small row groups: training reads clips in any order.
            self._parquet.write_table(table, temporary, row_group_size=100)
        self._next += 1
        for row in self._rows:
            self._waiting.pop(row["id"], None)
        self._rows, self._size = [], 0
        self._lines.close()
        left = [{"id": key, "caption": label.caption, "sap": label.sap}
                for key, label in self._waiting.items()]  # fmt: skip
        write_bytes(self._journal, b"".join(map(_line, left)), DataError)
        self._lines = _Lines(self._journal, _text_of("id"), lambda key: None)

    def _remember(self, record: Mapping[str, Any]) -> str | None:
        key, caption, sap = (record.get(name) for name in ("id", "caption", "sap"))
        if not (isinstance(key, str) and isinstance(caption, str) and isinstance(sap, str)):
            return None
        if not self.settled(key):
            self._waiting[key] = Label(caption, sap)
        return key

    def _ids(self, shard: Path) -> list[str]:
        try:
            ids = self._parquet.read_table(shard, columns=["id"]).column("id").to_pylist()
        except (self._arrow.ArrowException, KeyError, OSError) as error:
            raise DataError(f"{shard} is damaged or not ours ({error}); remove it") from error
        return [str(one) for one in ids]


class _Lines:
    """A JSONL file that is appended to; an end torn by a kill is cut off first.

    Args:
        path: made when missing.
        key_of: key of a record, None where it is not of this file's kind: then `DataError`, and
            nothing is changed.
        found: called with the key of each line that is there.
    """

    def __init__(
        self,
        path: Path,
        key_of: Callable[[Mapping[str, Any]], str | None],
        found: Callable[[str], None],
        sync_seconds: float = 1.0,
    ) -> None:
        self.path, self._sync_seconds, self._synced = path, sync_seconds, time.monotonic()
        try:
            whole = self._check(key_of, found) if path.exists() else 0
            self._file = path.open("ab")
            if whole < self._file.tell():
                self._file.truncate(whole)
        except OSError as error:
            raise _unwritable(path, error) from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line."""
        try:
            self._file.write(_line(record))
            if time.monotonic() - self._synced > self._sync_seconds:
                self._sync()
            else:
                # What the system has survives a kill of this process.
                self._file.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def close(self) -> None:
        """Bring all lines to the disk."""
        if not self._file.closed:
            try:
                self._sync()
                self._file.close()
            except OSError as error:
                raise _unwritable(self.path, error) from error

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _check(
        self, key_of: Callable[[Mapping[str, Any]], str | None], found: Callable[[str], None]
    ) -> int:
        """Bytes of whole lines."""
        whole = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    # Only the last line can lack its end.
                    if whole == 0 and not line.startswith(b"{"):
                        raise self._foreign(number)
                    break
                try:
                    record = json.loads(line)
                except ValueError:
                    record = None
                key = key_of(record) if isinstance(record, dict) else None
                if key is None:
                    raise self._foreign(number)
                found(key)
                whole += len(line)
        return whole

    def _foreign(self, number: int) -> DataError:
        return DataError(
            f"{self.path}, line {number}: not written by annotation; choose another output"
        )


def _labelled_key(record: Mapping[str, Any]) -> str | None:
    try:
        item = ManifestItem.model_validate(dict(record))
    except ValidationError:
        return None
    return item_key(item) if item.sap else None


def _text_of(name: str) -> Callable[[Mapping[str, Any]], str | None]:
    def text(record: Mapping[str, Any]) -> str | None:
        value = record.get(name)
        return value if isinstance(value, str) else None

    return text


def _reject_key(record: Mapping[str, Any]) -> str | None:
    return _text_of("id")(record) if "reason" in record else None


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _number(shard: Path) -> int:
    digits = shard.stem.rpartition("-")[2]
    if not digits.isdigit():
        raise DataError(f"{shard}: not written by annotation; choose another folder")
    return int(digits)


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(place: Path, error: OSError) -> DataError:
    return DataError(f"cannot write {place}: {error.strerror or error}; choose another place")
