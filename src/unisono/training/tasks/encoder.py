"""Stage: encoder through the quantizer, on cached states of its frozen lower layers.

The tokens are trained by what has to be read from them: phonemes by CTC where text exists and
mel frames everywhere (both ours; the paper's stage uses the text decoder). The first steps run
without the quantizer, then k-means starts the codebook (paper section 3.3: two stages).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor, nn

from unisono.data.dataset import BatchPlan, ClipSet, plan_sequences, read_sequence
from unisono.errors import DataError
from unisono.quantize.usage import code_usage
from unisono.storage.weights import int8_roundtrip
from unisono.synthesis.convolution import TokenConvolutions
from unisono.training.cache import JoinedCache, StateCache, write_cache
from unisono.training.config import Section, TrainConfig, parse_options
from unisono.training.heads import PhonemeHead
from unisono.training.losses import masked_l1
from unisono.uniaudio import LogMelFeatures, UniAudioConfig, UniAudioEncoder
from unisono.uniaudio.encoder import EncoderState
from unisono.uniaudio.reference import init_from_whisper

# Options that change nothing below the quantizer and SAE, so that cached states stay good.
_ABOVE = frozenset(
    {
        "quantize_vocab_size",
        "quantize_position",
        "quantize_ema_decay",
        "quantize_restart_interval",
        "quantize_loss_scale",
        "quantize_commit_coefficient",
        "encoder_residual_target_position",
        "use_residual_adapter",
        "use_residual_gate",
    }
)


class EncoderOptions(Section):
    """Options of the encoder stage."""

    encoder: dict[str, Any]
    """Encoder config in the reference's form."""
    whisper: Path | None = None
    """Folder of the Whisper model to start from (transformers' names); None: random weights."""
    cache: Path
    """Folder for the states of the frozen layers."""
    frozen: int = Field(ge=1)
    """Layers that stay as they are, and whose output is cached."""
    int8_frozen: bool = True
    """Round the frozen layers to int8 before caching, so that shipping int8 changes nothing."""
    quantize_from: int = Field(200, ge=0)
    """First step with the quantizer."""
    ctc_weight: float = 1.0
    mel_weight: float = 3.0
    phoneme_head: dict[str, Any] = Field(default_factory=dict)
    mel_head: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class StateBatch:
    """Cached states and targets: `hidden`, `shallow [B, T, D]`, `mel [B, T, M]`, `mask [B, T]`.

    `phonemes` are the targets of the items in `labelled`, all in a row, `lengths` of each.
    """

    hidden: Tensor
    shallow: Tensor | None
    mel: Tensor
    mask: Tensor
    labelled: Tensor
    phonemes: Tensor
    lengths: Tensor


