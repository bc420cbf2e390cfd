"""Other decoding settings than the model's own, for sweeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from unisono.errors import ConfigError
from unisono.tokenizer import AudioTokenizer


def set_decoding(
    tokenizer: AudioTokenizer,
    steps: int | None = None,
    solver: str | None = None,
    guidance: float | None = None,
    guidance_interval: tuple[float, float] | None = None,
    start: float | None = None,
    temperature: float | None = None,
) -> dict[str, Any]:
    """Replace settings of the tokenizer's speech decoder, in place; None keeps the model's.

    Returns the settings in force. `ConfigError` if there is no such decoder.
    """
    decoder: Any = getattr(tokenizer, "decoder", None)
    if decoder is None:
        raise ConfigError(f"Model '{tokenizer.model_id}' has no decoder whose settings to change.")
    given: dict[str, Any] = {
        "steps": steps,
        "solver": solver,
        "guidance": guidance,
        "start": start,
        "temperature": temperature,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    if guidance_interval is not None:
        changed["guidance_interval"] = tuple(guidance_interval)
    decoder.config = replace(decoder.config, **changed)
    names = ("steps", "solver", "guidance", "guidance_interval", "start", "temperature")
    return {name: getattr(decoder.config, name) for name in names}
