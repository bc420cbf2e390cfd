"""One optimizer of a stage: learning rates by parameter, clipping, and steps that many share."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from unisono.training.config import OptimizerSection
from unisono.training.parallel import average_gradients
from unisono.training.schedules import warmup_cosine
from unisono.training.sharding import drop_gathered, like_parameter, whole
from unisono.training.world import World

log = logging.getLogger(__name__)


class Player:
    """AdamW over some modules, stepped on gradients averaged over all processes.

    Args:
        modules: `{name: module}`; frozen parameters are left out.
        section: rates, warm-up and clipping; `rates` look at `name.parameter`.
        steps: optimizer steps of the whole run, for the schedule.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        section: OptimizerSection,
        steps: int,
        world: World,
        scaler: torch.amp.GradScaler,
    ) -> None:
        self.modules = modules
        # Kept from the start: a stage may freeze and thaw parameters on its way.
        self._by_rate = _by_rate(modules, section)
        self.section = section
        self.steps = steps
        self.world = world
        self.scaler = scaler
        self.optimizer = torch.optim.AdamW(
            _groups(self._by_rate),
            lr=section.lr,
            betas=section.betas,
            weight_decay=section.weight_decay,
        )

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that this optimizer trains."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def rate(self) -> float:
        """Learning rate of the first group at the last step."""
        return self.optimizer.param_groups[0]["lr"]

    def has_gradients(self) -> bool:
        """Whether a backward pass has left gradients since the last step."""
        return any(p.grad is not None for p in self.parameters)

    def step(self, number: int) -> float:
        """Optimizer step `number` (0-based) on the gradients there are, which are then dropped.

        Gradients that are not finite leave the weights as they are, on all processes alike.

        Returns:
            The norm of the gradients before clipping.
        """
        average_gradients(self.parameters, self.world)
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.parameters, self.section.clip_norm)
        factor = warmup_cosine(number, self.steps, self.section.warmup, self.section.floor)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        if self.world.all(torch.isfinite(norm)):
            self.scaler.step(self.optimizer)
        elif not self.scaler.is_enabled():  # a scaler looks for its factor that way
            log.warning("optimizer step %d: gradient is not finite, step left out", number)
        self.optimizer.zero_grad(set_to_none=True)
        drop_gathered(self.modules.values())
        return float(norm)

    def state(self) -> dict[str, Any]:
        """The optimizer's state dict with whole tensors; every process must call it.

        Parameters are numbered as without sharding, so that a run may go on either way.
        """
        # Not torch.distributed.checkpoint's function: it steps an optimizer that is still unused,
        # and refuses parameters that have had no gradient yet.
        own = self.optimizer.param_groups
        settings = {parameter: group for group in own for parameter in group["params"]}
        state: dict[int, dict[str, Any]] = {}
        groups: list[dict[str, Any]] = []
        number = 0
        for group in self._by_rate.values():
            numbers = range(number, number + len(group))
            for number, parameter in zip(numbers, group, strict=True):
                if parameter in self.optimizer.state:
                    values = self.optimizer.state[parameter]
                    state[number] = {key: whole(value) for key, value in values.items()}
            groups.append({**settings[group[0]], "params": list(numbers)})
            number = numbers.stop
        return {"state": state, "param_groups": groups}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what `state` gave; rates and decay stay those of the config."""
        parameters = [parameter for group in self._by_rate.values() for parameter in group]
        place = {parameter: number for number, parameter in enumerate(self.parameters)}
        own: dict[int, dict[str, Any]] = {}
        for number, values in state["state"].items():
            parameter = parameters[number]
            own[place[parameter]] = {
                key: like_parameter(value, parameter) if value.ndim else value
                for key, value in values.items()
            }
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": own, "param_groups": groups})


@torch.no_grad()
def clip_gradients(parameters: Sequence[nn.Parameter], limit: float) -> Tensor:
    """Scale all gradients so that their joint norm is at most `limit`; gives the norm before."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    sharded = [g for g in gradients if isinstance(g, DTensor)]
    if not sharded:
        return torch.nn.utils.clip_grad_norm_(parameters, limit)
    plain = [g for g in gradients if not isinstance(g, DTensor)]
    total = torch.nn.utils.get_total_norm(sharded)
    norm = total.full_tensor() if isinstance(total, DTensor) else total
    if plain:
        norm = torch.linalg.vector_norm(torch.stack([norm, torch.nn.utils.get_total_norm(plain)]))
    factor = (limit / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_([g.to_local() for g in sharded] + plain, factor)
    return norm


def _groups(by_rate: Mapping[float, Sequence[nn.Parameter]]) -> list[dict[str, Any]]:
    """Parameter groups by learning rate; sharded parameters apart, foreach cannot mix them."""
    groups: list[dict[str, Any]] = []
    for rate, parameters in by_rate.items():
        sharded = [p for p in parameters if isinstance(p, DTensor)]
        plain = [p for p in parameters if not isinstance(p, DTensor)]
        groups += [{"params": part, "lr": rate, "base": rate} for part in (sharded, plain) if part]
    return groups


def _by_rate(
    modules: Mapping[str, nn.Module], section: OptimizerSection
) -> dict[float, list[nn.Parameter]]:
    """Trained parameters by learning rate; the longest matching key of `rates` decides."""
    groups: dict[float, list[nn.Parameter]] = {}
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            keys = [key for key in section.rates if f"{prefix}.{name}".startswith(key)]
            rate = section.rates[max(keys, key=len)] if keys else section.lr
            groups.setdefault(rate, []).append(parameter)
    return groups
