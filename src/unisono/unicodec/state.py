"""What causal layers remember between the pieces of a stream."""

from __future__ import annotations

from torch import Tensor, nn


class StreamState:
    """Buffers of a model's layers, for a batch of streams that advance together.

    Layers find their own by themselves; the first piece starts from what a layer calls nothing.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[int, str], Tensor] = {}

    def get(self, layer: nn.Module, name: str, default: Tensor) -> Tensor:
        """What `layer` left under `name`, or `default` at the start of a stream."""
        return self._buffers.get((id(layer), name), default)

    def find(self, layer: nn.Module, name: str) -> Tensor | None:
        """What `layer` left under `name`; None at the start of a stream."""
        return self._buffers.get((id(layer), name))

    def put(self, layer: nn.Module, name: str, value: Tensor) -> None:
        """Leave `value` for the next piece."""
        self._buffers[id(layer), name] = value

    def fork(self) -> StreamState:
        """A stream of its own that goes on from here; layers never change what they left."""
        other = StreamState()
        other._buffers = dict(self._buffers)
        return other
