"""Speed and memory, as ratios within one run: figures of different machines compare.

    python benchmarks/speed.py --model uniaudio-mini --out speed.json
    python benchmarks/speed.py --only encoder decode --quick

Sections: encoder (paper's size over the floor of matrix products), decode (paper's size, several
sampling settings), mini (real-time factors beside other codecs), int8, memory. Nothing else should
run on the machine meanwhile. `--quick` uses tiny networks, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import unisono
from unisono.audio import Audio
from unisono.errors import UnisonoError
from unisono.evaluation.benchmarks import decoder_speed, encoder_speed, memory, mini_speed
from unisono.storage.atomic import write_bytes

SPEECH = Path(__file__).parent.parent / "examples" / "speech.wav"


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns 0 only when every section ran."""
    options = _parser().parse_args(arguments)
    console = Console()
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = {"threads": options.threads, "quick": options.quick}
    for name in options.only:
        run, show = SECTIONS[name]
        try:
            results[name] = run(options)
        except UnisonoError as error:
            results[name] = {"failed": str(error)}
            console.print(f"[bold]{name}[/bold]: failed: {error}", highlight=False)
            continue
        show(results[name], console)
    if options.out:
        write_bytes(options.out, (json.dumps(results, indent=1) + "\n").encode(), UnisonoError)
        console.print(f"wrote {options.out}")
    return int(any("failed" in results[name] for name in options.only))


def _encoder(options: argparse.Namespace) -> dict[str, Any]:
    return encoder_speed.measure(options.repeats, options.quick)


def _show_encoder(result: dict[str, Any], console: Console) -> None:
    console.print(
        f"encoder, paper's size, 30 s: {result['seconds']:.2f} s for {result['gflop']:.1f} GFLOP, "
        f"products at {result['matmul_gflop_per_second']:.1f} GFLOP/s: efficiency "
        f"{result['efficiency']:.3f} (target {result['target']})"
    )


def _decode(options: argparse.Namespace) -> dict[str, Any]:
    flow = ids = None
    note = ""
    try:
        tokenizer: Any = unisono.load(options.model)
        flow = tokenizer.decoder.flow if tokenizer.has_decoder else None
        ids = torch.from_numpy(tokenizer.encode(_speech(options)).ids()[None, :250]).long()
    except UnisonoError as error:
        note = f"no trained flow: {error}"
    result = decoder_speed.measure(flow, ids, options.repeats, options.quick)
    return {**result, "note": note} if note else result


def _show_decode(result: dict[str, Any], console: Console) -> None:
    table = Table(title="decode, paper's size, 10 s of audio, at 130 GFLOP/s")
    heads = ("setting", "passes", "flow s", "total s", "of reference", "mel distance, trained")
    for head in heads:
        table.add_column(head, justify="left" if head == "setting" else "right")
    for row in result["settings"]:
        learned = row.get("mel_distance_trained")
        table.add_row(
            row["setting"],
            str(row["evaluations"]),
            f"{row['flow_seconds_at_130']:.2f}",
            f"{row['seconds_at_130']:.2f}",
            f"{row['of_reference']:.3f}",
            "–" if learned is None else f"{learned:.4f}",
        )
    console.print(table)
    console.print(
        f"vocoder {result['vocoder_seconds_at_130']:.2f} s; reference: flow 26.5 s, vocoder 7.0 s; "
        f"mel distance to {result['finest_steps']} Euler steps. {result.get('note', '')}"
    )


def _mini(options: argparse.Namespace) -> dict[str, Any]:
    tokenizer = unisono.load(options.model)
    return mini_speed.measure(tokenizer, _speech(options), options.repeats, options.quick)


def _show_mini(result: dict[str, Any], console: Console) -> None:
    table = Table(title=f"x real time, {result['threads']} threads, encode {result['batch']}")
    for head in ("model", "encode", "decode"):
        table.add_column(head, justify="left" if head == "model" else "right")
    for name, row in result["real_time"].items():
        table.add_row(name, f"{row['encode']:.1f}", f"{row['decode']:.1f}")
    console.print(table)


def _int8(options: argparse.Namespace) -> dict[str, Any]:
    plain, fast = unisono.load(options.model), unisono.load(options.model, int8=True)
    return mini_speed.measure_int8(plain, fast, _speech(options), options.repeats, options.quick)


def _show_int8(result: dict[str, Any], console: Console) -> None:
    console.print(
        f"int8 encoder: {result['speed_up']:.2f} x the speed of float32, "
        f"{100 * result['equal_tokens']:.1f} % of the tokens are equal"
    )


def _memory(options: argparse.Namespace) -> dict[str, Any]:
    return memory.measure(options.model, options.quick)


def _show_memory(result: dict[str, Any], console: Console) -> None:
    peaks = ", ".join(f"{length}: {peak:.0f} MB" for length, peak in result["peak_mb"].items())
    console.print(
        f"peak memory of encoding {peaks}; difference {result['difference_mb']:.0f} MB "
        f"(bound {result['bound_mb']:.0f})"
    )


Section = tuple[Callable[[argparse.Namespace], dict[str, Any]], Callable[..., None]]
SECTIONS: dict[str, Section] = {
    "encoder": (_encoder, _show_encoder),
    "decode": (_decode, _show_decode),
    "mini": (_mini, _show_mini),
    "int8": (_int8, _show_int8),
    "memory": (_memory, _show_memory),
}


def _speech(options: argparse.Namespace) -> Audio:
    return Audio.read(options.audio)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="uniaudio-mini", help="embedded name, model folder or hub id")
    add("--audio", type=Path, default=SPEECH, help="a recording of speech, repeated as needed")
    add("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    add("--repeats", type=int, default=3, help="runs of which the median counts")
    add("--threads", type=int, default=2)
    add("--quick", action="store_true", help="tiny sizes; the figures mean nothing")
    add("--out", type=Path, help="results as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
