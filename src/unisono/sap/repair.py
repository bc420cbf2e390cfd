"""What a lenient reading changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Repair:
    """One change: `field` is a dotted path, or empty for the text as a whole."""

    field: str
    change: str

    def __str__(self) -> str:
        return f"{self.field}: {self.change}" if self.field else self.change
