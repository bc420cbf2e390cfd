"""Stage: encoder, without its quantizer and then with it.

The tokens are trained by what has to be read from them: phonemes by CTC where text exists and
mel frames everywhere (both ours). The first steps, or a first run, go without the quantizer, then
k-means starts the codebook (paper section 3.3: two stages). Frozen lower layers are run once and
cached; a second run with `start_from` and without a cache trains them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unisono.data.dataset import BatchPlan
from unisono.quantize.usage import code_counts, code_usage
from unisono.synthesis.convolution import TokenConvolutions
from unisono.training.config import TrainConfig, parse_options
from unisono.training.encoder_options import EncoderOptions
from unisono.training.encoder_start import as_stored, build_encoder, start_from
from unisono.training.heads import PhonemeHead
from unisono.training.losses import ctc_per_symbol, masked_l1
from unisono.training.phonemes import Inventory, PhonemeBatch, reading_errors, sequence_phonemes
from unisono.training.states import EncoderInputs, Sequences, cached_states, open_sequences
from unisono.training.world import World
from unisono.uniaudio.encoder import EncoderState

__all__ = ["EncoderOptions", "EncoderTask", "as_stored", "build_encoder", "cached_states"]

_VALID_BATCH = 8
_STATES_A_CODE = 24  # how many states k-means sees for each code
_RECENT = 0.99  # decay of the counts behind the figure `use` at each step
_LATELY = 300  # a code counts as used for so many steps after it occurred once


@dataclass(frozen=True)
class EncoderBatch:
    """Inputs and targets of one step; `seconds` is the length of its audio."""

    inputs: EncoderInputs
    phonemes: PhonemeBatch
    seconds: float


@dataclass(frozen=True)
class Term:
    """A loss before its mean: sum (with its gradient) and count of this process's part."""

    total: Tensor
    count: Tensor | float


