"""What a token reader has in common with the rest of its model: a folder holds it once (ours).

A reader that hears mel frames has the bridge that tells them, and Whisper's encoder, whose first
layers may be those of the model's own encoder. What is shared is data, as config.json has it:
`{"bridge": true, "layers": 3}` are the whole bridge, the two convolutions and three layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from unisono.errors import ModelError
from unisono.storage.weights import int8_roundtrip

BRIDGE, ENCODER = "bridge.", "encoder."
"""What names start with in the model: of the bridge's tensors and of the encoder's."""

_LAYERS = "top.ears.above.layers."
_CONVOLUTIONS = ("top.ears.conv1.", "top.ears.conv2.")


def shared_with(
    reader: Mapping[str, Tensor], model: Mapping[str, Tensor], rounded: bool
) -> dict[str, Any]:
    """What of `reader`'s tensors are among `model`'s, named with BRIDGE and ENCODER; {}: nothing.

    rounded: whether both are stored in float16 and int8, so that it is enough if they agree then.
    """

    def same(prefixes: tuple[str, ...], shared: Mapping[str, Any]) -> bool:
        names = [name for name in reader if name.startswith(prefixes)]
        others = [model.get(source(name, shared) or "") for name in names]
        pairs = zip(names, others, strict=True)
        return bool(names) and all(
            other is not None and _agree(reader[name], other, rounded) for name, other in pairs
        )

    found: dict[str, Any] = {}
    if same(("top.bridge.",), {"bridge": True}):
        found["bridge"] = True
    layers = 0
    if same(_CONVOLUTIONS, {"layers": 1}):
        while same((f"{_LAYERS}{layers}.",), {"layers": layers + 1}):
            layers += 1
    return found | ({"layers": layers} if layers else {})


def source(name: str, shared: Mapping[str, Any]) -> str | None:
    """The model's name of the reader's tensor `name`; None if it is the reader's alone."""
    if name.startswith("top.bridge."):
        return name.removeprefix("top.") if shared.get("bridge") else None
    layers = shared.get("layers", 0)
    if layers and name.startswith(_CONVOLUTIONS):
        return ENCODER + name.removeprefix("top.ears.")
    number = name.removeprefix(_LAYERS).partition(".")[0]
    if name.startswith(_LAYERS) and int(number) < layers:
        return ENCODER + name.removeprefix("top.ears.above.")
    return None


def prefixes_of(shared: Mapping[str, Any]) -> tuple[str, ...]:
    """What the names of shared tensors start with in the model."""
    layers = range(shared.get("layers", 0))
    names = ["conv1.", "conv2.", *(f"layers.{n}." for n in layers)] if layers else []
    return (*([BRIDGE] if shared.get("bridge") else []), *(ENCODER + name for name in names))


def as_readers(name: str) -> str:
    """The reader's name of the model's tensor `name`; the inverse of `source`."""
    if name.startswith(BRIDGE):
        return f"top.{name}"
    own = name.removeprefix(ENCODER)
    return f"top.ears.{'above.' if own.startswith('layers.') else ''}{own}"


def check(shared: Any) -> dict[str, Any]:
    """`shared` from a config; `ModelError` if it is not what `shared_with` gives."""
    if isinstance(shared, dict) and set(shared) <= {"bridge", "layers"}:
        bridge, layers = shared.get("bridge", False), shared.get("layers", 0)
        if type(bridge) is bool and type(layers) is int and layers >= 0:
            return shared
    raise ModelError(
        f'config.json: text.shared must be like {{"bridge": true, "layers": 3}}, not {shared!r}; '
        "restore the file."
    )


def _agree(one: Tensor, other: Tensor, rounded: bool) -> bool:
    if one.shape != other.shape:
        return False
    one, other = one.detach().float().cpu(), other.detach().float().cpu()
    if torch.equal(one, other) or not rounded:
        return torch.equal(one, other)
    if torch.equal(one.half(), other.half()):
        return True
    return one.ndim >= 2 and torch.equal(int8_roundtrip(one), int8_roundtrip(other))
