"""UniAudio-Token: Whisper encoder, semantic-acoustic equilibrium, one codebook at 25 Hz.

Importing this package registers the models with transformers' Auto classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import AutoConfig, AutoModel, AutoModelForAudioTokenization

from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.encoder import EncoderOutput, EncoderState, UniAudioEncoder
from unisono.uniaudio.features import LogMelFeatures
from unisono.uniaudio.text_decoder import UniAudioForConditionalGeneration

if TYPE_CHECKING:
    from unisono.uniaudio.tokenizer import UniAudioTokenizer

__all__ = [
    "EncoderOutput",
    "EncoderState",
    "LogMelFeatures",
    "UniAudioConfig",
    "UniAudioEncoder",
    "UniAudioForConditionalGeneration",
    "UniAudioTokenizer",
]

AutoConfig.register("uniaudio", UniAudioConfig, exist_ok=True)
AutoModel.register(UniAudioConfig, UniAudioEncoder, exist_ok=True)
AutoModelForAudioTokenization.register(UniAudioConfig, UniAudioEncoder, exist_ok=True)


def __getattr__(name: str) -> Any:
    if name == "UniAudioTokenizer":
        from unisono.uniaudio.tokenizer import UniAudioTokenizer

        return UniAudioTokenizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
