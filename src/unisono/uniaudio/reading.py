"""What reads text from tokens: the encoder's layers above the quantizer and Whisper's decoder.

Source: reference page sections 1 and 3. Taken out of the full model, so that a tokenizer that only
encodes need not hold it (ours).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, WhisperConfig
from transformers.cache_utils import Cache
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

from unisono.errors import ModelError
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.encoder import EncoderOutput, UniAudioPreTrainedModel
from unisono.uniaudio.text_decoder import TextDecoder, TextOutput


class EncoderTop(nn.Module):
    """The encoder layers above the quantizer, and the final LayerNorm.

    An encoder-only model has none, but Whisper's text decoder expects what comes out of them.
    Every frame sees every frame, also above a causal encoder (ours).

    Args:
        config: widths, and `encoder_layers` in all; first: number of the first layer (1-based).
    """

    def __init__(self, config: WhisperConfig, first: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            WhisperEncoderLayer(config) for _ in range(first, config.encoder_layers + 1)
        )
        self.layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """`states [B, T, D]`, `mask [B, T]` → what the text decoder attends to `[B, T, D]`."""
        bias = None
        if not bool(mask.all()):
            hidden = ~mask.bool()[:, None, None, :].expand(-1, 1, states.shape[1], -1)
            bias = torch.zeros_like(hidden, dtype=states.dtype)
            bias = bias.masked_fill(hidden, torch.finfo(states.dtype).min)
        for layer in self.layers:
            out = layer(states, bias)
            states = out[0] if isinstance(out, tuple) else out
        return self.layer_norm(states)


def top_weights(encoder: Mapping[str, Tensor], position: int) -> dict[str, Tensor]:
    """An encoder's tensors above layer `position` and its final LayerNorm, for `EncoderTop`."""
    found = {}
    for name, tensor in encoder.items():
        kind, _, rest = name.partition(".")
        number, _, rest = rest.partition(".")
        if kind == "layer_norm":
            found[name] = tensor
        elif kind == "layers" and number.isdecimal() and int(number) >= position:
            found[f"layers.{int(number) - position}.{rest}"] = tensor
    return found


class TokenReader(UniAudioPreTrainedModel, GenerationMixin):
    """Code vectors to text: `top`, then `decoder`, whose embedding is the output layer too.

    `config.quantize_position` encoder layers are below, `config.encoder_layers` are there in all.
    """

    base_model_prefix = "reader"
    config: UniAudioConfig

    def __init__(self, config: UniAudioConfig) -> None:
        super().__init__(config)
        self.top = EncoderTop(config, config.quantize_position + 1)
        self.decoder = TextDecoder(config)
        self.post_init()

    def heard(self, vectors: Tensor, mask: Tensor) -> EncoderOutput:
        """What the decoder attends to.

        vectors: `[B, T, D]`, code vectors with the second positions added; mask: `[B, T]`, 1 on
        real tokens.
        """
        return EncoderOutput(last_hidden_state=self.top(vectors, mask), token_mask=mask)

    def forward(
        self,
        *,
        encoder_outputs: EncoderOutput,
        decoder_input_ids: Tensor,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> TextOutput:
        """Logits `[B, L, vocabulary]` of the tokens after each of `decoder_input_ids [B, L]`."""
        states = encoder_outputs.last_hidden_state
        assert states is not None
        decoded, cache = self.decoder(
            decoder_input_ids, states, encoder_outputs.token_mask, past_key_values, use_cache
        )
        logits = nn.functional.linear(decoded, self.decoder.embed_tokens.weight)
        return TextOutput(logits=logits, past_key_values=cache)

    def load_parts(self, top: Mapping[str, Tensor], decoder: Mapping[str, Tensor]) -> None:
        """Weights of `top` (`layers.*`, `layer_norm.*`) and of `decoder`, under Whisper's names.

        Raises:
            ModelError: a tensor is missing, too many or of another shape.
        """
        for name, module, state in (("top", self.top, top), ("decoder", self.decoder, decoder)):
            try:
                module.load_state_dict(dict(state))
            except RuntimeError as error:
                reason = " ".join(str(error).split())
                raise ModelError(f"the text {name}'s weights do not fit: {reason}") from error

    def get_encoder(self, *_: Any, **__: Any) -> nn.Module:
        """The layers above the quantizer (for transformers' generation)."""
        return self.top

    def get_decoder(self) -> nn.Module:
        """The text decoder."""
        return self.decoder

    def get_input_embeddings(self) -> nn.Module:
        """Embedding of the text tokens."""
        return self.decoder.embed_tokens
