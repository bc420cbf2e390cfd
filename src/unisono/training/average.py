"""A moving average of the trained weights, kept beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from unisono.training.sharding import like_parameter, whole


class WeightAverage:
    """Exponential average of every trained parameter; frozen ones and buffers stay as they are.

    The first updates weigh more, `min(decay, (1 + n) / (10 + n))`, so that the average leaves the
    random start behind (ours, as TensorFlow's moving averages do). With sharded modules every
    process averages its own part.

    Args:
        modules: `{name: module}`, already on their device; the average starts from their weights.
        decay: e.g. 0.999, for each optimizer step.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._parameters = {
            (module, name): parameter
            for module in modules
            for name, parameter in modules[module].named_parameters()
            if parameter.requires_grad
        }
        self._average = {key: p.detach().clone() for key, p in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Count the present weights in."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        average = [_local(tensor) for tensor in self._average.values()]
        current = [_local(parameter) for parameter in self._parameters.values()]
        get_ema_multi_avg_fn(decay)(average, current, None)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the modules have the averaged weights; afterwards their own, exactly."""
        own = {key: p.detach().clone() for key, p in self._parameters.items()}
        self._put(self._average)
        try:
            yield
        finally:
            self._put(own)

    def state(self) -> dict[str, Any]:
        """`{"updates": n, "modules": {module: {parameter: whole tensor}}}`."""
        modules: dict[str, dict[str, Tensor]] = {}
        for (module, name), tensor in self._average.items():
            modules.setdefault(module, {})[name] = whole(tensor)
        return {"updates": self.updates, "modules": modules}

    @torch.no_grad()
    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        self.updates = state["updates"]
        for (module, name), tensor in self._average.items():
            tensor.copy_(like_parameter(state["modules"][module][name], tensor))

    @torch.no_grad()
    def restart(self) -> None:
        """Start again from the present weights."""
        self.updates = 0
        for key, tensor in self._average.items():
            tensor.copy_(self._parameters[key])

    @torch.no_grad()
    def _put(self, values: Mapping[tuple[str, str], Tensor]) -> None:
        for key, parameter in self._parameters.items():
            parameter.copy_(values[key])


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor.detach()
