"""What the untouched Whisper says of each sequence, computed once and kept in a folder.

Source: WhisperSpeech, which trains its quantizer on Whisper's own output distribution; greedy
transcripts, the best tokens' probabilities alone and the checks are ours (the last are Whisper's).
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationMixin

from unisono.storage.weights import load_weights, read_metadata, save_weights
from unisono.training.world import World
from unisono.uniaudio import LogMelFeatures, UniAudioForConditionalGeneration
from unisono.uniaudio.encoder import EncoderOutput
from unisono.uniaudio.text_tokens import PROMPT, TextTokens

log = logging.getLogger(__name__)

BEST = 10
"""Tokens whose probabilities are kept at each position."""

_SHARD = 16
_MOST_TOKENS = 224  # Whisper's own limit for 30 s
_TOKENS_A_SECOND = 10.0
_REPETITIVE = 2.4  # compression ratio above which Whisper distrusts a transcript


@dataclass(frozen=True)
class Taught:
    """A sequence in the teacher's words.

    ids: `[L]`, prompt, text and end of text, empty if the teacher is not to be trusted here;
    best, probabilities: `[L - 1, BEST]`, of the token after each of `ids[:-1]`, int32 and float16.
    """

    ids: Tensor
    best: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class Lesson:
    """A sequence for the teacher: its audio by `key`, its language token or None, its text or None.

    With a text the teacher follows it; else it writes its own.
    """

    key: str
    index: int
    seconds: float
    language: int | None
    ids: tuple[int, ...] | None = None


class Teacher:
    """A whole Whisper model that reads audio in batches."""

    def __init__(self, model: UniAudioForConditionalGeneration, tokens: TextTokens) -> None:
        self.model = model.eval()
        self.tokens = tokens
        self.features = LogMelFeatures(n_mels=model.config.num_mel_bins)

    @torch.no_grad()
    def read(self, waves: Sequence[np.ndarray], lessons: Sequence[Lesson]) -> list[Taught]:
        """Transcripts and the distributions along them, one for each wave `[n]` at 16 kHz."""
        device = self.model.device
        features, mask = self.features(waves, 2)
        encoded = self.model.model.encoder(features.to(device), mask.to(device))
        heard = EncoderOutput(
            last_hidden_state=encoded.last_hidden_state, token_mask=encoded.token_mask
        )
        known = [list(lesson.ids) if lesson.ids else None for lesson in lessons]
        free = [n for n, ids in enumerate(known) if ids is None]
        if free:
            part = _rows(heard, free)
            languages = self._languages(part, [lessons[n].language for n in free])
            limit = int(max(lessons[n].seconds for n in free) * _TOKENS_A_SECOND) + 8
            for n, ids in zip(free, self._write(part, languages, limit), strict=True):
                known[n] = ids
        sequences = [ids or [] for ids in known]
        return self._distributions(heard, sequences)

    def _languages(self, heard: EncoderOutput, given: Sequence[int | None]) -> list[int]:
        """Language tokens: the given ones, the teacher's guess where there is none."""
        if all(language is not None for language in given):
            return [language for language in given if language is not None]
        start = torch.full((len(given), 1), self.tokens.start, device=self.model.device)
        logits = self.model(encoder_outputs=heard, decoder_input_ids=start).logits[:, 0]
        languages = self.tokens.languages
        guess = logits[:, languages.start : languages.stop].argmax(-1) + languages.start
        both = zip(guess.tolist(), given, strict=True)
        return [guessed if known is None else known for guessed, known in both]

    def _write(
        self, heard: EncoderOutput, languages: Sequence[int], limit: int
    ) -> list[list[int] | None]:
        """Greedy transcripts with prompt and end; None where the text is endless or repetitive."""
        tokens, end = self.tokens, self.tokens.end
        prompt = torch.tensor([tokens.prompt(language) for language in languages])
        written = GenerationMixin.generate(
            self.model,
            encoder_outputs=heard,
            attention_mask=heard.token_mask,
            decoder_input_ids=prompt.to(self.model.device),
            max_new_tokens=min(_MOST_TOKENS, limit),
            eos_token_id=end,
            pad_token_id=end,
            # Prompt and timestamp tokens: this is plain text.
            suppress_tokens=list(range(end + 1, tokens.size)),
            do_sample=False,
        )
        assert isinstance(written, Tensor)
        found: list[list[int] | None] = []
        for row in written.tolist():
            text = row[PROMPT:]
            if end not in text or text[0] == end or _repetitive(tokens.text(text)):
                found.append(None)
            else:
                found.append(row[: PROMPT + text.index(end) + 1])
        return found

    def _distributions(self, heard: EncoderOutput, sequences: Sequence[list[int]]) -> list[Taught]:
        nothing = torch.zeros(0, BEST)
        found = [Taught(torch.zeros(0, dtype=torch.int32), nothing.int(), nothing.half())]
        found = found * len(sequences)
        rows = [n for n, ids in enumerate(sequences) if ids]
        if not rows:
            return found
        ids = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(sequences[n]) for n in rows],
            batch_first=True,
            padding_value=self.tokens.end,
        )
        part = _rows(heard, rows)
        assert part.last_hidden_state is not None
        decoder = self.model.model.decoder
        states, _ = decoder(
            ids[:, :-1].to(self.model.device), part.last_hidden_state, part.token_mask
        )
        for n, row in zip(rows, states, strict=True):
            length = len(sequences[n]) - 1
            shares = self.model.proj_out(row[:length]).float().softmax(-1)
            shares, best = shares.topk(min(BEST, shares.shape[-1]), dim=-1)
            found[n] = Taught(
                torch.tensor(sequences[n], dtype=torch.int32), best.int().cpu(), shares.half().cpu()
            )
        return found


