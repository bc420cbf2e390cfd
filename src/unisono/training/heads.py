"""What an encoder is trained through: small networks on top of the tokens, thrown away later."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

from unisono.uniaudio.text_decoder import TextDecoder


class PhonemeHead(nn.Module):
    """Quantized states → phoneme logits for CTC: projection, Transformer layers, linear (ours).

    Args:
        dim: width of the quantized states.
        symbols: size of the phoneme inventory; class 0 is CTC's blank, so logits have one more.
    """

    def __init__(self, dim: int, symbols: int, width: int = 256, layers: int = 2) -> None:
        super().__init__()
        self.inward = nn.Linear(dim, width)
        self.position = nn.Conv1d(width, width, 15, padding=7, groups=width)
        self.layers = transformer(width, layers)
        self.norm = nn.LayerNorm(width)
        self.outward = nn.Linear(width, symbols + 1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """`states [B, T, dim]`, `mask [B, T]` → log probabilities `[B, T, symbols + 1]`."""
        x = self.inward(states) * mask[..., None]
        x = x + self.position(x.transpose(1, 2)).transpose(1, 2)
        x = run_layers(self.layers, x, mask)
        return F.log_softmax(self.outward(self.norm(x)), dim=-1)


class TextReader(nn.Module):
    """Whisper's text decoder with its output layer, at chosen positions only.

    Args:
        decoder: its output layer is its embedding, as in Whisper.
    """

    def __init__(self, decoder: TextDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, ids: Tensor, states: Tensor, mask: Tensor, chosen: Tensor) -> Tensor:
        """Logits `[N, vocabulary]` of the tokens after the N `chosen [R, L]` of `ids [R, L]`.

        `states [R, T, D]` and `mask [R, T]` are what the decoder hears.
        """
        hidden, _ = self.decoder(ids, states, mask)
        return F.linear(hidden[chosen], self.decoder.embed_tokens.weight)


def transformer(width: int, layers: int) -> nn.ModuleList:
    """Whisper's encoder layers at another width, 64 dimensions a head, no dropout."""
    options: dict[str, Any] = {"attn_implementation": "sdpa"}  # no field of it
    config = WhisperConfig(
        d_model=width,
        encoder_attention_heads=max(1, width // 64),
        encoder_ffn_dim=4 * width,
        dropout=0.0,
        **options,
    )
    return nn.ModuleList(WhisperEncoderLayer(config) for _ in range(layers))


def run_layers(layers: nn.ModuleList, x: Tensor, mask: Tensor) -> Tensor:
    """`x [B, T, D]` through encoder layers that see only the frames of `mask [B, T]`."""
    allowed = mask.bool()[:, None, None, :].expand(-1, 1, x.shape[1], -1)
    bias = torch.zeros_like(allowed, dtype=x.dtype).masked_fill(~allowed, torch.finfo(x.dtype).min)
    for layer in layers:
        out = layer(x, bias)
        x = out[0] if isinstance(out, tuple) else out
    return x


class SummaryHead(nn.Module):
    """Mean and deviation of the states below, told by the mean of the code vectors above (ours).

    Linear, so that what lasts is in the histogram of codes itself.

    Args:
        dim: width of the states. seen: summaries `[N, 2 * dim]` of some data, for their scale.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, dim: int, seen: Tensor) -> None:
        super().__init__()
        self.outward = nn.Linear(dim, 2 * dim)
        self.register_buffer("center", seen.mean(0))
        self.register_buffer("scale", seen.std(0, unbiased=False).clamp(min=1e-4))

    def errors(self, vectors: Tensor, below: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Squared errors of windows of `vectors`, `below` `[B, T, dim]`, in units of variance,
        summed; and how many windows `mask [B, T]` leaves."""
        aims, real = summaries(below, mask)
        means, _ = summaries(vectors, mask)
        told = self.outward(means[:, : vectors.shape[-1]])
        each = (told - (aims - self.center) / self.scale).square().mean(-1)
        return each.sum(), real.new_tensor(len(each))


def summaries(states: Tensor, mask: Tensor, window: int = 50) -> tuple[Tensor, Tensor]:
    """Mean and deviation of `states [B, T, dim]` over windows of frames: `[N, 2 * dim]`.

    Only windows in which `mask [B, T]` has real frames, whose number `[N]` comes with them.
    """
    extra = -states.shape[1] % window
    x = F.pad(states, (0, 0, 0, extra)).unflatten(1, (-1, window)).flatten(0, 1)
    m = F.pad(mask, (0, extra)).unflatten(1, (-1, window)).flatten(0, 1).to(states.dtype)
    count = m.sum(1)
    x, m, count = x[count > 0], m[count > 0][..., None], count[count > 0]
    mean = (x * m).sum(1) / count[:, None]
    spread = ((x - mean[:, None]).square() * m).sum(1) / count[:, None]
    return torch.cat([mean, (spread + 1e-6).sqrt()], dim=-1), count
