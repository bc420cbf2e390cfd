"""SAP supervision and SAE side by side: models trained alike, with and without each.

    python benchmarks/ablation.py --models text=DIR sae=DIR sap=DIR both=DIR \\
        --data CORPUS/eval.jsonl --voices voices.jsonl --markdown ablation.md --figure gate.png

`text` was supervised by transcripts alone and has no SAE, `sae` has it, `sap` was supervised by
SAPs as well, `both` is both; models of other names are told apart with --sap-models. CORPUS, the
recogniser and the table of voices are those of benchmarks/sap.py. The intervals are over clips:
they do not say what another training of the same model would give.
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
from unisono.errors import ConfigError, UnisonoError
from unisono.evaluation.asr import open_transcriber
from unisono.evaluation.benchmarks import ablation_figure, sap_reading
from unisono.evaluation.benchmarks.ablation import ROLES, Model, ModelResult, check_role, measure
from unisono.evaluation.benchmarks.ablation_claims import claims
from unisono.evaluation.benchmarks.ablation_table import markdown, render
from unisono.evaluation.benchmarks.clips import Selection
from unisono.evaluation.console import open_console
from unisono.evaluation.gates import gate_curves, has_gate
from unisono.evaluation.metrics.bootstrap import METHOD
from unisono.evaluation.models import find_whisper
from unisono.sap.speakers import read_voices
from unisono.storage.atomic import write_bytes

_WIDTH = 160  # of the tables where there is no terminal to ask


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = open_console(_WIDTH)
    try:
        models = open_models(options.models, options.sap_models)
        results, asked, protocol = run(options, console, models)
        judged = claims(results)
        for part in render(results, judged, protocol):
            console.print(part, highlight=False)
        if options.json:
            plain = {
                "protocol": protocol,
                "models": {result.name: result.to_dict() for result in results},
                "claims": [claim.to_dict() for claim in judged],
            }
            _write(options.json, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
        if options.markdown:
            _write(options.markdown, markdown(results, judged, protocol))
        if options.figure:
            _draw(options.figure, models, asked)
    except UnisonoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def open_models(given: Sequence[str], supervised: Sequence[str]) -> list[Model]:
    """The models of `NAME=DIR`; `supervised` names those that saw SAPs in training."""
    folders: dict[str, str] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not name or not equals or not folder:
            raise ConfigError(f"{text!r} names no model: write NAME=FOLDER.")
        if name in folders:
            raise ConfigError(f"Two models are called '{name}'; give each its own name.")
        folders[name] = folder
    unknown = sorted(set(supervised) - set(folders))
    if unknown:
        raise ConfigError(f"--sap-models names {', '.join(unknown)}, which --models does not.")
    chosen = supervised or [name for name in folders if name in ROLES and ROLES[name][1]]
    return [
        check_role(Model(name, unisono.load(folder, decoder=False), name in chosen))
        for name, folder in folders.items()
    ]


def run(
    options: argparse.Namespace, console: Console, models: Sequence[Model]
) -> tuple[list[ModelResult], list[sap_reading.Question], dict[str, Any]]:
    """Measure all models on the same clips, against the same transcripts."""

    def bar(name: str) -> Any:
        return lambda steps: track(steps, name, console=console, transient=True)

    voices = read_voices(options.voices) if options.voices else {}
    words = Selection(splits=tuple(options.splits), sources=tuple(options.sources))
    asked = sap_reading.questions(options.data, voices, options.clips, words, options.class_clips)
    name = "none"
    if not options.no_asr:
        folder = find_whisper(options.asr, options.data.parent)
        asr = open_transcriber(folder, options.beam, options.threads)
        asked = sap_reading.with_references(asked, asr, options.language, bar("references"))
        name = asr.name
    results = [
        measure(model, asked, language=options.language, progress=bar(model.name))
        for model in models
    ]
    protocol = {
        "data": str(options.data),
        "models": ", ".join(f"{model.name} = {model.tokenizer.model_id}" for model in models),
        "asr": name,
        "intervals": f"{METHOD}; clips are paired between models, trainings are not repeated",
        "purity": "± over 5 seeds of k-means; shuffled: of the same clusters, labels shuffled",
        "gate": "mean |gate| over frames, then over clips",
    }
    return results, asked, protocol


def _draw(path: Path, models: Sequence[Model], asked: Sequence[sap_reading.Question]) -> None:
    gated = [model for model in models if has_gate(model.tokenizer)]
    if not gated:
        raise ConfigError("None of the models has a gate to draw; leave --figure out.")
    shown = ablation_figure.panels(asked)
    audios = [panel.audio for panel in shown]
    curves = {model.name: gate_curves(model.tokenizer, audios) for model in gated}
    ablation_figure.draw(path, shown, curves)


def _write(path: Path, text: str) -> None:
    write_bytes(path, text.encode(), UnisonoError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--models", nargs="+", required=True, metavar="NAME=DIR")
    add("--sap-models", nargs="+", default=[], metavar="NAME", help="those that SAPs supervised")
    add("--data", type=Path, required=True, help="manifest (JSONL) of the corpus")
    add("--voices", type=Path, help="table of voices (JSONL): the true genders")
    add("--clips", type=int, default=40, help="for words, of each speaker, and of music")
    add("--class-clips", type=int, default=5, help="labelled sounds that a class must have")
    add("--splits", nargs="+", default=["eval"])
    add("--sources", nargs="+", default=["asterisk-en"], help="sources whose words are scored")
    add("--language", default="en", help="of the words; '' lets model and recogniser choose")
    add("--asr", type=Path, help="folder of Whisper base (CTranslate2 or transformers)")
    add("--no-asr", action="store_true", help="leave the word error rate out")
    add("--beam", type=int, default=5)
    add("--threads", type=int, default=2, help="of the recogniser")
    add("--json", type=Path, help="all figures and claims")
    add("--markdown", type=Path, help="the tables")
    add("--figure", type=Path, help="the gate over time, as PNG (extra 'plot')")
    return parser


if __name__ == "__main__":
    sys.exit(main())
