"""Supervision by Whisper's text decoder: transcripts, and the words of the untouched Whisper.

The decoder attends to what the encoder's remaining layers make of the quantized states (of the
unquantized ones before the quantizer joins), as in the reference's full model; an encoder-only
model gets those layers from Whisper for the time of its training (ours).
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from unisono.data.manifest import ManifestItem
from unisono.errors import ConfigError, ModelError
from unisono.training.encoder_options import EncoderOptions
from unisono.training.encoder_start import whisper_weights
from unisono.training.heads import EncoderTop, TextReader
from unisono.training.losses import best_divergence, label_errors
from unisono.training.states import Sequences
from unisono.training.teacher import BEST, Lesson, Taught, Teacher, taught_sequences
from unisono.training.text_tokens import PROMPT, TASKS, TextTokens
from unisono.training.world import World
from unisono.uniaudio import UniAudioConfig, UniAudioEncoder, UniAudioForConditionalGeneration
from unisono.uniaudio.encoder import EncoderState
from unisono.uniaudio.reference import init_text_model_from_whisper

MOST_POSITIONS = 2048
"""Positions of the text decoder (reference page section 3)."""

_IGNORED = -100


@dataclass(frozen=True)
class TextTarget:
    """One sequence's text: tokens, whether they are true, and what the teacher says along them."""

    ids: tuple[int, ...]
    true: bool
    taught: Taught | None = None


@dataclass(frozen=True)
class TextBatch:
    """Texts of the items in `rows [R]`, R at least 1.

    ids: decoder input `[R, L]`; chosen: `[R, L]` bool, where a token is to be predicted. Of the N
    chosen places: labels `[N]` (-100: no true text), known `[N]` (whether the teacher speaks),
    best and shares `[N, k]` (see `Taught`). A batch without any text has one place of neither.
    """

    rows: Tensor
    ids: Tensor
    chosen: Tensor
    labels: Tensor
    known: Tensor
    best: Tensor
    shares: Tensor


