"""Stage: fields of SAPs told from the tokens of a finished encoder (ours).

Tokens are made once; batches are drawn from all lengths alike, since batches of one length are
often of one kind (long ones music, short ones clicks), and a small network then answers just that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from unisono.errors import ConfigError
from unisono.sap.speakers import read_voices
from unisono.training.config import Section, TrainConfig, parse_options
from unisono.training.encoder_options import FieldsSection
from unisono.training.encoder_tokens import (
    Tokenized,
    cached_tokens,
    finished_encoder,
    tokenized,
)
from unisono.training.field_targets import FIELDS, FieldValues, facts_of
from unisono.training.given import is_model
from unisono.training.states import LiveSequences, Sequences, SingleSounds
from unisono.training.world import World
from unisono.uniaudio.encoder import UniAudioEncoder
from unisono.uniaudio.field_reader import FieldReader, added, clip_statistics

_VALID_BATCH = 32
_SEEN = 4096


class FieldsOptions(Section):
    """Options of the fields stage."""

    encoder: Path
    """Run of the encoder stage, or model (embedded name or folder): whose tokens are read."""
    fields: FieldsSection = Field(default_factory=FieldsSection)
    items: int = Field(default=32, ge=1)
    """Sequences of a step."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of the numbers of code vectors that are withheld from the convolutions."""
    whole: bool = False
    """Let statistics of the clip answer, see `FieldReader`; the convolutions learn beside them."""
    penalty: float = Field(default=0.05, ge=0)
    """Of the squared weights on the statistics, summed: with few labels, the larger the better."""
    singles: bool = False
    """Let every labelled sound come by itself too, as it is asked about, beside the sequences."""


@dataclass(frozen=True)
class FieldBatch:
    """Tokens `[B, T]`, mask `[B, T]`, targets `[B, values]` by field; seconds."""

    tokens: Tensor
    mask: Tensor
    targets: dict[str, Tensor]
    seconds: float