class EncoderTask:
    """Trains a `UniAudioEncoder` above its frozen layers, SAE and codebook included."""

    def __init__(self, config: TrainConfig, world: World | None = None) -> None:
        self.config = config
        self.world = world or World()
        self.options: EncoderOptions = parse_options(EncoderOptions, config.options, config.task)
        torch.manual_seed(config.seed)
        self.encoder = build_encoder(self.options)
        self.sequences: dict[str, Sequences] = {
            split: open_sequences(self.encoder, self.options, config, split, self.world)
            for split in ("train", "valid")
        }
        self.phonemes = {
            split: [sequence_phonemes(found.items(i)) for i in range(len(found.seconds))]
            for split, found in self.sequences.items()
        }
        self.inventory = Inventory(self.phonemes["train"])
        train = self.sequences["train"]
        self.plan = BatchPlan(train.seconds, config.data.batch_seconds, config.seed)
        dim = self.encoder.config.d_model
        heads = self.options
        self.phoneme_head = PhonemeHead(dim, len(self.inventory), **heads.phoneme_head)
        self.mel_head = TokenConvolutions(dim, train.mel_width, **heads.mel_head)
        self.modules: dict[str, nn.Module] = {
            "encoder": self.encoder,
            "phoneme_head": self.phoneme_head,
            "mel_head": self.mel_head,
        }
        self.players = {"encoder": tuple(self.modules)}
        self._started = False
        if self.options.start_from is not None:
            symbols = self.inventory.symbols
            self._started = start_from(
                self.options.start_from, self.modules, symbols, self.options
            )
        self._recent = torch.zeros(self.encoder.config.quantize_vocab_size or 1)

    def batch(self, step: int) -> EncoderBatch:
        """This process's sequences of the step."""
        return self._collate("train", self.plan(self.world.position(step)))

    def losses(
        self, batch: EncoderBatch, step: int
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """Mel + CTC + commitment; the quantizer joins at `quantize_from`."""
        quantize = self.encoder.quantizer is not None and step >= self.options.quantize_from
        if quantize and not self._started:
            self._start_codebook(step)
        for module in self.modules.values():
            module.train()
        unfrozen = self.options.unfreeze_from
        state = self._run(batch.inputs, quantize, unfrozen is not None and step >= unfrozen)
        terms = self._terms(batch, state)
        loss = terms["mel"].total.new_zeros(())
        for name, term in terms.items():
            loss = loss + self._weights[name] * self.world.mean(term.total, term.count)
        figures = self._joint(terms)
        if state.token_ids is not None:
            figures |= self._usage(state.token_ids, batch.inputs.mask)
        yield "encoder", loss, figures

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Losses, phoneme error rate (greedy CTC) and code use on the held-out sequences."""
        for module in self.modules.values():
            module.eval()
        found: list[dict[str, Term]] = []
        counts = torch.zeros_like(self._recent)
        errors = symbols = 0
        indices = list(range(len(self.sequences["valid"].seconds)))
        for first in range(0, len(indices), _VALID_BATCH):
            batch = self._collate("valid", indices[first : first + _VALID_BATCH])
            state = self._run(batch.inputs, self._started)
            found.append(self._terms(batch, state))
            if len(batch.phonemes.rows):
                scores, frames = self._phoneme_scores(batch, state)
                errors += reading_errors(scores, frames, batch.phonemes)
                symbols += len(batch.phonemes.symbols)
            if state.token_ids is not None:
                counts += code_counts(state.token_ids, len(counts), state.mask).cpu()
        figures = _means(found)
        if symbols:
            figures["per"] = errors / symbols
        if self._started:
            used = code_usage(counts)
            figures |= {"use": used.share, "perplexity": used.perplexity}
        return figures

    def extra_state(self) -> dict[str, Any]:
        """Whether the codebook has been started, its recent use, and the phoneme inventory."""
        symbols = self.inventory.symbols
        return {"started": self._started, "symbols": symbols, "recent": self._recent}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `extra_state` gave."""
        self._started = state["started"]
        self._recent = state.get("recent", self._recent)

    def _collate(self, split: str, indices: Sequence[int]) -> EncoderBatch:
        sequences = self.sequences[split]
        device = next(self.encoder.parameters()).device
        inputs = sequences.inputs(indices, device)
        texts = [self.phonemes[split][i] for i in indices]
        frames = inputs.mask.sum(1).tolist()
        return EncoderBatch(
            inputs=inputs,
            phonemes=self.inventory.batch(texts, frames, device),
            seconds=sum(sequences.seconds[i] for i in indices),
        )

    def _run(self, inputs: EncoderInputs, quantize: bool, unfrozen: bool = False) -> EncoderState:
        """Up to where the tokens are read; without the quantizer while it has no codebook."""
        encoder = self.encoder
        state = inputs.state
        if state is None:
            assert inputs.features is not None
            frozen = 0 if unfrozen else self.options.frozen
            with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
                state = encoder.embed(inputs.features, inputs.feature_mask)
                state = encoder.run_layers(state, frozen)
        last = min(encoder.config.quantize_position, len(encoder.layers))
        quantizer = encoder.quantizer
        try:
            if not quantize:
                encoder.quantizer = None
            return encoder.run_layers(state, last, reducer=self.world)
        finally:
            encoder.quantizer = quantizer

    def _terms(self, batch: EncoderBatch, state: EncoderState) -> dict[str, Term]:
        """All losses as sums over this process's part, `gate` for its figure alone."""
        inputs = batch.inputs
        states = _read_states(state)
        mel = self.mel_head(states, inputs.mask)
        terms = {"mel": Term(*masked_l1(mel, inputs.mel, inputs.mask))}
        if len(batch.phonemes.rows):
            scores, mask = self._phoneme_scores(batch, state)
            targets = batch.phonemes
            terms["ctc"] = Term(
                *ctc_per_symbol(scores, mask.sum(1), targets.symbols, targets.lengths)
            )
        else:
            terms["ctc"] = _nothing(self.phoneme_head)
        frames = inputs.mask.sum()
        if state.quantizer_loss is not None:
            terms["commit"] = Term(state.quantizer_loss * frames, frames)
        if state.gate_mean is not None:
            terms["gate"] = Term(state.gate_mean * frames, frames)
        return terms

    @property
    def _weights(self) -> dict[str, float]:
        o = self.options
        return {"mel": o.mel_weight, "ctc": o.ctc_weight, "commit": 1.0, "gate": 0.0}

    def _phoneme_scores(self, batch: EncoderBatch, state: EncoderState) -> tuple[Tensor, Tensor]:
        """Log probabilities and mask of the items that have phonemes."""
        rows = batch.phonemes.rows
        mask = batch.inputs.mask[rows]
        return self.phoneme_head(_read_states(state)[rows], mask), mask

    def _joint(self, terms: dict[str, Term]) -> dict[str, float]:
        """Means over all processes, of what any of them has."""
        sums = torch.stack([term.total.detach().float() for term in terms.values()])
        counts = torch.stack([torch.as_tensor(term.count).to(sums) for term in terms.values()])
        sums, counts = self.world.sum(torch.stack([sums, counts])).tolist()
        return {
            name: total / count
            for name, total, count in zip(terms, sums, counts, strict=True)
            if count
        }

    def _usage(self, ids: Tensor, mask: Tensor) -> dict[str, float]:
        """Codes of the joint batch, and the share of all codes that occurred lately."""
        counts = self.world.sum(code_counts(ids, len(self._recent), mask).float()).cpu()
        self._recent = _RECENT * self._recent + counts
        used = code_usage(counts)
        share = (self._recent > _RECENT**_LATELY).float().mean().item()
        return {"codes": float(used.used), "perplexity": used.perplexity, "use": share}

    @torch.no_grad()
    def _start_codebook(self, step: int) -> None:
        """K-means on the states that the quantizer is about to see; the same on all processes."""
        self.encoder.eval()
        quantizer = self.encoder.quantizer
        assert quantizer is not None
        found: list[Tensor] = []
        wanted = _STATES_A_CODE * quantizer.codes
        first = step * self.world.size
        while sum(map(len, found)) < wanted and len(found) < 1000:
            batch = self._collate("train", self.plan(first + len(found)))
            found.append(self._run(batch.inputs, False).hidden[batch.inputs.mask.bool()])
        generator = torch.Generator().manual_seed(self.config.seed)
        quantizer.init_from(torch.cat(found)[:wanted], iterations=8, generator=generator)
        if self.world.size > 1:
            quantizer.set_codebook(self.world.broadcast(quantizer.codebook.weight))
        self._started = True


def _read_states(state: EncoderState) -> Tensor:
    """What the heads read: the code vectors, or the states where there are none."""
    return state.hidden if state.quantized is None else state.quantized


def _nothing(head: nn.Module) -> Term:
    """A term of no items; its gradients are zeros, so that all processes have the same ones."""
    touched = [parameter.sum() for parameter in head.parameters() if parameter.requires_grad]
    return Term(0.0 * torch.stack(touched).sum(), 0)


def _means(found: Sequence[dict[str, Term]]) -> dict[str, float]:
    """Means over several batches, of what any of them has."""
    names = {name: None for terms in found for name in terms}
    figures = {}
    for name in names:
        parts = [terms[name] for terms in found if name in terms]
        count = sum(float(term.count) for term in parts)
        if count:
            figures[name] = sum(term.total.item() for term in parts) / count
    return figures
