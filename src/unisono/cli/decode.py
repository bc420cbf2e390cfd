"""`unisono decode`: tokens to audio files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from unisono.cli import common
from unisono.cli.outputs import ensure_folder, output_names
from unisono.cli.tokenfiles import peek_model, token_items
from unisono.errors import ConfigError, DataError, UnisonoError
from unisono.tokens import AudioTokens

AUDIO_OUT = ("wav", "flac", "ogg", "opus", "mp3", "aiff", "au", "caf")


def decode(
    inputs: Annotated[
        list[str], typer.Argument(help="Files (.utok, .jsonl, .parquet), folders, globs.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder, or an audio file for one item.")
    ],
    output_format: Annotated[
        str, typer.Option("--format", "-f", help=f"One of {', '.join(AUDIO_OUT)}.")
    ] = "wav",
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="As for encode; default: the model named in the tokens."
        ),
    ] = None,
    device: common.Device = "cpu",
    dtype: common.Dtype = "float32",
    seed: common.Seed = 0,
    steps: common.Steps = None,
    voice: common.VoiceOption = None,
    streams: Annotated[
        str | None,
        typer.Option(
            "--streams",
            help="Decode these only, NAME or NAME:GROUPS, such as global,semantic,residual:1.",
        ),
    ] = None,
    overwrite: common.Overwrite = False,
    quiet: common.Quiet = False,
    as_json: common.AsJson = False,
    verbose: common.Verbose = False,
) -> None:
    """Decode tokens to audio, each as long as its original."""
    session = common.Session(quiet, as_json, verbose)
    kind = common.check_choice("format", output_format, AUDIO_OUT)
    keep = _keeping(streams)
    items = token_items(inputs)
    if not items:
        raise DataError("The inputs hold no tokens.")
    single = len(items) == 1 and out.suffix[1:].lower() in AUDIO_OUT and not out.is_dir()
    ensure_folder(out.parent if single else out)
    names = output_names([item.key for item in items], f".{kind}")
    paths = [out] if single else [out / name for name in names]
    todo = [
        (item, path)
        for item, path in zip(items, paths, strict=True)
        if overwrite or not path.exists()
    ]
    began, seconds, done = time.perf_counter(), 0.0, 0
    if todo:
        tokenizer = common.load_model(model or _named_model(inputs), device, dtype)
        with session.progress("decode", len(todo)) as advance:
            for item, path in todo:
                try:
                    ensure_folder(path.parent)
                    tokens = keep(item.read(tokenizer))
                    tokenizer.decode_to_file(tokens, path, seed, steps, voice)
                except UnisonoError as error:
                    session.fail(item.key, error)
                else:
                    done += 1
                    seconds += tokens.duration
                advance()
    elapsed = time.perf_counter() - began
    skipped = len(items) - len(todo)
    session.summary("decoded", done, len(items), f"{seconds:.1f} s of audio", elapsed, out)
    session.finish(
        {
            "decoded": done,
            "skipped": skipped,
            "audio_seconds": round(seconds, 3),
            "elapsed_seconds": round(elapsed, 3),
            "output": str(out),
        }
    )


def _keeping(streams: str | None) -> Callable[[AudioTokens], AudioTokens]:
    """What leaves the streams of tokens that `streams` names, and so many of their groups."""
    if streams is None:
        return lambda tokens: tokens
    groups: dict[str, int] = {}
    names = []
    for part in streams.split(","):
        name, colon, count = (text.strip() for text in part.partition(":"))
        if not name or (colon and not count.isdecimal()):
            raise ConfigError(
                f"--streams has '{part}', which is no NAME or NAME:GROUPS; write such as "
                "global,semantic,residual:1."
            )
        names.append(name)
        if colon:
            groups[name] = int(count)
    return lambda tokens: tokens.only(*names).first_groups(**groups)


def _named_model(inputs: list[str]) -> str:
    """The embedded model that made the first tokens, else the default one."""
    from unisono.models import embedded_models

    named = peek_model(inputs)
    return named if named in embedded_models() else common.DEFAULT_MODEL
