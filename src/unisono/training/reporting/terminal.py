"""Progress of a run for people: a live line in a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

log = logging.getLogger(__name__)

_REFRESH_SECONDS = 0.25


class Terminal:
    """Shows step, losses, learning rates, seconds of audio a second and the time left.

    In a terminal that is one live line, with the figures on held-out data and log messages above
    it. Elsewhere each report is a log line at level INFO. With `shown` False nothing is.
    """

    def __init__(
        self,
        title: str,
        steps: int,
        start: int = 0,
        shown: bool = True,
        console: Console | None = None,
    ) -> None:
        self._steps, self._first, self._began = steps, start, time.monotonic()
        self._shown, self._drawn = shown, 0.0
        self._progress: Progress | None = None
        self._diverted: list[tuple[logging.StreamHandler, object]] = []
        console = console or Console(stderr=True)
        if shown and console.is_terminal and not console.is_dumb_terminal:
            self._open(console, title, start)

    def figures(self, done: int, means: Mapping[str, float]) -> None:
        """Means of the training figures of the last steps."""
        if self._progress is not None:
            self._progress.update(self._bar, figures=summary(means))
        elif self._shown:
            log.info("step %d/%d  %s  left %s", done, self._steps, _pairs(means), self._left(done))

    def advance(self, done: int) -> None:
        """`done` steps are over."""
        if self._progress is None:
            return
        self._progress.update(self._bar, completed=done)
        now = time.monotonic()
        if now - self._drawn > _REFRESH_SECONDS or done == self._steps:
            self._progress.refresh()
            self._drawn = now

    def line(self, done: int, figures: Mapping[str, float]) -> None:
        """A line that stays: figures on held-out data."""
        if self._progress is not None:
            text = f"step {done}  {_pairs(figures)}"
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif self._shown:
            log.info("step %d/%d  %s", done, self._steps, _pairs(figures))

    def close(self) -> None:
        """End the live line; a second call does nothing."""
        if self._progress is None:
            return
        for handler, stream in self._diverted:
            handler.setStream(stream)
        self._diverted = []
        self._progress.stop()
        self._progress = None

    def _open(self, console: Console, title: str, start: int) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("[cyan]{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            # Drawn by the loop's own calls: a thread that draws would hold the console's lock
            # when a data loader forks.
            auto_refresh=False,
            speed_estimate_period=300.0,
        )
        self._bar = self._progress.add_task(title, total=self._steps, completed=start, figures="")
        before = sys.stderr
        self._progress.start()
        # Handlers made earlier hold the bare stderr and would write into the live line.
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                self._diverted.append((handler, handler.setStream(sys.stderr)))

    def _left(self, done: int) -> str:
        """Time left at the pace so far, evaluations included."""
        seconds = (time.monotonic() - self._began) / max(done - self._first, 1)
        return str(timedelta(seconds=round(seconds * (self._steps - done))))


def summary(means: Mapping[str, float]) -> str:
    """Losses, learning rates and speed in a few words: `loss 2.217 rate 3.0e-04 38.2 s/s`."""
    losses = {key: value for key, value in means.items() if key.split("/")[-1] == "loss"}
    rates = [value for key, value in means.items() if {"rate", "lr"} & set(key.split("/"))]
    if len(losses) == 1:
        parts = [f"loss {value:.4g}" for value in losses.values()]
    else:
        parts = [f"{key.removesuffix('/loss')} {value:.4g}" for key, value in losses.items()]
    if rates:
        distinct = sorted(set(rates), reverse=True)
        parts.append("rate " + "/".join(f"{rate:.1e}" for rate in distinct[:3]))
    if "audio_seconds_per_second" in means:
        parts.append(f"{means['audio_seconds_per_second']:.3g} s/s")
    return "  ".join(parts)


def _pairs(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
