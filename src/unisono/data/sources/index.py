"""Indexes of sources that are slow to look through, kept in a file beside the data.

One JSON file: version, what it was made from, rows and failures. A changed stamp (size and time
of change), another version or a damaged file means that it is made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisono.errors import DataError
from unisono.storage.atomic import write_bytes

__all__ = ["INDEX_SUFFIX", "Index", "index_path", "kept_index", "load_index", "stamp_of"]

INDEX_SUFFIX = ".unisono-index"
_VERSION = 1

log = logging.getLogger(__name__)


@dataclass
class Index:
    """Rows (one a clip: where it lies and its facts) and failures (where → why)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def stamp_of(path: Path) -> list[Any]:
    """What changes when a file does: size and time of change in ns."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def index_path(data: Path, folder: Path | None) -> Path:
    """Where the index of a file or folder lies: a hidden file beside it, or in `folder`."""
    if folder is None:
        return (
            data / INDEX_SUFFIX if data.is_dir() else data.with_name(f".{data.name}{INDEX_SUFFIX}")
        )
    digest = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]
    return folder / f"{data.name}-{digest}{INDEX_SUFFIX}"


def kept_index(path: Path, stamp: list[Any], build: Callable[[], Index]) -> Index:
    """The index kept at `path` for this stamp, or a new one, which is then kept."""
    found = load_index(path, stamp)
    if found is None:
        found = build()
        save_index(path, stamp, found)
    return found


def load_index(path: Path, stamp: list[Any] | None) -> Index | None:
    """A kept index, or None where there is none of this stamp; None as stamp takes any."""
    try:
        tree = json.loads(path.read_bytes())
        if tree["version"] != _VERSION or (stamp is not None and tree["stamp"] != stamp):
            return None
        return Index(list(tree["rows"]), dict(tree["failures"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s: not a whole index (%s), made anew", path, error)
        return None


def save_index(path: Path, stamp: list[Any], index: Index) -> None:
    """Keep an index, whole or not at all; a place without rights costs time, not the run."""
    tree = {
        "version": _VERSION,
        "stamp": stamp,
        "rows": index.rows,
        "failures": index.failures,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps(tree, ensure_ascii=False).encode(), DataError)
    except (DataError, OSError) as error:
        log.warning("index not kept, give ?index=FOLDER to keep it elsewhere: %s", error)
