"""The printed form of a quality report: one table of all groups, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from unisono.evaluation.benchmarks.groups import QualityReport
from unisono.evaluation.benchmarks.quality import VERSIONS, QualityResult
from unisono.evaluation.metrics.clustering import Clustering

_METRICS = {
    "wer": ("WER", 3),
    "cer": ("CER", 3),
    "dnsmos": ("DNSMOS", 2),
    "stoi": ("STOI", 3),
    "mel_distance": ("mel dist.", 3),
}
_PROTOCOL = ("asr", "reference", "normaliser", "averaging", "mos", "stoi", "mel_distance")


def render(report: QualityReport) -> Iterator[RenderableType]:
    """What to print, in order: the groups, notes on failed figures, sound classes, protocol."""
    notes: dict[str, dict[str, list[str]]] = {}
    yield _groups(report, notes)
    for note, places in notes.items():
        where = ", ".join(f"{place} {'/'.join(versions)}" for place, versions in places.items())
        yield Text(f"* {where}: {note}")
    if report.classes is not None:
        yield _classes(report.classes)
        sizes = ", ".join(f"{name} {count}" for name, count in report.classes.classes.items())
        yield Text(f"classes: {sizes}")
    main = next(iter(report.groups.values()))
    yield Text(_codes_line(report.codebook))
    yield Text(_times_line(report))
    for name in (*_PROTOCOL, "decoding"):
        if name in main.protocol:
            yield Text(f"{name}: {main.protocol[name]}")


def _groups(report: QualityReport, notes: dict[str, dict[str, list[str]]]) -> Table:
    """Three rows a group, one of codes over all; reasons of failures are put into `notes`."""
    main = next(iter(report.groups.values()))
    table = Table(title=f"{main.protocol['model']}: quality by group", header_style="bold")
    for column in ("group", "clips", "seconds", "version"):
        numbers = column in ("clips", "seconds")
        table.add_column(column, justify="right" if numbers else "left", no_wrap=True)
    for column in (*(title for title, _ in _METRICS.values()), "codes used", "perplexity"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, group in report.groups.items():
        head: tuple[str, ...] = (
            name,
            str(group.protocol["clips"]),
            f"{group.times['audio']:.0f}",
        )
        for version in VERSIONS:
            last = version == VERSIONS[-1]
            if not (last or any(version in by for by in group.figures.values())):
                continue
            cells = [_cell(group, metric, version, name, notes) for metric in _METRICS]
            codes = _codes(group.codebook) if last else ("", "")
            table.add_row(*head, version, *cells, *codes, end_section=last)
            head = ("", "", "")
    clips = sum(group.protocol["clips"] for group in report.groups.values())
    seconds = _sum(report, "audio")
    blank = [""] * (1 + len(_METRICS))
    table.add_row("all", str(clips), f"{seconds:.0f}", *blank, *_codes(report.codebook))
    return table


def _cell(
    group: QualityResult,
    metric: str,
    version: str,
    name: str,
    notes: dict[str, dict[str, list[str]]],
) -> str:
    figure = group.figures.get(metric, {}).get(version)
    if figure is None:
        return "–"
    title, digits = _METRICS[metric]
    if figure.failed:
        notes.setdefault(figure.failed, {}).setdefault(f"{name} {title}", []).append(version)
    star = "*" if figure.failed else ""
    return f"–{star}" if figure.value is None else f"{figure.value:.{digits}f}{star}"


def _codes(codebook: dict[str, Any]) -> tuple[str, str]:
    """Share of used codes and perplexity, one line a codebook."""
    books = codebook["books"].values()
    used = (f"{use['used']} ({100 * use['share']:.0f} %)" for use in books)
    return "\n".join(used), "\n".join(f"{use['perplexity']:.0f}" for use in books)


def _classes(classes: Clustering) -> Table:
    table = Table(title=f"{classes.clips} sounds of {len(classes.classes)} classes, by tokens")
    for column in ("distance", "silhouette", "purity", "± over seeds", "with shuffled labels"):
        table.add_column(column, justify="left" if column == "distance" else "right")
    for distance in classes.silhouette:
        values = (classes.silhouette, classes.purity, classes.purity_std, classes.chance)
        table.add_row(distance, *(f"{value[distance]:.3f}" for value in values))
    return table


def _codes_line(codebook: dict[str, Any]) -> str:
    books = ", ".join(
        f"{book} {use['used']} of {use['codes']} in {use['tokens']} tokens, entropy "
        f"{use['entropy_bits']:.2f} bit"
        for book, use in codebook["books"].items()
    )
    return (
        f"codes of all groups: {books}; {codebook['bits_nominal']:.1f} bit/s nominal, "
        f"{codebook['bits_empirical']:.1f} bit/s empirical (entropy)"
    )


def _times_line(report: QualityReport) -> str:
    audio, encode, decode, score = (
        _sum(report, job) for job in ("audio", "encode", "decode", "score")
    )
    return (
        f"times: {audio:.1f} s of audio, encode {encode:.1f} s "
        f"({audio / max(encode, 1e-9):.1f} x real time), decode {decode:.1f} s "
        f"({audio / max(decode, 1e-9):.1f} x), scoring {score:.1f} s"
    )


def _sum(report: QualityReport, job: str) -> float:
    return sum(group.times[job] for group in report.groups.values())
