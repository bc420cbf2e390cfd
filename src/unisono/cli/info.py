"""`unisono info`: facts about an audio file, a token file or a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unisono.audio import probe
from unisono.cli import common
from unisono.cli.inputs import AUDIO_SUFFIXES, TOKEN_SUFFIXES
from unisono.models import embedded_models
from unisono.storage.utok import read_facts
from unisono.tokens import TokenLayout


def info(
    what: Annotated[str, typer.Argument(help="Audio file, .utok file, model name or folder.")],
    as_json: common.AsJson = False,
    verbose: common.Verbose = False,
) -> None:
    """Say what a file or a model is."""
    session = common.Session(as_json=as_json, verbose=verbose)
    path = Path(what)
    named_as_file = path.suffix.lower() in AUDIO_SUFFIXES | TOKEN_SUFFIXES
    if what in embedded_models() or path.is_dir():
        facts = _model(what)
    elif path.suffix in TOKEN_SUFFIXES:
        facts = _tokens(path)
    elif named_as_file or path.is_file():
        facts = _audio(path)
    else:
        facts = _model(what)
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        session.say(f"{key:<{width}}  {value}")
    session.finish(facts)


def describe_layout(layout: TokenLayout) -> dict[str, Any]:
    """Streams and the rates that follow from them."""
    return {
        "streams": "; ".join(
            f"{s.name}: {'once' if s.rate is None else f'{s.rate:g} Hz'} x {s.groups} "
            f"x {s.codebook_size}"
            for s in layout.streams
        ),
        "tokens_per_second": layout.tokens_per_second,
        "bits_per_second": round(layout.bits_per_second, 2),
        "vocabulary": layout.vocabulary_size,
    }


def _tokens(path: Path) -> dict[str, Any]:
    facts = read_facts(path)
    return {
        "file": str(path),
        "kind": "tokens",
        "model": facts.model,
        "seconds": round(facts.samples / facts.rate, 4),
        "samples": facts.samples,
        "rate": facts.rate,
        "tokens": facts.tokens,
        "coding": facts.coding,
        "bytes": path.stat().st_size,
        **describe_layout(facts.layout),
    }


def _audio(path: Path) -> dict[str, Any]:
    facts = probe(path)
    return {
        "file": str(path),
        "kind": "audio",
        "format": facts.format,
        "channels": facts.channels,
        "rate": facts.rate,
        "samples": facts.length,
        "seconds": round(facts.duration, 4),
    }


def _model(name: str) -> dict[str, Any]:
    from unisono.hub import resolve

    folder = resolve(name)
    tokenizer = common.load_model(str(folder), "cpu", "float32")
    return {
        "model": tokenizer.model_id,
        "kind": "model",
        "system": tokenizer.system,
        "folder": str(folder),
        "input_rate": tokenizer.sample_rate,
        "output_rate": tokenizer.output_rate,
        "segment_seconds": tokenizer.segment_seconds,
        "decoder": tokenizer.has_decoder,
        "reads_text": tokenizer.reads_text,
        "voices": ", ".join(tokenizer.voices) or "none",
        "parameters": tokenizer.parameters,
        **describe_layout(tokenizer.layout),
    }
