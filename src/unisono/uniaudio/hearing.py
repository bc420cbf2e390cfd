"""What a text decoder attends to: encoder layers above the tokens, or tokens heard as mel frames.

The second is ours: tokens are heard as Whisper hears audio, as the mel frames that they stand for.
Where there is little to train on, Whisper's layers need not learn to read code vectors: a small
network tells the log-mel spectrum of the tokens, and what knows speech already does the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer, sinusoids

from unisono.synthesis.convolution import TokenConvolutions
from unisono.uniaudio.config import UniAudioConfig

FRAMES = 4
"""Mel frames of a token: 100 a second, 25 tokens."""
SILENCE = 400
"""Mel frames that follow what is said: with half of them a Whisper errs in more words (ours)."""


class EncoderTop(nn.Module):
    """The encoder layers above the quantizer, and the final LayerNorm.

    An encoder-only model has none, but Whisper's text decoder expects what comes out of them.
    Every frame sees every frame, also above a causal encoder (ours).

    Args:
        config: widths, and `encoder_layers` in all; first: number of the first layer (1-based).
    """

    placed = True
    """Whether the code vectors are to have their positions added."""

    def __init__(self, config: WhisperConfig, first: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            WhisperEncoderLayer(config) for _ in range(first, config.encoder_layers + 1)
        )
        self.layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """`states [B, T, D]`, `mask [B, T]` → what the text decoder attends to `[B, T, D]`."""
        bias = None
        if not bool(mask.all()):
            hidden = ~mask.bool()[:, None, None, :].expand(-1, 1, states.shape[1], -1)
            bias = torch.zeros_like(hidden, dtype=states.dtype)
            bias = bias.masked_fill(hidden, torch.finfo(states.dtype).min)
        for layer in self.layers:
            out = layer(states, bias)
            states = out[0] if isinstance(out, tuple) else out
        return self.layer_norm(states)


def frames_of(told: Tensor, mels: int) -> Tensor:
    """What is told of tokens, `[..., T, n mels]`, as mel frames in a row: `[..., n T, mels]`."""
    return told.unflatten(-1, (-1, mels)).flatten(-3, -2)


def bridge_sizes(bridge: TokenConvolutions) -> dict[str, int]:
    """What `TokenConvolutions` of these sizes is built from."""
    width, dim = bridge.inward.weight.shape
    return {
        "dim": dim, "out": len(bridge.outward.weight), "width": width, "layers": len(bridge.convs)
    }  # fmt: skip


class Ears(nn.Module):
    """Whisper's encoder on mel frames of any length; states come at half their rate.

    config: its sizes; layers: how many of them there are.
    """

    positions: Tensor

    def __init__(self, config: WhisperConfig, layers: int) -> None:
        super().__init__()
        width = config.d_model
        self.conv1 = nn.Conv1d(config.num_mel_bins, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.above = EncoderTop(config, config.encoder_layers - layers + 1)
        table = sinusoids(config.max_source_positions, width)
        self.register_buffer("positions", table, persistent=False)

    def forward(self, mel: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States `[B, S, D]` and their mask `[B, S]` of `mel [B, F, mels]`.

        `mask [B, F]`: 1 on real frames, which come first. Four seconds of silence follow each item,
        as Whisper was trained to hear, unless its 30 s are over; S is half as many.
        """
        real = mask.sum(1)
        ends = (real + SILENCE).clamp(max=2 * len(self.positions))
        mel = nn.functional.pad(mel, (0, 0, 0, int(ends.max()) - mel.shape[1]))
        place = torch.arange(mel.shape[1], device=mel.device)
        own, heard = place < real[:, None], place < ends[:, None]
        least = mel.masked_fill(~own[..., None], float("inf")).amin((1, 2))
        mel = torch.where(own[..., None], mel, least[:, None, None])
        kept = heard[:, None].to(mel.dtype)
        x = nn.functional.gelu(self.conv1(mel.transpose(1, 2) * kept)) * kept
        x = nn.functional.gelu(self.conv2(x)).transpose(1, 2)
        mask = heard[:, ::2].to(mask.dtype)
        return self.above(x + self.positions[: x.shape[1]].to(x), mask), mask


class MelTop(nn.Module):
    """Code vectors to what the text decoder attends to, by way of mel frames.

    The config's `text_bridge` has the sizes of the convolutions (`width`, `layers`); its encoder
    layers above `quantize_position` are all of Whisper's.
    """

    placed = False

    def __init__(self, config: UniAudioConfig) -> None:
        super().__init__()
        assert config.text_bridge is not None
        width = config.d_model
        self.bridge = TokenConvolutions(width, FRAMES * config.num_mel_bins, **config.text_bridge)
        self.ears = Ears(config, config.encoder_layers - config.quantize_position)

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Code `vectors [B, T, D]`, `mask [B, T]` → states and their mask, see `Ears`."""
        mel = self.bridge(vectors, mask.to(vectors.dtype))
        frames = frames_of(mel, mel.shape[-1] // FRAMES)
        states: tuple[Tensor, Tensor] = self.ears(frames, mask.repeat_interleave(FRAMES, 1))
        return states
