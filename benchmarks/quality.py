"""Speech quality of a tokenizer on real recordings that no training saw.

    python benchmarks/quality.py --model uniaudio-mini --data CORPUS/eval.jsonl --out results.json

CORPUS comes from `python -m recipes.corpus --out CORPUS`, the recogniser from
`python -m recipes.whisper --out CORPUS/models`. The defaults are the figures of the README: 40
clips of 2.5 to 30 s of the evaluation-only English speech (asterisk-en). Other data:

    python benchmarks/quality.py --data CORPUS/valid.jsonl --splits valid --sources all \\
        --languages fr es --language ""
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

import unisono
from unisono.audio import Audio
from unisono.errors import MissingExtraError, UnisonoError
from unisono.evaluation.asr import open_transcriber
from unisono.evaluation.benchmarks.clips import choose, read_clip
from unisono.evaluation.benchmarks.decoding import set_decoding
from unisono.evaluation.benchmarks.quality import VERSIONS, QualityResult, Score, measure
from unisono.evaluation.metrics.dnsmos import DNSMOS
from unisono.evaluation.models import find_whisper
from unisono.storage.atomic import write_bytes

_METRICS = {
    "wer": ("WER", 4, "lower"),
    "dnsmos": ("DNSMOS P.808", 3, "higher"),
    "stoi": ("STOI", 3, "higher"),
    "mel_distance": ("mel distance", 3, "lower"),
}


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        result = run(options, console)
    except UnisonoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    show(result, console)
    if options.out:
        text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False) + "\n"
        write_bytes(options.out, text.encode(), UnisonoError)
        console.print(f"wrote {options.out}")
    return 0


def run(options: argparse.Namespace, console: Console) -> QualityResult:
    """Load everything that `options` names and measure."""
    every = "all" in options.sources
    items = choose(
        options.data,
        options.clips,
        options.splits,
        () if every else options.sources,
        options.languages,
        options.shortest,
    )
    asr = None
    if not options.no_asr:
        folder = find_whisper(options.asr, options.data.parent)
        asr = open_transcriber(folder, options.beam, options.threads)
    tokenizer = unisono.load(options.model)
    settings = set_decoding(
        tokenizer,
        options.steps,
        options.solver,
        options.guidance,
        options.guidance_interval,
        options.start,
        options.temperature,
    )
    result = measure(
        tokenizer,
        [read_clip(options.data, item) for item in items],
        asr,
        _mos(console, options.threads),
        language=options.language,
        seed=options.seed,
        keep=_writer(options.save_audio),
        progress=lambda clips: track(clips, "clips", console=console, transient=True),
    )
    result.protocol |= {
        "data": str(options.data),
        "splits": options.splits,
        "sources": options.sources,
        "languages": options.languages or "all",
        "shortest_seconds": options.shortest,
        "decoding": settings,
    }
    return result


def show(result: QualityResult, console: Console) -> None:
    """Print the figures as a table, and how they were made."""
    protocol = result.protocol
    table = Table(title=f"{protocol['model']} on {protocol['clips']} clips")
    table.add_column("metric")
    for version in VERSIONS:
        table.add_column(version, justify="right")
    for metric, (title, digits, better) in _METRICS.items():
        by = result.figures[metric]
        cells = [by[version].text(digits) if version in by else "–" for version in VERSIONS]
        table.add_row(f"{title} ({better} is better)", *cells)
    console.print(table)
    for book, use in result.codebook["books"].items():
        console.print(
            f"codes {book}: {use['used']} of {use['codes']} used ({100 * use['share']:.1f} %), "
            f"perplexity {use['perplexity']:.0f}, entropy {use['entropy_bits']:.2f} bit, "
            f"{use['tokens']} tokens"
        )
    times = result.times
    console.print(
        f"bit rate {result.codebook['bits_nominal']:.1f} bit/s nominal, "
        f"{result.codebook['bits_empirical']:.1f} bit/s empirical (entropy)"
    )
    console.print(
        f"times: {times['audio']:.1f} s of audio, encode {times['encode']:.1f} s "
        f"({times['encode_real_time']:.1f} x real time), decode {times['decode']:.1f} s "
        f"({times['decode_real_time']:.1f} x), scoring {times['score']:.1f} s"
    )
    for name in ("asr", "language", "reference", "normaliser", "averaging", "decoding"):
        if name in protocol:
            console.print(f"{name}: {protocol[name]}", highlight=False)


def _mos(console: Console, threads: int) -> Score | None:
    try:
        return DNSMOS(threads)
    except MissingExtraError as error:
        console.print(f"DNSMOS is left out: {error}")
        return None


def _writer(folder: Path | None) -> Any:
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, version: str, audio: Audio) -> None:
        audio.write(folder / f"{name}.{version}.wav")

    return write


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="uniaudio-mini", help="embedded name, model folder or hub id")
    add("--data", type=Path, required=True, help="manifest (JSONL) of the corpus")
    add("--clips", type=int, default=40)
    add("--shortest", type=float, default=2.5, help="seconds a clip must have")
    add("--splits", nargs="+", default=["eval"])
    add("--sources", nargs="+", default=["asterisk-en"], help="source names, or all")
    add("--languages", nargs="+", default=[], help="only clips in these languages")
    add("--language", default="en", help="forced on the recogniser; '' takes each clip's own")
    add("--asr", type=Path, help="folder of Whisper base (CTranslate2 or transformers)")
    add("--no-asr", action="store_true", help="leave the word error rate out")
    add("--beam", type=int, default=5)
    add("--steps", type=int, help="evaluations of the flow, instead of the model's own")
    add("--solver", help="euler, midpoint, heun or ab2")
    add("--guidance", type=float, help="classifier-free guidance rate; 0 is none")
    add("--start", type=float, help="begin at this time from the prior, 0 to 1")
    add("--temperature", type=float, help="factor on the initial noise")
    add("--guidance-interval", type=float, nargs=2, metavar=("FROM", "TO"))
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=2, help="of the scoring networks")
    add("--save-audio", type=Path, help="folder for all versions of all clips")
    add("--out", type=Path, help="results as JSON, per clip too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
