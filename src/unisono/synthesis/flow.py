"""Flow decoder: tokens to mel by conditional flow matching (CosyVoice-1 family)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisono.errors import ConfigError, TokenError
from unisono.synthesis.conformer import ConformerConfig, TokenEncoder
from unisono.synthesis.convolution import ConvolutionConfig, TokenConvolutions
from unisono.synthesis.masks import length_mask, masked
from unisono.synthesis.regulator import LengthRegulator
from unisono.synthesis.solvers import evaluation_times, integrate, time_grid
from unisono.synthesis.state import load_exactly
from unisono.synthesis.unet import EstimatorConfig, UNet


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of a flow decoder, with the reference's argument names.

    `encoder_kind` is the reference's "conformer" or "block", or "convolution" (ours).
    `input_frame_rate` in tokens per second; `mel` (ours) the mel's `rate` and `hop`, which give
    the number of frames, and optionally the `mean` and `std` that the network's mel is
    normalised by (0 and 1 in the reference); `spk_embed_dim` 0 (ours): no speaker vector, and
    then the estimator's in_channels are 3 × mel instead of 4 × mel. With `encoder.voice` (ours)
    the convolution encoder takes the speaker vector instead, see `voice.py`.
    """

    input_size: int = 512
    output_size: int = 80
    spk_embed_dim: int = 192
    vocab_size: int = 8192
    input_frame_rate: float = 25
    encoder_kind: str = "conformer"
    encoder: Mapping[str, Any] = field(default_factory=dict)
    length_regulator: Mapping[str, Any] = field(default_factory=dict)
    decoder: Mapping[str, Any] = field(default_factory=dict)
    mel: Mapping[str, float] = field(default_factory=lambda: {"rate": 22050, "hop": 256})
    output_type: str = "mel"
    only_mask_loss: bool = True

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FlowConfig:
        """Build from a plain dict; unknown keys and sizes that do not fit are `ConfigError`s."""
        if unknown := sorted(set(values) - {f.name for f in fields(cls)}):
            raise ConfigError(f"The flow config has unknown keys: {', '.join(unknown)}.")
        config = cls(**values)
        allowed = {"in_channels", "n_spks", "spk_emb_dim", "cfm_params", "estimator"}
        if unknown := sorted(set(config.decoder) - allowed):
            raise ConfigError(f"The flow config's decoder has unknown keys: {', '.join(unknown)}.")
        if not {"rate", "hop"} <= set(config.mel) <= {"rate", "hop", "mean", "std"}:
            raise ConfigError(
                "The flow config's mel must have the keys rate and hop, and may have mean and std."
            )
        return config


@dataclass(frozen=True)
class SamplingConfig:
    """The reference's `cfm_params`; `guidance_interval` is not among them, it is an argument.

    `prior_sigma` (ours; None as in the reference): the path to the mel begins at μ plus noise of
    this deviation instead of at unit noise [data-dependent prior, Grad-TTS, PriorGrad], so that a
    little training goes a long way.
    """

    sigma_min: float = 1e-6
    solver: str = "euler"
    t_scheduler: str = "cosine"
    training_cfg_rate: float = 0.2
    inference_cfg_rate: float = 0.7
    reg_loss_type: str = "l1"
    prior_sigma: float | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SamplingConfig:
        """Build from a plain dict; unknown keys are refused."""
        if unknown := sorted(set(values) - {f.name for f in fields(cls)}):
            raise ConfigError(f"The flow's cfm_params have unknown keys: {', '.join(unknown)}.")
        return cls(**values)


@dataclass
class FlowLoss:
    """Training losses (scalars): `flow` as in the reference, `prior` = L1 of μ to the mel.

    `mu [B, mels, F]` is the regulator's output, which the prior draws to the mel (ours, after
    Matcha-TTS' encoder loss).
    """

    flow: Tensor
    prior: Tensor
    mu: Tensor


