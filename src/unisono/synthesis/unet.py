"""Velocity estimator of the flow: a 1-D U-Net of residual convolutions and Transformer blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisono.errors import ConfigError
from unisono.synthesis.masks import MaskedGroupNorm, masked


@dataclass(frozen=True)
class EstimatorConfig:
    """Sizes of the estimator; `in_channels` counts x and every condition, stacked."""

    in_channels: int = 320
    out_channels: int = 80
    channels: tuple[int, ...] = (256, 256)
    dropout: float = 0.0
    attention_head_dim: int = 64
    n_blocks: int = 4
    num_mid_blocks: int = 12
    num_heads: int = 8
    act_fn: str = "gelu"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EstimatorConfig:
        """Build from the reference's arguments; unknown ones are refused."""
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise ConfigError(f"The flow estimator has unknown keys: {', '.join(unknown)}.")
        config = cls(**{**values, "channels": tuple(values.get("channels", cls.channels))})
        if config.act_fn not in ("gelu", "gelu-approximate"):
            raise ConfigError(
                f"The flow estimator's act_fn is {config.act_fn!r}; "
                "supported are 'gelu' and 'gelu-approximate'."
            )
        if not config.channels or any(c % 8 for c in config.channels):
            raise ConfigError("The flow estimator's channels must be multiples of 8.")
        return config


@dataclass
class Condition:
    """What the estimator computes once per sequence from its conditions (see `condition`)."""

    first: Tensor
    shortcut: Tensor