class EncoderTask:
    """Trains the layers above `frozen`, SAE and the codebook of a `UniAudioEncoder`."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.options: EncoderOptions = parse_options(EncoderOptions, config.options, config.task)
        torch.manual_seed(config.seed)
        self.encoder = build_encoder(self.options)
        found = {
            split: cached_states(self.encoder, self.options, config, split)
            for split in ("train", "valid")
        }
        self.caches = {split: cache for split, (cache, _) in found.items()}
        self.phonemes = {split: _phonemes(*parts) for split, parts in found.items()}
        cache = self.caches["train"]
        self.symbols = sorted({c for text in self.phonemes["train"] for c in text} - {" "})
        self._number = {symbol: i + 1 for i, symbol in enumerate(self.symbols)}
        self.plan = BatchPlan(
            [s.seconds for s in cache.sequences], config.data.batch_seconds, config.seed
        )
        dim = self.encoder.config.d_model
        heads = self.options
        self.phoneme_head = PhonemeHead(dim, len(self.symbols), **heads.phoneme_head)
        self.mel_head = TokenConvolutions(dim, cache.widths["mel"], **heads.mel_head)
        self.modules: dict[str, nn.Module] = {
            "encoder": self.encoder,
            "phoneme_head": self.phoneme_head,
            "mel_head": self.mel_head,
        }
        self.players = {"encoder": tuple(self.modules)}
        self._started = False

    def batch(self, step: int) -> StateBatch:
        """Cached sequences of this step."""
        return self._collate("train", self.plan(step))

    def losses(
        self, batch: StateBatch, step: int
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """CTC + mel + commitment; the quantizer joins at `quantize_from`."""
        quantize = step >= self.options.quantize_from
        if quantize and not self._started:
            self._start_codebook(step)
        for module in self.modules.values():
            module.train()
        figures, loss, state = self._losses(batch, quantize)
        if quantize:
            assert state.token_ids is not None and state.quantizer_loss is not None
            ids = state.token_ids[batch.mask.bool()]
            figures |= {"commit": state.quantizer_loss.item(), "codes": float(len(ids.unique()))}
            loss = loss + state.quantizer_loss
        yield "encoder", loss, figures

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Losses, phoneme error rate (greedy CTC) and code use on the held-out sequences."""
        for module in self.modules.values():
            module.eval()
        cache = self.caches["valid"]
        totals: dict[str, float] = {}
        errors = symbols = 0
        counts = torch.zeros(self.encoder.config.quantize_vocab_size or 1)
        groups = [list(range(i, min(i + 8, len(cache)))) for i in range(0, len(cache), 8)]
        for group in groups:
            batch = self._collate("valid", group)
            figures, _, state = self._losses(batch, self._started)
            for key, value in figures.items():
                totals[key] = totals.get(key, 0.0) + value / len(groups)
            wrong, count = self._phoneme_errors(batch, state)
            errors, symbols = errors + wrong, symbols + count
            if state.token_ids is not None:
                counts += torch.bincount(
                    state.token_ids[batch.mask.bool()].cpu(), minlength=len(counts)
                )
        if self._started:
            used = code_usage(counts)
            totals |= {"use": used.share, "perplexity": used.perplexity}
        return totals | {"per": errors / max(1, symbols)}

    def extra_state(self) -> dict[str, Any]:
        """Whether the codebook has been started, and the phoneme inventory."""
        return {"started": self._started, "symbols": self.symbols}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `extra_state` gave."""
        self._started = state["started"]

    def _losses(
        self, batch: StateBatch, quantize: bool
    ) -> tuple[dict[str, float], Tensor, EncoderState]:
        state = self._run(batch, quantize)
        states = state.quantized if state.quantized is not None else state.hidden
        mel = masked_l1(self.mel_head(states, batch.mask), batch.mel, batch.mask)
        loss = self.options.mel_weight * mel
        figures = {"mel": mel.item()}
        if len(batch.labelled):
            mask = batch.mask[batch.labelled]
            scores = self.phoneme_head(states[batch.labelled], mask)
            ctc = F.ctc_loss(
                scores.transpose(0, 1),
                batch.phonemes,
                mask.sum(1),
                batch.lengths,
                zero_infinity=True,
            )
            loss = loss + self.options.ctc_weight * ctc
            figures["ctc"] = ctc.item()
        if state.gate_mean is not None:
            figures["gate"] = state.gate_mean.item()
        return figures, loss, state

    def _run(self, batch: StateBatch, quantize: bool) -> EncoderState:
        """The trained layers on cached states; without the quantizer while it has no codebook."""
        pooled = 0 < self.encoder.config.pooling_position <= self.options.frozen
        state = EncoderState(
            batch.hidden, batch.mask, self.options.frozen, batch.shallow, pooled=pooled
        )
        last = self.encoder.config.quantize_position
        if quantize:
            return self.encoder.run_layers(state, last)
        quantizer, self.encoder.quantizer = self.encoder.quantizer, None
        try:
            return self.encoder.run_layers(state, last)
        finally:
            self.encoder.quantizer = quantizer

    @torch.no_grad()
    def _start_codebook(self, step: int) -> None:
        """K-means on the states that the quantizer is about to see."""
        self.encoder.eval()
        states: list[Tensor] = []
        quantizer = self.encoder.quantizer
        assert quantizer is not None
        wanted = 24 * quantizer.codes
        while sum(map(len, states)) < wanted and len(states) < 1000:
            batch = self.batch(step + len(states))
            states.append(self._run(batch, False).hidden[batch.mask.bool()])
        generator = torch.Generator().manual_seed(self.config.seed)
        quantizer.init_from(torch.cat(states)[:wanted], iterations=8, generator=generator)
        self._started = True

    def _phoneme_errors(self, batch: StateBatch, state: EncoderState) -> tuple[int, int]:
        if not len(batch.labelled):
            return 0, 0
        states = state.quantized if state.quantized is not None else state.hidden
        mask = batch.mask[batch.labelled]
        best = self.phoneme_head(states[batch.labelled], mask).argmax(-1)
        wrong = 0
        for row, real, target in zip(
            best, mask.sum(1), batch.phonemes.split(batch.lengths.tolist()), strict=True
        ):
            read = torch.unique_consecutive(row[: int(real)])
            wrong += edit_distance(read[read > 0].tolist(), target.tolist())
        return wrong, len(batch.phonemes)

    def _collate(self, split: str, indices: Sequence[int]) -> StateBatch:
        cache = self.caches[split]
        device = next(self.encoder.parameters()).device
        lengths = [cache.sequences[i].frames for i in indices]

        def padded(name: str) -> Tensor:
            rows = torch.zeros(len(indices), max(lengths), cache.widths[name])
            for row, index in zip(rows, indices, strict=True):
                states = cache.read(name, index)
                row[: len(states)] = torch.from_numpy(states)
            return rows.to(device)

        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        targets = [
            [self._number[c] for c in self.phonemes[split][i] if c in self._number] for i in indices
        ]
        labelled = [n for n, target in enumerate(targets) if 0 < len(target) < lengths[n]]
        return StateBatch(
            hidden=padded("hidden"),
            shallow=padded("shallow") if "shallow" in cache.widths else None,
            mel=padded("mel"),
            mask=mask.to(device),
            labelled=torch.tensor(labelled, dtype=torch.long, device=device),
            phonemes=torch.tensor(
                [symbol for n in labelled for symbol in targets[n]], device=device
            ),
            lengths=torch.tensor([len(targets[n]) for n in labelled], device=device),
        )


def build_encoder(options: EncoderOptions) -> UniAudioEncoder:
    """The encoder with Whisper's layers in it, the frozen part rounded to int8 and frozen."""
    encoder = UniAudioEncoder(UniAudioConfig.from_reference(options.encoder))
    if options.whisper is not None:
        init_from_whisper(encoder, _whisper_weights(options.whisper))
    for name, parameter in encoder.named_parameters():
        layer = int(name.split(".")[1]) if name.startswith("layers.") else 0
        below = name.startswith(("conv", "embed_positions.")) or (
            name.startswith("layers.") and layer < options.frozen
        )
        if below:
            parameter.requires_grad_(False)
            if options.int8_frozen and parameter.ndim == 2 and name.startswith("layers."):
                parameter.data.copy_(int8_roundtrip(parameter.data))
    return encoder


