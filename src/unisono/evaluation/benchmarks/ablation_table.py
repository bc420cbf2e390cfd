"""The printed form of an ablation, in a terminal and as Markdown: models side by side, claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from unisono.evaluation.benchmarks.ablation import KINDS, ModelResult
from unisono.evaluation.benchmarks.ablation_claims import MEASURES, Claim
from unisono.evaluation.metrics.bootstrap import Estimate

Row = tuple[str, ...]


def rows(results: Sequence[ModelResult]) -> list[Row]:
    """One row a figure, one column a model: `value [low, high]`, or a dash."""
    table: list[Row] = [
        ("SAE", *("yes" if result.sae else "no" for result in results)),
        ("SAP supervision", *("yes" if result.sap else "no" for result in results)),
    ]
    for name in dict.fromkeys(name for result in results for name in result.reading.figures):
        figures = [result.reading.figures.get(name, Estimate()) for result in results]
        if any(figure.value is not None for figure in figures):
            table.append((_named(name, figures), *(figure.text() for figure in figures)))
    for name in MEASURES:
        figures = [result.cluster(name) for result in results]
        cells = [_cluster(name, *pair) for pair in zip(results, figures, strict=True)]
        table.append((_named(name, figures), *cells))
    for kind in KINDS:
        figures = [result.gate(kind) for result in results]
        table.append(
            (_named(f"mean |gate|, {kind}", figures), *(figure.text() for figure in figures))
        )
    for name, digits in (("used", 0), ("perplexity", 0), ("entropy_bits", 2)):
        title = {"used": "codes used", "entropy_bits": "code entropy, bit"}.get(name, name)
        table.append((title, *(_codes(result, name, digits) for result in results)))
    return table


def claim_rows(claims: Sequence[Claim]) -> list[Row]:
    """One row a finding: claim, measure, what was compared, effect, verdict."""
    table: list[Row] = []
    for claim in claims:
        head = claim.text
        for finding in claim.findings:
            effect = finding.effect
            shown = (
                effect.text()
                if effect.value is None
                else f"{effect.value:+.3f} " + (effect.interval())
            )
            table.append((head, finding.measure, finding.compared, shown, finding.verdict))
            head = ""
    return table


_CLAIM_HEADS = ("the paper claims", "measure", "compared", "effect", "our figures")


def render(
    results: Sequence[ModelResult], claims: Sequence[Claim], protocol: dict[str, Any]
) -> Iterator[RenderableType]:
    """What to print, in order."""
    yield _table("models side by side", ("figure", *(r.name for r in results)), rows(results))
    yield _table("claims", _CLAIM_HEADS, claim_rows(claims))
    for claim in claims:
        yield Text(claim.sentence)
    for name, text in protocol.items():
        yield Text(f"{name}: {text}")


def markdown(
    results: Sequence[ModelResult], claims: Sequence[Claim], protocol: dict[str, Any]
) -> str:
    """The same as Markdown."""
    parts = [
        _markdown_table(("figure", *(result.name for result in results)), rows(results)),
        _markdown_table(_CLAIM_HEADS, claim_rows(claims)),
        "\n".join(f"- {claim.sentence}" for claim in claims),
        "\n".join(f"- {name}: {text}" for name, text in protocol.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _cluster(name: str, result: ModelResult, figure: Estimate) -> str:
    """A purity also says its spread over seeds, and what shuffled labels reach."""
    if figure.value is None or result.classes is None or not name.startswith("purity"):
        return figure.text()
    distance = name.partition(" ")[2]
    spread, chance = result.classes.purity_std[distance], result.classes.chance[distance]
    return f"{figure.text()} ± {spread:.3f}, shuffled {chance:.3f}"


def _named(name: str, figures: Sequence[Estimate]) -> str:
    """The figure's name with its count of clips and, where all models share it, its chance."""
    counts = sorted({figure.count for figure in figures if figure.value is not None})
    chances = {figure.chance for figure in figures if figure.chance is not None}
    notes = [f"{'/'.join(map(str, counts))} clips"] if counts else []
    notes += [f"chance {chances.pop():.3f}"] if len(chances) == 1 else []
    return f"{name} ({', '.join(notes)})" if notes else name


def _codes(result: ModelResult, name: str, digits: int) -> str:
    return ", ".join(f"{use[name]:.{digits}f}" for use in result.codebook["books"].values())


def _table(title: str, heads: Sequence[str], body: Sequence[Row]) -> Table:
    table = Table(title=title, header_style="bold", title_justify="left")
    for place, head in enumerate(heads):
        table.add_column(Text(head), overflow="fold", justify="left" if place == 0 else "right")
    for row in body:
        table.add_row(*map(Text, row))
    return table


def _markdown_table(heads: Sequence[str], body: Sequence[Row]) -> str:
    lines = [heads, ["---"] * len(heads), *body]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
