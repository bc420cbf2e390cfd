"""The printed form of a SAP report: figures, sounds by class, voices by speaker, protocol."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from unisono.evaluation.benchmarks.sap_scores import ClassScore, SapReport
from unisono.evaluation.metrics.bootstrap import Estimate

_SHOWN = 3
_LONGEST = 30  # letters of a label


def render(report: SapReport) -> Iterator[RenderableType]:
    """What to print, in order."""
    yield _figures(report)
    if report.speakers:
        yield _speakers(report.speakers)
    if report.classes:
        yield _classes(report.classes)
    for name, text in report.protocol.items():
        yield Text(f"{name}: {text}")


def _figures(report: SapReport) -> Table:
    table = _table(f"{report.model}: what it reads from tokens", ("figure",))
    for column in ("value", "95 %", "chance", "clips"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, figure in report.figures.items():
        table.add_row(name, *map(Text, cells(figure)))
    return table


def cells(figure: Estimate) -> tuple[str, str, str, str]:
    """Value, interval, chance and clips of a figure."""
    value = "–" if figure.value is None else f"{figure.value:.3f}"
    chance = "" if figure.chance is None else f"{figure.chance:.3f}"
    return value, figure.interval(), chance, str(figure.count or "")


def _speakers(speakers: dict[str, ClassScore]) -> Table:
    table = _table("gender by speaker", ("speaker", "is"))
    for column in ("clips", "right"):
        table.add_column(column, justify="right")
    table.add_column("answers")
    for name, score in speakers.items():
        row = (Text(name), score.truth, str(score.clips), _share(score.first, score.clips))
        table.add_row(*row, _answers(score, "unknown"))
    return table


def _classes(classes: dict[str, ClassScore]) -> Table:
    table = _table("sounds by class", ("class",))
    for column in ("clips", "first label", "any label"):
        table.add_column(column, justify="right")
    table.add_column("commonest first labels")
    for name, score in classes.items():
        shares = (_share(score.first, score.clips), _share(score.any, score.clips))
        table.add_row(Text(name), str(score.clips), *shares, _answers(score, "no event"))
    return table


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=Text(title), header_style="bold", title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _share(right: int, clips: int) -> str:
    return f"{right / clips:.2f}"


def _answers(score: ClassScore, blank: str) -> Text:
    """As plain text: what a model wrote may look like markup, and may be long."""
    shown = list(score.said.items())[:_SHOWN]
    names = (name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…" for name, _ in shown)
    counts = (count for _, count in shown)
    return Text(", ".join(f"{n or blank} {c}" for n, c in zip(names, counts, strict=True)))
