"""A plain folder of audio files as a source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.data.decode import AUDIO_SUFFIXES, header_seconds, read_mono
from unisono.data.sources.base import SourceOptions, make_item, split_of_path
from unisono.data.sources.index import Index, index_path, load_index, save_index, stamp_of
from unisono.errors import UnisonoError


class FolderSource:
    """Every audio file below a folder, in order of path; text from a `.txt` of the same name.

    A folder or file whose name starts with train, valid, dev, test … states the split. Lengths
    are read from headers once and kept in an index; only new and changed files are looked at
    again.
    """

    def __init__(self, folder: Path, options: SourceOptions) -> None:
        self.folder = folder
        index = _folder_index(folder, index_path(folder, options.index))
        self.failures: dict[str, str] = {str(folder / k): v for k, v in index.failures.items()}
        self.items = []
        for row in index.rows:
            path = row["path"]
            known = {"text": row["text"]} if row["text"] else {}
            if options.labels and "/" in path:
                known["label"] = Path(path).parent.name
            split = split_of_path(path)
            if split:
                known["split"] = split
            self.items.append(make_item(path, row["duration"], known, options, folder.name))

    def read(self, index: int, offset: float, duration: float, rate: int) -> NDArray[np.float32]:
        """See `Source.read`."""
        path = self.folder / self.items[index].path
        return read_mono(path, str(path), offset, duration, rate)

    def where(self, index: int) -> str:
        """The audio file's path."""
        return str(self.folder / self.items[index].path)


def audio_files(folder: Path) -> list[Path]:
    """Audio files below a folder by their suffix, sorted; hidden ones are passed over."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                found.append(Path(root) / name)
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def _folder_index(folder: Path, place: Path) -> Index:
    kept = load_index(place, None)
    old = {(row["path"], *row["stamp"]): row for row in kept.rows} if kept else {}
    index = Index()
    for path in audio_files(folder):
        name = path.relative_to(folder).as_posix()
        text = path.with_suffix(".txt")
        try:
            # A name that is no UTF-8 could be kept in no index and no manifest.
            name.encode()
            stamp = stamp_of(path) + (stamp_of(text) if text.is_file() else [])
            row: dict[str, Any] | None = old.get((name, *stamp))
            if row is None:
                row = {"path": name, "stamp": stamp, "duration": header_seconds(path, str(path))}
                row["text"] = text.read_text(encoding="utf-8").strip() if len(stamp) > 2 else ""
            index.rows.append(row)
        except (UnisonoError, OSError, UnicodeError) as error:
            index.failures[_printable(name)] = _printable(str(error))
    if kept is None or kept != index:
        save_index(place, [], index)
    return index


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
