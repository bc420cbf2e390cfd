"""Stage: encoder, without its quantizer and then with it.

The tokens are trained by what has to be read from them: text by Whisper's decoder (the paper's
supervision), phonemes by CTC and fields of SAPs where they are known, and mel frames everywhere
(these three ours). The first steps, or a first run, go without the quantizer, then k-means starts
the codebook (paper section 3.3: two stages). Frozen lower layers are run once and cached; a second
run with `start_from` and without a cache trains them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unisono.data.dataset import BatchPlan
from unisono.quantize.usage import code_counts, code_usage
from unisono.sap.speakers import read_voices
from unisono.synthesis.convolution import TokenConvolutions
from unisono.training.config import TrainConfig, parse_options
from unisono.training.encoder_options import EncoderOptions
from unisono.training.encoder_start import as_stored, build_encoder, start_from
from unisono.training.field_targets import FIELDS, Facts, FieldValues, facts_of
from unisono.training.heads import PhonemeHead, SummaryHead, summaries
from unisono.training.losses import ctc_per_symbol, masked_l1
from unisono.training.phonemes import Inventory, PhonemeBatch, reading_errors, sequence_phonemes
from unisono.training.prefetch import to_device
from unisono.training.states import EncoderInputs, Sequences, cached_states, open_sequences
from unisono.training.text_supervision import TextSupervision
from unisono.training.text_targets import TextBatch, TextTarget
from unisono.training.world import World
from unisono.uniaudio.encoder import EncoderState
from unisono.uniaudio.field_reader import FieldReader

__all__ = ["EncoderOptions", "EncoderTask", "as_stored", "build_encoder", "cached_states"]

_VALID_BATCH = 8
_STATES_A_CODE = 24  # how many states k-means sees for each code
_FIELD = "field."
_SUMMED = 256  # sequences from which the scale of summaries is taken
_RECENT = 0.99  # decay of the counts behind the figure `use` at each step
_LATELY = 300  # a code counts as used for so many steps after it occurred once


@dataclass(frozen=True)
class EncoderBatch:
    """Inputs and targets of one step; `seconds` is the length of its audio."""

    inputs: EncoderInputs
    phonemes: PhonemeBatch
    text: TextBatch | None
    fields: dict[str, Tensor]
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
        self.plan = BatchPlan(
            train.seconds, config.data.batch_seconds, config.seed, self.options.batch_items
        )
        dim = self.encoder.config.d_model
        heads = self.options
        self.phoneme_head = PhonemeHead(dim, len(self.inventory), **heads.phoneme_head)
        self.mel_head = TokenConvolutions(dim, train.mel_width, **heads.mel_head)
        self.modules: dict[str, nn.Module] = {
            "encoder": self.encoder,
            "phoneme_head": self.phoneme_head,
            "mel_head": self.mel_head,
        }
        if heads.summary_weight:
            self.summary_head = SummaryHead(dim, self._summaries())
            self.modules["summary_head"] = self.summary_head
        self.fields, self.facts = self._open_fields()
        self.text, self.texts = self._open_text()
        if self.text is not None:
            self.modules |= self.text.modules
        self.players = {"encoder": tuple(self.modules)}
        self._started = False
        if self.options.start_from is not None:
            symbols = self.inventory.symbols
            self._started = start_from(self.options.start_from, self.modules, symbols, self.options)
        self._recent = torch.zeros(self.encoder.config.quantize_vocab_size or 1)

    def batch(self, step: int) -> EncoderBatch:
        """This process's sequences of the step."""
        position = self.world.position(step)
        seed = (self.config.seed, position)
        return self._collate("train", self.plan(position), seed, position)

    def losses(
        self, batch: EncoderBatch, step: int
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """All losses that have a weight; the quantizer joins at `quantize_from`."""
        quantize = self.encoder.quantizer is not None and step >= self.options.quantize_from
        if quantize and not self._started:
            self._start_codebook(step)
        for module in self.modules.values():
            module.train()
        unfrozen = self.options.unfreeze_from
        if self.options.train == "reader":
            self.encoder.eval()
        below = self._below(batch.inputs, unfrozen is not None and step >= unfrozen)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.options.train == "all"):
            state = self._run(below, quantize)
        loss, figures = self._mean(self._terms(batch, state, below))
        if state.quantizer_loss is not None:  # the quantizer takes the joint mean itself
            loss = loss + state.quantizer_loss
            figures["commit"] = state.quantizer_loss.item()
        if state.token_ids is not None:
            figures |= self._usage(state.token_ids, batch.inputs.mask)
        yield "encoder", loss, figures

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Losses, phoneme error rate (greedy CTC), shares of fields told right, and code use on the
        held-out sequences."""
        for module in self.modules.values():
            module.eval()
        found: list[dict[str, Term]] = []
        counts = torch.zeros_like(self._recent)
        errors = symbols = 0
        answers: dict[str, list[bool]] = {}
        indices = list(range(len(self.sequences["valid"].seconds)))
        for first in range(0, len(indices), _VALID_BATCH):
            chosen = indices[first : first + _VALID_BATCH]
            batch = to_device(self._collate("valid", chosen, (first,)), self.world.device)
            below = self._below(batch.inputs)
            state = self._run(below, self._started)
            found.append(self._terms(batch, state, below))
            scores, frames = self._phoneme_scores(batch, state)
            errors += reading_errors(scores, frames, batch.phonemes)
            symbols += len(batch.phonemes.symbols)
            if self.fields is not None:
                told = self.field_reader(_read_states(state), state.mask)
                for name, right in self.fields.right(told, batch.fields).items():
                    answers.setdefault(name, []).extend(right)
            if state.token_ids is not None:
                counts += code_counts(state.token_ids, len(counts), state.mask).cpu()
        figures = _means(found)
        if symbols:
            figures["per"] = errors / symbols
        answered = {name: told for name, told in answers.items() if told}
        figures |= {f"{name}_right": float(np.mean(told)) for name, told in answered.items()}
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

    def _open_text(
        self,
    ) -> tuple[TextSupervision | None, dict[str, list[dict[str, TextTarget]]]]:
        """Text supervision if it has a weight, and the texts of all sequences."""
        o = self.options
        if not (o.text_weight or o.distill_weight):
            return None, {}
        train = self.sequences["train"]
        clips = (item for index in range(len(train.seconds)) for item in train.items(index))
        text = TextSupervision(o, self.encoder.config, self.config.out, self.world, clips)
        texts = {split: text.targets(found) for split, found in self.sequences.items()}
        text.done_teaching()
        return text, texts

    @torch.no_grad()
    def _summaries(self) -> Tensor:
        """Summaries `[N, 2 * dim]` of what some training sequences are below."""
        sequences = self.sequences["train"]
        count = len(sequences.seconds)
        found = []
        for index in range(0, count, max(1, count // _SUMMED)):
            inputs = sequences.inputs([index])
            found.append(summaries(_shallow(self._below(inputs)), inputs.mask)[0])
        return torch.cat(found)

    def _open_fields(self) -> tuple[FieldValues | None, dict[str, list[Facts]]]:
        """The fields of SAPs if they have a weight, and what is known of all sequences."""
        o = self.options
        if not o.fields_weight:
            return None, {}
        voices = {} if o.fields.voices is None else read_voices(o.fields.voices)
        facts = {
            split: [
                facts_of(found.items(i), voices, o.fields.rename) for i in range(len(found.seconds))
            ]
            for split, found in self.sequences.items()
        }
        fields = FieldValues.of(facts["train"], o.fields)
        if self.world.main:
            fields.write(self.config.out / FIELDS)
        dim = self.encoder.config.d_model
        reader = FieldReader(dim, fields.values, o.fields.width, o.fields.layers)
        self.modules["field_reader"] = self.field_reader = reader
        return fields, facts

    def _collate(
        self,
        split: str,
        indices: Sequence[int],
        seed: tuple[int, ...] = (0, 0),
        place: int | None = None,
    ) -> EncoderBatch:
        """Inputs and targets on the CPU; `seed` draws the sequences that have their text read."""
        sequences = self.sequences[split]
        inputs = sequences.inputs(indices, place=place)
        phonemes = [self.phonemes[split][i] for i in indices]
        text = None
        if self.text is not None:
            rng = np.random.default_rng(seed)
            drawn = rng.random(len(indices)) < self.options.text_share
            texts = [self.text.draw(self.texts[split][i], rng) for i in indices]
            text = self.text.batch([t if d else None for t, d in zip(texts, drawn, strict=True)])
        return EncoderBatch(
            inputs=inputs,
            phonemes=self.inventory.batch(phonemes, inputs.mask.sum(1).tolist()),
            text=text,
            fields=self._field_targets(split, indices),
            seconds=sum(sequences.seconds[i] for i in indices),
        )

    def _field_targets(self, split: str, indices: Sequence[int]) -> dict[str, Tensor]:
        if self.fields is None:
            return {}
        return self.fields.targets([self.facts[split][i] for i in indices])

    def _below(self, inputs: EncoderInputs, unfrozen: bool = False) -> EncoderState:
        """The state after the frozen layers."""
        if inputs.state is not None:
            return inputs.state
        assert inputs.features is not None
        frozen = 0 if unfrozen else self.options.frozen
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            state = self.encoder.embed(inputs.features, inputs.feature_mask)
            return self.encoder.run_layers(state, frozen)

    def _run(self, below: EncoderState, quantize: bool) -> EncoderState:
        """Up to where the tokens are read; without the quantizer while it has no codebook."""
        encoder = self.encoder
        last = min(encoder.config.quantize_position, len(encoder.layers))
        quantizer = encoder.quantizer
        try:
            if not quantize:
                encoder.quantizer = None
            return encoder.run_layers(below, last, reducer=self.world)
        finally:
            encoder.quantizer = quantizer

    def _terms(
        self, batch: EncoderBatch, state: EncoderState, below: EncoderState
    ) -> dict[str, Term]:
        """Losses (and `gate`, a figure alone) as sums over this process's part."""
        inputs, targets = batch.inputs, batch.phonemes
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.options.mel_weight > 0):
            mel = self.mel_head(_read_states(state), inputs.mask)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.options.ctc_weight > 0):
            scores, mask = self._phoneme_scores(batch, state)
        terms = {
            "mel": Term(*masked_l1(mel, inputs.mel, inputs.mask)),
            "ctc": Term(*ctc_per_symbol(scores, mask.sum(1), targets.symbols, targets.lengths)),
        }
        if self.fields is not None:
            told = self.field_reader(_read_states(state), inputs.mask)
            errors = self.fields.losses(told, batch.fields)
            terms |= {_FIELD + name: Term(*term) for name, term in errors.items()}
        if self.options.summary_weight:
            told = self.summary_head.errors(_read_states(state), _shallow(below), inputs.mask)
            terms["summary"] = Term(*told)
        if self.text is not None and batch.text is not None:
            found = self.text.losses(self.encoder, state, batch.text, below, mel)
            terms |= {name: Term(*term) for name, term in found.items()}
        if state.gate_mean is not None:
            frames = inputs.mask.sum()
            terms["gate"] = Term(state.gate_mean * frames, frames)
        return terms

    def _mean(self, terms: dict[str, Term]) -> tuple[Tensor, dict[str, float]]:
        """The weighted loss, and figures of what any process has; see `World.mean`."""
        o = self.options
        weights = {
            "mel": o.mel_weight,
            "ctc": o.ctc_weight,
            "text": o.text_weight,
            "distill": o.distill_weight,
            "states": o.states_weight,
            "summary": o.summary_weight,
        }
        totals = torch.stack([term.total.float() for term in terms.values()])
        counts = torch.stack([torch.as_tensor(term.count).to(totals) for term in terms.values()])
        counts = self.world.sum(counts)
        means = totals * (self.world.size / counts.clamp(min=1e-9))
        weights |= {name: o.fields_weight for name in terms if name.startswith(_FIELD)}
        loss = (means * totals.new_tensor([weights.get(name, 0.0) for name in terms])).sum()
        parts = zip(terms, means.tolist(), counts.tolist(), strict=True)
        return loss, {name: mean for name, mean, count in parts if count}

    def _phoneme_scores(self, batch: EncoderBatch, state: EncoderState) -> tuple[Tensor, Tensor]:
        """Log probabilities and mask of the items that have phonemes."""
        rows = batch.phonemes.rows
        mask = batch.inputs.mask[rows]
        return self.phoneme_head(_read_states(state)[rows], mask), mask

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
        first = self.world.batches(step)
        while sum(map(len, found)) < wanted and len(found) < 1000:
            chosen = self.plan(first + len(found))
            inputs = self.sequences["train"].inputs(chosen, self.world.device)
            found.append(self._run(self._below(inputs), False).hidden[inputs.mask.bool()])
        generator = torch.Generator().manual_seed(self.config.seed)
        states = torch.cat(found)[:wanted]
        quantizer.init_from(states, iterations=8, generator=generator, reducer=self.world)
        self._started = True


def _read_states(state: EncoderState) -> Tensor:
    """What the heads read: the code vectors, or the states where there are none."""
    return state.hidden if state.quantized is None else state.quantized


def _shallow(below: EncoderState) -> Tensor:
    """What SAE takes from below, or the states themselves."""
    return below.hidden if below.shallow is None else below.shallow


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
