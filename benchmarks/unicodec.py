"""What UniCodec's three streams are for: resynthesis, another voice, a long voice, linear probes.

    python benchmarks/unicodec.py --model unicodec-mini --data CORPUS/eval.jsonl --json out.json

Resynthesis: the clips of benchmarks/quality.py, decoded from all streams, with P at half its rate,
with its pitch alone, and from G and S alone. Conversion: pairs of recordings of different speakers,
of the manifest's evaluation-only voices and, apart, of training's voices (clips of
CORPUS/valid.jsonl, which it did not see). Long: clips of one held-out voice in a row. Probes: what
is said by whom at which pitch, told from each stream's codes alone, on clips of CORPUS/valid.jsonl
and CORPUS/train.jsonl. CORPUS comes from `python -m recipes.corpus --out CORPUS`, the recogniser
from `python -m recipes.whisper --out CORPUS/models`, the speaker embedding from `pip install
--no-deps resemblyzer`.
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
from unisono.data.manifest import ManifestItem
from unisono.errors import DataError, UnisonoError, require_extra
from unisono.evaluation.asr import whisper_knows
from unisono.evaluation.benchmarks import peers
from unisono.evaluation.benchmarks.clips import Clip, Selection, choose, read_clip, read_items
from unisono.evaluation.benchmarks.judges import open_judges
from unisono.evaluation.benchmarks.peers import Judges, PeersReport
from unisono.evaluation.benchmarks.unicodec import PARTS, UniCodecReport, protocol
from unisono.evaluation.benchmarks.unicodec_conversion import (
    ConversionResult,
    convert_pairs,
    keep_voice,
)
from unisono.evaluation.benchmarks.unicodec_figure import draw
from unisono.evaluation.benchmarks.unicodec_probes import ProbeResult, choose_clips, look_at, probe
from unisono.evaluation.benchmarks.unicodec_streams import (
    StreamCodec,
    check_streams,
    code_vectors,
    modes,
)
from unisono.evaluation.benchmarks.unicodec_table import markdown, render
from unisono.evaluation.benchmarks.unicodec_voices import (
    by_speaker,
    joined,
    pairs,
    read_at_rate,
    read_voices,
)
from unisono.evaluation.console import open_console
from unisono.evaluation.peers import Untouched
from unisono.storage.atomic import write_bytes
from unisono.tokenizer import AudioTokenizer

_WIDTH = 150  # of the tables where there is no terminal to ask


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Markdown goes to a file or a page: everything else is said on the error stream.
    console = Console(stderr=True) if options.markdown else open_console(_WIDTH)
    try:
        report = run(options, console)
        if options.json:
            text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n"
            write_bytes(options.json, text.encode(), UnisonoError)
        if options.figure and report.probes is not None:
            draw(options.figure, report.probes)
    except UnisonoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.markdown:
        print(markdown(report), end="")
    else:
        for part in render(report):
            console.print(part, highlight=False)
    return 0


def run(options: argparse.Namespace, console: Console) -> UniCodecReport:
    """Load everything that `options` names, and measure part by part."""
    tokenizer = unisono.load(options.model)
    check_streams(tokenizer)
    items, parts = read_items(options.data), options.parts
    # What is missing is found out now, not after an hour.
    clips = _clips(options) if "resynthesis" in parts else []
    voices = _long_voices(options, items) if "long" in parts else {}
    probed = _probed(options) if "probes" in parts else []
    heard = not options.no_asr and bool({"resynthesis", "conversion"} & set(parts))
    judges = open_judges(
        options.data, options.asr, recognise=heard, language=options.language,
        beam=options.beam, threads=options.threads,
    )  # fmt: skip

    def progress(name: str) -> Callable[[Sequence[Any]], Any]:
        return lambda many: track(many, name, console=console, transient=True)

    report = UniCodecReport(protocol(
        model=tokenizer.model_id, folder=options.model, data=str(options.data),
        asr=judges.asr.name if judges.asr else "none",
    ))  # fmt: skip
    if clips:
        report.resynthesis = _resynthesis(tokenizer, clips, judges, progress)
    if "conversion" in parts:
        report.conversion = _conversion(options, tokenizer, items, judges, progress)
    for voice, own in progress("long")(list(voices.items())):
        recording = joined(options.data, own, options.long_seconds)
        report.long.append(keep_voice(voice, tokenizer, recording, judges))
    if probed:
        report.probes = _probes(tokenizer, probed, progress)
    return report


def _clips(options: argparse.Namespace) -> list[Clip]:
    selection = Selection(sources=() if "all" in options.sources else tuple(options.sources))
    return [read_clip(options.data, x) for x in choose(options.data, options.clips, selection)]


def _long_voices(
    options: argparse.Namespace, items: Sequence[ManifestItem]
) -> dict[str, list[ManifestItem]]:
    voices = {
        voice: own
        for voice, own in by_speaker(items, ("eval",)).items()
        if sum(item.duration for item in own) >= options.long_seconds
    }
    if not voices:
        raise DataError(
            f"No voice of {options.data} has {options.long_seconds:g} s of clips; give fewer "
            "--long-seconds or leave the part 'long' out."
        )
    return voices


def _probed(options: argparse.Namespace) -> list[tuple[Path, ManifestItem]]:
    """Clips to probe, each with its manifest."""
    given = options.probe_data or [options.data.with_name(f"{x}.jsonl") for x in ("valid", "train")]
    # All manifests as one corpus, so that a voice's clips are counted together.
    homes = {id(item): (manifest, item) for manifest in given for item in read_items(manifest)}
    items = [item for _, item in homes.values()]
    chosen = choose_clips(items, ("valid", "train"), most=options.probe_clips)
    if not chosen:
        raise DataError(
            f"{', '.join(map(str, given))}: no language has three speakers with enough clips and "
            "phonemes to probe; give other --probe-data or leave the part 'probes' out."
        )
    require_extra("sklearn.linear_model", "eval")
    return [homes[id(item)] for item in chosen]


def _resynthesis(
    tokenizer: AudioTokenizer, clips: Sequence[Clip], judges: Judges, progress: Any
) -> PeersReport:
    said = peers.transcripts(clips, judges)
    first = Untouched(max(clip.audio.rate for clip in clips))
    alone = tokenizer.layout.first_groups(residual=1)
    ways = modes(pitched=alone != tokenizer.layout and tokenizer.accepts(alone))
    codecs = [first, *(StreamCodec(tokenizer, mode) for mode in ways)]
    results = [peers.measure(codec, clips, said, judges, progress(codec.name)) for codec in codecs]
    return peers.report(results, judges, first.name, clips=len(clips))


def _conversion(
    options: argparse.Namespace,
    tokenizer: AudioTokenizer,
    items: Sequence[ManifestItem],
    judges: Judges,
    progress: Any,
) -> list[ConversionResult]:
    groups = [("held-out voices", options.data, items, ("eval",))]
    seen = options.seen or options.data.with_name("valid.jsonl")
    if options.seen or seen.is_file():
        groups.append(("voices of training", seen, read_items(seen), ("valid",)))
    results = []
    for name, manifest, own, splits in groups:
        chosen = pairs(read_voices(manifest, own, splits), options.pairs)
        results.append(
            convert_pairs(name, tokenizer, manifest, chosen, judges, whisper_knows, progress(name))
        )
    return results


def _probes(
    tokenizer: AudioTokenizer, probed: Sequence[tuple[Path, ManifestItem]], progress: Any
) -> ProbeResult:
    vectors, looked = code_vectors(tokenizer), []
    for manifest, item in progress("probes: clips")(probed):
        clip = read_at_rate(manifest, item)
        looked.append(look_at(tokenizer, vectors, clip.name, item, clip.audio))
    return probe(looked, progress("probes: streams"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="unicodec-mini", help="embedded name, model folder or hub id")
    add("--data", type=Path, required=True, help="manifest (JSONL) of the corpus, held out")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add("--clips", type=int, default=40, help="of the resynthesis")
    add("--sources", nargs="+", default=["asterisk-en"], help="of the resynthesis, or all")
    add("--language", default="en", help="forced on the recogniser in the resynthesis")
    add("--pairs", type=int, default=36, help="of voices, in each group of the conversion")
    add("--seen", type=Path, help="manifest of training's voices; default valid.jsonl beside data")
    add("--long-seconds", type=float, default=60.0)
    add("--probe-data", type=Path, nargs="+", help="manifests; default valid and train beside data")
    add("--probe-clips", type=int, default=30, help="of a speaker, at most")
    add("--asr", type=Path, help="folder of Whisper base (CTranslate2 or transformers)")
    add("--no-asr", action="store_true", help="leave the word error rates out")
    add("--beam", type=int, default=5)
    add("--threads", type=int, default=2, help="of the scoring networks")
    add("--json", type=Path, help="results as JSON, per clip and pair too")
    add("--figure", type=Path, help="the matrix of the probes as PNG")
    add("--markdown", action="store_true", help="print the tables as Markdown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
