"""unisono: any audio to a compact stream of discrete tokens, and back.

The names of daily use are loaded when first touched, so `import unisono` is quick and does not
import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unisono.audio import Audio
    from unisono.hub import load
    from unisono.tokenizer import AudioTokenizer
    from unisono.tokens import AudioTokens, TokenLayout

    __version__: str

__all__ = ["Audio", "AudioTokenizer", "AudioTokens", "TokenLayout", "__version__", "load"]


def __getattr__(name: str) -> object:
    homes = {
        "Audio": "unisono.audio",
        "AudioTokenizer": "unisono.tokenizer",
        "AudioTokens": "unisono.tokens",
        "TokenLayout": "unisono.tokens",
        "load": "unisono.hub",
    }
    if name == "__version__":
        from importlib.metadata import version

        return version("unisono")
    if name not in homes:
        raise AttributeError(f"module 'unisono' has no attribute {name!r}")
    return getattr(importlib.import_module(homes[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
