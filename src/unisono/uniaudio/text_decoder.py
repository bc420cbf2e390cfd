"""Whisper's text decoder on the UniAudio-Token encoder: the supervision that shapes the tokens.

Source: reference page sections 1 ("Full model") and 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperDecoder
from transformers.utils import ModelOutput

from unisono.errors import ModelError
from unisono.quantize.vector import Reducer
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.encoder import EncoderOutput, UniAudioEncoder, UniAudioPreTrainedModel
from unisono.uniaudio.reference import load_full_state


@dataclass
class TextOutput(ModelOutput):
    """What the text model gives.

    loss: text_loss, plus quantizer_loss in training mode (None without labels); logits:
    `[B, L, vocabulary]`; text_loss: cross-entropy, mean over labels other than -100; the rest is
    the encoder's, see EncoderOutput (None where encoder states were given).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    text_loss: Tensor | None = None
    quantizer_loss: Tensor | None = None
    past_key_values: Cache | None = None
    encoder_last_hidden_state: Tensor | None = None
    token_ids: Tensor | None = None
    token_mask: Tensor | None = None
    gate_mean: Tensor | None = None


class EncoderDecoder(nn.Module):
    """Holds encoder and decoder under the reference's names, `model.encoder` and `.decoder`."""

    def __init__(self, config: UniAudioConfig) -> None:
        super().__init__()
        self.encoder = UniAudioEncoder(config)
        self.decoder = WhisperDecoder(config)


class UniAudioForConditionalGeneration(UniAudioPreTrainedModel, GenerationMixin):
    """Audio to text through the tokens: encoder, Whisper decoder, output tied to the embedding."""

    base_model_prefix = "model"
    input_modalities = ("audio", "text")
    _tied_weights_keys = {"proj_out.weight": "model.decoder.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: UniAudioConfig) -> None:
        super().__init__(config)
        self.model = EncoderDecoder(config)
        self.proj_out = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_features: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        encoder_outputs: BaseModelOutput | EncoderOutput | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        reducer: Reducer | None = None,
        generator: torch.Generator | None = None,
        **_: Any,
    ) -> TextOutput:
        """Logits of the tokens after each of `decoder_input_ids [B, L]`; loss with `labels`.

        `input_features [B, n_mels, T]` and `attention_mask [B, T]` as for the encoder, or its
        `encoder_outputs`. The decoder attends to all encoder frames, as the reference does.
        """
        if decoder_input_ids is None:
            raise ModelError("the text decoder needs decoder_input_ids")
        if encoder_outputs is None:
            if input_features is None:
                raise ModelError("the text model needs input_features or encoder_outputs")
            encoder_outputs = self.model.encoder(
                input_features, attention_mask, reducer=reducer, generator=generator
            )
        decoded = self.model.decoder(
            input_ids=decoder_input_ids,
            encoder_hidden_states=encoder_outputs.last_hidden_state,
            past_key_values=past_key_values,
            use_cache=use_cache,
        )
        logits = self.proj_out(decoded.last_hidden_state)
        quantizer_loss = getattr(encoder_outputs, "quantizer_loss", None)
        loss = text_loss = None
        if labels is not None:
            text_loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
            loss = text_loss if quantizer_loss is None else text_loss + quantizer_loss
        return TextOutput(
            loss=loss,
            logits=logits,
            text_loss=text_loss,
            quantizer_loss=quantizer_loss,
            past_key_values=decoded.past_key_values,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
            token_ids=getattr(encoder_outputs, "token_ids", None),
            token_mask=getattr(encoder_outputs, "token_mask", None),
            gate_mean=getattr(encoder_outputs, "gate_mean", None),
        )

    def load_reference_state(self, state: Mapping[str, Tensor]) -> None:
        """Load tensors under the reference's names (`model.encoder.*`, `model.decoder.*`).

        ModelError lists what is missing or of the wrong shape; the rest is passed over.
        """
        load_full_state(self, state)

    def get_encoder(self, *_: Any, **__: Any) -> nn.Module:
        """The audio encoder (for transformers' generation)."""
        return self.model.encoder

    def get_decoder(self) -> nn.Module:
        """The text decoder."""
        return self.model.decoder

    def get_input_embeddings(self) -> nn.Module:
        """Embedding of the text tokens."""
        return self.model.decoder.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the text embedding (for new special tokens)."""
        self.model.decoder.embed_tokens = value

    def get_output_embeddings(self) -> nn.Module:
        """The output layer, tied to the embedding."""
        return self.proj_out

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Replace the output layer."""
        self.proj_out = value

    def _prepare_encoder_decoder_kwargs_for_generation(
        self, inputs_tensor: Tensor, model_kwargs: dict[str, Any], *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Encode once; only the states, since transformers repeats every tensor for beams."""
        encoded = self.model.encoder(inputs_tensor, model_kwargs.get("attention_mask"))
        states = BaseModelOutput(last_hidden_state=encoded.last_hidden_state)
        return {**model_kwargs, "encoder_outputs": states}
