"""The UniAudio-Token encoder: log-mel features to one token every 40 ms.

Source: reference page section 1. Ours: padded frames are zeroed before the convolutions, so that
tokens do not depend on the batch; the state between layers is a value, so that the layers above a
frozen part can be trained on stored states; pooling between the residual source and target pools
the kept state alike.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer, sinusoids
from transformers.utils import ModelOutput

from unisono.errors import ModelError
from unisono.quantize.vector import Reducer, VectorQuantizer
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.equilibrium import Equilibrium
from unisono.uniaudio.reference import load_encoder_state

logger = logging.getLogger(__name__)


@dataclass
class EncoderOutput(ModelOutput):
    """What the encoder gives.

    token_ids: `[B, T']` int64 (None without a quantizer); token_mask: `[B, T']` int64, 1 on real
    tokens; last_hidden_state: `[B, T', D]`; hidden_states: the input of every layer, then the
    final output (None unless asked for); quantized: `[B, T', D]` code vectors, before positions
    are added; gate_mean: mean |gate| of SAE over real frames; quantizer_loss: in training mode.
    """

    last_hidden_state: Tensor | None = None
    token_ids: Tensor | None = None
    token_mask: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    quantized: Tensor | None = None
    gate_mean: Tensor | None = None
    quantizer_loss: Tensor | None = None


@dataclass(frozen=True)
class EncoderState:
    """Where the encoder stands after `layer` layers (0: before the first).

    hidden: `[B, T, D]`; mask: `[B, T]`, 1 on real frames; shallow: the kept residual source
    `[B, T, D]` or None; pooled: whether pooling has happened. The rest appears on the way, see
    EncoderOutput.
    """

    hidden: Tensor
    mask: Tensor
    layer: int = 0
    shallow: Tensor | None = None
    pooled: bool = False
    token_ids: Tensor | None = None
    quantized: Tensor | None = None
    gate_mean: Tensor | None = None
    quantizer_loss: Tensor | None = None
    inputs: tuple[Tensor, ...] = ()


class UniAudioPreTrainedModel(PreTrainedModel):
    """What encoder and text model share: initial weights and what transformers may do."""

    config_class = UniAudioConfig
    config: UniAudioConfig
    main_input_name = "input_features"
    supports_gradient_checkpointing = True
    _no_split_modules = ["WhisperEncoderLayer", "WhisperDecoderLayer"]  # noqa: RUF012
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, UniAudioEncoder):
            positions = module.embed_positions.weight
            init.copy_(positions, sinusoids(*positions.shape))
        elif isinstance(module, VectorQuantizer):
            # Applied after its codebook (children first), which the averages must agree with.
            if self.config.codebook_gaussian_init:
                init.normal_(module.codebook.weight, mean=0.0, std=1.0)
            if module.decay is not None:
                init.ones_(module.ema_count)
                init.copy_(module.ema_weight, module.codebook.weight)
                init.zeros_(module.steps)


class UniAudioEncoder(UniAudioPreTrainedModel):
    """Whisper's encoder with pooling, SAE and a vector quantizer between its layers."""

    base_model_prefix = "encoder"

    def __init__(self, config: UniAudioConfig) -> None:
        super().__init__(config)
        dim = config.d_model
        self.conv1 = nn.Conv1d(config.num_mel_bins, dim, kernel_size=3)
        self.conv2 = nn.Conv1d(dim, dim, kernel_size=3, stride=2)
        self.embed_positions = nn.Embedding(config.max_source_positions, dim)
        self.embed_positions.requires_grad_(False)  # sinusoids, as in Whisper
        self.layers = nn.ModuleList(
            [WhisperEncoderLayer(config) for _ in range(config.layers_built)]
        )
        self.layer_norm = None if config.quantize_encoder_only else nn.LayerNorm(dim)
        self.equilibrium = None
        if config.has_residual:
            self.equilibrium = Equilibrium(
                dim, use_adapter=config.use_residual_adapter, use_gate=config.use_residual_gate
            )
        self.quantizer = None
        if config.quantize_vocab_size is not None:
            self.quantizer = _build_quantizer(config, config.quantize_vocab_size)
            positions = -(-config.max_source_positions // config.pooling)
            self.embed_positions2 = nn.Embedding(positions, dim)
        self.gradient_checkpointing = False
        _warn_when_residual_is_late(config)
        self.post_init()

    def forward(
        self,
        input_features: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool = False,
        reducer: Reducer | None = None,
        generator: torch.Generator | None = None,
        **_: Any,
    ) -> EncoderOutput:
        """Tokens of `input_features [B, n_mels, T]` with `attention_mask [B, T]` (1 = real).

        T is best a multiple of `config.frame_multiple`. In training mode the codebook is updated
        once, with sums over processes through `reducer`; `generator` draws restarted codes.
        """
        state = self.embed(input_features, attention_mask)
        state = self.run_layers(
            state, reducer=reducer, generator=generator, keep_inputs=output_hidden_states
        )
        return self.finish(state)

    def embed(self, input_features: Tensor, attention_mask: Tensor | None = None) -> EncoderState:
        """Convolutions and positions, and pooling when that comes first: the state at layer 0."""
        features = input_features.to(self.conv1.weight.dtype)
        if features.ndim != 3 or features.shape[1] != self.config.num_mel_bins:
            raise ModelError(
                f"input_features has shape {tuple(features.shape)}; this encoder needs "
                f"[batch, {self.config.num_mel_bins}, frames]"
            )
        if attention_mask is None:
            attention_mask = torch.ones(
                features.shape[0], features.shape[2], dtype=torch.int64, device=features.device
            )
        features = features * self._within(attention_mask)[:, None].to(features.dtype)
        hidden = F.gelu(self.conv1(self._pad(features)))
        hidden = F.gelu(self.conv2(self._pad(hidden))).transpose(1, 2)
        frames = hidden.shape[1]
        if frames > self.config.max_source_positions:
            raise ModelError(
                f"the input has {frames} frames at 50 Hz, but the encoder takes at most "
                f"{self.config.max_source_positions}; cut the audio into shorter segments"
            )
        hidden = hidden + self.embed_positions.weight[:frames]
        hidden = F.dropout(hidden, self.config.dropout, self.training)
        state = EncoderState(hidden, attention_mask[:, ::2])
        return self._pool(state) if self._pools_after(0) else state

    def run_layers(
        self,
        state: EncoderState,
        last: int | None = None,
        *,
        reducer: Reducer | None = None,
        generator: torch.Generator | None = None,
        keep_inputs: bool = False,
    ) -> EncoderState:
        """Run the layers after `state.layer` up to number `last` (1-based, None: all).

        What follows a layer (pooling, SAE, quantizer) happens with it, in the reference's order.
        A state may be stored and taken up again: `hidden`, `mask`, `shallow`, `layer`, `pooled`.
        `keep_inputs` collects the input of every layer in `inputs`.
        """
        last = len(self.layers) if last is None else last
        assert state.layer <= last <= len(self.layers)
        mask, made_for = None, None
        for number in range(state.layer + 1, last + 1):
            if keep_inputs:
                state = replace(state, inputs=(*state.inputs, state.hidden))
            causal = self._is_causal(number)
            if made_for != (state.pooled, causal):
                mask, made_for = self._attention_mask(state, causal), (state.pooled, causal)
            hidden = self._layer(number, state.hidden, mask)
            state = self._after_layer(
                replace(state, hidden=hidden, layer=number), reducer, generator
            )
        return state

    def finish(self, state: EncoderState) -> EncoderOutput:
        """Final LayerNorm (none in an encoder-only model), and the state as an output."""
        hidden = state.hidden if self.layer_norm is None else self.layer_norm(state.hidden)
        return EncoderOutput(
            last_hidden_state=hidden,
            token_ids=state.token_ids,
            token_mask=state.mask,
            hidden_states=(*state.inputs, hidden) if state.inputs else None,
            quantized=state.quantized,
            gate_mean=state.gate_mean,
            quantizer_loss=state.quantizer_loss,
        )

    def load_reference_state(self, state: Mapping[str, Tensor]) -> None:
        """Load tensors under the reference's names, with or without `model.encoder.`.

        Monitor buffers, a text decoder and layers that this model does not have are passed over;
        ModelError lists what is missing or of the wrong shape.
        """
        load_encoder_state(self, state)

    def _within(self, mask: Tensor) -> Tensor:
        """Frames of the items themselves: the mask, filled up to whole tokens.

        A lone item is padded with zero samples to whole tokens, and the reference's convolutions
        see those frames; only frames that batching added are to be zeroed.
        """
        multiple = self.config.frame_multiple
        frames = mask.shape[1]
        whole = F.pad(mask, (0, -frames % multiple)).view(len(mask), -1, multiple)
        return whole.amax(-1).repeat_interleave(multiple, dim=1)[:, :frames]

    def _pad(self, frames: Tensor) -> Tensor:
        """Zeros for a kernel of 3: on the left only if causal, else on both sides."""
        return F.pad(frames, (2, 0) if self.config.encoder_causal_convolution else (1, 1))

    def _pools_after(self, number: int) -> bool:
        return self.config.pooling > 1 and self.config.pooling_position == number

    def _pool(self, state: EncoderState) -> EncoderState:
        k = self.config.pooling
        shallow = None if state.shallow is None else self._pool_frames(state.shallow)
        return replace(
            state,
            hidden=self._pool_frames(state.hidden),
            mask=state.mask[:, ::k],
            shallow=shallow,
            pooled=True,
        )

    def _pool_frames(self, hidden: Tensor) -> Tensor:
        """`[B, T, D]` to `[B, ceil(T / k), D]`; the last window is filled up with zeros."""
        k = self.config.pooling
        windows = F.pad(hidden, (0, 0, 0, -hidden.shape[1] % k)).unflatten(1, (-1, k))
        return windows.mean(2) if self.config.pooling_type == "avg" else windows.amax(2)

    def _is_causal(self, number: int) -> bool:
        """Whether layer `number` sees earlier frames only (unless blocks are set)."""
        config = self.config
        below = config.quantize_causal_encoder and number <= config.quantize_position
        return config.encoder_causal_attention or below

    def _attention_mask(self, state: EncoderState, causal: bool) -> Tensor | None:
        """Additive mask `[B, 1, T or 1, T]`; None where every frame sees every frame."""
        block = self.config.quantize_causal_block_size
        if block is not None and state.pooled:
            block //= self.config.pooling
        real = state.mask.bool()
        if block is None and not causal and bool(real.all()):
            return None
        seen = real[:, None, None, :]
        if block is not None or causal:
            index = torch.arange(real.shape[1], device=real.device)
            # Within its block a frame sees up to the block's end; block 1 is causal.
            end = index if block is None else (index // block + 1) * block - 1
            seen = seen & (index[None, :] <= end[:, None])[None, None]
        # The lowest finite value: rows that see nothing (padding) stay finite too.
        additive = torch.zeros(seen.shape, dtype=state.hidden.dtype, device=seen.device)
        return additive.masked_fill(~seen, torch.finfo(additive.dtype).min)

    def _layer(self, number: int, hidden: Tensor, mask: Tensor | None) -> Tensor:
        drop = self.config.encoder_layerdrop
        if self.training and drop > 0 and torch.rand(()).item() < drop:
            return hidden
        return self.layers[number - 1](hidden, mask)

    def _after_layer(
        self, state: EncoderState, reducer: Reducer | None, generator: torch.Generator | None
    ) -> EncoderState:
        """Pool, keep the residual source, fuse it, quantize: what is due after `state.layer`."""
        config = self.config
        if self._pools_after(state.layer):
            state = self._pool(state)
        if state.layer == config.encoder_residual_source_position:
            state = replace(state, shallow=state.hidden)
        if self.equilibrium is not None and state.layer == config.encoder_residual_target_position:
            assert state.shallow is not None
            hidden, gate = self.equilibrium(state.hidden, state.shallow, state.mask)
            state = replace(state, hidden=hidden, gate_mean=gate)
        if self.quantizer is not None and state.layer == config.quantize_position:
            vectors, ids, loss = self.quantizer(state.hidden, state.mask, reducer, generator)
            hidden = vectors + self.embed_positions2.weight[: vectors.shape[1]]
            state = replace(
                state, hidden=hidden, token_ids=ids, quantized=vectors, quantizer_loss=loss
            )
        return state


def _build_quantizer(config: UniAudioConfig, codes: int) -> VectorQuantizer:
    return VectorQuantizer(
        codes,
        config.d_model,
        decay=config.quantize_ema_decay,
        restart_interval=config.quantize_restart_interval,
        commit=config.quantize_commit_coefficient,
        scale=config.quantize_loss_scale,
        use_commit_loss=config.use_commit_loss,
    )


def _warn_when_residual_is_late(config: UniAudioConfig) -> None:
    target = config.encoder_residual_target_position
    if config.quantize_vocab_size is None or target is None or target <= config.quantize_position:
        return
    logger.warning(
        "SAE joins at layer %d, after the quantizer at layer %d: it does not reach the tokens",
        target,
        config.quantize_position,
    )