class FlowDecoder(nn.Module):
    """Token ids `[B, T]` to log-mel `[B, mels, frames]`; tensor names are the reference's."""

    def __init__(self, config: FlowConfig):
        super().__init__()
        self.config = c = config
        self.sampling = SamplingConfig.from_dict(c.decoder.get("cfm_params", {}))
        encoder = _encoder_config(c)
        estimator = EstimatorConfig.from_dict(c.decoder.get("estimator", {}))
        mels, parts = c.output_size, 4 if c.spk_embed_dim else 3
        if encoder.input_size != c.input_size:
            raise ConfigError("The flow's input_size differs from its encoder's input_size.")
        if c.spk_embed_dim and self.voice_width:
            raise ConfigError("Give the flow spk_embed_dim or encoder.voice, not both.")
        if (estimator.in_channels, estimator.out_channels) != (parts * mels, mels):
            raise ConfigError(
                f"The flow estimator must have {parts * mels} input and {mels} output channels "
                f"for {mels} mels{'' if c.spk_embed_dim else ' without speaker'}; it has "
                f"{estimator.in_channels} and {estimator.out_channels}."
            )
        self.input_embedding = nn.Embedding(c.vocab_size, c.input_size)
        self.spk_embed_affine_layer = nn.Linear(c.spk_embed_dim, mels) if c.spk_embed_dim else None
        self.encoder = _token_encoder(encoder)
        self.encoder_proj = nn.Linear(encoder.output_size, mels)
        self.length_regulator = LengthRegulator.from_dict({"channels": mels, **c.length_regulator})
        self.decoder = nn.ModuleDict({"estimator": UNet(estimator)})

    @classmethod
    def from_reference(cls, config: Mapping[str, Any]) -> FlowDecoder:
        """Build from the reference's constructor arguments as a plain dict."""
        return cls(FlowConfig.from_dict(config))

    def load_reference_state(self, state: Mapping[str, Tensor]) -> None:
        """Load the reference's tensors; missing or unknown ones are a `ModelError`."""
        load_exactly(self, state, "flow decoder")

    @property
    def estimator(self) -> UNet:
        """The velocity network."""
        return self.decoder["estimator"]  # type: ignore[return-value]

    @property
    def voice_width(self) -> int:
        """Width of the voice vector (see `voice.py`) that `speaker` must have; 0: takes none."""
        return int(self.config.encoder.get("voice", 0))

    def frames(self, tokens: int) -> int:
        """Mel frames of that many tokens: floor(tokens / input_frame_rate · rate / hop)."""
        seconds = tokens / self.config.input_frame_rate
        # The small term keeps exact quotients from being rounded below themselves.
        return int(seconds * self.config.mel["rate"] / self.config.mel["hop"] + 1e-6)

    @torch.no_grad()
    def mel(
        self,
        token_ids: Tensor,
        prompt_ids: Tensor | None = None,
        prompt_mel: Tensor | None = None,
        speaker: Tensor | None = None,
        noise: Tensor | None = None,
        steps: int = 10,
        lengths: Tensor | None = None,
        guidance: float | None = None,
        guidance_interval: tuple[float, float] | None = None,
        solver: str | None = None,
        seed: int | Sequence[int] = 42,
        generator: torch.Generator | None = None,
        keep_prompt: bool = False,
        start: float = 0.0,
        temperature: float = 1.0,
    ) -> Tensor:
        """Return the mel `[B, mels, frames]` of `token_ids [B, T]` (ids below 0 count as 0).

        `prompt_ids [B, P]` and their `prompt_mel` (`[B, F, mels]` or `[B, mels, F]`) precede the
        tokens and are cut off the result unless `keep_prompt`. `speaker [B, spk_embed_dim]` or
        `[B, voice_width]`, none: zeros. `lengths [B]` are real tokens; frames beyond an item's end
        are 0, and a batch gives what its items give alone. `noise [B, mels, F + frames]` is x₀;
        otherwise each item draws its own from `seed` (one for all, or one each) or in turn from
        `generator`.
        `guidance` w replaces the config's rate, only where t lies within `guidance_interval`
        (ours); `solver` as in `solvers.SOLVERS`, which says how many evaluations a step takes.
        `temperature` scales the noise [Matcha-TTS, Grad-TTS]; `start` s begins at time s from
        s · μ + (1 − s) · noise, for decoders trained with a prior [shallow diffusion, DiffSinger].
        """
        token_ids, lengths, cut = self._join(token_ids, lengths, prompt_ids, prompt_mel)
        batch, mels = token_ids.shape[0], self.config.output_size
        counts = [self.frames(int(n)) for n in lengths]
        if min(counts) <= cut:
            raise TokenError("The tokens are too few to give a mel frame; give at least one more.")
        frames = torch.tensor(counts, device=token_ids.device)
        mask = _frame_mask(frames, self.encoder_proj.weight.dtype)
        mu = self._mu(token_ids, lengths, frames, mask, speaker)
        known = torch.zeros_like(mu)
        if prompt_mel is not None:
            known[:, :, :cut] = self._normalise(_channels_first(prompt_mel, mels, cut))
        x = self._start(mu, counts, noise, seed, generator) * temperature
        if (sigma := self.sampling.prior_sigma) is not None:
            x = mu + sigma * x
        x = start * mu + (1 - start) * x
        x = self._sample(
            masked(x, mask), mu, self._voice(speaker, batch, mu), known, mask, steps,
            self.sampling.inference_cfg_rate if guidance is None else guidance,
            guidance_interval or (0.0, 1.0), solver or self.sampling.solver, start,
        )  # fmt: skip
        x = x * self.config.mel.get("std", 1.0) + self.config.mel.get("mean", 0.0)
        x = masked(x, mask)
        return x if keep_prompt else x[:, :, cut:]

    def loss(
        self,
        token_ids: Tensor,
        lengths: Tensor,
        mel: Tensor,
        mel_lengths: Tensor,
        speaker: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> FlowLoss:
        """Flow matching loss of `token_ids [B, T]` and their true `mel [B, mels, F]`.

        Half of the items see a random prefix (up to 80 %) of the true mel; all conditions are
        dropped with probability `training_cfg_rate`. Randomness comes from `generator` (CPU).
        """
        batch, frames = mel.shape[0], mel.shape[2]

        def uniform() -> Tensor:
            return torch.rand(batch, generator=generator).to(mel)

        mask = length_mask(mel_lengths, frames)[:, None].to(mel)
        mel = self._normalise(mel)
        mu = self._mu(token_ids, lengths, mel_lengths, mask, speaker)
        if mu.shape[2] != frames:
            raise ValueError("mel must be exactly as long as the largest of mel_lengths")
        prefix = (uniform() * 0.8 * mel_lengths).long() * (uniform() < 0.5)
        known = mel * length_mask(prefix, frames)[:, None]
        keep = (uniform() > self.sampling.training_cfg_rate).to(mel)[:, None, None]
        condition = self._condition(mu, self._voice(speaker, batch, mu), known) * keep
        t = 1 - torch.cos(uniform() * (math.pi / 2))
        z = torch.randn(mel.shape, generator=generator).to(mel)
        if (sigma := self.sampling.prior_sigma) is not None:
            z = mu.detach() + sigma * z
        scale, at = 1 - self.sampling.sigma_min, t[:, None, None]
        y = (1 - scale * at) * z + at * mel
        net = self.estimator
        velocity = net(y, net.condition(condition, mask), net.times(t), mask)
        real = mask.sum() * mel.shape[1]
        error = functional.mse_loss(velocity * mask, (mel - scale * z) * mask, reduction="sum")
        prior = functional.l1_loss(mu * mask, mel * mask, reduction="sum")
        return FlowLoss(error / real, prior / real, mu)

    def _normalise(self, mel: Tensor) -> Tensor:
        """A mel as the network sees it."""
        return (mel - self.config.mel.get("mean", 0.0)) / self.config.mel.get("std", 1.0)

    def _join(
        self,
        ids: Tensor,
        lengths: Tensor | None,
        prompt_ids: Tensor | None,
        prompt_mel: Tensor | None,
    ) -> tuple[Tensor, Tensor, int]:
        """Tokens behind their prompt, their lengths, and the number of prompt frames."""
        if (prompt_ids is None) != (prompt_mel is None):
            raise TokenError("prompt_ids and prompt_mel belong together; give both or neither.")
        if int(ids.max()) >= self.config.vocab_size:
            raise TokenError(
                f"Token {int(ids.max())} is out of range; this decoder knows 0 to "
                f"{self.config.vocab_size - 1}."
            )
        if lengths is None:
            lengths = torch.full((ids.shape[0],), ids.shape[1], device=ids.device)
        if prompt_ids is None or prompt_mel is None:
            return ids, lengths, 0
        mels, shape = self.config.output_size, prompt_mel.shape
        if mels not in shape[1:]:
            raise TokenError(f"prompt_mel has shape {tuple(shape)}; it needs {mels} mel channels.")
        cut = shape[2] if shape[1] == mels else shape[1]
        return torch.cat([prompt_ids, ids], 1), lengths + prompt_ids.shape[1], cut

    def _mu(
        self,
        ids: Tensor,
        lengths: Tensor,
        frames: Tensor,
        mask: Tensor | None,
        speaker: Tensor | None,
    ) -> Tensor:
        """The encoder's mel-like output μ `[B, mels, max(frames)]`, zero at padding."""
        padded: Tensor | None = None if int(lengths.min()) == ids.shape[1] else lengths
        x = self.input_embedding(ids.clamp(min=0))
        if padded is not None:
            x = x * length_mask(lengths, ids.shape[1])[..., None]
        if isinstance(self.encoder, TokenConvolutions):
            real = None if padded is None else length_mask(lengths, ids.shape[1])
            if (width := self.voice_width) and speaker is None:
                speaker = x.new_zeros(len(x), width)
            voice = speaker.to(x) if width and speaker is not None else None
            x = self.encoder(x, real, voice).unflatten(2, (-1, self.encoder_proj.in_features))
            padded = None if padded is None else padded * x.shape[2]
            x = x.flatten(1, 2)
        else:
            x = self.encoder(x, padded)
        return self.length_regulator(self.encoder_proj(x), padded, frames, mask)

    def _voice(self, speaker: Tensor | None, batch: int, like: Tensor) -> Tensor | None:
        """Speaker condition `[B, mels]` of a speaker vector."""
        if self.spk_embed_affine_layer is None:
            return None
        if speaker is None:
            speaker = like.new_zeros(batch, self.config.spk_embed_dim)
        return self.spk_embed_affine_layer(functional.normalize(speaker.to(like), dim=1))

    def _condition(self, mu: Tensor, voice: Tensor | None, known: Tensor) -> Tensor:
        """Stack the conditions `[B, 2 or 3 × mels, F]` in the estimator's order."""
        if voice is None:
            return torch.cat([mu, known], 1)
        return torch.cat([mu, voice[:, :, None].expand_as(mu), known], 1)

    def _start(
        self,
        mu: Tensor,
        counts: list[int],
        noise: Tensor | None,
        seed: int | Sequence[int],
        generator: torch.Generator | None,
    ) -> Tensor:
        """The initial noise x₀ `[B, mels, F]`, each item's drawn apart from the others'."""
        if noise is not None:
            return noise.to(mu)
        seeds = [seed] * len(counts) if isinstance(seed, int) else list(seed)
        x = torch.zeros_like(mu)
        for i, count in enumerate(counts):
            source = generator or torch.Generator().manual_seed(seeds[i])
            drawn = torch.randn(mu.shape[1], count, generator=source, device=source.device)
            x[i, :, :count] = drawn.to(mu)
        return x

    def _sample(
        self,
        x: Tensor,
        mu: Tensor,
        voice: Tensor | None,
        known: Tensor,
        mask: Tensor | None,
        steps: int,
        guidance: float,
        interval: tuple[float, float],
        solver: str,
        start: float,
    ) -> Tensor:
        """Integrate from the noise `x`; guided evaluations run both passes in one batch."""
        net, grid = self.estimator, time_grid(steps, self.sampling.t_scheduler, start)
        instants = evaluation_times(grid, solver)
        times = net.times(x.new_tensor(instants))
        conditions = self._condition(mu, voice, known)
        alone = net.condition(conditions, mask)
        both, double = alone, mask
        if guidance:
            double = None if mask is None else torch.cat([mask, mask])
            both = net.condition(torch.cat([conditions, torch.zeros_like(conditions)]), double)

        def velocity(x: Tensor, i: int) -> Tensor:
            at = [term[i : i + 1] for term in times]
            if not guidance or not interval[0] <= instants[i] <= interval[1]:
                return net(x, alone, at, mask)
            with_condition, without = net(torch.cat([x, x]), both, at, double).chunk(2)
            return (1 + guidance) * with_condition - guidance * without

        return integrate(x, velocity, grid, solver)


def _encoder_config(config: FlowConfig) -> ConformerConfig | ConvolutionConfig:
    if config.encoder_kind == "convolution":
        return ConvolutionConfig.from_dict(config.encoder)
    return ConformerConfig.from_dict(config.encoder, config.encoder_kind)


def _token_encoder(config: ConformerConfig | ConvolutionConfig) -> TokenEncoder | TokenConvolutions:
    if isinstance(config, ConvolutionConfig):
        out = config.frames * config.output_size
        return TokenConvolutions(config.input_size, out, config.width, config.layers, config.voice)
    return TokenEncoder(config)


def _frame_mask(frames: Tensor, dtype: torch.dtype) -> Tensor | None:
    """Mask `[B, 1, max(frames)]`, or `None` when all are equally long."""
    if int(frames.min()) == int(frames.max()):
        return None
    return length_mask(frames, int(frames.max()))[:, None].to(dtype)


def _channels_first(mel: Tensor, mels: int, frames: int) -> Tensor:
    """Bring a prompt mel to `[B, mels, F]`."""
    return mel if mel.shape[1:] == (mels, frames) else mel.transpose(1, 2)
