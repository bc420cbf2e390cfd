"""What a training stage brings to the loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor, nn


class Task(Protocol):
    """A stage: modules, batches and losses (ours).

    It may also have `samples() -> dict[str, Sample]`: held-out audio for the logs; `world`: the
    processes it was built for; `mixed_precision = False`: it needs float32. Its batches may have
    `seconds`: the audio in them.
    """

    modules: Mapping[str, nn.Module]
    """All modules with state; checkpoints save every one of them."""

    players: Mapping[str, tuple[str, ...]]
    """Names of the modules that each optimizer trains, e.g. generator and discriminator."""

    def batch(self, step: int) -> Any:
        """This process's batch: a pure function of the config and `world.position(step)`.

        Made in a worker process, on the CPU; the loop moves it to the device.
        """

    def losses(self, batch: Any, step: int) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """Yield (player, loss, figures); the loop takes that player's step at each yield."""

    def evaluate(self) -> dict[str, float]:
        """Figures on held-out data; every process computes them, the first one's are noted."""

    def extra_state(self) -> dict[str, Any]:
        """Anything besides modules that a resumed run needs."""

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `extra_state` gave."""
