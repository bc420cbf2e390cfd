"""A tokenizer with UniCodec's streams whose every answer is known, and a corpus for it.

G is how loud a recording is, S the sign of each 40-ms frame, P its size beside the loudest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from unisono.audio import Audio
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import TokenLayout, TokenStream

RATE, FRAME = 16_000, 640
LEVELS = 16
LOUDNESS = {"soft": 2, "middle": 6, "loud": 12}


class ToyTokenizer(AudioTokenizer):
    system = "toy"
    model_id = "toy"
    sample_rate = output_rate = RATE
    segment_seconds = 3600
    layout = TokenLayout(
        (
            TokenStream("global", None, 1, LEVELS),
            TokenStream("semantic", 25.0, 1, 2),
            TokenStream("residual", 25.0, 1, 4),
        )
    )

    def encode_segments(self, segments):
        return [self._codes(wave) for wave in segments]

    def decode_blocks(self, tokens, seed, steps, voice):
        glob = tokens["global"][0, 0] if voice is None else self._codes(_wave(voice))["global"]
        sizes = tokens.codes.get("residual", np.full_like(tokens["semantic"], 2))
        signs = 2.0 * tokens["semantic"][0] - 1
        yield np.repeat(signs * sizes[0] / 3 * np.squeeze(glob) / LEVELS, FRAME)

    def accepts(self, layout):
        return "semantic" in [stream.name for stream in layout.streams]

    def to(self, device=None, dtype=None):
        return self

    def _codes(self, wave):
        frames = np.pad(wave, (0, -len(wave) % FRAME)).reshape(-1, FRAME)
        peak = np.abs(wave).max()
        sizes = np.abs(frames).max(1) / max(peak, 1e-9)
        return {
            "global": np.array([[round(peak * LEVELS)]], np.int32),
            "semantic": (frames.sum(1) > 0).astype(np.int32)[None],
            "residual": np.round(3 * sizes).astype(np.int32)[None],
        }


class SignASR:
    """Hears a word a second: which sign it has more of."""

    name = "signs"

    def __call__(self, wave, language):
        assert language in ("en", "de")
        seconds = np.array_split(wave, max(1, len(wave) // RATE))
        return " ".join("plus" if part.sum() > 0 else "minus" for part in seconds)


def alike(one, other):
    """Similarity of two recordings: 1 for the same loudness."""
    return 1 - abs(float(np.abs(one.samples).max()) - float(np.abs(other.samples).max()))


def write_corpus(folder: Path, split="eval", count=6, **more) -> Path:
    """A manifest of three voices by loudness: `count` clips each, 3 s and 4 s long in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    random, lines = np.random.default_rng(0), []
    for name, level in LOUDNESS.items():
        wave, start = [], 0.0
        for number in range(count):
            seconds = 3 + number % 2
            signs = np.repeat(random.choice([-1.0, 1.0], seconds), RATE)
            sizes = np.repeat(random.choice([1.0, 2.0, 3.0], 25 * seconds), FRAME) / 3
            sizes[: 2 * FRAME] = 1.0
            wave.append(signs * sizes * level / LEVELS)
            lines.append({"path": f"{name}.wav", "start": start, "duration": float(seconds),
                          "language": "en", "speaker": name, "source": "toy", "split": split,
                          **more})  # fmt: skip
            start += seconds
        Audio(np.concatenate(wave).astype(np.float32), RATE).write(folder / f"{name}.wav")
    manifest = folder / f"{split}.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def _wave(audio):
    return audio.mono().resample(RATE).samples[0]
