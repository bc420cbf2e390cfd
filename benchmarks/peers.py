"""Tokenizers beside the codecs that people use, on real recordings that no training saw.

    python benchmarks/peers.py --data CORPUS/eval.jsonl --models uniaudio-mini --json peers.json

The clips are those of benchmarks/quality.py: evenly spread over the evaluation-only English
speech (asterisk-en). Each goes through Opus at 6, 9 and 12 kbit/s, Codec2 at 1.2 and 3.2 kbit/s
and every model (embedded name, folder or hub id); the untouched clip is the first row. CORPUS
comes from `python -m recipes.corpus --out CORPUS`, the recogniser from `python -m recipes.whisper
--out CORPUS/models`, the speaker embedding from `pip install --no-deps resemblyzer`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

import unisono
from unisono.errors import DataError, UnisonoError
from unisono.evaluation.benchmarks.clips import Selection, choose, read_clip
from unisono.evaluation.benchmarks.judges import open_judges
from unisono.evaluation.benchmarks.peers import PeersReport, measure, report, transcripts
from unisono.evaluation.benchmarks.peers_table import markdown, render
from unisono.evaluation.console import open_console
from unisono.evaluation.peers import Codec, TokenCodec, Untouched, classical
from unisono.storage.atomic import write_bytes

_WIDTH = 160  # of the table where there is no terminal to ask


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Markdown goes to a file or a page: everything else is said on the error stream.
    console = Console(stderr=True) if options.markdown else open_console(_WIDTH)
    try:
        result = run(options, console)
        if options.json:
            text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False) + "\n"
            write_bytes(options.json, text.encode(), UnisonoError)
    except UnisonoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.markdown:
        print(markdown(result), end="")
    else:
        for part in render(result):
            console.print(part, highlight=False)
    return 0


def run(options: argparse.Namespace, console: Console) -> PeersReport:
    """Load everything that `options` names and measure, codec by codec."""
    selection = Selection(
        sources=() if "all" in options.sources else tuple(options.sources),
        languages=tuple(options.languages),
    )
    items = choose(options.data, options.clips, selection)
    judges = open_judges(
        options.data, options.asr, recognise=not options.no_asr, language=options.language,
        beam=options.beam, threads=options.threads,
    )  # fmt: skip
    codecs = _codecs(options)
    clips = [read_clip(options.data, item) for item in items]
    first = Untouched(max(clip.audio.rate for clip in clips))
    said = transcripts(clips, judges)

    def progress(name: str) -> Callable[[Sequence[Any]], Any]:
        return lambda clips: track(clips, name, console=console, transient=True)

    results = [
        measure(codec, clips, said, judges, progress(codec.name)) for codec in (first, *codecs)
    ]
    coding = {codec.name: codec.coding for codec in codecs if isinstance(codec, TokenCodec)}
    return report(
        results, judges, first.name, data=str(options.data), clips=f"{len(clips)} {selection}",
        models=coding, seed=options.seed,
    )  # fmt: skip


def _codecs(options: argparse.Namespace) -> list[Codec]:
    codecs: list[Codec] = [] if options.no_classical else list(classical())
    for model in options.models:
        # A folder by its own name: two runs of one recipe have one model id.
        name = Path(model).name if Path(model).is_dir() else ""
        codecs.append(TokenCodec(unisono.load(model), name, options.seed))
    names = [codec.name for codec in codecs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"two codecs are called {twice}; give the models different folder names")
    return codecs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="manifest (JSONL) of the corpus")
    add("--models", nargs="*", default=["uniaudio-mini"], help="embedded names, folders, hub ids")
    add("--no-classical", action="store_true", help="the models alone, without Opus and Codec2")
    add("--clips", type=int, default=40)
    add("--sources", nargs="+", default=["asterisk-en"], help="source names, or all")
    add("--languages", nargs="+", default=[], help="only clips in these languages")
    add("--language", default="en", help="forced on the recogniser")
    add("--asr", type=Path, help="folder of Whisper base (CTranslate2 or transformers)")
    add("--no-asr", action="store_true", help="leave the word error rate out")
    add("--beam", type=int, default=5)
    add("--seed", type=int, default=0, help="of the decoders that draw noise")
    add("--threads", type=int, default=2, help="of the scoring networks")
    add("--json", type=Path, help="results as JSON, per clip too")
    add("--markdown", action="store_true", help="print the table as Markdown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
