"""UniCodec (arXiv 2503.12115): global, semantic and residual tokens of a low-bitrate codec.

Importing this package registers the model with transformers' Auto classes.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoModel, AutoModelForAudioTokenization

from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.model import UniCodec
from unisono.unicodec.pretrained import UniCodecModel, UniCodecModelConfig

__all__ = ["UniCodec", "UniCodecConfig", "UniCodecModel", "UniCodecModelConfig"]

AutoConfig.register("unicodec", UniCodecModelConfig, exist_ok=True)
AutoModel.register(UniCodecModelConfig, UniCodecModel, exist_ok=True)
AutoModelForAudioTokenization.register(UniCodecModelConfig, UniCodecModel, exist_ok=True)
