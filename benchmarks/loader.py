"""Throughput of the training data loader: every form of data over the same clips, in one run.

    python benchmarks/loader.py
    python benchmarks/loader.py --data corpus/train.jsonl 'shards/{000..099}.tar' --rate 24000

Without `--data`, clips are made and written as a folder, a manifest, WebDataset shards, Parquet
and a Hugging Face set. Clips are read in random order by one thread, plain and with every effect
of augmentation at the given probability. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from unisono.data.augment import Augmenter, AugmentSection
from unisono.errors import UnisonoError
from unisono.evaluation.benchmarks import loader
from unisono.storage.atomic import write_bytes


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns 0 when every form was measured."""
    options = _parser().parse_args(arguments)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="unisono-loader-") as folder:
        try:
            rows = _measure(options, Path(folder))
        except UnisonoError as error:
            console.print(f"failed: {error}", highlight=False)
            return 1
    _show(rows, options, console)
    if options.out:
        write_bytes(options.out, (json.dumps(rows, indent=1) + "\n").encode(), UnisonoError)
        console.print(f"wrote {options.out}")
    return 0


def _measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    if options.data:
        forms = {entry: entry for entry in options.data}
    else:
        clips = loader.synthetic_clips(options.clips, tuple(options.seconds), options.source_rate)
        forms = loader.write_forms(clips, folder)
    names = [name for name in AugmentSection.model_fields if name != "peak"]
    section = AugmentSection.model_validate(
        {name: {"probability": options.probability} for name in names}
    )
    augmenter = Augmenter(section, options.rate)
    return loader.measure(
        forms, options.rate, options.reads, lambda wave, n: augmenter(wave, n).samples
    )


def _show(rows: list[dict[str, Any]], options: argparse.Namespace, console: Console) -> None:
    table = Table(title=f"{options.reads} random clips at {options.rate} Hz, one thread")
    table.add_column("form", overflow="fold", min_width=12)
    for head in (
        "clips",
        "open s",
        "again s",
        "clips/s",
        "h/min",
        "augm.\nclips/s",
        "augm.\nh/min",
    ):
        table.add_column(head, justify="right")
    for row in rows:
        plain, augmented = row["plain"], row["augmented"]
        table.add_row(
            row["form"],
            str(row["clips"]),
            f"{row['open_seconds']:.2f}",
            f"{row['open_again_seconds']:.2f}",
            f"{plain['clips_per_second']:.0f}",
            f"{plain['hours_per_minute']:.1f}",
            f"{augmented['clips_per_second']:.0f}",
            f"{augmented['hours_per_minute']:.1f}",
        )
    console.print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", nargs="+", metavar="ENTRY", help="data of your own, as data.train names it")
    add("--clips", type=int, default=512, help="clips to make")
    add("--seconds", type=float, nargs=2, default=(2.0, 10.0), help="their lengths")
    add("--source-rate", type=int, default=24_000, help="their sample rate, Hz")
    add("--rate", type=int, default=16_000, help="sample rate to read at, Hz")
    add("--reads", type=int, default=1000, help="clips to read of each form")
    add("--probability", type=float, default=0.3, help="of each effect of augmentation")
    add("--out", type=Path, help="results as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
