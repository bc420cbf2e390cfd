"""Windowed self-attention over folded frames, with rotary positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unisono.unicodec.config import TransformerConfig
from unisono.unicodec.state import StreamState

_BASE = 10_000.0


class Transformer(nn.Module):
    """Pre-norm layers, each frame attending to `window` frames before it [semantic TF-Codec].

    Not causal: and to as many after it. Rotary positions [RoFormer], so that nothing depends on
    where in an item a frame stands.
    """

    def __init__(self, config: TransformerConfig, causal: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(config, causal) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """`x [B, T, width]` → the same shape."""
        for layer in self.layers:
            x = layer(x, state)
        return self.norm(x)


class TransformerLayer(nn.Module):
    """Attention and a feed-forward network four times as wide."""

    def __init__(self, config: TransformerConfig, causal: bool) -> None:
        super().__init__()
        width = config.width
        self.heads, self.window, self.causal = config.heads, config.window, causal
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """`x [B, T, width]` → the same shape."""
        x = x + self.outward(self._attend(self.norms[0](x), state))
        return x + self.feed(self.norms[1](x))

    def _attend(self, x: Tensor, state: StreamState | None) -> Tensor:
        parts = self.inward(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        past = 0
        if state is not None:
            keys, values = state.find(self, "keys"), state.find(self, "values")
            if keys is not None and values is not None:
                past = keys.shape[2]
                key, value = torch.cat([keys, key], 2), torch.cat([values, value], 2)
            first = max(0, key.shape[2] - self.window)
            state.put(self, "keys", key[:, :, first:])
            state.put(self, "values", value[:, :, first:])
        # Only differences of positions matter, so they are counted from the oldest frame kept.
        places = torch.arange(key.shape[2], device=x.device)
        made = F.scaled_dot_product_attention(
            _rotate(query, places[past:]), _rotate(key, places), value,
            attn_mask=self._seen(places[past:], places),
        )  # fmt: skip
        return made.transpose(1, 2).flatten(2)

    def _seen(self, mine: Tensor, others: Tensor) -> Tensor:
        """Which frames `others [K]` each of `mine [Q]` attends to: bool `[Q, K]`."""
        ago = mine[:, None] - others
        return (ago <= self.window) & (ago >= (0 if self.causal else -self.window))


def _rotate(x: Tensor, places: Tensor) -> Tensor:
    """Turn pairs of numbers of `x [B, heads, T, d]` by angles that grow with the place."""
    half = x.shape[-1] // 2
    speeds = _BASE ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = places[:, None] * speeds
    cos, sin = angles.cos().to(x), angles.sin().to(x)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
