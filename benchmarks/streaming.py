"""Live streaming of UniCodec, 40 ms at a time: time a frame, latency, memory.

    python benchmarks/streaming.py --model unicodec-mini --json streaming.json

Encoder and decoder take turns in one process, as in a call. Nothing else should run on the machine
meanwhile. Real time is kept where the 95th percentiles of both sides together are below a frame.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import unisono
from unisono.audio import Audio
from unisono.errors import UnisonoError
from unisono.evaluation.benchmarks import streaming
from unisono.storage.atomic import write_bytes

SPEECH = Path(__file__).parent.parent / "examples" / "speech.wav"


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns 0 when it was measured."""
    options = _parser().parse_args(arguments)
    console = Console()
    torch.set_num_threads(options.threads)
    try:
        tokenizer = unisono.load(options.model)
        audio = Audio.read(options.audio)
        result = streaming.measure(tokenizer, audio, options.minutes, options.lookahead)
    except UnisonoError as error:
        console.print(f"failed: {error}", highlight=False)
        return 1
    _show(result, console)
    if options.json:
        write_bytes(options.json, (json.dumps(result, indent=1) + "\n").encode(), UnisonoError)
        console.print(f"wrote {options.json}")
    return 0


def _show(result: dict[str, Any], console: Console) -> None:
    table = Table(
        title=f"{result['model']}, frame by frame, {result['frames']} frames of "
        f"{result['frame_ms']:.0f} ms, {result['threads']} threads"
    )
    for head in ("", "mean ms", "95 % ms", "x real time"):
        table.add_column(head, justify="right" if head else "left")
    for side in ("encode", "decode"):
        row = result[side]
        table.add_row(
            side, f"{row['mean_ms']:.2f}", f"{row['p95_ms']:.2f}", f"{row['real_time']:.1f}"
        )
    console.print(table)
    latency, peak = result["latency_ms"], result["peak_mb"]
    console.print(
        f"algorithmic latency {latency['algorithmic']:.0f} ms ({latency['frame']:.0f} ms a frame, "
        f"{latency['overlap']:.0f} ms of overlapping windows); peak memory {peak['early']:.0f} MB "
        f"after a tenth, {peak['growth']:.1f} MB more at the end"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="unicodec-mini", help="embedded name, model folder or hub id")
    add("--audio", type=Path, default=SPEECH, help="a recording of speech, repeated as needed")
    add("--minutes", type=float, default=10.0, help="audio to stream")
    add("--lookahead", type=float, default=1.0, help="seconds until the voice is known")
    add("--threads", type=int, default=1)
    add("--json", type=Path, help="results as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
