"""Semantic-Acoustic Equilibrium (SAE): early, acoustic states join late, semantic ones.

Source: reference page section 1, "SAE" (UniAudio-Token, arXiv 2605.31521).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Equilibrium(nn.Module):
    """LayerNorm(deep + gate * adapter(shallow)).

    Both networks always exist, as they do in checkpoints. use_adapter False takes the shallow
    state itself, use_gate False a gate of 1.
    """

    def __init__(self, dim: int, *, use_adapter: bool, use_gate: bool) -> None:
        super().__init__()
        self.use_adapter = use_adapter
        self.use_gate = use_gate
        self.adapter_in = nn.Linear(dim, dim)
        self.adapter_dropout = nn.Dropout(0.1)
        self.adapter_out = nn.Linear(dim, dim)
        self.gate_in = nn.Linear(2 * dim, dim)
        self.gate_out = nn.Linear(dim, dim)
        self.output_norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(
        self, deep: Tensor, shallow: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Fuse `deep` and `shallow`, both `[B, T, D]`; `mask [B, T]` is 1 on real frames.

        Gives the fused state `[B, T, D]` and the mean |gate| over real frames (scalar, detached).
        """
        added = self._adapt(shallow) if self.use_adapter else shallow
        if self.use_gate:
            gate = self._gate(deep, shallow)
            added = gate * added
            mean = _mean_over_frames(gate.detach().abs().mean(-1).float(), mask)
        else:
            mean = deep.new_ones((), dtype=torch.float32)
        return self.output_norm(deep + added), mean

    def activity(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Mean |gate| of each frame, float32 `[B, T]`, of the states `[B, T, D]`; 1 without a gate.

        For evaluation and pictures: `forward` gives the mean over frames only.
        """
        if not self.use_gate:
            return deep.new_ones(deep.shape[:2], dtype=torch.float32)
        return self._gate(deep, shallow).detach().abs().mean(-1).float()

    def _adapt(self, shallow: Tensor) -> Tensor:
        return self.adapter_out(self.adapter_dropout(F.gelu(self.adapter_in(shallow))))

    def _gate(self, deep: Tensor, shallow: Tensor) -> Tensor:
        both = torch.cat([deep, shallow], dim=-1)
        return torch.sigmoid(self.gate_out(torch.tanh(self.gate_in(both))))


def _mean_over_frames(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of `values [B, T]` where `mask` is 1."""
    if mask is None:
        return values.mean()
    real = mask.to(values.dtype)
    return (values * real).sum() / real.sum().clamp(min=1)
