"""WebDataset shards: tar files whose members of one key belong together."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unisono.data.decode import AUDIO_SUFFIXES, header_seconds, read_mono
from unisono.data.sources.base import (
    DamagedFileError,
    SourceOptions,
    check_facts,
    facts,
    make_item,
    set_name,
    split_named,
)
from unisono.data.sources.index import Index, index_path, kept_index, stamp_of
from unisono.errors import DataError, UnisonoError

_TEXTS = {".txt": "text", ".cls": "label", ".sap": "sap", ".caption": "caption"}


class TarSource:
    """Clips of one shard, in the order of their keys' first members.

    A clip is an audio member with `.txt` (text), `.cls` (label) or `.json` (facts) of the same
    key: the path up to the first dot of its last part. The shard is looked through once; then
    members are read where they lie, without unpacking.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        self.path = path
        try:
            stamp = stamp_of(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        index = kept_index(index_path(path, options.index), stamp, lambda: _look_through(path))
        self.failures: Mapping[str, str] = index.failures
        self._spans = [(row["offset"], row["size"]) for row in index.rows]
        self.items = []
        split = split_named(path.stem)
        for row in index.rows:
            known = ({"split": split} if split else {}) | row["facts"]
            name = f"{path.name}/{row['name']}"
            self.items.append(make_item(name, row["duration"], known, options, set_name(path)))

    def read(self, index: int, offset: float, duration: float, rate: int) -> NDArray[np.float32]:
        """See `Source.read`."""
        with self.path.open("rb") as tar:
            file = member(tar, *self._spans[index])
            return read_mono(file, self.where(index), offset, duration, rate)

    def where(self, index: int) -> str:
        """Shard and member."""
        return f"{self.path.parent / self.items[index].path}"


def member(tar: BinaryIO, offset: int, size: int) -> BinaryIO:
    """A stretch of an open file as a file of its own."""
    return io.BufferedReader(_Stretch(tar, offset, size), 1 << 16)


class _Stretch(io.RawIOBase):
    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, to: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + to)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._at))
        self._file.seek(self._offset + self._at)
        data = self._file.read(count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _look_through(path: Path) -> Index:
    """Every clip's place, length and facts; a shard cut short gives what is left of it."""
    index = Index()
    clips: dict[str, dict[str, Any]] = {}
    try:
        with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
            try:
                for info in tar:
                    if info.isfile() and not info.name.rpartition("/")[2].startswith("."):
                        _take(clips, index.failures, path, raw, info)
            except tarfile.TarError as error:
                index.failures[str(path)] = f"{path}: the shard ends early or is damaged ({error})"
    except tarfile.TarError as error:
        raise DamagedFileError(
            f"{path}: not a plain tar file ({error}); compressed shards cannot be read at random, "
            "unpack them to .tar"
        ) from error
    end = path.stat().st_size
    for key, clip in clips.items():
        where = f"{path}/{clip.get('name', key)}"
        if "name" not in clip or where in index.failures:
            continue
        known = clip.get("json", {}) | clip["texts"]
        known.pop("duration", None)
        try:
            if clip["offset"] + clip["size"] > end:
                raise DataError(f"{where} lies beyond the end of the shard: copied in part")
            with path.open("rb") as raw:
                file = member(raw, clip["offset"], clip["size"])
                seconds = header_seconds(file, where)
            check_facts(known)
        except (UnisonoError, OSError) as error:
            index.failures[where] = str(error)
            continue
        row = {key: clip[key] for key in ("name", "offset", "size")}
        index.rows.append({**row, "duration": seconds, "facts": known})
    return index


def _take(
    clips: dict[str, dict[str, Any]],
    failures: dict[str, str],
    path: Path,
    raw: BinaryIO,
    info: tarfile.TarInfo,
) -> None:
    """Put one member where it belongs: a clip's audio or its facts."""
    folder, _, name = info.name.rpartition("/")
    stem, _, ending = name.partition(".")
    suffix = f".{ending.rpartition('.')[2].lower()}"
    clip = clips.setdefault(f"{folder}/{stem}", {"texts": {}})
    if suffix in AUDIO_SUFFIXES:
        if "name" not in clip:
            clip |= {"name": info.name, "offset": info.offset_data, "size": info.size}
        return
    if suffix not in _TEXTS and suffix != ".json":
        return
    # Read past tarfile, whose position must stay where it left it.
    before = raw.tell()
    data = member(raw, info.offset_data, info.size).read()
    raw.seek(before)
    try:
        if suffix == ".json":
            tree = json.loads(data)
            clip["json"] = facts(tree) if isinstance(tree, dict) else {}
        else:
            clip["texts"][_TEXTS[suffix]] = data.decode("utf-8").strip()
    except ValueError as error:
        failures[f"{path}/{info.name}"] = f"{path}/{info.name} is not UTF-8 or JSON ({error})"
