"""Token encoder of the flow decoder: Transformer blocks with ESPnet's relative positions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisono.errors import ConfigError
from unisono.synthesis.masks import length_mask

# Keys that the reference's configs carry, with the values that select what is built here.
_FIXED: dict[str, tuple[Any, ...]] = {
    "normalize_before": (True,),
    "input_layer": ("linear",),
    "pos_enc_layer_type": ("rel_pos_espnet",),
    "use_cnn_module": (False,),
    "macaron_style": (False,),
    "use_dynamic_chunk": (False,),
    "use_dynamic_left_chunk": (False,),
    "activation_type": ("swish",),
    "key_bias": (True,),
    "causal": (False,),
}
_ATTENTION = {"conformer": "rel_selfattn", "block": "block_rel_selfattn"}


@dataclass(frozen=True)
class ConformerConfig:
    """Sizes of the token encoder.

    `block_size` is set for the "block" kind only; `static_chunk_size` 0 means full attention.
    """

    input_size: int = 512
    output_size: int = 512
    attention_heads: int = 8
    linear_units: int = 2048
    num_blocks: int = 6
    dropout_rate: float = 0.1
    positional_dropout_rate: float = 0.1
    attention_dropout_rate: float = 0.1
    static_chunk_size: int = 0
    block_size: int | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], kind: str) -> ConformerConfig:
        """Build from the reference's arguments; `kind` is "conformer" or "block"."""
        if kind not in _ATTENTION:
            raise ConfigError(f"encoder_kind is {kind!r}; it must be 'conformer' or 'block'.")
        allowed = _FIXED | {"selfattention_layer_type": (_ATTENTION[kind],)}
        own: dict[str, Any] = {}
        for key, value in values.items():
            if key in cls.__dataclass_fields__:
                own[key] = value
            elif key not in allowed:
                raise ConfigError(f"The flow encoder's config has an unknown key: {key}.")
            elif value not in allowed[key]:
                raise ConfigError(
                    f"The flow encoder's {key} is {value!r}; only {allowed[key][0]!r} is supported."
                )
        if (kind == "block") != (own.get("block_size") is not None):
            raise ConfigError("The flow encoder needs block_size exactly if its kind is 'block'.")
        config = cls(**own)
        if config.output_size % config.attention_heads:
            raise ConfigError("The flow encoder's output_size must divide by attention_heads.")
        return config


class TokenEncoder(nn.Module):
    """Embedded tokens `[B, T, input_size]` to `[B, T, output_size]`, normalised at the end."""

    def __init__(self, config: ConformerConfig):
        super().__init__()
        self.config = config
        self.embed = _Embed(config)
        self.encoders = nn.ModuleList(_Block(config) for _ in range(config.num_blocks))
        self.after_norm = nn.LayerNorm(config.output_size, eps=1e-5)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode `x [B, T, input_size]`; `lengths [B]` are real positions, `None` means all."""
        mask = self._mask(x, lengths)
        x, positions = self.embed(x)
        for block in self.encoders:
            x = block(x, positions, mask)
        return self.after_norm(x)

    def _mask(self, x: Tensor, lengths: Tensor | None) -> Tensor | None:
        """Boolean `[B or 1, 1, T, T]`, true where a query may see a key; `None`: everywhere."""
        c, size = self.config, x.shape[1]
        mask = None if lengths is None else length_mask(lengths, size)[:, None, None]
        i = torch.arange(size, device=x.device)[:, None]
        j = i.T
        if c.static_chunk_size > 0:
            chunk = j < (i // c.static_chunk_size + 1) * c.static_chunk_size
            mask = chunk[None, None] if mask is None else mask & chunk
        if c.block_size is not None:
            block = (j <= i) | (i // c.block_size == j // c.block_size)
            mask = block[None, None] if mask is None else mask & block
        return mask


class _Embed(nn.Module):
    """Input projection, scaling, and the table of relative positions."""

    def __init__(self, config: ConformerConfig):
        super().__init__()
        self.out = nn.Sequential(
            nn.Linear(config.input_size, config.output_size),
            nn.LayerNorm(config.output_size, eps=1e-5),
            nn.Dropout(config.dropout_rate),
        )
        self.dropout = nn.Dropout(config.positional_dropout_rate)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scaled input `[B, T, D]` and positions `[2T - 1, D]`."""
        x = self.out(x)
        positions = relative_positions(x.shape[1], x.shape[2]).to(x)
        return self.dropout(x * math.sqrt(x.shape[2])), self.dropout(positions)


class _Block(nn.Module):
    """Pre-norm self-attention and feed-forward, each with a residual."""

    def __init__(self, config: ConformerConfig):
        super().__init__()
        self.self_attn = RelativeAttention(
            config.output_size, config.attention_heads, config.attention_dropout_rate
        )
        self.feed_forward = _FeedForward(config)
        self.norm_mha = nn.LayerNorm(config.output_size, eps=1e-5)
        self.norm_ff = nn.LayerNorm(config.output_size, eps=1e-5)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.dropout(self.self_attn(self.norm_mha(x), positions, mask))
        return x + self.dropout(self.feed_forward(self.norm_ff(x)))


class _FeedForward(nn.Module):
    def __init__(self, config: ConformerConfig):
        super().__init__()
        self.w_1 = nn.Linear(config.output_size, config.linear_units)
        self.w_2 = nn.Linear(config.linear_units, config.output_size)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.w_2(self.dropout(functional.silu(self.w_1(x))))


class RelativeAttention(nn.Module):
    """Self-attention with Transformer-XL's relative positions (arXiv 1901.02860)."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.linear_q = nn.Linear(width, width)
        self.linear_k = nn.Linear(width, width)
        self.linear_v = nn.Linear(width, width)
        self.linear_out = nn.Linear(width, width)
        self.linear_pos = nn.Linear(width, width, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(heads, width // heads))
        self.pos_bias_v = nn.Parameter(torch.empty(heads, width // heads))
        nn.init.xavier_uniform_(self.pos_bias_u)
        nn.init.xavier_uniform_(self.pos_bias_v)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """Attend within `x [B, T, D]`; `positions [2T - 1, D]`, `mask [B, 1, T, T]` boolean."""
        q, k, v = (
            linear(x).unflatten(2, (self.heads, -1))
            for linear in (self.linear_q, self.linear_k, self.linear_v)
        )
        p = self.linear_pos(positions).unflatten(1, (self.heads, -1))
        by_place = (q + self.pos_bias_v).transpose(1, 2) @ p.permute(1, 2, 0)
        bias = relative_shift(by_place) / math.sqrt(q.shape[-1])
        if mask is not None:
            bias = bias.masked_fill(~mask, float("-inf"))
        out = functional.scaled_dot_product_attention(
            (q + self.pos_bias_u).transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=bias,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.linear_out(out.transpose(1, 2).flatten(2))


def relative_positions(size: int, width: int) -> Tensor:
    """Sinusoids `[2 · size − 1, width]` of the offsets size−1 … −(size−1), sin and cos by turns."""
    offsets = torch.arange(size - 1, -size, -1, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([torch.sin(offsets * rates), torch.cos(offsets * rates)], 2).flatten(1)


def relative_shift(scores: Tensor) -> Tensor:
    """From scores by offset `[B, H, T, 2T − 1]` to scores by key `[B, H, T, T]`.

    Entry (i, j) is the one of offset i − j, which stands at column T − 1 − (i − j).
    """
    b, h, t, n = scores.shape
    padded = functional.pad(scores, (1, 0)).view(b, h, n + 1, t)
    return padded[:, :, 1:].reshape(b, h, t, n)[..., :t]
