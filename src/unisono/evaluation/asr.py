"""Speech recognition for scoring: one fixed way of running Whisper, named in every result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unisono.errors import DataError, require_extra

RATE = 16_000


class Transcriber(Protocol):
    """Text of mono float32 waves `[n]` at 16 kHz; `name` says model, precision and search."""

    name: str

    def __call__(self, wave: np.ndarray, language: str) -> str:
        """What is said in `wave`, in `language` (a code such as "en"), unnormalised."""
        ...


def open_transcriber(folder: Path, beam: int = 5, threads: int = 2) -> Transcriber:
    """Whisper from a CTranslate2 folder (int8) or a transformers folder (float32)."""
    if (folder / "model.bin").is_file():
        return FasterWhisper(folder, beam, threads)
    if (folder / "model.safetensors").is_file():
        return TransformersWhisper(folder, beam)
    raise DataError(
        f"{folder} holds no Whisper model (model.bin or model.safetensors); make one with "
        "`python -m recipes.whisper --out DIR`."
    )


class FasterWhisper:
    """faster-whisper in int8; forced language, no fallback to sampling, no context, no skipping."""

    def __init__(self, folder: Path, beam: int = 5, threads: int = 2) -> None:
        whisper = require_extra("faster_whisper", "eval").WhisperModel
        self._model: Any = whisper(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads
        )
        self._beam = beam
        self.name = f"{folder.name} (faster-whisper int8, beam {beam}, temperature 0)"

    def __call__(self, wave: np.ndarray, language: str) -> str:
        """Text of `wave`; the same input gives the same text."""
        segments, _ = self._model.transcribe(
            np.ascontiguousarray(wave, dtype=np.float32),
            language=language,
            task="transcribe",
            beam_size=self._beam,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
            vad_filter=False,
        )
        return " ".join(segment.text.strip() for segment in segments)


class TransformersWhisper:
    """Whisper of transformers in float32; forced language, clips of up to 30 s."""

    def __init__(self, folder: Path, beam: int = 5) -> None:
        import torch
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        self._processor: Any = WhisperProcessor.from_pretrained(str(folder))
        self._model: Any = WhisperForConditionalGeneration.from_pretrained(
            str(folder), dtype=torch.float32
        ).eval()
        self._beam = beam
        self.name = f"{folder.name} (transformers float32, beam {beam}, temperature 0)"

    def __call__(self, wave: np.ndarray, language: str) -> str:
        """Text of `wave`; what lies beyond 30 s is not heard."""
        import torch

        inputs = self._processor(wave, sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            ids = self._model.generate(
                inputs.input_features,
                language=language,
                task="transcribe",
                num_beams=self._beam,
                do_sample=False,
            )
        return str(self._processor.batch_decode(ids, skip_special_tokens=True)[0]).strip()
