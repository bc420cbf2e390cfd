"""Cached states of frozen lower layers, so that a training step runs only what it trains.

A cache folder holds one fp16 array a kind for all sequences together, and `index.jsonl` with one
line a sequence. It is written sequence by sequence; an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from unisono.errors import DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedSequence:
    """One line of the index: which clips, and where their rows lie."""

    clips: list[int]
    offset: int
    """First frame (token rate) in the arrays."""
    frames: int
    seconds: float


class StateCache:
    """Read side: memory-mapped arrays `NAME.f16` of `[total frames, width]`, sliced a sequence."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        try:
            self.widths: dict[str, int] = json.loads((folder / "meta.json").read_text())["widths"]
            lines = (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise DataError(f"{folder}: no state cache here; `unisono train` makes it") from error
        self.sequences = [CachedSequence(**json.loads(line)) for line in lines]
        self._arrays = {
            name: np.memmap(folder / f"{name}.f16", np.float16, "r").reshape(-1, width)
            for name, width in self.widths.items()
        }

    def __len__(self) -> int:
        return len(self.sequences)

    def read(self, name: str, index: int) -> np.ndarray:
        """Rows of one sequence: float32 `[frames, width]`."""
        sequence = self.sequences[index]
        rows = self._arrays[name][sequence.offset : sequence.offset + sequence.frames]
        return rows.astype(np.float32)


class JoinedCache:
    """Several caches as one, in order."""

    def __init__(self, parts: Sequence[StateCache]) -> None:
        self.parts = list(parts)
        self.widths = self.parts[0].widths
        self.sequences = [sequence for part in self.parts for sequence in part.sequences]
        self._first = np.cumsum([0, *map(len, self.parts)])

    def __len__(self) -> int:
        return len(self.sequences)

    def locate(self, index: int) -> tuple[int, int]:
        """Which part an index lies in, and its index there."""
        part = int(np.searchsorted(self._first, index, side="right")) - 1
        return part, index - int(self._first[part])

    def read(self, name: str, index: int) -> np.ndarray:
        """Rows of one sequence: float32 `[frames, width]`."""
        part, place = self.locate(index)
        return self.parts[part].read(name, place)


def write_cache(
    folder: Path,
    plan: Sequence[list[int]],
    compute: Callable[[list[int]], tuple[float, Mapping[str, np.ndarray]]],
    key: str,
) -> None:
    """Fill `folder` for every planned sequence that is not there yet.

    Args:
        plan: clips of each sequence, in order.
        compute: clips → (seconds, arrays `[frames, width]` of equal frame count).
        key: what the states depend on; a cache made with another key is an error.

    Raises:
        DataError: the folder holds a cache of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    meta = folder / "meta.json"
    done = 0
    frames = 0
    index = folder / "index.jsonl"
    if meta.exists():
        if json.loads(meta.read_text())["key"] != key:
            raise DataError(f"{folder}: states of other settings lie here; remove the folder")
        lines = [s for s in index.read_text(encoding="utf-8").split("\n")[:-1] if s]
        done = len(lines)
        if done:
            last = CachedSequence(**json.loads(lines[-1]))
            frames = last.offset + last.frames
        index.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    files: dict[str, object] = {}
    with index.open("a", encoding="utf-8") as lines_out:
        for number in range(done, len(plan)):
            clips = plan[number]
            seconds, arrays = compute(clips)
            if not files:
                widths = {name: array.shape[1] for name, array in arrays.items()}
                meta.write_text(json.dumps({"key": key, "widths": widths}))
                files = {name: _open(folder, name, frames, width) for name, width in widths.items()}
            count = {len(array) for array in arrays.values()}
            assert len(count) == 1, count
            for name, array in arrays.items():
                files[name].write(array.astype(np.float16).tobytes())  # type: ignore[attr-defined]
                files[name].flush()  # type: ignore[attr-defined]
            record = CachedSequence(clips, frames, count.pop(), round(seconds, 3))
            frames += record.frames
            lines_out.write(json.dumps(asdict(record)) + "\n")
            lines_out.flush()
            if (number + 1) % 100 == 0:
                log.info("cached %d of %d sequences", number + 1, len(plan))
    for file in files.values():
        file.close()  # type: ignore[attr-defined]


def add_weights(digest: hashlib._Hash, weights: Mapping[str, Tensor]) -> None:
    """Make a cache's key depend on every weight of a state dict, whatever its order."""
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())


def _open(folder: Path, name: str, frames: int, width: int) -> object:
    """The array's file, cut to the whole sequences that the index knows."""
    path = folder / f"{name}.f16"
    path.touch()
    file = path.open("r+b")
    file.truncate(frames * width * 2)
    file.seek(0, 2)
    return file
