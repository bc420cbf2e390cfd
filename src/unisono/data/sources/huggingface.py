"""Hugging Face data sets with undecoded audio as a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.data.decode import header_seconds, read_mono
from unisono.data.sources.base import (
    COLUMNS,
    SourceOptions,
    check_facts,
    facts,
    make_item,
    split_named,
)
from unisono.data.sources.index import Index, index_path, kept_index
from unisono.data.sources.parquet import encoded
from unisono.errors import DataError, UnisonoError, require_extra


class HuggingFaceSource:
    """Rows of a `datasets.Dataset`; audio stays encoded until it is read.

    Args:
        dataset: with random access (not streaming).
        options: `audio` names the column; else `audio`, or the first of type Audio.
        name: what the clips' source is called.
        split: the data set's own split, such as `validation`.
        folder: where the index may be kept; None keeps none.
    """

    def __init__(
        self,
        dataset: Any,
        options: SourceOptions | None = None,
        name: str = "dataset",
        split: str = "",
        folder: Path | None = None,
    ) -> None:
        hf = require_extra("datasets", "datasets")
        if not isinstance(dataset, hf.Dataset):
            raise DataError(
                f"{name}: a {type(dataset).__name__} has no random access; load it without "
                "streaming and give one split"
            )
        options = options or SourceOptions()
        self.name, self.split = name, split
        self.column = options.audio or _audio_column(dataset, hf, name)
        if self.column not in dataset.column_names:
            raise DataError(
                f"{name}: no column {self.column!r}, only {', '.join(dataset.column_names)}"
            )
        if isinstance(dataset.features[self.column], hf.Audio):
            dataset = dataset.cast_column(self.column, hf.Audio(decode=False))
        self._audio = dataset.select_columns([self.column])
        self._root = folder or Path()
        if folder is None and options.index is None:
            index = self._build(dataset)
        else:
            place = index_path(folder or Path(name), options.index)
            place = place.with_name(f"{place.name}-{split}") if split else place
            stamp = [dataset._fingerprint, len(dataset), self.column]
            index = kept_index(place, stamp, lambda: self._build(dataset))
        self.failures: Mapping[str, str] = index.failures
        self._rows = [row["row"] for row in index.rows]
        self.items = []
        known_split = split_named(split) if split else None
        for row in index.rows:
            known = ({"split": known_split} if known_split else {}) | row["facts"]
            path = f"{split or name}/{row['row']}"
            self.items.append(make_item(path, row["duration"], known, options, name))

    def read(self, index: int, offset: float, duration: float, rate: int) -> NDArray[np.float32]:
        """See `Source.read`."""
        where = self.where(index)
        audio = self._audio[self._rows[index]][self.column]
        return read_mono(encoded(audio, self._root, where), where, offset, duration, rate)

    def where(self, index: int) -> str:
        """Data set and row."""
        return self._where(self._rows[index])

    def _where(self, row: int) -> str:
        return f"{self.name}{f' {self.split}' if self.split else ''}, row {row}"

    def _build(self, dataset: Any) -> Index:
        index = Index()
        columns = [name for name in dataset.column_names if name in COLUMNS - {self.column}]
        names = {
            column: feature.int2str
            for column, feature in dataset.features.items()
            if column in columns and hasattr(feature, "int2str")
        }
        table = dataset.select_columns(columns) if columns else None
        for row in range(len(dataset)):
            where = self._where(row)
            record = dict(table[row]) if table is not None else {}
            for column, spell in names.items():
                if record[column] is not None and record[column] >= 0:
                    record[column] = spell(record[column])
            known = facts(record)
            known.pop("duration", None)
            try:
                audio = self._audio[row][self.column]
                seconds = header_seconds(encoded(audio, self._root, where), where)
                check_facts(known)
            except (UnisonoError, OSError) as error:
                index.failures[where] = str(error)
                continue
            index.rows.append({"row": row, "duration": seconds, "facts": known})
        return index


def saved_sets(folder: Path, options: SourceOptions) -> list[HuggingFaceSource]:
    """The data set, or all splits of it, that `save_to_disk` wrote into a folder."""
    hf = require_extra("datasets", "datasets")
    try:
        loaded = hf.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: not a whole saved data set ({error})") from error
    return _sources(hf, loaded, options, folder.name, folder)


def named_sets(name: str, options: SourceOptions) -> list[HuggingFaceSource]:
    """What `datasets.load_dataset` makes of a local folder or a name on the hub."""
    hf = require_extra("datasets", "datasets")
    try:
        loaded = hf.load_dataset(name, options.name)
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise DataError(f"hf:{name}: datasets cannot load it ({reason})") from error
    # The index lies beside the Arrow files that datasets made.
    first = next(iter(loaded.values())) if isinstance(loaded, hf.DatasetDict) else loaded
    files = first.cache_files
    folder = Path(files[0]["filename"]).parent if files else None
    return _sources(hf, loaded, options, Path(name).name, folder)


def _sources(
    hf: Any, loaded: Any, options: SourceOptions, name: str, folder: Path | None
) -> list[HuggingFaceSource]:
    if not isinstance(loaded, hf.DatasetDict):
        return [HuggingFaceSource(loaded, options, name, "", folder)]
    return [
        HuggingFaceSource(part, options, name, str(split), folder) for split, part in loaded.items()
    ]


def _audio_column(dataset: Any, hf: Any, name: str) -> str:
    if "audio" in dataset.column_names:
        return "audio"
    for column, feature in dataset.features.items():
        if isinstance(feature, hf.Audio):
            return str(column)
    raise DataError(
        f"{name}: no column of audio, only {', '.join(dataset.column_names)}; name it as "
        "path?audio=COLUMN"
    )
