"""Metrics that may fail: a figure, or the reason why there is none, never a made-up number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from unisono.errors import UnisonoError


class MetricError(UnisonoError):
    """A metric that has no value for this input; the message says why."""


@dataclass(frozen=True)
class Figure:
    """A metric's value, or None with the reason in `failed`; `count` inputs went into it."""

    value: float | None
    failed: str = ""
    count: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON: value and count, and `failed` where something did."""
        plain: dict[str, Any] = {"value": self.value, "count": self.count}
        return {**plain, "failed": self.failed} if self.failed else plain

    def text(self, digits: int = 3) -> str:
        """One cell of a table: the number, or `failed: reason`."""
        if self.value is None:
            return f"failed: {self.failed}"
        note = f" ({self.failed})" if self.failed else ""
        return f"{self.value:.{digits}f}{note}"


def attempt(metric: Callable[..., float], *inputs: Any) -> Figure:
    """`metric(*inputs)` as a figure; a `UnisonoError` (missing extra, no value) becomes its reason.

    Other exceptions are defects and pass.
    """
    try:
        return Figure(float(metric(*inputs)))
    except UnisonoError as error:
        return Figure(None, str(error), 0)


def mean(figures: Sequence[Figure]) -> Figure:
    """Unweighted mean of those that have a value; says how many had none, and the first reason."""
    values = [figure.value for figure in figures if figure.value is not None]
    reasons = [figure.failed for figure in figures if figure.value is None]
    if not values:
        return Figure(None, reasons[0] if reasons else "there is no clip", 0)
    note = f"{len(reasons)} of {len(figures)} failed, first: {reasons[0]}" if reasons else ""
    return Figure(sum(values) / len(values), note, len(values))
