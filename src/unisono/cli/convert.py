"""`unisono convert`: recordings said again by another voice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from unisono.cli import common
from unisono.cli.decode import AUDIO_OUT
from unisono.cli.inputs import AUDIO_SUFFIXES, Item, collect
from unisono.cli.outputs import ensure_folder, output_names
from unisono.errors import AudioError, ConfigError, DataError, UnisonoError
from unisono.segments import read_voice
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import AudioTokens

DEFAULT_MODEL = "unicodec-mini"


def convert(
    sources: Annotated[
        list[str], typer.Argument(help="Audio files, folders, globs, .jsonl manifests.")
    ],
    voice: Annotated[Path, typer.Option("--voice", help="A recording of the voice to take on.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder, or an audio file for one source; default NAME.as-VOICE.wav"
        ),
    ] = None,
    output_format: Annotated[
        str, typer.Option("--format", "-f", help=f"One of {', '.join(AUDIO_OUT)}.")
    ] = "wav",
    model: common.Model = DEFAULT_MODEL,
    device: common.Device = "cpu",
    dtype: common.Dtype = "float32",
    seed: common.Seed = 0,
    steps: common.Steps = None,
    overwrite: common.Overwrite = False,
    quiet: common.Quiet = False,
    as_json: common.AsJson = False,
    verbose: common.Verbose = False,
) -> None:
    """Give recordings another voice: their words and melody, the global tokens of --voice and,
    where tokens tell the pitch, its register.

    A single output file is made anew; in a folder, outputs that exist are skipped. Sources that
    cannot be read are listed at the end; the others are done all the same.
    """
    session = common.Session(quiet, as_json, verbose)
    kind = common.check_choice("format", output_format, AUDIO_OUT)
    items = collect(sources, AUDIO_SUFFIXES)
    paths, single = _targets(items, voice, out, kind)
    todo = [
        (item, path)
        for item, path in zip(items, paths, strict=True)
        if single or overwrite or not path.exists()
    ]
    began, seconds, done = time.perf_counter(), 0.0, 0
    if todo:
        tokenizer = common.load_model(model, device, dtype)
        give = _conversion(tokenizer, voice, seed, steps)
        with session.progress("convert", len(todo)) as advance:
            for item, path in todo:
                try:
                    ensure_folder(path.parent)
                    tokens = tokenizer.encode(item.path)
                    give(tokens, path)
                except UnisonoError as error:
                    session.fail(str(item.path), error)
                else:
                    done += 1
                    seconds += tokens.duration
                advance()
    elapsed = time.perf_counter() - began
    where = paths[0] if single else out
    session.summary("converted", done, len(items), f"{seconds:.1f} s of audio", elapsed, where)
    session.finish(
        {
            "converted": done,
            "skipped": len(items) - len(todo),
            "voice": str(voice),
            "audio_seconds": round(seconds, 3),
            "elapsed_seconds": round(elapsed, 3),
            "output": str(where),
        }
    )


def _targets(
    items: list[Item], voice: Path, out: Path | None, kind: str
) -> tuple[list[Path], bool]:
    """A path for each item, and whether there is but one, which was named or goes here."""
    file = out is None or (out.suffix[1:].lower() in AUDIO_OUT and not out.is_dir())
    if file and len(items) > 1:
        raise DataError(f"{len(items)} sources do not fit one file; give a folder as -o.")
    if out is None:
        paths = [Path(f"{items[0].path.stem}.as-{voice.stem}.{kind}")]
    elif file:
        paths = [out]
    else:
        ensure_folder(out)
        paths = [out / name for name in output_names([item.key for item in items], f".{kind}")]
    read = {path.resolve() for path in (voice, *(item.path for item in items))}
    for path in paths:
        if path.resolve() in read:
            raise AudioError(f"{path} is an input and would be overwritten; give another -o.")
    return paths, file


def _conversion(
    tokenizer: AudioTokenizer, voice: Path, seed: int, steps: int | None
) -> Callable[[AudioTokens, Path], object]:
    """What decodes tokens into a file with the voice; `ConfigError` if the model takes none.

    Where tokens say whose voice it is, those of the recording are made here, once for all sources.
    """
    if any(stream.rate is None for stream in tokenizer.layout.streams):
        heard = tokenizer.encode((read_voice(voice, tokenizer.sample_rate), tokenizer.sample_rate))
        return lambda tokens, path: tokenizer.decode_to_file(tokens, path, seed, steps, heard)
    if not tokenizer.voices:
        raise ConfigError(
            f"Model '{tokenizer.model_id}' takes no voice: its tokens have no global stream and "
            f"its decoder knows no voices; use another, such as --model {DEFAULT_MODEL}."
        )
    return lambda tokens, path: tokenizer.decode_to_file(tokens, path, seed, steps, voice)