@torch.no_grad()
def as_stored(encoder: UniAudioEncoder) -> UniAudioEncoder:
    """Round the trained weights to what an int8 model file keeps, in place; evaluation mode.

    The decoder is then trained on exactly the tokens that the shipped encoder gives.
    """
    for name, parameter in encoder.named_parameters():
        if name.startswith(("layers.", "equilibrium.")) and parameter.ndim == 2:
            parameter.copy_(int8_roundtrip(parameter))
        elif parameter.numel() >= 4096:
            parameter.copy_(parameter.half().float())
    return encoder.eval()


def cached_states(
    encoder: UniAudioEncoder, options: EncoderOptions, config: TrainConfig, split: str
) -> tuple[JoinedCache, list[ClipSet]]:
    """States after the frozen layers of every manifest's clips of a split, made where missing.

    Returns the caches as one, and the clips of each; a manifest without such clips is left out.
    """
    caches, clip_sets = [], []
    for manifest in config.data.train:
        data = config.data
        clips = ClipSet([manifest], data.kinds, data.weights, split=split, required=False)
        if not len(clips):
            continue
        folder = options.cache / f"{Path(manifest).stem}-{split}"
        caches.append(_fill_cache(folder, encoder, options, config, clips))
        clip_sets.append(clips)
    if not caches:
        raise DataError(f"{', '.join(config.data.train)}: no {split} clips; name other manifests")
    return JoinedCache(caches), clip_sets


def _fill_cache(
    folder: Path,
    encoder: UniAudioEncoder,
    options: EncoderOptions,
    config: TrainConfig,
    clips: ClipSet,
) -> StateCache:
    sequences = plan_sequences(clips.items, config.data.sequence_seconds, config.seed)
    features = LogMelFeatures(n_mels=encoder.config.num_mel_bins)
    multiple = encoder.config.frame_multiple

    @torch.no_grad()
    def compute(sequence: list[int]) -> tuple[float, dict[str, np.ndarray]]:
        wave = read_sequence(clips, sequence)[: 30 * clips.rate]
        mel, mask = features([wave], multiple)
        state = encoder.run_layers(encoder.embed(mel, mask), options.frozen)
        arrays = {
            "hidden": state.hidden[0].numpy(),
            "mel": mel[0].T.reshape(state.hidden.shape[1], -1).numpy(),
        }
        if state.shallow is not None:
            arrays["shallow"] = state.shallow[0].numpy()
        return len(wave) / clips.rate, arrays

    encoder.eval()
    below = {k: v for k, v in options.encoder.items() if k not in _ABOVE}
    described = json.dumps(
        [below, options.frozen, options.int8_frozen, str(options.whisper), sequences,
         [(i.path, i.start) for i in clips.items]],
        sort_keys=True,
    )  # fmt: skip
    key = hashlib.sha256(described.encode()).hexdigest()
    write_cache(folder, sequences, compute, key)
    return StateCache(folder)


def _whisper_weights(folder: Path) -> dict[str, Tensor]:
    path = folder / "model.safetensors"
    if not path.is_file():
        raise DataError(f"{path}: no Whisper model here; `python -m recipes.whisper` makes it")
    return load_file(path)


def edit_distance(made: Sequence[int], real: Sequence[int]) -> int:
    """Levenshtein distance."""
    row = list(range(len(real) + 1))
    for i, a in enumerate(made, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(real, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def _phonemes(cache: JoinedCache, clip_sets: Sequence[ClipSet]) -> list[str]:
    """Phonemes of every cached sequence; empty where one of its clips has none."""
    found = []
    for index, sequence in enumerate(cache.sequences):
        part, _ = cache.locate(index)
        texts = [clip_sets[part].items[i].phonemes for i in sequence.clips]
        found.append(" ".join(texts) if all(texts) else "")
    return found
