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
from transformers.cache_utils import Cache, DynamicCache, EncoderDecoderCache
from transformers.masking_utils import create_causal_mask
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


class TextDecoder(WhisperDecoder):
    """Whisper's decoder, except that it sees real encoder frames only (as the reference's does).

    A clip's text then does not depend on what else is in the batch.
    """

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor,
        encoder_hidden_states: Tensor,
        encoder_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
    ) -> tuple[Tensor, Cache | None]:
        """States `[B, L, D]` of `input_ids [B, L]` and the cache, grown by L positions.

        `encoder_hidden_states [B, T', D]` and `encoder_mask [B, T']` (1 = real) are the encoder's
        `last_hidden_state` and `token_mask`. ModelError when the text exceeds the positions.
        """
        if use_cache and past_key_values is None:
            past_key_values = EncoderDecoderCache(DynamicCache(), DynamicCache())
        done = 0 if past_key_values is None else past_key_values.get_seq_length()
        end = done + input_ids.shape[1]
        if end > self.max_target_positions:
            raise ModelError(
                f"the text has {end} tokens, but the decoder takes at most "
                f"{self.max_target_positions}"
            )
        positions = torch.arange(done, end, device=input_ids.device)[None]
        embedded = self.embed_tokens(input_ids)
        hidden = embedded + self.embed_positions.weight[positions]
        hidden = F.dropout(hidden, self.dropout, self.training)
        causal = create_causal_mask(
            config=self.config,
            inputs_embeds=embedded,
            attention_mask=None,
            past_key_values=past_key_values,
            position_ids=positions.expand(len(input_ids), -1),
        )
        cross = _additive_mask(encoder_mask, hidden.dtype)
        for layer in self.layers:
            if self.training and self.layerdrop > 0 and torch.rand(()).item() < self.layerdrop:
                continue
            hidden = layer(hidden, causal, encoder_hidden_states, cross, past_key_values, use_cache)
        return self.layer_norm(hidden), past_key_values


def _additive_mask(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """`[B, 1, 1, T]`: 0 on real frames, the lowest finite value elsewhere; None if all are real."""
    if mask is None or bool(mask.all()):
        return None
    padding = ~mask.bool()[:, None, None]
    return torch.zeros_like(padding, dtype=dtype).masked_fill(padding, torch.finfo(dtype).min)


class EncoderDecoder(nn.Module):
    """Holds encoder and decoder under the reference's names, `model.encoder` and `.decoder`."""

    def __init__(self, config: UniAudioConfig) -> None:
        super().__init__()
        self.encoder = UniAudioEncoder(config)
        self.decoder = TextDecoder(config)


class UniAudioForConditionalGeneration(UniAudioPreTrainedModel, GenerationMixin):
    """Audio to text through the tokens: encoder, Whisper decoder, output tied to the embedding."""

    base_model_prefix = "model"
    _tied_weights_keys = {"proj_out.weight": "model.decoder.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: UniAudioConfig) -> None:
        super().__init__(config)
        self.model = EncoderDecoder(config)
        self.proj_out: nn.Module = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_features: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        encoder_outputs: EncoderOutput | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        reducer: Reducer | None = None,
        generator: torch.Generator | None = None,
        **_: Any,
    ) -> TextOutput:
        """Logits of the tokens after each of `decoder_input_ids [B, L]`; loss with `labels`.

        `input_features [B, n_mels, T]` and `attention_mask [B, T]` as for the encoder, or its
        `encoder_outputs`. `reducer` and `generator` are the quantizer's, see the encoder.
        """
        if decoder_input_ids is None:
            raise ModelError("the text decoder needs decoder_input_ids")
        if encoder_outputs is None:
            if input_features is None:
                raise ModelError("the text model needs input_features or encoder_outputs")
            encoder_outputs = self.model.encoder(
                input_features, attention_mask, reducer=reducer, generator=generator
            )
        states = encoder_outputs.last_hidden_state
        assert states is not None
        decoded, cache = self.model.decoder(
            decoder_input_ids, states, encoder_outputs.token_mask, past_key_values, use_cache
        )
        logits = self.proj_out(decoded)
        quantizer_loss = encoder_outputs.quantizer_loss
        loss = text_loss = None
        if labels is not None:
            text_loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
            loss = text_loss if quantizer_loss is None else text_loss + quantizer_loss
        return TextOutput(
            loss=loss,
            logits=logits,
            text_loss=text_loss,
            quantizer_loss=quantizer_loss,
            past_key_values=cache,
            encoder_last_hidden_state=states,
            token_ids=encoder_outputs.token_ids,
            token_mask=encoder_outputs.token_mask,
            gate_mean=encoder_outputs.gate_mean,
        )

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        input_features: Tensor,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        **options: Any,
    ) -> Any:
        """Text token ids `[B, L]` for the audio, beginning with `decoder_input_ids [B, P]`.

        Greedy unless `options` (those of transformers' `generate`) say otherwise; without a
        length in them it stops at Whisper's 448 tokens or the decoder's last position.
        """
        encoded = self.model.encoder(input_features, attention_mask)
        if decoder_input_ids is None:
            start = self.config.decoder_start_token_id
            decoder_input_ids = torch.full(
                (len(input_features), 1), start, device=input_features.device
            )
        if not options.keys() & {"max_length", "max_new_tokens", "generation_config"}:
            options["max_length"] = min(448, self.config.max_target_positions)
        # Only what has one row an item: transformers repeats these tensors for beams.
        states = EncoderOutput(
            last_hidden_state=encoded.last_hidden_state, token_mask=encoded.token_mask
        )
        return super().generate(  # type: ignore[misc]
            encoder_outputs=states,
            attention_mask=encoded.token_mask,
            decoder_input_ids=decoder_input_ids,
            **options,
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
