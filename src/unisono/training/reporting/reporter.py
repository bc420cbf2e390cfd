"""The reporter of a training run: takes figures and samples, passes them on to every place."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from rich.console import Console

from unisono.errors import MissingExtraError
from unisono.storage.audio_writer import write_blocks
from unisono.training.config import TrainConfig
from unisono.training.reporting.board import Board
from unisono.training.reporting.figures import Sample, draw
from unisono.training.reporting.metrics_file import MetricsFile
from unisono.training.reporting.terminal import Terminal

log = logging.getLogger(__name__)


class Reporter:
    """Logs of one run: terminal, `metrics.jsonl`, `tensorboard/`, `samples/` (ours).

    Args:
        run: the run folder; made if missing.
        config: steps, logging interval and the task's name come from it.
        main: whether this process reports; the others' reporters do nothing.
        terminal: whether to show progress: a live line in a terminal, else a log line every
            `log_every` steps.
        start: the step that the run resumes from; what a killed run reported after it is dropped.
        console: where the live line is drawn; standard error by default.
    """

    def __init__(
        self,
        run: Path,
        config: TrainConfig,
        main: bool = True,
        terminal: bool = True,
        start: int = 0,
        console: Console | None = None,
    ) -> None:
        self.run = run
        self.main = main
        self._every, self._steps = config.log_every, config.steps
        if not main:
            return
        run.mkdir(parents=True, exist_ok=True)
        self._metrics = MetricsFile(run / "metrics.jsonl", start)
        self._board = Board.open(run / "tensorboard", start)
        self._terminal = Terminal(config.task, config.steps, start, shown=terminal, console=console)
        self._pictures = True
        self._window = _Window()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def step(self, done: int, figures: Mapping[str, float], seconds: float) -> None:
        """Take the figures of a step, `done` steps in all; means go out every `log_every`.

        `seconds` of audio are those of the batches of all processes together, 0 when unknown. A
        figure's mean is over the steps that gave it. Figures with a part `rate` or `lr` in their
        name (`rate/encoder`) are shown as learning rates, those that end in `loss` as losses.
        """
        if not self.main:
            return
        self._window.add(figures, seconds)
        if done % self._every == 0 or done == self._steps:
            means = self._window.means()
            self._metrics.write(done, means)
            self._board.scalars(done, {_training_tag(key): v for key, v in means.items()})
            self._terminal.figures(done, means)
            self._window = _Window()
        self._terminal.advance(done)

    def evaluation(self, done: int, figures: Mapping[str, float]) -> None:
        """Figures on held-out data, as the task names them; written as `valid/NAME`."""
        if not self.main:
            return
        named = {f"valid/{key}": float(value) for key, value in figures.items()}
        self._metrics.write(done, named)
        self._board.scalars(done, named)
        self._terminal.line(done, named)
        self._window.skip_time()

    def samples(self, done: int, samples: Mapping[str, Sample]) -> None:
        """Write each sample to `samples/step-XXXXXXXX/NAME.wav` and `.png`, and to TensorBoard."""
        if not self.main or not samples:
            return
        folder = self.run / "samples" / f"step-{done:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, sample in samples.items():
            stem = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "sample"
            if sample.audio is not None and sample.audio.numel():
                wave = _playable(sample.audio)
                write_blocks(folder / f"{stem}.wav", [wave], sample.rate, len(wave))
                self._board.audio(done, f"samples/{name}", wave, sample.rate)
            self._picture(done, name, sample, folder / f"{stem}.png")
        self._board.flush()
        self._window.skip_time()

    def close(self) -> None:
        """End the live line and close the files; a second call does nothing."""
        if not self.main:
            return
        self._terminal.close()
        self._board.close()
        self._metrics.close()

    def _picture(self, done: int, name: str, sample: Sample, path: Path) -> None:
        if not self._pictures:
            return
        try:
            picture = draw(path, sample, f"{name}, step {done}")
        except MissingExtraError as error:
            log.warning("no pictures of samples: %s", error)
            self._pictures = False
            return
        if picture is not None:
            self._board.image(done, f"samples/{name}", picture)


class _Window:
    """Figures and times of the steps since the last report."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}
        self._steps, self._audio, self._spent = 0, 0.0, 0.0
        self._mark = time.monotonic()

    def add(self, figures: Mapping[str, float], seconds: float) -> None:
        """One step that ended now."""
        now = time.monotonic()
        self._spent, self._mark = self._spent + now - self._mark, now
        self._steps, self._audio = self._steps + 1, self._audio + seconds
        for key, value in figures.items():
            self._values.setdefault(key, []).append(float(value))

    def skip_time(self) -> None:
        """The time since the last step went into something else than training."""
        self._mark = time.monotonic()

    def means(self) -> dict[str, float]:
        """Means of the figures, seconds a step and, where known, seconds of audio a second."""
        means = {key: sum(values) / len(values) for key, values in self._values.items()}
        means["step_seconds"] = self._spent / self._steps
        if self._audio > 0:
            means["audio_seconds_per_second"] = self._audio / max(self._spent, 1e-9)
        return means


def _training_tag(key: str) -> str:
    speed = key in ("step_seconds", "audio_seconds_per_second")
    return f"speed/{key}" if speed else f"train/{key}"


def _playable(audio: torch.Tensor) -> np.ndarray:
    """Samples as float32 `[n]` within ±1, without NaN, which no sound file can hold."""
    wave = audio.detach().to("cpu", torch.float32).flatten()
    return wave.nan_to_num(0.0, 1.0, -1.0).clamp(-1.0, 1.0).numpy()
