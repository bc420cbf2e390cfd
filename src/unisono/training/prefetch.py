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


def prepared(make: Callable[[int], Any], steps: range, workers: int) -> Iterator[Any]:
    """`make(step)` for every step, in order; made by forked processes, two batches ahead each.

    Start it before the first use of a GPU: the workers keep this process's state of that moment,
    and cannot use CUDA. 0 workers: made when asked for, in this process; so it is where a
    process cannot be forked safely (Windows, macOS).
    """
    if workers and not sys.platform.startswith("linux"):
        log.info("data.workers: processes cannot be forked here, batches are made in the loop")
        workers = 0
    # The loader draws a seed; not from the global generator, whose numbers belong to the run.
    loader: DataLoader[Any] = DataLoader(
        _Steps(make),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        collate_fn=_unchanged,
        worker_init_fn=_ignore_signals,
        multiprocessing_context=multiprocessing.get_context("fork") if workers else None,
        generator=torch.Generator(),
    )
    # The iterator is made here and not at the first batch: that is when the workers start.
    return _raising(iter(loader))


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


def _raising(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        if isinstance(batch, _Failure):
            raise batch.error
        yield batch


def _unchanged(batch: Any) -> Any:
    return batch


def _ignore_signals(worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach all processes; the loop still needs its batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
