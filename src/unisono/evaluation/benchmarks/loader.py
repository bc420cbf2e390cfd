"""How fast clips come from each kind of source: the same clips in every form, in one run."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from unisono.audio import Audio
from unisono.data.dataset import ClipSet
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.errors import require_extra

Augment = Callable[[np.ndarray, int], np.ndarray]
"""(samples, number of the read) → samples."""

SHARD_CLIPS = 64
"""Clips in a tar shard, rows in a Parquet row group."""


def measure(
    forms: dict[str, str], rate: int, reads: int, augment: Augment | None = None
) -> list[dict[str, Any]]:
    """One row a form: seconds to open it anew and with its index, clips/s, audio h/min.

    Args:
        forms: name → entry, as `write_forms` gives.
        rate: sample rate in Hz of what is read.
        reads: clips to read, in the same random order for every form.
        augment: applied to every clip for a second measurement.
    """
    rows = []
    for name, entry in forms.items():
        first, clips = _opened(entry, rate)
        again, _ = _opened(entry, rate)
        row: dict[str, Any] = {
            "form": name,
            "clips": len(clips),
            "open_seconds": first,
            "open_again_seconds": again,
            "plain": _throughput(clips, reads, None),
        }
        if augment is not None:
            row["augmented"] = _throughput(clips, reads, augment)
        rows.append(row)
    return rows


def write_forms(clips: Sequence[tuple[Audio, str]], folder: Path) -> dict[str, str]:
    """Write clips with their texts in every form that training reads: form → entry."""
    encoded = [(_flac(audio), text) for audio, text in clips]
    entries = {
        "folder": _write_folder(encoded, folder / "folder"),
        "manifest": _write_manifest(clips, folder / "folder", folder / "manifest.jsonl"),
        "WebDataset": _write_shards(encoded, folder),
        "Parquet": _write_parquet(encoded, folder / "clips.parquet"),
        "Hugging Face": _write_saved(encoded, folder / "saved"),
    }
    return {name: str(entry) for name, entry in entries.items()}


def synthetic_clips(count: int, seconds: tuple[float, float], rate: int) -> list[tuple[Audio, str]]:
    """Noise with speech-like swelling, of lengths uniform in `seconds`: compresses like speech."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(count):
        length = round(rng.uniform(*seconds) * rate)
        swell = np.abs(np.sin(np.arange(length) * (2 * np.pi * 2.5 / rate))) ** 2
        noise = np.cumsum(rng.standard_normal(length)) % 8 - 4
        clips.append((Audio((0.02 * swell * noise).astype(np.float32), rate), f"clip {number}"))
    return clips


def _throughput(clips: ClipSet, reads: int, augment: Augment | None) -> dict[str, float]:
    order = np.random.default_rng(0).integers(0, len(clips), reads)
    # What is loaded at first use, such as scipy, is not the form's doing.
    for number in range(32 if augment is not None else 1):
        warm = clips.read(int(order[0]), 0.0, 0.05)
        if augment is not None:
            augment(warm, number)
    seconds = 0.0
    began = time.perf_counter()
    for number, index in enumerate(order):
        samples = clips.read(int(index))
        seconds += len(samples) / clips.rate
        if augment is not None:
            augment(samples, number)
    spent = time.perf_counter() - began
    return {"clips_per_second": reads / spent, "hours_per_minute": seconds / 60 / spent}


def _opened(entry: str, rate: int) -> tuple[float, ClipSet]:
    began = time.perf_counter()
    clips = ClipSet([entry], rate=rate)
    return time.perf_counter() - began, clips


def _flac(audio: Audio) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.samples.T, audio.rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _write_folder(clips: Sequence[tuple[bytes, str]], folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, (data, text) in enumerate(clips):
        (folder / f"{number:06d}.flac").write_bytes(data)
        (folder / f"{number:06d}.txt").write_text(text, encoding="utf-8")
    return folder


def _write_manifest(clips: Sequence[tuple[Audio, str]], folder: Path, path: Path) -> Path:
    items = [
        ManifestItem(path=f"{folder.name}/{n:06d}.flac", duration=audio.duration, text=text)
        for n, (audio, text) in enumerate(clips)
    ]
    write_manifest(path, items)
    return path


def _write_shards(clips: Sequence[tuple[bytes, str]], folder: Path) -> str:
    count = -(-len(clips) // SHARD_CLIPS)
    for shard in range(count):
        with tarfile.open(folder / f"shard-{shard:05d}.tar", "w") as tar:
            first = shard * SHARD_CLIPS
            for number, (data, text) in enumerate(clips[first : first + SHARD_CLIPS], start=first):
                facts = json.dumps({"text": text}).encode()
                for ending, content in (("flac", data), ("json", facts)):
                    info = tarfile.TarInfo(f"{number:06d}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return f"{folder}/shard-{{{0:05d}..{count - 1:05d}}}.tar"


def _columns(clips: Sequence[tuple[bytes, str]]) -> dict[str, list[Any]]:
    audio = [{"bytes": data, "path": f"{n:06d}.flac"} for n, (data, _) in enumerate(clips)]
    return {"audio": audio, "text": [text for _, text in clips]}


def _write_parquet(clips: Sequence[tuple[bytes, str]], path: Path) -> Path:
    arrow = require_extra("pyarrow", "parquet")
    parquet = require_extra("pyarrow.parquet", "parquet")
    parquet.write_table(arrow.table(_columns(clips)), path, row_group_size=SHARD_CLIPS)
    return path


def _write_saved(clips: Sequence[tuple[bytes, str]], folder: Path) -> Path:
    hf = require_extra("datasets", "datasets")
    # Cast after the making: from encoded bytes, Audio would want torchcodec to encode them anew.
    made = hf.Dataset.from_dict(_columns(clips)).cast_column("audio", hf.Audio(decode=False))
    # Its progress bar belongs to no benchmark's output.
    shown = hf.is_progress_bar_enabled()
    hf.disable_progress_bars()
    made.save_to_disk(str(folder))
    if shown:
        hf.enable_progress_bars()
    return folder
