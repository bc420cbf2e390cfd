"""`unisono roundtrip`: one recording to tokens and back, with figures and a picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from unisono.audio import Audio, probe, read_blocks
from unisono.cli import common
from unisono.cli.outputs import ensure_folder
from unisono.errors import AudioError, ConfigError, MissingExtraError, require_extra
from unisono.tokens import AudioTokens

# Figures and picture look at this much of the beginning, so that a long file stays affordable.
LOOK_SECONDS = 60.0


def roundtrip(
    source: Annotated[Path, typer.Argument(help="An audio file.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Audio file; default NAME.roundtrip.wav.")
    ] = None,
    model: common.Model = common.DEFAULT_MODEL,
    device: common.Device = "cpu",
    dtype: common.Dtype = "float32",
    int8: common.Int8 = False,
    batch_seconds: common.BatchSeconds = 60.0,
    seed: common.Seed = 0,
    steps: common.Steps = None,
    voice: common.VoiceOption = None,
    own_voice: Annotated[
        bool, typer.Option("--own-voice", help="Sound like the recording, beyond its tokens.")
    ] = False,
    picture: Annotated[bool, typer.Option(help="Write a PNG beside the audio.")] = True,
    quiet: common.Quiet = False,
    as_json: common.AsJson = False,
    verbose: common.Verbose = False,
) -> None:
    """Encode a recording, decode it again, and print what that cost and kept."""
    session = common.Session(quiet, as_json, verbose)
    if own_voice and voice is not None:
        raise ConfigError("Give --voice or --own-voice, not both.")
    info = probe(source)
    target = out or Path(f"{source.stem}.roundtrip.wav")
    if target.resolve() == source.resolve():
        raise AudioError(f"{source} would be overwritten by its reconstruction; give another -o.")
    ensure_folder(target.parent)
    tokenizer = common.load_model(model, device, dtype, int8)

    began = time.perf_counter()
    tokens = tokenizer.encode(source, batch_seconds=batch_seconds)
    encoded = time.perf_counter()
    tokenizer.decode_to_file(tokens, target, seed, steps, source if own_voice else voice)
    decoded = time.perf_counter()

    before, after = _beginning(source, tokenizer.output_rate), _beginning(target, None)
    report = _report(tokenizer, tokens, encoded - began, decoded - encoded)
    report |= {"input": str(source), "output": str(target), **_quality(before, after)}
    if picture:
        report["picture"] = _picture(before, after, tokens, target)
    session.say(
        f"{source}  {info.format}, {info.channels} channel(s), {info.rate} Hz, "
        f"{tokens.duration:.2f} s"
    )
    _say(session, report)
    session.finish(report)


def _report(
    tokenizer: Any, tokens: AudioTokens, encode_seconds: float, decode_seconds: float
) -> dict[str, Any]:
    layout = tokens.layout
    bits = layout.bits_per_second * tokens.duration + layout.bits_once
    return {
        "model": tokenizer.model_id,
        "seconds": round(tokens.duration, 4),
        "tokens": len(tokens),
        "codes_used": int(sum(len(np.unique(codes)) for codes in tokens.codes.values())),
        "bits_per_second": round(layout.bits_per_second, 2),
        "bits": round(bits),
        "encode_seconds": round(encode_seconds, 3),
        "decode_seconds": round(decode_seconds, 3),
        "encode_real_time": round(tokens.duration / max(encode_seconds, 1e-9), 2),
        "decode_real_time": round(tokens.duration / max(decode_seconds, 1e-9), 2),
        "real_time_factor": round((encode_seconds + decode_seconds) / tokens.duration, 4),
    }


def _say(session: common.Session, report: dict[str, Any]) -> None:
    session.say(
        f"tokens   {report['tokens']} ({report['codes_used']} different codes), "
        f"{report['bits_per_second']:g} bit/s, model {report['model']}"
    )
    session.say(
        f"time     encode {report['encode_seconds']:.2f} s ({report['encode_real_time']:.1f} x "
        f"real time), decode {report['decode_seconds']:.2f} s "
        f"({report['decode_real_time']:.1f} x), real-time factor {report['real_time_factor']:.3f}"
    )
    stoi = report["stoi"]
    session.say(
        f"quality  mel distance {report['mel_distance']:.3f} (mean |log-mel difference|), "
        + (f"STOI {stoi:.3f}" if isinstance(stoi, float) else f"STOI: {report['stoi_note']}")
    )
    session.say(f"audio    {report['output']}")
    if "picture" in report:
        session.say(f"picture  {report['picture']}")


def _beginning(path: Path, rate: int | None) -> Audio:
    """The first minute of a file, mono, at `rate` Hz."""
    own = rate or probe(path).rate
    block = next(read_blocks(path, rate=own, block_seconds=LOOK_SECONDS))
    return Audio(block, own)


def _quality(before: Audio, after: Audio) -> dict[str, Any]:
    """Mel distance, and STOI where the extra is installed; over what both have."""
    count = min(before.length, after.length)
    x, y = before.samples[0, :count], after.samples[0, :count]
    figures: dict[str, Any] = {
        "mel_distance": round(float(np.abs(_mel(x, before.rate) - _mel(y, after.rate)).mean()), 4)
    }
    try:
        stoi = require_extra("pystoi", "eval").stoi
    except MissingExtraError as error:
        return {**figures, "stoi": None, "stoi_note": str(error)}
    if count < before.rate // 2:
        return {**figures, "stoi": None, "stoi_note": "needs half a second of sound"}
    import warnings

    with warnings.catch_warnings():
        # pystoi warns, and gives 1e-5, when too little of the recording is above silence.
        warnings.simplefilter("ignore")
        return {**figures, "stoi": round(float(stoi(x, y, before.rate)), 4)}


def _mel(wave: np.ndarray, rate: int) -> np.ndarray:
    """Log-mel `[80, frames]`."""
    import torch

    from unisono.synthesis.mel import MelConfig, MelSpectrogram

    config = MelConfig(rate=rate, fmax=min(8000.0, rate / 2))
    with torch.inference_mode():
        return MelSpectrogram(config)(torch.from_numpy(np.ascontiguousarray(wave))[None])[0].numpy()


def _picture(before: Audio, after: Audio, tokens: AudioTokens, target: Path) -> str:
    """Path of the PNG, or the sentence that says what it needs."""
    try:
        require_extra("matplotlib", "plot")
    except MissingExtraError as error:
        return f"none: {error}"
    from unisono.cli.picture import draw

    path = target.with_suffix(".png")
    draw(
        path,
        [
            ("original", _mel(before.samples[0], before.rate)),
            ("reconstruction", _mel(after.samples[0], after.rate)),
        ],
        min(before.duration, tokens.duration),
        tokens,
    )
    return str(path)
