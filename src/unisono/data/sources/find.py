"""From what a user writes in a config to the sources that it means."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unisono.data.sources.base import (
    DamagedFileError,
    NoSource,
    Source,
    SourceOptions,
    parse_entry,
)
from unisono.data.sources.folder import FolderSource, audio_files
from unisono.data.sources.huggingface import named_sets, saved_sets
from unisono.data.sources.jsonl import ManifestSource
from unisono.data.sources.parquet import KeptGroups, ParquetSource
from unisono.data.sources.shards import TarSource
from unisono.errors import DataError

ACCEPTED = (
    "a JSONL manifest (.jsonl), a Parquet file (.parquet), a list of such files (.txt, .list), "
    "WebDataset shards (.tar, braces as in shard-{000..099}.tar), a folder of Parquet or tar "
    "files or of audio, a config of scenes (.yaml), a folder of datasets' save_to_disk, or "
    "hf:NAME for load_dataset"
)
"""Forms of an entry, for messages."""

# What datasets' save_to_disk leaves in the folder of several splits, and of one.
_SAVED = (("dataset_dict.json",), ("dataset_info.json", "state.json"))
_LISTS = {".txt", ".list", ".lst"}
_SCENES = {".yaml", ".yml"}
# A list may name lists; deeper than this it names itself.
_DEPTH = 8


class Opener:
    """Opens entries; what their Parquet files keep in memory is shared (ours).

    Args:
        index: folder for index files; None keeps them beside the data.
    """

    def __init__(self, index: Path | None = None) -> None:
        self._index = index
        self._kept = KeptGroups()

    def open(self, entry: str | Path) -> Iterator[tuple[Source, int]]:
        """The sources of one entry with their integer weights, in a fixed order.

        Args:
            entry: `PATH` or `PATH?key=value&…`, see `ACCEPTED` and `SourceOptions`.

        Raises:
            DataError: nothing there, or nothing that is known.
        """
        path, options = parse_entry(str(entry))
        if options.index is None and self._index is not None:
            options = options.model_copy(update={"index": self._index})
        yield from self._resolve(path, options, 0)

    def _resolve(
        self, path: str, options: SourceOptions, depth: int
    ) -> Iterator[tuple[Source, int]]:
        if path.startswith("hf:"):
            yield from ((found, options.weight) for found in named_sets(path[3:], options))
            return
        paths = _expand(path)
        if not paths:
            raise DataError(f"{path}: no such file or folder; give {ACCEPTED}")
        for each in paths:
            for source, weight in self._open(each, options, depth):
                yield source, weight * options.weight

    def _open(self, path: Path, options: SourceOptions, depth: int) -> Iterator[tuple[Source, int]]:
        if path.is_dir():
            yield from ((source, 1) for source in self._open_folder(path, options))
        elif path.suffix == ".jsonl":
            yield ManifestSource(path, options), 1
        elif path.suffix == ".parquet":
            yield _or_none(path, ParquetSource, options, self._kept), 1
        elif path.suffix == ".tar":
            yield _or_none(path, TarSource, options), 1
        elif path.suffix in _SCENES:
            # Composing reads clips of other sources: it stands above this module.
            from unisono.data.sources.scenes import ScenesSource

            yield ScenesSource(path, options), 1
        elif path.suffix in _LISTS:
            yield from self._open_list(path, options, depth)
        else:
            raise DataError(f"{path}: of no known kind; give {ACCEPTED}")

    def _open_folder(self, folder: Path, options: SourceOptions) -> list[Source]:
        if any(all((folder / name).is_file() for name in names) for names in _SAVED):
            return list(saved_sets(folder, options))
        parquet, tars = sorted(folder.rglob("*.parquet")), sorted(folder.rglob("*.tar"))
        audio = audio_files(folder)
        kinds = [name for name, found in
                 (("Parquet", parquet), ("tar", tars), ("audio", audio)) if found]  # fmt: skip
        if len(kinds) > 1:
            raise DataError(
                f"{folder}: holds {' and '.join(kinds)} files; name the ones you mean, as in "
                f"{folder}/*.{'parquet' if parquet else 'tar'}"
            )
        named = options.model_copy(update={"source": options.source or folder.name})
        if parquet:
            return [_or_none(path, ParquetSource, named, self._kept) for path in parquet]
        if tars:
            return [_or_none(path, TarSource, named) for path in tars]
        if audio:
            return [FolderSource(folder, options)]
        raise DataError(f"{folder}: no audio, Parquet or tar file in this folder; give {ACCEPTED}")

    def _open_list(
        self, path: Path, options: SourceOptions, depth: int
    ) -> Iterator[tuple[Source, int]]:
        """Lines `PATH` or `PATH WEIGHT`, relative to the list's folder; `#` begins a remark."""
        if depth >= _DEPTH:
            raise DataError(
                f"{path}: lists name lists more than {_DEPTH} deep; does one name itself?"
            )
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            raise DataError(f"{path}: cannot be read as a list of files ({error})") from error
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            found = re.fullmatch(r"(.*\S)\s+(\d+)", text)
            named, weight = (found[1], int(found[2])) if found else (text, 1)
            own, said = parse_entry(named)
            if not own.startswith("hf:"):
                # A list written elsewhere may be relative to where its user works.
                beside = str(path.parent / own)
                own = beside if _expand(beside) or not _expand(own) else own
            settings = options.model_dump(exclude={"weight"}, exclude_defaults=True)
            settings |= said.model_dump(exclude_defaults=True)
            try:
                for source, times in self._resolve(own, SourceOptions(**settings), depth + 1):
                    yield source, weight * times
            except DataError as error:
                raise DataError(f"{path}, line {number}: {error}") from error


def _or_none(path: Path, kind: Callable[..., Source], *arguments: Any) -> Source:
    """A file's source, or one without clips that says why the file is of no use."""
    try:
        return kind(path, *arguments)
    except DamagedFileError as error:
        return NoSource(path, error)


def expand_braces(pattern: str) -> list[str]:
    """Shell-like braces: `{a,b}` and `{000..099}` (leading zeros kept), nested or several."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    span = re.fullmatch(r"(\d+)\.\.(\d+)", found[1])
    if span:
        first, last = int(span[1]), int(span[2])
        width = len(span[1]) if span[1].startswith("0") else 0
        parts = [f"{n:0{width}d}" for n in range(first, last + 1)]
    elif "," in found[1]:
        parts = found[1].split(",")
    else:
        raise DataError(f"{pattern}: braces hold a range as 000..099 or names with commas")
    texts = (pattern[: found.start()] + part + pattern[found.end() :] for part in parts)
    return list(itertools.chain.from_iterable(map(expand_braces, texts)))


def _expand(path: str) -> list[Path]:
    """Existing paths of a pattern; a file that only braces name and that is missing is an error."""
    if Path(path).exists():
        return [Path(path)]
    found: list[Path] = []
    for text in expand_braces(path):
        if any(sign in text for sign in "*["):
            root = Path(Path(text).anchor)
            found += sorted(root.glob(str(Path(text).relative_to(root))))
        elif Path(text).exists():
            found.append(Path(text))
        elif "{" in path:
            raise DataError(f"{path}: {text} does not exist; correct the braces")
    return found
