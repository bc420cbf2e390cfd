"""Batches prepared ahead of the loop, in order; the numbers do not depend on who prepares them."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from unisono.errors import UnisonoError, require_extra

log = logging.getLogger(__name__)

_GRACE = 120  # seconds that a worker lives on after SIGTERM


class Batches:
    """`make(step)` for every step, in order; made by forked processes, two batches ahead each.

    Start it before the first use of a GPU: the workers keep this process's state of that moment,
    and cannot use CUDA. A context manager: leaving it ends the workers.

    Args:
        make: a pure function of the step; what it returns is a tensor, or holds tensors.
        steps: which ones.
        workers: how many processes. 0: made when asked for, in this process; so it is where a
            process cannot be forked safely (Windows, macOS).
    """

    def __init__(self, make: Callable[[int], Any], steps: range, workers: int) -> None:
        if workers and not sys.platform.startswith("linux"):
            log.info("data.workers: processes cannot be forked here, batches are made in the loop")
            workers = 0
        workers = min(workers, len(steps))
        loader: DataLoader[Any] = DataLoader(
            _Steps(make),
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            collate_fn=_unchanged,
            worker_init_fn=_outlast_signals,
            multiprocessing_context=multiprocessing.get_context("fork") if workers else None,
            # It draws a seed; not from the global generator, whose numbers belong to the run.
            generator=torch.Generator(),
        )
        self._batches: Any = iter(loader)  # starts the workers

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        # Not left to the iterator's end of life: a traceback may keep it alive.
        if hasattr(self._batches, "_shutdown_workers"):
            self._batches._shutdown_workers()

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            if isinstance(batch, _Failure):
                raise batch.error
            yield batch


def to_device(batch: Any, device: torch.device) -> Any:
    """`batch` with every tensor in it on `device`; dataclasses, containers and tensors."""
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        moved = {
            field.name: to_device(getattr(batch, field.name), device)
            for field in dataclasses.fields(batch)
            if field.init
        }
        return dataclasses.replace(batch, **moved)
    return require_extra("accelerate.utils", "train").send_to_device(batch, device)


@dataclasses.dataclass(frozen=True)
class _Failure:
    """A user's mistake met by a worker, on its way to the loop with its sentence unchanged."""

    error: UnisonoError


class _Steps(Dataset[Any]):
    """The batches as a map from step to batch."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make = make

    def __getitem__(self, step: int) -> Any:
        try:
            return self.make(step)
        except UnisonoError as error:
            return _Failure(error)


def _unchanged(batch: Any) -> Any:
    return batch


def _outlast_signals(worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach all processes; the loop still needs its batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not ignored for ever: it is also how a parent that failed ends its children.
    signal.signal(signal.SIGTERM, _end_later)


def _end_later(number: int, frame: object) -> None:
    signal.alarm(_GRACE)
