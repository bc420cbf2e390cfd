"""The printed forms of a comparison of codecs: a Rich table, or Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from unisono.evaluation.benchmarks.peers import PeerResult, PeersReport

COLUMNS = {
    "wer": ("WER", 3),
    "pesq": ("PESQ", 2),
    "stoi": ("STOI", 3),
    "dnsmos": ("DNSMOS", 2),
    "speaker": ("speaker", 3),
    "f0_correlation": ("F0 corr.", 3),
    "f0_cents": ("F0 cents", 0),
}
"""Metric: title and digits."""


def render(report: PeersReport) -> Iterator[RenderableType]:
    """What to print: the table with intervals below the figures, notes, protocol."""
    table = Table(title="codecs on the same clips", header_style="bold")
    table.add_column("codec", no_wrap=True)
    for title in ("kbit/s nominal", "real", *(title for title, _ in COLUMNS.values())):
        table.add_column(title, justify="right")
    for result in report.results:
        cells = []
        for metric, (_, digits) in COLUMNS.items():
            estimate = result.estimates[metric]
            star = "*" if estimate.failed else ""
            value = "–" if estimate.value is None else f"{estimate.value:.{digits}f}"
            cells.append(f"{value}{star}\n{estimate.interval(digits)}".rstrip())
        table.add_row(result.name, *_rates(result), *cells)
    yield table
    for note in notes(report):
        yield Text(f"* {note}")
    for name, value in report.protocol.items():
        yield Text(f"{name}: {value}")


def markdown(report: PeersReport) -> str:
    """The table in Markdown, intervals beside the figures, notes below it."""
    titles = ["codec", "kbit/s nominal", "real", *(title for title, _ in COLUMNS.values())]
    lines = [_row(titles), "|---|" + "---:|" * (len(titles) - 1)]
    for result in report.results:
        cells = [
            result.estimates[metric].text(digits) + ("*" if result.estimates[metric].failed else "")
            for metric, (_, digits) in COLUMNS.items()
        ]
        lines.append(_row([result.name, *_rates(result), *cells]))
    lines += ["", *(f"\\* {note}  " for note in notes(report))]
    return "\n".join(lines).rstrip() + "\n"


def notes(report: PeersReport) -> list[str]:
    """What failed, once for each reason: `codec metric, codec metric: reason`."""
    places: dict[str, list[str]] = {}
    for result in report.results:
        for metric, (title, _) in COLUMNS.items():
            reason = result.estimates[metric].failed
            if reason:
                places.setdefault(reason, []).append(f"{result.name} {title}")
    return [f"{', '.join(where)}: {reason}" for reason, where in places.items()]


def _rates(result: PeerResult) -> tuple[str, str]:
    real = result.estimates["bit_rate"].value
    return f"{result.nominal / 1000:.3g}", "–" if real is None else f"{real / 1000:.3g}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
