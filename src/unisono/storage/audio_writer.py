"""Writing audio as it is made, in bounded memory; the file appears only when complete."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from unisono.audio import encodable, format_of
from unisono.errors import AudioError
from unisono.storage.atomic import atomic_path


def write_blocks(
    path: str | os.PathLike[str], blocks: Iterable[np.ndarray], rate: int, length: int = 0
) -> None:
    """Write mono float32 blocks `[n]` at `rate` Hz to `path`; the suffix names the format.

    `length` is the number of samples to come, as far as known.
    """
    path = Path(path)
    container, subtype = format_of(path)
    # A wav header counts bytes in 32 bits; RF64 is the same with 64.
    if container == "WAV" and length * 2 > 0xFFF00000:
        container = "RF64"
    with atomic_path(path, AudioError) as temporary:
        try:
            with soundfile.SoundFile(
                os.fspath(temporary), "w", rate, 1, subtype, format=container
            ) as sound:
                for block in blocks:
                    sound.write(encodable(block[:, None], subtype))
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip(" .")
            raise AudioError(
                f"cannot write {path}: {container} does not take {rate} Hz ({reason}); write .wav"
            ) from error
