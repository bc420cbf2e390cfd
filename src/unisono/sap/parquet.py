"""Scenes as Parquet: `audio` (FLAC bytes) and `sap`, the reference's format, with a list file.

Files are functions of config, seed and number: a run that was stopped goes on with the next file.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

from unisono.data.effects import Wave
from unisono.errors import DataError, require_extra
from unisono.sap.compose import SceneSet
from unisono.sap.scene import Scene
from unisono.storage.atomic import atomic_path, write_bytes

__all__ = ["Field", "flac_bytes", "recipe", "scene_row", "write_scenes"]

Field = Literal["sap", "caption", "text", "emotion"]

_GROUP = 64
"""Rows of a row group: one clip in random order costs the reading of its whole group."""
_LIST = "scenes.txt"
_RECIPE = "recipe.json"


def write_scenes(
    scenes: SceneSet,
    folder: str | Path,
    count: int,
    rows: int = 512,
    fields: Sequence[Field] = ("sap",),
    weight: int = 1,
    done: Callable[[], None] = lambda: None,
) -> Path:
    """Write scenes 0 to `count` - 1 below `folder`; the path of the list file that names them.

    Whole files of an earlier run with the same config and seed are left as they are.

    Args:
        rows: scenes in a file.
        fields: what is written beside the audio; the reference's loader takes one.
        weight: how often the files count, in the list file.
        done: called after each scene.

    Raises:
        DataError: the folder holds scenes of another config or seed, or cannot be written.
    """
    folder = Path(folder)
    names = [
        f"{scenes.config.split}-{part:05d}.parquet" for part in range(-(-count // rows))
    ]  # fmt: skip
    _claim(folder, {**recipe(scenes), "rows": rows, "fields": list(fields)})
    for part, name in enumerate(names):
        numbers = range(part * rows, min(count, (part + 1) * rows))
        if _whole(folder / name, len(numbers)):
            for _ in numbers:
                done()
            continue
        _write_file(scenes, folder / name, numbers, fields, done)
    listed = "".join(f"{name} {weight}\n" if weight != 1 else f"{name}\n" for name in names)
    write_bytes(folder / _LIST, listed.encode(), DataError)
    return folder / _LIST


def recipe(scenes: SceneSet) -> dict[str, Any]:
    """All that decides what the scenes hold, beside the sounds themselves: plain data."""
    table = scenes.config.speech.speakers
    return {
        "config": scenes.config.model_dump(mode="json", exclude={"size"}),
        "seed": scenes.seed,
        "voices": hashlib.sha256(table.read_bytes()).hexdigest() if table else None,
    }


def scene_row(scene: Scene, fields: Sequence[Field] = ("sap",)) -> dict[str, Any]:
    """A scene as a record: audio, its label in the fields asked for, and what loaders like to know.

    `parts` is JSON: the facts that the label is made of.
    """
    label = {
        "sap": scene.sap.canonical(),
        "caption": scene.caption,
        "text": scene.text,
        "emotion": scene.emotion,
    }
    return {
        "audio": flac_bytes(scene.samples, scene.rate),
        **{name: label[name] for name in fields},
        "duration": scene.seconds,
        "kind": scene.kind,
        "language": scene.language,
        "speaker": scene.speaker,
        "phonemes": scene.phonemes,
        "parts": json.dumps([part.facts() for part in scene.parts], ensure_ascii=False),
    }


def flac_bytes(samples: Wave, rate: int) -> bytes:
    """Mono samples `[n]` as a FLAC file of 16 bits."""
    buffer = io.BytesIO()
    # Rounded here: libsndfile truncates floats, which would be half a step off.
    steps = np.clip(np.round(samples.astype(np.float64) * 32768), -32768, 32767)
    soundfile.write(buffer, steps.astype(np.int16), rate, "PCM_16", format="FLAC")
    return buffer.getvalue()


def _write_file(
    scenes: SceneSet, path: Path, numbers: range, fields: Sequence[Field], done: Callable[[], None]
) -> None:
    arrow = require_extra("pyarrow", "parquet")
    pq = require_extra("pyarrow.parquet", "parquet")
    types = {"audio": arrow.binary(), "duration": arrow.float64()}
    names = ("audio", *fields, "duration", "kind", "language", "speaker", "phonemes", "parts")
    schema = arrow.schema([(name, types.get(name, arrow.string())) for name in names])
    with (
        atomic_path(path, DataError) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for first in range(numbers.start, numbers.stop, _GROUP):
            group = []
            for number in range(first, min(first + _GROUP, numbers.stop)):
                group.append(scene_row(scenes.compose(number)[0], fields))
                done()
            writer.write_table(arrow.Table.from_pylist(group, schema=schema))


def _whole(path: Path, rows: int) -> bool:
    """Whether an earlier run has written this file, with so many rows."""
    pq = require_extra("pyarrow.parquet", "parquet")
    try:
        return path.is_file() and pq.ParquetFile(path).metadata.num_rows == rows
    except (OSError, ValueError):
        return False


def _claim(folder: Path, recipe: dict[str, Any]) -> None:
    """Leave the recipe in the folder, or compare it with the one that lies there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / _RECIPE
        if known.exists():
            if json.loads(known.read_text(encoding="utf-8")) == recipe:
                return
            raise DataError(
                f"{folder} holds scenes of another config, seed or table of voices; name another "
                "folder, or delete this one"
            )
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: cannot be used for scenes ({error})") from error
    write_bytes(known, json.dumps(recipe, indent=1).encode(), DataError)
