"""The tokens that a trained encoder gives training data: made once, kept in files."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unisono.errors import ConfigError
from unisono.storage.weights import load_weights, save_weights
from unisono.training.cache import add_weights
from unisono.training.config import TrainConfig, load_config, parse_options
from unisono.training.encoder_options import EncoderOptions
from unisono.training.encoder_start import as_stored, build_encoder
from unisono.training.given import is_model
from unisono.training.state import module_weights
from unisono.training.states import Sequences, open_sequences
from unisono.training.world import World
from unisono.uniaudio.encoder import UniAudioEncoder

log = logging.getLogger(__name__)

_PLACES_A_CODE = 64
"""So many tokens for each code tell, on average, what another encoder's codes stand for."""


@dataclass(frozen=True)
class Tokenized:
    """An encoder as it is stored, and by split the sequences and the ids `[T]` it gives them.

    mel_head: weights of the head that read mel frames from its codes.
    """

    encoder: UniAudioEncoder
    mel_head: dict[str, Tensor]
    sequences: dict[str, Sequences]
    tokens: dict[str, list[Tensor]]


def tokenized(run: Path, config: TrainConfig, splits: Sequence[str], world: World) -> Tokenized:
    """The tokens that the encoder of `run` gives the data of `config`, with the run's own plan.

    Raises:
        ConfigError: it is another stage's run.
        DataError: it has no whole checkpoint.
    """
    encoder_config, options = _encoder_stage(run)
    trained = module_weights(run)
    encoder = _as_shipped(options, trained["encoder"])
    encoder_config.data = config.data.model_copy(
        update={"sequence_seconds": encoder_config.data.sequence_seconds}
    )
    folder = options.cache or config.out / "tokens"
    sequences = {
        split: open_sequences(encoder, options, encoder_config, split, world) for split in splits
    }
    tokens = {
        split: cached_tokens(encoder, found, folder, world) for split, found in sequences.items()
    }
    return Tokenized(encoder, trained["mel_head"], sequences, tokens)


def embeddings_of(old: Sequence[Tensor], new: Sequence[Tensor], embedding: Tensor) -> Tensor:
    """Embeddings of new codes: the mean of the old codes' where they come (ours).

    old, new: ids `[T]` of the same sequences by two encoders; embedding: `[codes, width]` of the
    old ones, which a code that never comes keeps. Raises ConfigError if they do not fit.
    """
    total = torch.zeros_like(embedding)
    counts = torch.zeros(len(embedding), 1)
    for before, now in zip(old, new, strict=True):
        if len(before) != len(now) or max(int(before.max()), int(now.max())) >= len(embedding):
            raise ConfigError(
                "start_from: its encoder's tokens do not fit these (another rate, more codes, or "
                "sequences of another seed); leave start_from out"
            )
        total.index_add_(0, now, embedding[before])
        counts.index_add_(0, now, torch.ones(len(now), 1))
    return torch.where(counts > 0, total / counts.clamp(min=1), embedding)


def finished_encoder(path: Path) -> UniAudioEncoder:
    """The encoder of a run, rounded as it would be stored, or of a model (embedded name, folder).

    Raises:
        ConfigError: another stage's run, or a model of another system.
        DataError: the run has no whole checkpoint.
    """
    if is_model(path):
        from unisono import hub

        model: Any = hub.load(str(path), decoder=False)
        if model.system != "uniaudio":
            raise ConfigError(f"{path}: a model of system {model.system} has no such encoder")
        encoder: UniAudioEncoder = model.encoder
        return encoder
    _, options = _encoder_stage(path)
    return _as_shipped(options, module_weights(path)["encoder"])


def _encoder_stage(run: Path) -> tuple[TrainConfig, EncoderOptions]:
    """Config and options of a run of the encoder stage; `ConfigError` for another's."""
    config = load_config(run / "config.yaml")
    if config.task != "encoder":
        raise ConfigError(f"{run}: not a run of the encoder stage")
    return config, parse_options(EncoderOptions, config.options, "encoder")


def _as_shipped(options: EncoderOptions, weights: Mapping[str, Tensor]) -> UniAudioEncoder:
    """The encoder with a run's weights, rounded as they are stored."""
    # Its own weights follow; Whisper need not be read.
    encoder = build_encoder(options.model_copy(update={"whisper": None}))
    encoder.load_state_dict(dict(weights))
    return as_stored(encoder)


def models_embeddings(path: Path, tokens: Tokenized, embedding: Tensor) -> Tensor:
    """`embeddings_of` for a model's embedding, from as many training sequences as are needed.

    `path` is an embedded name or a folder of the model whose encoder gave the old tokens.
    """
    old = finished_encoder(path).to(tokens.encoder.device)  # type: ignore[arg-type]
    sequences, new = tokens.sequences["train"], tokens.tokens["train"]
    wanted, chosen = _PLACES_A_CODE * len(embedding), list[int]()
    order = torch.randperm(len(new), generator=torch.Generator().manual_seed(0)).tolist()
    for index in order:
        if wanted <= 0:
            break
        wanted -= len(new[index])
        chosen.append(index)
    before = _tokens(old, sequences, chosen)
    return embeddings_of(before, [new[index] for index in chosen], embedding)


def cached_tokens(
    encoder: UniAudioEncoder, sequences: Sequences, folder: Path, world: World
) -> list[Tensor]:
    """Token ids `[T]` of every sequence, kept in a file in `folder`; one process makes them."""
    digest = hashlib.sha256()
    add_weights(digest, encoder.state_dict())
    count = len(sequences.seconds)
    clips = [[(c.source, c.path, c.start) for c in sequences.items(i)] for i in range(count)]
    digest.update(repr(clips).encode())
    path = folder / f"tokens-{digest.hexdigest()[:16]}.safetensors"
    if world.main and not path.is_file():
        tokens = _tokens(encoder, sequences)
        lengths = torch.tensor([len(ids) for ids in tokens])
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(path, {"tokens": torch.cat(tokens), "lengths": lengths})
    world.wait()
    found = load_weights(path)
    return list(found["tokens"].split(found["lengths"].tolist()))


@torch.no_grad()
def _tokens(
    encoder: UniAudioEncoder, sequences: Sequences, chosen: Sequence[int] | None = None
) -> list[Tensor]:
    """Token ids `[T]` of every sequence, or of those that are chosen."""
    found: list[Tensor] = []
    indices = range(len(sequences.seconds)) if chosen is None else chosen
    for index in indices:
        inputs = sequences.inputs([index], encoder.device)
        state = inputs.state
        if state is None:
            assert inputs.features is not None and inputs.feature_mask is not None
            state = encoder.embed(inputs.features, inputs.feature_mask)
        state = encoder.run_layers(state, encoder.config.quantize_position)
        assert state.token_ids is not None
        found.append(state.token_ids[0].cpu())
        if len(found) % 1000 == 0:
            log.info("tokens of %d of %d sequences", len(found), len(indices))
    return found