class UNet(nn.Module):
    """Velocity `[B, out_channels, T]` of a noisy mel at a time, given conditions.

    The two parts that do not change from one evaluation to the next are computed apart:
    `condition` (the conditions' share of the first convolutions) and `times`.
    """

    def __init__(self, config: EstimatorConfig):
        super().__init__()
        self.config = c = config
        widths = c.channels
        self.time_mlp = _TimeMLP(c.in_channels, widths[0] * 4)
        self.down_blocks, self.mid_blocks = nn.ModuleList(), nn.ModuleList()
        self.up_blocks = nn.ModuleList()
        for i, width in enumerate(widths):
            before = c.in_channels if i == 0 else widths[i - 1]
            last = i == len(widths) - 1
            down = nn.Conv1d(width, width, 3, padding=1) if last else _Downsample(width)
            self.down_blocks.append(nn.ModuleList([*self._stage(before, width), down]))
        for _ in range(c.num_mid_blocks):
            self.mid_blocks.append(nn.ModuleList(self._stage(widths[-1], widths[-1])))
        turned = (*widths[::-1], widths[0])
        for i, (before, width) in enumerate(pairwise(turned)):
            last = i == len(widths) - 1
            up = nn.Conv1d(width, width, 3, padding=1) if last else _Upsample(width)
            self.up_blocks.append(nn.ModuleList([*self._stage(before * 2, width), up]))
        self.final_block = _ConvBlock(widths[0], widths[0])
        self.final_proj = nn.Conv1d(widths[0], c.out_channels, 1)

    def _stage(self, before: int, width: int) -> tuple[nn.Module, nn.Module]:
        blocks = nn.ModuleList(TransformerBlock(width, self.config) for _ in range(self._depth))
        return ResnetBlock(before, width, self.config.channels[0] * 4), blocks

    @property
    def _depth(self) -> int:
        return self.config.n_blocks

    def times(self, t: Tensor) -> list[Tensor]:
        """Time terms of every residual block, each `[N, C, 1]`, for `t [N]` in 0 … 1."""
        stages: Any = (*self.down_blocks, *self.mid_blocks, *self.up_blocks)
        embedded = functional.mish(self.time_mlp(t))
        return [stage[0].mlp[1](embedded)[..., None] for stage in stages]

    def condition(self, condition: Tensor, mask: Tensor | None = None) -> Condition:
        """First convolutions of the conditions `[B, in_channels − out_channels, T]`."""
        condition, skip = masked(condition, mask), self.config.out_channels
        block: Any = self.down_blocks[0]
        conv, shortcut = block[0].block1.block[0], block[0].res_conv
        return Condition(
            functional.conv1d(condition, conv.weight[:, skip:], conv.bias, padding=1),
            functional.conv1d(condition, shortcut.weight[:, skip:], shortcut.bias),
        )

    def forward(
        self, x: Tensor, condition: Condition, times: list[Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """Return the velocity `[B, out_channels, T]` at `x` of the same shape.

        `times` as from `times` with N = 1 or B; `mask [B, 1, T]` of 0 and 1, `None`: no padding.
        """
        masks, skips, terms = [mask], [], iter(times)
        downs: Any = self.down_blocks
        mids: Any = self.mid_blocks
        ups: Any = self.up_blocks
        x = masked(x, mask)
        for i, (resnet, blocks, down) in enumerate(downs):
            mask = masks[-1]
            x = resnet(x, next(terms), mask, condition if i == 0 else None)
            x = _transform(x, blocks, mask)
            skips.append(x)
            x = down(masked(x, mask))
            if i < len(downs) - 1:
                masks.append(None if mask is None else mask[:, :, ::2])
        for resnet, blocks in mids:
            x = _transform(resnet(x, next(terms), masks[-1]), blocks, masks[-1])
        for resnet, blocks, up in ups:
            mask, skip = masks.pop(), skips.pop()
            x = torch.cat([x[:, :, : skip.shape[2]], skip], 1)
            x = _transform(resnet(x, next(terms), mask), blocks, mask)
            x = up(masked(x, mask))
        x = self.final_block(x, mask)
        return masked(self.final_proj(masked(x, mask)), mask)


class ResnetBlock(nn.Module):
    """Two convolution blocks with a time term between them, and a 1×1 shortcut."""

    def __init__(self, before: int, width: int, time_width: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Mish(), nn.Linear(time_width, width))
        self.block1 = _ConvBlock(before, width)
        self.block2 = _ConvBlock(width, width)
        self.res_conv = nn.Conv1d(before, width, 1)

    def forward(
        self, x: Tensor, time: Tensor, mask: Tensor | None, condition: Condition | None = None
    ) -> Tensor:
        """Map `x [B, before, T]` to `[B, width, T]`; with `condition`, x is its first channels."""
        x = masked(x, mask)
        if condition is None:
            shortcut, first = self.res_conv(x), self.block1.block[0](x)
        else:
            own, conv = x.shape[1], cast(nn.Conv1d, self.block1.block[0])
            first = functional.conv1d(x, conv.weight[:, :own], padding=1) + condition.first
            shortcut = functional.conv1d(x, self.res_conv.weight[:, :own]) + condition.shortcut
        return shortcut + self.block2(self.block1.finish(first, mask) + time, mask)


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and GELU feed-forward over `[B, T, C]`."""

    def __init__(self, width: int, config: EstimatorConfig):
        super().__init__()
        self.norm1, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn1 = _Attention(width, config)
        self.ff = _FeedForward(width, config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map `x [B, T, C]`; `mask [B, 1, 1, T]` boolean marks keys that may be seen."""
        x = x + self.attn1(self.norm1(x), mask)
        return x + self.ff(self.norm3(x))


class _Attention(nn.Module):
    def __init__(self, width: int, config: EstimatorConfig):
        super().__init__()
        inner = config.num_heads * config.attention_head_dim
        self.heads = config.num_heads
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_k = nn.Linear(width, inner, bias=False)
        self.to_v = nn.Linear(width, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, width), nn.Dropout(config.dropout))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (
            linear(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for linear in (self.to_q, self.to_k, self.to_v)
        )
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.to_out(out.transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, width: int, config: EstimatorConfig):
        super().__init__()
        grow = _Gelu(width, width * 4, "none" if config.act_fn == "gelu" else "tanh")
        self.net = nn.Sequential(grow, nn.Dropout(config.dropout), nn.Linear(width * 4, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class _Gelu(nn.Module):
    def __init__(self, width: int, inner: int, approximate: str):
        super().__init__()
        self.proj = nn.Linear(width, inner)
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(self.proj(x), approximate=self.approximate)


class _ConvBlock(nn.Module):
    """Conv1d(3) → GroupNorm(8) → Mish, padding kept out."""

    def __init__(self, before: int, width: int):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv1d(before, width, 3, padding=1), MaskedGroupNorm(8, width), nn.Mish()
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.finish(self.block[0](masked(x, mask)), mask)

    def finish(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Norm and activation of the convolution's output."""
        return masked(functional.mish(self.block[1](x, mask)), mask)


class _Downsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _Upsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _TimeMLP(nn.Module):
    """Sinusoidal embedding of a time in 0 … 1, and two linear layers."""

    def __init__(self, width: int, out: int):
        super().__init__()
        self.width = width
        self.linear_1 = nn.Linear(width, out)
        self.linear_2 = nn.Linear(out, out)

    def forward(self, t: Tensor) -> Tensor:
        half = self.width // 2
        rates = torch.exp(torch.arange(half, device=t.device) * (-math.log(10000) / (half - 1)))
        angles = (1000 * t[:, None] * rates).to(t)
        embedded = torch.cat([angles.sin(), angles.cos()], 1)
        return self.linear_2(functional.silu(self.linear_1(embedded)))


def _transform(x: Tensor, blocks: nn.ModuleList, mask: Tensor | None) -> Tensor:
    """Run Transformer blocks over `x [B, C, T]`."""
    seen = None if mask is None else mask[:, None].bool()
    x = x.transpose(1, 2).contiguous()
    for block in blocks:
        x = block(x, seen)
    return x.transpose(1, 2)
