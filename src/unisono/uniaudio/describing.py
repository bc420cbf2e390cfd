"""A token reader and its vocabulary: transcripts and SAPs of batches of heard windows.

Source: prompts, reference page section 3; constrained SAPs and limits: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, LogitsProcessor, LogitsProcessorList

from unisono.errors import ConfigError, ModelError
from unisono.sap.schema import SAP
from unisono.uniaudio.encoder import EncoderOutput
from unisono.uniaudio.grammar import NO_REPEAT, SapGrammar, SapWriter
from unisono.uniaudio.reading import TokenReader
from unisono.uniaudio.text_tokens import TextTokens

__all__ = ["Describer"]

_SPOKEN_A_SECOND = 12.0
_SPOKEN_AT_LEAST = 16
# Tokens of an unconstrained SAP beyond its transcription: several times what the longest takes.
_MOST_RAW = 512


class Describer:
    """What a tokenizer reads its tokens with.

    Args:
        reader: code vectors to text.
        tokens: the reader's vocabulary.

    Raises:
        ModelError: the vocabulary has more tokens than the reader knows.
    """

    def __init__(self, reader: TokenReader, tokens: TextTokens) -> None:
        rows = reader.config.vocab_size
        if tokens.size > rows:
            raise ModelError(
                f"The text decoder knows {rows} tokens, but its tokenizer.json has {tokens.size}; "
                "they do not belong together."
            )
        self.reader, self.tokens = reader.eval(), tokens
        # Whisper's configs suppress tokens by number, which another vocabulary numbers otherwise.
        reader.generation_config = GenerationConfig(
            decoder_start_token_id=tokens.start, eos_token_id=tokens.end, pad_token_id=tokens.end
        )

    @cached_property
    def grammar(self) -> SapGrammar:
        """The canonical SAP over the vocabulary."""
        return SapGrammar(self._pieces, self.tokens.end)

    @cached_property
    def _pieces(self) -> list[bytes | None]:
        return [self.tokens.bytes_of(token) for token in range(self.tokens.size)]

    @cached_property
    def _words(self) -> list[bool]:
        return [self.tokens.is_word(token) for token in range(self.tokens.size)]

    @torch.inference_mode()
    def transcripts(
        self, vectors: Tensor, mask: Tensor, seconds: Sequence[float], language: str | None
    ) -> list[str]:
        """The words in each row of `vectors [B, T, D]`, `mask [B, T]`, of `seconds` length.

        `language` is a code such as "en"; None: the likeliest for each row. `ConfigError` when the
        model does not know it. No four tokens come twice in a transcript: a weak reader would
        say one thing without end.
        """
        heard = self._heard(vectors, mask)
        given = None if language is None else self._language(language)
        spoken = self._languages(heard) if given is None else [given] * len(vectors)
        prompts = [self.tokens.prompt(one) for one in spoken]
        limits = [min(_spoken(s), self._room(len(prompts[0]))) for s in seconds]
        only = _Only(torch.tensor(self._words), self.tokens.end)
        written = self._write(heard, prompts, max(limits), only, no_repeat_ngram_size=NO_REPEAT)
        pairs = zip(written, limits, strict=True)
        return [self.tokens.text(ids[:limit]) for ids, limit in pairs]

    @torch.inference_mode()
    def saps(self, vectors: Tensor, mask: Tensor, seconds: Sequence[float]) -> list[SAP]:
        """The SAP of each row; see `transcripts`."""
        prompts = [[self.tokens.tasks["<|startofsap|>"]]] * len(vectors)
        room = self._room(len(prompts[0]))
        writer = SapWriter(self.grammar, [_spoken(s) for s in seconds], room)
        written = self._write(self._heard(vectors, mask), prompts, room, writer)
        # Bytes know nothing of blank texts and of words for 'unknown'; those are repaired.
        return [SAP.parse_lenient(self.grammar.text(ids))[0] for ids in written]

    @torch.inference_mode()
    def raw_saps(self, vectors: Tensor, mask: Tensor, seconds: Sequence[float]) -> list[str]:
        """What the decoder writes as SAP of each row when it may write anything."""
        prompts = [[self.tokens.tasks["<|startofsap|>"]]] * len(vectors)
        limits = [min(_spoken(s) + _MOST_RAW, self._room(len(prompts[0]))) for s in seconds]
        written = self._write(self._heard(vectors, mask), prompts, max(limits))
        pairs = zip(written, limits, strict=True)
        return [self.tokens.text(ids[:limit]) for ids, limit in pairs]

    def _heard(self, vectors: Tensor, mask: Tensor) -> EncoderOutput:
        return self.reader.heard(vectors.to(self.reader.dtype), mask)

    def _language(self, code: str) -> int:
        token = self.tokens.language(code)
        if token is None:
            known = sorted(self.tokens.language_code(one) for one in self.tokens.languages)
            raise ConfigError(
                f"Language '{code}' is not one that the text decoder knows; use one of "
                f"{', '.join(known)}, or leave it out."
            )
        return token

    def _languages(self, heard: EncoderOutput) -> list[int]:
        """The likeliest language token of each row."""
        assert heard.token_mask is not None
        start = torch.full((len(heard.token_mask), 1), self.tokens.start, device=self.reader.device)
        logits = self.reader(encoder_outputs=heard, decoder_input_ids=start).logits[:, 0]
        known = self.tokens.languages
        best: list[int] = (logits[:, known.start : known.stop].argmax(-1) + known.start).tolist()
        return best

    def _room(self, prompt: int) -> int:
        """Tokens that the decoder's positions leave after a prompt."""
        return self.reader.config.max_target_positions - prompt

    def _write(
        self,
        heard: EncoderOutput,
        prompts: Sequence[Sequence[int]],
        most: int,
        processor: LogitsProcessor | None = None,
        **options: Any,
    ) -> list[list[int]]:
        """Greedy texts of at most `most` tokens, without prompt and end.

        `options` are those of transformers' `generate`.
        """
        end = self.tokens.end
        ids = torch.tensor(prompts, device=self.reader.device)
        written = GenerationMixin.generate(
            self.reader,  # type: ignore[arg-type]
            encoder_outputs=heard,
            attention_mask=heard.token_mask,
            decoder_input_ids=ids,
            logits_processor=LogitsProcessorList([] if processor is None else [processor]),
            max_new_tokens=most,
            eos_token_id=end,
            pad_token_id=end,
            do_sample=False,
            **options,
        )
        assert isinstance(written, Tensor)
        rows = written[:, ids.shape[1] :].tolist()
        return [row[: row.index(end)] if end in row else row for row in rows]


class _Only(LogitsProcessor):
    """Allows plain text `[V]` and the end of text."""

    def __init__(self, plain: Tensor, end: int) -> None:
        self._allowed = plain.clone()
        self._allowed[end] = True

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:  # type: ignore[override]
        room = scores.shape[1] - len(self._allowed)
        allowed = torch.nn.functional.pad(self._allowed, (0, room)).to(scores.device)
        return scores.masked_fill(~allowed, -torch.inf)  # type: ignore[return-value]


def _spoken(seconds: float) -> int:
    """Tokens that may be spoken in so much time."""
    return int(seconds * _SPOKEN_A_SECOND) + _SPOKEN_AT_LEAST
