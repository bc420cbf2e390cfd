"""Linear layers in int8 on CPU, without the deprecated torch.ao workflow.

Weights: symmetric int8 per output row, quantized once. Activations: symmetric int8 per input row
(one frame), quantized on the fly, so that a frame's result never depends on its neighbours or on
the batch, unlike per-tensor dynamic quantization. Products and sums are exact in int32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Int8Linear(nn.Module):
    """Drop-in for `nn.Linear` at inference: `[..., in]` to `[..., out]`. Source: ours."""

    weight_t: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(dim=1).clamp_min(1e-12) / 127.0
        quantized = torch.round(weight / scale[:, None]).to(torch.int8)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("weight_t", quantized.t().contiguous())
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        """`[..., in]` to `[..., out]`, in the dtype of `x`."""
        rows = x.reshape(-1, self.in_features).float()
        row_scale = rows.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127.0
        quantized = torch.round(rows / row_scale).to(torch.int8)
        sums = torch._int_mm(quantized, self.weight_t)
        out = sums.float() * row_scale * self.scale
        if self.bias is not None:
            out = out + self.bias
        return out.to(x.dtype).reshape(*x.shape[:-1], self.out_features)


def quantize_linears(module: nn.Module) -> nn.Module:
    """Replace every `nn.Linear` below `module` by `Int8Linear`, in place; returns `module`."""
    for name, child in module.named_children():
        if type(child) is nn.Linear:
            setattr(module, name, Int8Linear(child))
        else:
            quantize_linears(child)
    return module
