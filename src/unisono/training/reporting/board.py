"""TensorBoard event files (extra `train`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unisono.errors import MissingExtraError, require_extra

log = logging.getLogger(__name__)


class Board:
    """Writes event files through `writer` (torch's SummaryWriter); None: writes nothing."""

    def __init__(self, writer: Any = None) -> None:
        self._writer = writer

    @classmethod
    def open(cls, folder: Path, start: int) -> Board:
        """Events in `folder`; those of steps after `start`, from a killed run, are hidden.

        Without the package one warning is logged and the board stays empty.
        """
        try:
            require_extra("tensorboard", "train")
            writer = require_extra("torch.utils.tensorboard", "train").SummaryWriter
        except MissingExtraError as error:
            log.warning("no TensorBoard files: %s", error)
            return cls()
        return cls(writer(str(folder), purge_step=start + 1))

    def scalars(self, step: int, figures: Mapping[str, float]) -> None:
        """One curve for each figure; on disk when this returns."""
        if self._writer is None:
            return
        for tag, value in figures.items():
            self._writer.add_scalar(tag, value, step)
        self._writer.flush()

    def audio(self, step: int, tag: str, wave: np.ndarray, rate: int) -> None:
        """A sound `[n]` within ±1 that can be played in the browser."""
        if self._writer is not None and len(wave) > 1:
            self._writer.add_audio(tag, wave, step, sample_rate=rate)

    def image(self, step: int, tag: str, picture: np.ndarray) -> None:
        """A picture `[height, width, 3]`, uint8."""
        if self._writer is not None:
            self._writer.add_image(tag, picture, step, dataformats="HWC")

    def flush(self) -> None:
        """Bring everything to disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Close the event file; a second call does nothing."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