class FieldsTask:
    """Trains a `FieldReader` on (tokens, facts) pairs."""

    def __init__(self, config: TrainConfig, world: World | None = None) -> None:
        self.config = config
        self.world = world or World()
        self.options: FieldsOptions = parse_options(FieldsOptions, config.options, config.task)
        if config.data.augment.active:
            raise ConfigError("data.augment: tokens are read once, from the clips as they are")
        given = self._given()
        encoder = given.encoder
        assert encoder.quantizer is not None
        self.codebook = encoder.quantizer.codebook.weight.detach()
        section = self.options.fields
        voices = {} if section.voices is None else read_voices(section.voices)
        self.seconds, self.tokens, self.facts = {}, {}, {}
        for split in ("train", "valid"):
            read = [(given.sequences[split], given.tokens[split])]
            if split == "train" and self.options.singles:
                alone = SingleSounds(encoder, config, split)
                if not alone.seconds:
                    raise ConfigError(
                        "options.singles: no sound of data.train has a label; name such data, with "
                        "sound among data.kinds, or leave singles out"
                    )
                read.append((alone, self._tokens_of(encoder, alone)))
            self.seconds[split] = [each for found, _ in read for each in found.seconds]
            self.facts[split] = [
                facts_of(found.items(i), voices, section.rename)
                for found, _ in read
                for i in range(len(found.seconds))
            ]
            self.tokens[split] = [ids for _, tokens in read for ids in tokens]
        self.fields = FieldValues.of(self.facts["train"], section)
        if self.world.main:
            self.fields.write(config.out / FIELDS)
        torch.manual_seed(config.seed)
        dim = self.codebook.shape[1]
        self.reader = FieldReader(
            dim, self.fields.values, section.width, section.layers, self.options.whole
        )
        if self.reader.whole is not None:
            self.reader.whole.standardise(self._statistics())
            nn.init.zeros_(self.reader.whole.outward.weight)
        self.modules: dict[str, nn.Module] = {"field_reader": self.reader}
        self.players = {"reader": ("field_reader",)}

    def _given(self) -> Tokenized:
        """Encoder and tokens; a run's cached states, where it has some, save its lower layers."""
        config, path, splits = self.config, self.options.encoder, ("train", "valid")
        if not is_model(path):
            return tokenized(path, config, splits, self.world)
        encoder = finished_encoder(path)
        found: dict[str, Sequences] = {
            split: LiveSequences(encoder, config, split) for split in splits
        }
        tokens = {split: self._tokens_of(encoder, own) for split, own in found.items()}
        return Tokenized(encoder, {}, found, tokens)

    def _tokens_of(self, encoder: UniAudioEncoder, found: Sequences) -> list[Tensor]:
        return cached_tokens(encoder, found, self.config.out / "tokens", self.world)

    def batch(self, step: int) -> FieldBatch:
        """This process's sequences of the step: every one comes once in each pass over the data."""
        count, size = len(self.tokens["train"]), self.options.items
        first = self.world.position(step) * size
        places = [divmod(place, count) for place in range(first, first + size)]
        orders = {lap: self._order(lap) for lap, _ in places}
        return self._collate("train", [int(orders[lap][number]) for lap, number in places])

    def losses(
        self, batch: FieldBatch, step: int
    ) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """Cross-entropy of all fields together; a figure of each."""
        self.reader.train()
        vectors = given = self._vectors(batch)
        seed = hash((self.config.seed, self.world.position(step))) % 2**63
        drawn = torch.rand(vectors.shape, generator=torch.Generator().manual_seed(seed))
        kept = (drawn >= self.options.dropout).to(vectors) / (1 - self.options.dropout)
        vectors = vectors * kept
        told = added(self.reader.places(vectors, batch.mask))
        terms = self.fields.losses(told, batch.targets)
        extra = vectors.new_zeros(())
        if self.reader.whole is not None:
            beside = self.fields.losses(self.reader(given, batch.mask), batch.targets)
            terms |= {f"{name}.whole": term for name, term in beside.items()}
            extra = self.options.penalty * self.reader.whole.outward.weight.square().sum()
        counts = torch.stack([count.float() for _, count in terms.values()])
        whole = self.world.sum(counts.clone())
        totals = torch.stack([total for total, _ in terms.values()])
        means = totals * self.world.size / whole.clamp(min=1)
        figures = zip(terms, means.tolist(), counts.tolist(), strict=True)
        yield "reader", means.sum() + extra, {name: mean for name, mean, count in figures if count}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Shares of the held-out sequences whose field is told right."""
        self.reader.eval()
        answers: dict[str, list[bool]] = {}
        indices = list(range(len(self.tokens["valid"])))
        for first in range(0, len(indices), _VALID_BATCH):
            batch = self._collate("valid", indices[first : first + _VALID_BATCH])
            told = self.reader(self._vectors(batch), batch.mask.to(self._device))
            moved = {name: aim.to(self._device) for name, aim in batch.targets.items()}
            for name, right in self.fields.right(told, moved).items():
                answers.setdefault(name, []).extend(right)
        return {f"{name}_right": float(np.mean(found)) for name, found in answers.items() if found}

    def extra_state(self) -> dict[str, Any]:
        """Nothing beyond the modules."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""

    @property
    def _device(self) -> torch.device:
        return next(self.reader.parameters()).device

    def _vectors(self, batch: FieldBatch) -> Tensor:
        return self.codebook.to(self._device)[batch.tokens.to(self._device)]

    @torch.no_grad()
    def _statistics(self) -> Tensor:
        """Statistics of the training clips, many at most."""
        count = len(self.tokens["train"])
        found = []
        for index in range(0, count, max(1, count // _SEEN)):
            vectors = self.codebook[self.tokens["train"][index]][None]
            found.append(clip_statistics(vectors, vectors.new_ones(vectors.shape[:2])))
        return torch.cat(found)

    def _order(self, lap: int) -> np.ndarray:
        """The order of the sequences in one pass."""
        return np.random.default_rng((self.config.seed, lap)).permutation(len(self.tokens["train"]))

    def _collate(self, split: str, chosen: Sequence[int]) -> FieldBatch:
        tokens = [self.tokens[split][i] for i in chosen]
        lengths = torch.tensor([len(ids) for ids in tokens])
        return FieldBatch(
            tokens=nn.utils.rnn.pad_sequence(tokens, batch_first=True),
            mask=(torch.arange(int(lengths.max())) < lengths[:, None]).long(),
            targets=self.fields.targets([self.facts[split][i] for i in chosen]),
            seconds=sum(self.seconds[split][i] for i in chosen),
        )
