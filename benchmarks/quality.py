"""Quality of a tokenizer on real recordings that no training saw.

    python benchmarks/quality.py --model uniaudio-mini --data CORPUS/eval.jsonl --out results.json

CORPUS comes from `python -m recipes.corpus --out CORPUS`, the recogniser from
`python -m recipes.whisper --out CORPUS/models`. The main group, whose figures the README gives,
is 40 clips of 2.5 to 30 s of the evaluation-only English speech (asterisk-en). Beside it, in the
same table, stand by default: 20 clips of each other language, 12 of music and 40 of sounds of
split eval, where the manifest holds them; and the purity of token histograms over all labelled
sounds of split eval. Other groups instead of these, or none:

    python benchmarks/quality.py --data CORPUS/eval.jsonl \\
        --group italian=source:asterisk-it-menardi-8k,clips:40 --group music=kind:music
    python benchmarks/quality.py --data CORPUS/eval.jsonl --no-groups

Another main group:

    python benchmarks/quality.py --data CORPUS/valid.jsonl --splits valid --sources all \\
        --languages fr es --language "" --no-groups
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

import unisono
from unisono.audio import Audio
from unisono.data.manifest import ManifestItem
from unisono.errors import DataError, MissingExtraError, UnisonoError
from unisono.evaluation.asr import Transcriber, open_transcriber
from unisono.evaluation.benchmarks.clips import (
    Selection,
    choose,
    labelled_sounds,
    read_clip,
    read_items,
    spread,
)
from unisono.evaluation.benchmarks.decoding import set_decoding
from unisono.evaluation.benchmarks.groups import (
    Group,
    QualityReport,
    default_groups,
    parse_group,
    report,
    sound_classes,
)
from unisono.evaluation.benchmarks.quality import QualityResult, Score, measure
from unisono.evaluation.benchmarks.quality_table import render
from unisono.evaluation.console import open_console
from unisono.evaluation.metrics.clustering import Clustering
from unisono.evaluation.metrics.dnsmos import DNSMOS
from unisono.evaluation.models import find_whisper
from unisono.storage.atomic import write_bytes
from unisono.tokenizer import AudioTokenizer

_WIDTH = 120  # of the table where there is no terminal to ask


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = open_console(_WIDTH)
    try:
        result = run(options, console)
    except UnisonoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for part in render(result):
        console.print(part, highlight=False)
    if options.out:
        text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False) + "\n"
        write_bytes(options.out, text.encode(), UnisonoError)
        console.print(f"wrote {options.out}")
    return 0


def run(options: argparse.Namespace, console: Console) -> QualityReport:
    """Load everything that `options` names and measure, group by group."""
    every = "all" in options.sources
    main = Selection(
        splits=tuple(options.splits),
        sources=() if every else tuple(options.sources),
        languages=tuple(options.languages),
        shortest=options.shortest,
    )
    chosen = {options.name: choose(options.data, options.clips, main)}
    items = read_items(options.data)
    for group in _groups(options, items, {item.language for item in chosen[options.name]}):
        chosen[group.name] = _fitting(options.data, group, items)
    asr = None
    if not options.no_asr:
        folder = find_whisper(options.asr, options.data.parent)
        asr = open_transcriber(folder, options.beam, options.threads)
    mos = _mos(console, options.threads)
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
    results = {}
    for name, group_items in chosen.items():
        forced = options.language if name == options.name else ""
        results[name] = _measure(options, console, tokenizer, name, group_items, asr, mos, forced)
        results[name].protocol |= {"data": str(options.data), "decoding": settings}
    results[options.name].protocol |= {
        "splits": options.splits,
        "sources": options.sources,
        "languages": options.languages or "all",
        "shortest_seconds": options.shortest,
    }
    return report(results, None if options.no_groups else _classes(options, tokenizer, items))


def _groups(
    options: argparse.Namespace, items: Sequence[ManifestItem], known: set[str]
) -> list[Group]:
    if options.no_groups:
        return []
    groups = options.group or default_groups(items, sorted(known))
    names = [options.name, *(group.name for group in groups)]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"two groups are called {sorted(twice)}; give each its own name")
    return groups


def _fitting(manifest: Path, group: Group, items: Sequence[ManifestItem]) -> list[ManifestItem]:
    fitting = group.selection.among(items)
    if not fitting:
        raise DataError(f"group {group.name}: {manifest} has no {group.selection}")
    return spread(fitting, group.clips)


def _measure(
    options: argparse.Namespace,
    console: Console,
    tokenizer: AudioTokenizer,
    name: str,
    items: Sequence[ManifestItem],
    asr: Transcriber | None,
    mos: Score | None,
    language: str,
) -> QualityResult:
    return measure(
        tokenizer,
        [read_clip(options.data, item) for item in items],
        asr,
        mos,
        language=language,
        seed=options.seed,
        keep=_writer(options.save_audio),
        progress=lambda clips: track(clips, name, console=console, transient=True),
    )


def _classes(
    options: argparse.Namespace, tokenizer: AudioTokenizer, items: Sequence[ManifestItem]
) -> Clustering | None:
    sounds = labelled_sounds(items, smallest=options.class_clips)
    return sound_classes(tokenizer, [read_clip(options.data, item) for item in sounds])


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


_GROUP_HELP = (
    "more clips beside the main group, may be repeated; keys: source, language, split, kind "
    "(speech, music, sound), clips, shortest, longest"
)


def _group(text: str) -> Group:
    try:
        return parse_group(text)
    except UnisonoError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="uniaudio-mini", help="embedded name, model folder or hub id")
    add("--data", type=Path, required=True, help="manifest (JSONL) of the corpus")
    add("--clips", type=int, default=40, help="of the main group")
    add("--name", default="english", help="of the main group in the table")
    add("--shortest", type=float, default=2.5, help="seconds a clip must have")
    add("--splits", nargs="+", default=["eval"])
    add("--sources", nargs="+", default=["asterisk-en"], help="source names, or all")
    add("--languages", nargs="+", default=[], help="only clips in these languages")
    add("--language", default="en", help="forced on the recogniser; '' takes each clip's own")
    add("--group", action="append", type=_group, metavar="NAME=key:value,…", help=_GROUP_HELP)
    add("--no-groups", action="store_true", help="the main group alone, no sound classes")
    add("--class-clips", type=int, default=5, help="labelled sounds that a class must have")
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
