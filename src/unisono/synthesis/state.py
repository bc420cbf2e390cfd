"""Loading of reference tensors: exact names, folded weight norm, errors that list what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from unisono.errors import ModelError

_FORMS = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)


def fold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace each weight-norm pair (either of torch's stored forms) by the plain weight.

    weight = g · v / ‖v‖, the norm over all axes but the first.
    """
    plain = dict(state)
    for gain, direction in _FORMS:
        for name in [n for n in plain if n.endswith(gain)]:
            stem = name.removesuffix(gain)
            if stem + direction not in plain:
                raise ModelError(f"The state has '{name}' but not '{stem + direction}'.")
            g, v = plain.pop(name), plain.pop(stem + direction)
            norm = torch.linalg.vector_norm(v.float(), dim=tuple(range(1, v.ndim)), keepdim=True)
            plain[stem + ".weight"] = (v.float() * (g.float() / norm)).to(v.dtype)
    return plain


def load_exactly(
    module: nn.Module, state: Mapping[str, Tensor], what: str, ignore: Iterable[str] = ()
) -> None:
    """Load `state` into `module`; missing, unexpected or misshapen tensors are a `ModelError`."""
    own, ignored = module.state_dict(), set(ignore)
    missing = sorted(set(own) - set(state))
    extra = sorted(set(state) - set(own) - ignored)
    wrong = sorted(k for k in set(own) & set(state) if own[k].shape != state[k].shape)
    problems = [
        f"{label}: {', '.join(names[:8])}{' …' if len(names) > 8 else ''} ({len(names)})"
        for label, names in (("missing", missing), ("unknown", extra), ("wrong shape", wrong))
        if names
    ]
    if problems:
        raise ModelError(f"The {what}'s tensors do not fit its config; {'; '.join(problems)}.")
    module.load_state_dict({k: v for k, v in state.items() if k in own})
