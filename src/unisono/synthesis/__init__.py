"""Tokens to mel to wave: the speech decoder of the CosyVoice-1 family, and its parts."""

from unisono.synthesis.decoder import DecoderConfig, SpeechDecoder
from unisono.synthesis.flow import FlowConfig, FlowDecoder, FlowLoss
from unisono.synthesis.mel import MelConfig, MelSpectrogram
from unisono.synthesis.vocoder import HiFTConfig, HiFTVocoder

__all__ = [
    "DecoderConfig",
    "FlowConfig",
    "FlowDecoder",
    "FlowLoss",
    "HiFTConfig",
    "HiFTVocoder",
    "MelConfig",
    "MelSpectrogram",
    "SpeechDecoder",
]
