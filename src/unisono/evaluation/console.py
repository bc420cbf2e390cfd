"""Where the measurements of `benchmarks/` print their tables."""

from __future__ import annotations

from rich.console import Console


def open_console(width: int) -> Console:
    """The terminal as wide as it is, or `width` columns where there is none to ask."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