class TextSupervision:
    """The decoder, what lies between it and the states, and the texts of sequences.

    Args:
        out: the run's folder; the teacher's words lie there if the options name no cache.
    """

    def __init__(
        self, options: EncoderOptions, encoder: UniAudioConfig, out: Path, world: World
    ) -> None:
        if options.whisper is None:
            raise ConfigError("text_weight and distill_weight need a Whisper folder: set whisper")
        self.options = options
        self.world = world
        self.folder = (out if options.cache is None else options.cache) / "teacher"
        config, self.tokens = whisper_config(options.whisper)
        if config.d_model != encoder.d_model:
            raise ConfigError(
                f"text supervision: {options.whisper} is {config.d_model} wide, the encoder "
                f"{encoder.d_model}; its text decoder cannot read these states"
            )
        self._whisper: UniAudioForConditionalGeneration | None
        self._whisper = UniAudioForConditionalGeneration(config)
        init_text_model_from_whisper(self._whisper, whisper_weights(options.whisper))
        trained = options.text_decoder == "trained"
        decoder = self._whisper.model.decoder
        self.reader = TextReader(copy.deepcopy(decoder) if trained else decoder)
        self.reader.requires_grad_(trained)
        self.modules: dict[str, nn.Module] = {"text_decoder": self.reader} if trained else {}
        self.top: EncoderTop | None = None
        if encoder.quantize_encoder_only:
            self.top = EncoderTop(config, encoder.quantize_position + 1)
            whole = self._whisper.model.encoder
            for ours, theirs in zip(
                self.top.layers, whole.layers[encoder.quantize_position :], strict=True
            ):
                ours.load_state_dict(theirs.state_dict())
            assert whole.layer_norm is not None
            self.top.layer_norm.load_state_dict(whole.layer_norm.state_dict())
            self.modules["text_top"] = self.top

    def targets(self, sequences: Sequences) -> list[TextTarget | None]:
        """The text of every sequence of a split, None where there is nothing to say.

        The teacher reads what is not known yet; every process must call it.
        """
        clips = [sequences.items(index) for index in range(len(sequences.seconds))]
        true = [self._true(items) for items in clips]
        lessons = {}
        if self.options.distill_weight:
            for index, (items, ids) in enumerate(zip(clips, true, strict=True)):
                if self._for_teacher(items, ids):
                    lessons[index] = self._lesson(index, sequences.seconds[index], items, ids)
        taught = taught_sequences(
            self.folder, list(lessons.values()), sequences.wave, self._teacher, self.world
        )
        found: list[TextTarget | None] = []
        for index, ids in enumerate(true):
            words = taught[lessons[index].key] if index in lessons else None
            if words is not None and not len(words.ids):
                words = None
            if ids is not None:
                found.append(TextTarget(ids, True, words))
            elif words is not None:
                found.append(TextTarget(tuple(words.ids.tolist()), False, words))
            else:
                found.append(None)
        return found

    def done_teaching(self) -> None:
        """Let go of the untouched Whisper, apart from a frozen decoder."""
        self._whisper = None

    def batch(self, targets: Sequence[TextTarget | None]) -> TextBatch:
        """What the decoder reads and should say, for the sequences of a batch."""
        rows = [n for n, target in enumerate(targets) if target is not None]
        some = [target for target in targets if target is not None]
        if not some:
            rows, some = [0], [TextTarget((self.tokens.start, self.tokens.end), False)]
        length = max(len(target.ids) for target in some) - 1
        ids = torch.full((len(some), length), self.tokens.end)
        chosen = torch.zeros(len(some), length, dtype=torch.bool)
        parts = []
        for row, target in enumerate(some):
            count = len(target.ids) - 1
            ids[row, :count] = torch.tensor(target.ids[:-1])
            part = _Places.of(target)
            chosen[row, :count] = part.wanted
            parts.append(part)
        return TextBatch(
            rows=torch.tensor(rows),
            ids=ids,
            chosen=chosen,
            labels=torch.cat([part.labels[part.wanted] for part in parts]),
            known=torch.cat([part.known[part.wanted] for part in parts]),
            best=torch.cat([part.best[part.wanted] for part in parts]),
            shares=torch.cat([part.shares[part.wanted] for part in parts]),
        )

    def losses(
        self, encoder: UniAudioEncoder, state: EncoderState, batch: TextBatch
    ) -> dict[str, tuple[Tensor, int]]:
        """Sums and counts of `text` (cross-entropy) and `distill` (divergence from the teacher).

        `state` is the encoder's, where the tokens are read, of the whole batch.
        """
        self.reader.to(state.hidden.device)
        rows = batch.rows
        state = replace(
            state,
            hidden=state.hidden[rows],
            mask=state.mask[rows],
            shallow=None if state.shallow is None else state.shallow[rows],
        )
        logits = self.reader(batch.ids, self._heard(encoder, state), state.mask, batch.chosen)
        true = batch.labels != _IGNORED
        known = batch.known
        return {
            "text": label_errors(logits[true], batch.labels[true]),
            "distill": best_divergence(logits[known], batch.best[known], batch.shares[known]),
        }

    def _heard(self, encoder: UniAudioEncoder, state: EncoderState) -> Tensor:
        """What the decoder attends to: the layers above the quantizer, and the final LayerNorm."""
        if self.top is not None:
            return self.top(state.hidden, state.mask)
        heard = encoder.finish(encoder.run_layers(state)).last_hidden_state
        assert heard is not None
        return heard

    def _true(self, items: Sequence[ManifestItem]) -> tuple[int, ...] | None:
        """Tokens of the text that the data gives for clips in a row; None if it gives none.

        Transcripts join when all clips have one, in one language that Whisper knows; what tells
        of a clip as a whole (`sap`, `caption`, `emotion`) is used where a clip stands alone.
        """
        ids: list[int] | None = None
        if all(item.text for item in items):
            language = self._language(items)
            if language is not None:
                text = " ".join(item.text.strip() for item in items)
                ids = self.tokens.transcript(text, language)
        elif len(items) == 1:
            item = items[0]
            told = dict(zip(TASKS, (item.emotion, item.caption, item.sap), strict=True))
            for task in reversed(TASKS):
                if told[task]:
                    ids = self.tokens.other(task, told[task])
                    break
        return None if ids is None or len(ids) > MOST_POSITIONS else tuple(ids)

    def _language(self, items: Sequence[ManifestItem]) -> int | None:
        """The language token of clips in a row; None if they have none in common."""
        codes = {item.language for item in items}
        return self.tokens.language(codes.pop()) if len(codes) == 1 else None

    def _for_teacher(self, items: Sequence[ManifestItem], ids: tuple[int, ...] | None) -> bool:
        if any(item.kind != "speech" for item in items):
            return False
        if ids is None:
            return True
        return self.options.distill_transcribed and ids[0] == self.tokens.start

    def _lesson(
        self, index: int, seconds: float, items: Sequence[ManifestItem], ids: tuple[int, ...] | None
    ) -> Lesson:
        language = self._language(items)
        described = [
            str(self.options.whisper), language, ids,
            [(i.source, i.path, i.start, i.duration) for i in items],
        ]  # fmt: skip
        key = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]
        return Lesson(key, index, seconds, language, ids)

    def _teacher(self) -> Teacher:
        assert self._whisper is not None
        nn.Module.to(self._whisper, self.world.device)
        return Teacher(self._whisper, self.tokens)


@dataclass(frozen=True)
class _Places:
    """One text's places: `[L]`, `[L]`, `[L]`, `[L, k]`, `[L, k]`; see `TextBatch`."""

    wanted: Tensor
    labels: Tensor
    known: Tensor
    best: Tensor
    shares: Tensor

    @classmethod
    def of(cls, target: TextTarget) -> _Places:
        count = len(target.ids) - 1
        labels = torch.full((count,), _IGNORED)
        known = torch.zeros(count, dtype=torch.bool)
        best = torch.zeros(count, BEST, dtype=torch.long)
        shares = torch.zeros(count, BEST)
        if target.true:
            labels = torch.tensor(target.ids[1:])
        if target.taught is not None:
            best, shares = target.taught.best.long(), target.taught.probabilities.float()
            # Task and "no timestamps" are ours to say; the teacher was not asked.
            known[:] = True
            known[1 : PROMPT - 1] = False
        wanted = known | (labels != _IGNORED)
        if not wanted.any():
            wanted[0] = True
        return cls(wanted, labels, known, best, shares)


def whisper_config(folder: Path) -> tuple[UniAudioConfig, TextTokens]:
    """Config of a Whisper folder with room for more text and the three tokens, and its tokens."""
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        vocabulary = int(values["vocab_size"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: no Whisper config ({error}); name Whisper's folder") from error
    tokens = TextTokens(folder, vocabulary)
    values |= {"vocab_size": tokens.size, "max_target_positions": MOST_POSITIONS}
    values["dtype"] = "float32"
    return UniAudioConfig.from_reference(values), tokens