def taught_sequences(
    folder: Path,
    lessons: Sequence[Lesson],
    wave: Callable[[int], np.ndarray],
    teacher: Callable[[], Teacher],
    world: World | None = None,
) -> dict[str, Taught]:
    """What the teacher says of each lesson, by key; those not in `folder` yet are computed.

    The work is done in shards that are written whole, each process its share of them; an
    interrupted run goes on where it stopped. `wave(index)` gives audio, `teacher()` the model.
    """
    world = world or World()
    found = _stored(folder)
    world.wait()  # nobody writes while another still looks
    missing = [lesson for lesson in lessons if lesson.key not in found]
    if missing:
        missing.sort(key=lambda lesson: (lesson.seconds, lesson.key))
        shards = [missing[n : n + _SHARD] for n in range(0, len(missing), _SHARD)]
        mine = shards[world.rank :: world.size]
        reader = teacher() if mine else None
        for number, shard in enumerate(mine, 1):
            assert reader is not None
            taught = reader.read([wave(lesson.index) for lesson in shard], shard)
            _store(folder, [lesson.key for lesson in shard], taught)
            log.info("teacher: %d of %d batches", number, len(mine))
        world.wait()
        found = _stored(folder)
    return {lesson.key: found[lesson.key] for lesson in lessons}


def _store(folder: Path, keys: Sequence[str], taught: Sequence[Taught]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(json.dumps(list(keys)).encode()).hexdigest()[:16]
    tensors = {
        "ids": torch.cat([one.ids for one in taught]),
        "lengths": torch.tensor([len(one.ids) for one in taught], dtype=torch.int32),
        "best": torch.cat([one.best for one in taught]),
        "probabilities": torch.cat([one.probabilities for one in taught]),
    }
    save_weights(folder / f"{name}.safetensors", tensors, {"keys": json.dumps(list(keys))})


def _stored(folder: Path) -> dict[str, Taught]:
    found: dict[str, Taught] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors = load_weights(path)
        keys = json.loads(read_metadata(path)["keys"])
        lengths = tensors["lengths"].tolist()
        after = [max(0, length - 1) for length in lengths]
        parts = (
            tensors["ids"].split(lengths),
            tensors["best"].split(after),
            tensors["probabilities"].split(after),
        )
        found |= {key: Taught(*one) for key, *one in zip(keys, *parts, strict=True)}
    return found


def _rows(heard: EncoderOutput, rows: Sequence[int]) -> EncoderOutput:
    states, mask = heard.last_hidden_state, heard.token_mask
    assert states is not None and mask is not None
    index = torch.tensor(list(rows), device=states.device)
    return EncoderOutput(last_hidden_state=states[index], token_mask=mask[index])


def _repetitive(text: str) -> bool:
    data = text.encode()
    return bool(data) and len(data) / len(zlib.compress(data)) > _REPETITIVE
