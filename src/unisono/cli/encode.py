"""`unisono encode`: any number of recordings to tokens; can be killed and taken up again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from unisono.cli import common
from unisono.cli.inputs import AUDIO_SUFFIXES, collect
from unisono.cli.outputs import FORMATS, open_sink
from unisono.errors import ConfigError, UnisonoError
from unisono.storage.entropy import FILE_NAME, CodeStatistics
from unisono.storage.range_coder import check_coder
from unisono.tokenizer import AudioTokenizer


def encode(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs, manifests (.jsonl).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder, or a .utok or .jsonl file.")],
    output_format: Annotated[
        str | None, typer.Option("--format", "-f", help="utok, jsonl or parquet.")
    ] = None,
    coding: Annotated[
        str, typer.Option(help="Of .utok files: packed, or range (smaller; extra 'entropy').")
    ] = "packed",
    model: common.Model = common.DEFAULT_MODEL,
    device: common.Device = "cpu",
    dtype: common.Dtype = "float32",
    int8: common.Int8 = False,
    batch_seconds: common.BatchSeconds = 60.0,
    overwrite: common.Overwrite = False,
    quiet: common.Quiet = False,
    as_json: common.AsJson = False,
    verbose: common.Verbose = False,
) -> None:
    """Encode recordings to tokens.

    Outputs that exist are skipped, so a stopped run goes on where it was. Files that cannot be
    read are listed at the end; the others are done all the same.
    """
    session = common.Session(quiet, as_json, verbose)
    kind = output_format or (out.suffix[1:] if out.suffix[1:] in FORMATS else "utok")
    common.check_choice("format", kind, FORMATS)
    _check_coding(coding, kind)
    items = collect(inputs, AUDIO_SUFFIXES)
    began = time.perf_counter()
    seconds, tokens_made, done = 0.0, 0, 0
    with open_sink(out, kind, items, overwrite) as sink:
        todo = [item for item in items if not sink.done(item)]
        if todo:
            tokenizer = common.load_model(model, device, dtype, int8, decoder=False)
            if coding == "range":
                sink.statistics = _statistics(tokenizer)
            results = tokenizer.encode_iter((item.path for item in todo), batch_seconds)
            with session.progress("encode", len(todo)) as advance:
                for index, outcome in results:
                    item = todo[index]
                    try:
                        if isinstance(outcome, UnisonoError):
                            raise outcome
                        sink.put(item, outcome)
                    except UnisonoError as error:
                        session.fail(str(item.path), error)
                    else:
                        done += 1
                        seconds += outcome.duration
                        tokens_made += len(outcome)
                    advance()
    elapsed = time.perf_counter() - began
    skipped = len(items) - len(todo)
    audio = f"{seconds:.1f} s of audio, {tokens_made} tokens"
    session.summary("encoded", done, len(items), audio, elapsed, out)
    session.finish(
        {
            "encoded": done,
            "skipped": skipped,
            "audio_seconds": round(seconds, 3),
            "tokens": tokens_made,
            "elapsed_seconds": round(elapsed, 3),
            "output": str(out),
            "format": kind,
            "coding": coding,
        }
    )


def _check_coding(coding: str, kind: str) -> None:
    """Refuse, before any work, a coding that cannot be done."""
    common.check_choice("coding", coding, ("packed", "range"))
    if coding == "range":
        if kind != "utok":
            raise ConfigError(f"--coding range goes with .utok files, not with {kind}.")
        check_coder()


def _statistics(tokenizer: AudioTokenizer) -> CodeStatistics:
    if tokenizer.statistics is None:
        raise ConfigError(
            f"Model '{tokenizer.model_id}' has no code statistics ({FILE_NAME}), so its tokens "
            "cannot be range-coded; make them with `python -m recipes.statistics`, or leave out "
            "--coding range."
        )
    return tokenizer.statistics
