"""The printed forms of UniCodec's benchmark: Rich tables, or Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from unisono.evaluation.benchmarks import peers_table
from unisono.evaluation.benchmarks.unicodec import UniCodecReport
from unisono.evaluation.benchmarks.unicodec_conversion import ConversionResult, LongResult
from unisono.evaluation.benchmarks.unicodec_figure import TITLES
from unisono.evaluation.benchmarks.unicodec_probes import TASKS, ProbeResult
from unisono.evaluation.benchmarks.unicodec_streams import STREAMS
from unisono.evaluation.metrics.bootstrap import Estimate
from unisono.evaluation.result import Figure, mean

CONVERSION = {
    "to_reference": ("to reference", 3),
    "to_source": ("to source", 3),
    "own_to_reference": ("own to reference", 3),
    "gain": ("gain", 3),
    "share": ("nearer to reference", 2),
    "wer": ("WER", 3),
    "kept_wer": ("kept WER", 3),
    "own_wer": ("own WER", 3),
}
"""Estimate: title and digits."""


@dataclass
class _Grid:
    """A table before it is printed; notes say why cells are empty."""

    title: str
    head: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def render(report: UniCodecReport) -> Iterator[RenderableType]:
    """What to print: the tables of all parts, then how they were made."""
    if report.resynthesis is not None:
        yield from peers_table.render(report.resynthesis)
    for grid in _grids(report):
        table = Table(title=grid.title, header_style="bold")
        table.add_column(grid.head[0], no_wrap=True)
        for title in grid.head[1:]:
            table.add_column(title, justify="right")
        for row in grid.rows:
            table.add_row(*(cell.replace(" [", "\n[") for cell in row))
        yield table
        for note in grid.notes:
            yield Text(f"* {note}")
    for name, value in report.protocol.items():
        yield Text(f"{name}: {value}")


def markdown(report: UniCodecReport) -> str:
    """The tables in Markdown, each with its title and notes."""
    parts = []
    if report.resynthesis is not None:
        parts.append(f"**Resynthesis**\n\n{peers_table.markdown(report.resynthesis)}")
    for grid in _grids(report):
        lines = [f"**{grid.title[0].upper()}{grid.title[1:]}**", "", _row(grid.head)]
        lines.append("|---|" + "---:|" * (len(grid.head) - 1))
        lines += [_row(row) for row in grid.rows]
        lines += ["", *(f"\\* {note}  " for note in grid.notes)] if grid.notes else []
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _grids(report: UniCodecReport) -> Iterator[_Grid]:
    if report.conversion:
        yield _conversions(report.conversion)
    if report.long:
        yield _long(report.long)
    if report.probes is not None:
        yield _probes(report.probes)


def _conversions(groups: Sequence[ConversionResult]) -> _Grid:
    titles = [title for title, _ in CONVERSION.values()]
    grid = _Grid("voice conversion by G: speaker similarity", ["voices", "pairs", *titles])
    for group in groups:
        cells = [
            _cell(group.estimates[name], digits, f"{group.name} {title}", grid)
            for name, (title, digits) in CONVERSION.items()
        ]
        head = f"{group.name} ({len(group.voices)})"
        grid.rows.append([head, str(len(group.pairs)), *cells])
    return grid


def _long(found: Sequence[LongResult]) -> _Grid:
    head = ["voice", "seconds", "original, first to last", "decoded, first to last",
            "decoded to original, first", "mean", "last"]  # fmt: skip
    grid = _Grid("one voice over time: speaker similarity", head)
    for one in found:
        figures = [one.original, one.decoded, one.kept[0], mean(one.kept), one.kept[-1]]
        cells = [_figure(figure, one.voice, grid) for figure in figures]
        grid.rows.append([one.voice, f"{one.seconds:.1f}", *cells])
    return grid


def _probes(found: ProbeResult) -> _Grid:
    head = ["stream", *(f"{TITLES[task]}{_unit(task)}" for task in TASKS)]
    languages = ", ".join(f"{name} {len(own)}" for name, own in found.speakers.items())
    grid = _Grid(f"linear probes on {found.clips} clips, speakers: {languages or 'none'}", head)
    for stream, short in STREAMS.items():
        row = found.matrix[stream]
        cells = [_cell(row[task], 3, f"{short} {TITLES[task]}", grid) for task in TASKS]
        grid.rows.append([f"{short} {stream}", *cells])
    chances = [max(row[task].chance or 0.0 for row in found.matrix.values()) for task in TASKS]
    grid.rows.append(["chance", *(f"{chance:.3f}" for chance in chances)])
    return grid


def _unit(task: str) -> str:
    return " R²" if task.startswith("f0") else ""


def _cell(estimate: Estimate, digits: int, where: str, grid: _Grid) -> str:
    if estimate.failed:
        grid.notes.append(f"{where}: {estimate.failed}")
    return estimate.text(digits) + ("*" if estimate.failed else "")


def _figure(figure: Figure, where: str, grid: _Grid) -> str:
    if figure.failed:
        grid.notes.append(f"{where}: {figure.failed}")
    return "–*" if figure.value is None else f"{figure.value:.3f}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
