"""Command-line inputs to a list of items: files, folders, globs, manifests."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from unisono.errors import DataError

_AUDIO_NAMES = """
wav flac ogg oga opus mp3 aif aiff aifc au caf w64 rf64
m4a mp4 aac webm mka mkv mov wma amr g722 3gp ac3 ape wv
"""
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _AUDIO_NAMES.split())
TOKEN_SUFFIXES = frozenset({".utok"})


@dataclass(frozen=True)
class Item:
    """One input: where it lies, and its key, a relative path that is unique in the run."""

    path: Path
    key: str


def collect(inputs: Iterable[str], suffixes: frozenset[str]) -> list[Item]:
    """Items of files, folders (searched through), globs and `.jsonl` manifests, in order.

    Keys keep the path below the folder that was given, so `a/x.wav` and `b/x.wav` stay apart. A
    manifest has one JSON object a line with `audio`, `audio_filepath` or `path` (relative to the
    manifest) and optionally `id`. `DataError` when an input holds nothing or two items collide. A
    named file that is missing stays an item: its failure is reported with the others.
    """
    items: list[Item] = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            items.extend(_folder(path, suffixes))
        elif path.suffix == ".jsonl" and path.is_file():
            items.extend(_manifest(path))
        elif not path.exists() and glob.has_magic(text):
            items.extend(_glob(text, suffixes))
        else:
            items.append(Item(path, _key_of(path)))
    return _distinct(items)


def _folder(root: Path, suffixes: frozenset[str], base: Path | None = None) -> list[Item]:
    files: list[Path] = []
    for here, folders, names in os.walk(root):
        folders.sort()
        files.extend(
            Path(here) / name
            for name in sorted(names)
            if Path(name).suffix.lower() in suffixes and not name.startswith(".")
        )
    if not files:
        kinds = ", ".join(sorted(suffixes)[:6])
        raise DataError(
            f"{root} holds no files of a known kind ({kinds}{', …' if len(suffixes) > 6 else ''})."
        )
    return [Item(file, file.relative_to(base or root).as_posix()) for file in files]


def _glob(pattern: str, suffixes: frozenset[str]) -> list[Item]:
    # Path.glob takes no absolute patterns.
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    if not found:
        raise DataError(f"Nothing matches {pattern}.")
    # The part before the first wildcard is the folder that keys are relative to.
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:fixed]) if fixed else Path()
    items: list[Item] = []
    for path in found:
        if path.is_dir():
            if not pattern.rstrip("/").endswith("**"):
                items.extend(_folder(path, suffixes, base))
        elif path.suffix.lower() in suffixes or not pattern.endswith("*"):
            items.append(Item(path, path.relative_to(base).as_posix()))
    if not items:
        raise DataError(f"{pattern} matches no files of a known kind.")
    return items


def _manifest(path: Path) -> list[Item]:
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            name = next(entry[k] for k in ("audio", "audio_filepath", "path") if k in entry)
            file = path.parent / str(name)
            key = str(entry["id"]) if "id" in entry else _key_of(Path(str(name)))
        except (ValueError, TypeError, StopIteration, AttributeError) as error:
            raise DataError(
                f"{path}, line {number}: not a JSON object with 'audio' (a path)."
            ) from error
        items.append(Item(file, safe_key(key)))
    if not items:
        raise DataError(f"{path} is an empty manifest.")
    return items


def _key_of(path: Path) -> str:
    """A relative path is its own key; of an absolute or climbing one the name is."""
    if path.is_absolute() or ".." in path.parts:
        return path.name
    return path.as_posix()


def safe_key(key: str) -> str:
    """An id as a relative path that cannot leave the output folder."""
    parts = [part for part in Path(key).parts if part not in ("/", "..", "\\")]
    return Path(*parts).as_posix() if parts else "item"


def _distinct(items: list[Item]) -> list[Item]:
    """Drop repeats; colliding keys of different files become their full paths."""
    seen: dict[tuple[Path, str], Item] = {}
    for item in items:
        seen.setdefault((item.path.absolute(), item.key), item)
    once = list(seen.values())
    by_key: dict[str, list[Item]] = {}
    for item in once:
        by_key.setdefault(item.key, []).append(item)
    result = []
    for item in once:
        if len(by_key[item.key]) > 1:
            path = item.path.absolute()
            item = Item(item.path, Path(*path.parts[1:]).as_posix())
        result.append(item)
    if len({item.key for item in result}) != len(result):
        raise DataError("Two inputs have the same id; give each line of the manifest its own.")
    return result
