"""Speaker similarity: cosine between GE2E embeddings (Wan et al. 2018) of two recordings.

The weights are those inside the package resemblyzer (Apache-2.0), which is not imported: with it
would come librosa, numba and a voice activity detector that has to be compiled. The features and
the network are written here after the paper and give resemblyzer's embeddings.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers.audio_utils import mel_filter_bank

from unisono.audio import Audio
from unisono.errors import MissingExtraError
from unisono.evaluation.result import MetricError

RATE = 16_000
_N_FFT, _HOP, _MELS = 400, 160, 40
_WINDOW, _STEP = 160, 77
"""Frames of a stretch that is embedded, and from one to the next: 1.6 s, 1.3 a second."""
_LEAST_COVERED = 0.75
_LOUDNESS = 10 ** (-30 / 20)


class SpeakerSimilarity:
    """Scores pairs of recordings; holds the network, so make one and use it often.

    On held-out human speech, clips of one speaker reached 0.77 to 0.92 and clips of two speakers
    0.41 to 0.62 (5 % to 95 %, three voices). GE2E is old and also hears the channel: a narrow band
    alone lowers the cosine. Compare figures, do not take them alone.
    """

    def __init__(self, weights: Path | None = None) -> None:
        self._network = _Network()
        path = weights or ge2e_file()
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        known = self._network.state_dict()
        self._network.load_state_dict({name: state[name] for name in known})
        self._network.eval()
        filters = mel_filter_bank(
            _N_FFT // 2 + 1, _MELS, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney"
        )
        self._filters = torch.from_numpy(filters).float()

    def __call__(self, reference: Audio, other: Audio) -> float:
        """Cosine, 0 to 1 (embeddings are not negative); `MetricError` for silence."""
        return float(np.dot(self.embed(reference), self.embed(other)))

    def embed(self, audio: Audio) -> NDArray[np.float32]:
        """Unit vector `[256]`: the mean over stretches of 1.6 s, silence included."""
        wave = torch.from_numpy(np.ascontiguousarray(audio.mono().resample(RATE).samples[0]))
        level = float(wave.square().mean().sqrt())
        if not level:
            raise MetricError("speaker similarity: the recording is silent")
        if level < _LOUDNESS:
            wave = wave * (_LOUDNESS / level)
        starts = _starts(wave.numel())
        missing = (starts[-1] + _WINDOW) * _HOP - wave.numel()
        mel = self._mel(nn.functional.pad(wave, (0, max(0, missing))))
        with torch.inference_mode():
            stretches = torch.stack([mel[start : start + _WINDOW] for start in starts])
            mean = self._network(stretches).mean(0)
            return (mean / mean.norm()).numpy()

    def _mel(self, wave: torch.Tensor) -> torch.Tensor:
        """Mel power, no logarithm: `[frames, 40]`."""
        spectrum = torch.stft(
            wave, _N_FFT, _HOP, window=torch.hann_window(_N_FFT), center=True,
            pad_mode="constant", return_complex=True,
        )  # fmt: skip
        return spectrum.abs().square().T @ self._filters


class _Network(nn.Module):
    """Three LSTM layers of 256, a projection, ReLU, unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """Mels `[batch, frames, 40]` to embeddings `[batch, 256]`."""
        _, (hidden, _) = self.lstm(mels)
        raw = torch.relu(self.linear(hidden[-1]))
        return raw / raw.norm(dim=1, keepdim=True)


def _starts(samples: int) -> list[int]:
    """First frames of the stretches; a last one that is mostly padding is left out."""
    frames = math.ceil((samples + 1) / _HOP)
    starts = list(range(0, max(1, frames - _WINDOW + _STEP + 1), _STEP))
    covered = (samples / _HOP - starts[-1]) / _WINDOW
    return starts[:-1] if covered < _LEAST_COVERED and len(starts) > 1 else starts


def ge2e_file() -> Path:
    """The GE2E weights inside the package resemblyzer; `MissingExtraError` says how to get it."""
    spec: Any = importlib.util.find_spec("resemblyzer")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "pretrained.pt"
        if path.is_file():
            return path
    raise MissingExtraError(
        "Speaker similarity needs the weights in the package resemblyzer, without the packages "
        "that it asks for: pip install --no-deps resemblyzer"
    )
