from __future__ import annotations

import numpy as np
import pytest
import soundfile

from unisono.data.manifest import ManifestItem, write_manifest


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Nine short voiced clips with made-up phonemes, two of them held out."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    items = []
    for n in range(9):
        seconds = 0.6 + 0.1 * n
        time = np.arange(round(seconds * 16000)) / 16000
        tone = np.sin(2 * np.pi * (110 + 15 * n) * time) + np.sin(2 * np.pi * (440 + 9 * n) * time)
        wave = 0.2 * tone + 0.01 * rng.standard_normal(len(time))
        soundfile.write(folder / f"{n}.wav", wave, 16000)
        items.append(
            ManifestItem(
                path=f"{n}.wav",
                duration=seconds,
                phonemes="aba kid"[: 2 + n % 5].strip(),
                speaker=f"s{n % 2}",
                split="valid" if n > 6 else "train",
            )
        )
    write_manifest(folder / "debug.jsonl", items)
    return folder / "debug.jsonl"
