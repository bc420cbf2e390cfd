"""SAP's canonical JSON as an automaton over bytes, and what it lets a text decoder write next.

Keys, their order and the closed sets: `sap.schema`. Strings are valid UTF-8 without control
characters. The automaton runs over the whole vocabulary at once; what it allows after each of its
states is computed when first needed and kept. Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from unisono.sap.values import AGES, EMOTIONS, GENDERS

__all__ = ["MAX_EVENTS", "NO_REPEAT", "STRING_TOKENS", "SapAutomaton", "SapGrammar", "SapWriter"]

MAX_EVENTS = 8
"""Events in one list, at most."""

STRING_TOKENS = 64
"""Tokens of one string other than the transcription, at most."""

NO_REPEAT = 4
"""So many tokens never come twice in one string."""

_FAR = np.iinfo(np.int32).max // 2


class SapAutomaton:
    """A deterministic automaton whose language is the canonical JSON of SAP.

    A space before the object is taken too. States are numbers; DEAD is where no text leads on.

    Attributes:
        table: int16 `[states, 256]`, the state after a byte.
        start: where a text begins.
        left: int32 `[states]`, the fewest bytes to the end.
        strings: int16 `[states]`, the number of the string that the state lies in, 0 outside of
            strings, TRANSCRIPTION in the transcription.
    """

    DEAD = 0
    END = 1
    TRANSCRIPTION = 1

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._rows: list[dict[int, int]] = [{}, {}]
        self._in_string: list[int] = [0, 0]
        self._count = 0
        self.start = self._object(max_events)
        self.table = np.zeros((len(self._rows), 256), dtype=np.int16)
        for state, row in enumerate(self._rows):
            for byte, after in row.items():
                self.table[state, byte] = after
        self.strings = np.array(self._in_string, dtype=np.int16)
        self.left = self._distances()

    def follow(self, data: bytes, state: int | None = None) -> int:
        """The state after `data`, from `state` or the start."""
        state = self.start if state is None else state
        for byte in data:
            state = int(self.table[state, byte])
        return state

    def complete(self, data: bytes) -> bytes:
        """`data`, which must be the beginning of a text, and the fewest bytes that end it."""
        state, added = self.follow(data), bytearray()
        assert state != self.DEAD
        while state != self.END:
            byte = int(self.left[self.table[state]].argmin())
            added.append(byte)
            state = int(self.table[state, byte])
        return data + bytes(added)

    # The automaton is built from its end: each part knows the state that follows it. ------------

    def _object(self, max_events: int) -> int:
        # The transcription is built last, but its string has the first number.
        self._count = self.TRANSCRIPTION
        after = self._literal("}}", self.END)
        after = self._events(max_events, after)
        after = self._literal(',"continuousEvents":[', after)
        after = self._events(max_events, after)
        after = self._string(self._literal(',"discreteEvents":[', after))
        after = self._literal('},"nonLinguisticEvents":{"description":"', after)
        for name in ("timbre", "prosody", "accent"):
            after = self._literal(f',"{name}":', self._text_or_null(after))
        for name, members in (("emotion", EMOTIONS), ("gender", GENDERS), ("age", AGES)):
            comma = "" if name == "age" else ","
            after = self._literal(f'{comma}"{name}":', self._member_or_null(members, after))
        after = self._literal(',"paralinguistics":{', after)
        after = self._text_or_null(after, self.TRANSCRIPTION)
        plain = self._literal('{"transcription":', after)
        return self._state({**self._rows[plain], ord(" "): plain})

    def _events(self, most: int, after: int) -> int:
        """What follows the `[` of a list of at most `most` events."""
        then = self._state({ord("]"): after})  # after the last event that may be
        for _ in range(most):
            how = self._string(self._literal("}", then))
            label = self._string(self._literal(',"characteristic":"', how))
            event = self._literal('"label":"', label)
            first = self._state({ord("]"): after, ord("{"): event})
            then = self._state({ord("]"): after, ord(","): self._state({ord("{"): event})})
        return first

    def _text_or_null(self, after: int, number: int | None = None) -> int:
        inside = self._string(after, number)
        return self._state({ord('"'): inside, ord("n"): self._literal("ull", after)})

    def _member_or_null(self, members: Iterable[str], after: int) -> int:
        return self._one_of([*(f'"{member}"' for member in members), "null"], after)

    def _one_of(self, texts: Sequence[str], after: int) -> int:
        if texts == [""]:
            return after
        starts = dict.fromkeys(text[0] for text in texts)
        return self._state(
            {
                ord(letter): self._one_of([t[1:] for t in texts if t[0] == letter], after)
                for letter in starts
            }
        )

    def _literal(self, text: str, after: int) -> int:
        for letter in reversed(text):
            after = self._state({ord(letter): after})
        return after

    def _string(self, after: int, number: int | None = None) -> int:
        """What follows the opening quote of a string."""
        if number is None:
            self._count += 1
            number = self._count
        body = self._state({}, number)

        def then(state: int, low: int, high: int) -> int:
            return self._state({byte: state for byte in range(low, high + 1)}, number)

        # UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF, no control characters.
        one = then(body, 0x80, 0xBF)
        two = then(one, 0x80, 0xBF)
        three = then(two, 0x80, 0xBF)
        row = self._rows[body]
        row |= {byte: body for byte in range(0x20, 0x7F)}
        row |= {byte: one for byte in range(0xC3, 0xE0)}
        row |= {byte: two for byte in range(0xE1, 0xF0)}
        row |= {byte: three for byte in range(0xF1, 0xF4)}
        row[0xC2] = then(body, 0xA0, 0xBF)
        row[0xE0] = then(one, 0xA0, 0xBF)
        row[0xED] = then(one, 0x80, 0x9F)
        row[0xF0] = then(two, 0x90, 0xBF)
        row[0xF4] = then(two, 0x80, 0x8F)
        row[ord("\\")] = self._state({byte: body for byte in b'"\\/bfnrt'}, number)
        row[ord('"')] = after
        return body

    def _state(self, row: dict[int, int], string: int = 0) -> int:
        self._rows.append(row)
        self._in_string.append(string)
        return len(self._rows) - 1

    def _distances(self) -> np.ndarray:
        left = np.full(len(self._rows), _FAR, dtype=np.int32)
        before: list[list[int]] = [[] for _ in self._rows]
        for state, row in enumerate(self._rows):
            for after in set(row.values()):
                before[after].append(state)
        left[self.END] = 0
        edge = [self.END]
        while edge:
            found = sorted({s for after in edge for s in before[after] if left[s] == _FAR})
            left[found] = left[edge[0]] + 1
            edge = found
        return left


@dataclass(frozen=True)
class Moves:
    """What may follow a state.

    after: int16 `[V]`, the state after each token; allowed: bool `[V]`; closing: bool `[V]`, the
    tokens on a shortest way to the end. Neither is ever all False: where nothing fits, the end of
    text does.
    """

    after: np.ndarray
    allowed: Tensor
    closing: Tensor


class SapGrammar:
    """The automaton over a vocabulary.

    Args:
        pieces: the UTF-8 bytes that each token stands for; None for tokens that are no text.
        end: the token that ends a text, allowed after a whole SAP and nowhere else.
        max_events: events in one list, at most.
    """

    def __init__(
        self, pieces: Sequence[bytes | None], end: int, max_events: int = MAX_EVENTS
    ) -> None:
        self.automaton = SapAutomaton(max_events)
        self.pieces, self.end = pieces, end
        lengths = np.array([len(piece or b"") for piece in pieces])
        # Longest first: the tokens that have an n-th byte are the first so many.
        self._order = np.argsort(-lengths, kind="stable")
        self._lengths = lengths
        self._columns = [
            np.array([(pieces[t] or b"")[n] for t in self._order[: int((lengths > n).sum())]])
            for n in range(lengths.max(initial=0))
        ]
        self._moves: dict[int, Moves] = {}

    def moves(self, state: int) -> Moves:
        """What may follow `state` of the automaton."""
        if state not in self._moves:
            self._moves[state] = self._compute(state)
        return self._moves[state]

    def text(self, ids: Iterable[int]) -> str:
        """The SAP that `ids`, allowed each by each, spell; what is missing at the end is added."""
        data = b"".join(self.pieces[i] or b"" for i in ids if i != self.end)
        return self.automaton.complete(data).decode().strip()

    def _compute(self, state: int) -> Moves:
        automaton = self.automaton
        states = np.full(len(self.pieces), state, dtype=np.int16)
        for column in self._columns:
            states[: len(column)] = automaton.table[states[: len(column)], column]
        after = np.empty_like(states)
        after[self._order] = states
        after[self._lengths == 0] = automaton.DEAD
        allowed = after != automaton.DEAD
        closing = allowed & (automaton.left[after] == automaton.left[state] - self._lengths)
        for mask in (allowed, closing):
            if not mask.any():
                mask[self.end] = True
        return Moves(after, torch.from_numpy(allowed), torch.from_numpy(closing))


class SapWriter(LogitsProcessor):
    """Lets a batch of greedy texts be nothing but SAPs that end in time; each row its own state.

    Args:
        grammar: of the decoder's vocabulary.
        spoken: tokens that each row's transcription may take.
        total: tokens that a row may take, its end included.

    When a string has used up its tokens, only its closing is allowed; when the row's tokens run
    short, everything is closed. No NO_REPEAT tokens come twice in a string: a weak reader would
    say one thing without end.
    """

    def __init__(self, grammar: SapGrammar, spoken: Sequence[int], total: int) -> None:
        self._grammar, self._spoken, self._total = grammar, spoken, total
        self._states = [grammar.automaton.start] * len(spoken)
        self._string: list[list[int]] = [[] for _ in spoken]
        self._written = -1

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:  # type: ignore[override]
        """`scores [B, V]` with minus infinity where `input_ids [B, L]` cannot go on."""
        if self._written >= 0:
            for row, token in enumerate(input_ids[:, -1].tolist()):
                self._advance(row, token)
        self._written += 1
        masks = torch.stack([self._mask(row) for row in range(len(self._states))])
        # A model may have rows that no token uses.
        room = scores.shape[1] - masks.shape[1]
        masks = torch.nn.functional.pad(masks, (0, room)).to(scores.device)
        return scores.masked_fill(~masks, -torch.inf)  # type: ignore[return-value]

    def _advance(self, row: int, token: int) -> None:
        automaton, state = self._grammar.automaton, self._states[row]
        if token == self._grammar.end:
            state = automaton.END
        else:
            state = int(self._grammar.moves(state).after[token])
        string = automaton.strings[state]
        same = string and string == automaton.strings[self._states[row]]
        self._string[row] = [*self._string[row], token] if same else []
        self._states[row] = state

    def _mask(self, row: int) -> Tensor:
        automaton, state = self._grammar.automaton, self._states[row]
        moves, string = self._grammar.moves(state), int(automaton.strings[state])
        most = self._spoken[row] if string == automaton.TRANSCRIPTION else STRING_TOKENS
        full = bool(string) and len(self._string[row]) >= most
        # The closing takes a token a byte at worst, and one for the end of text.
        short = self._written + int(automaton.left[state]) + 1 >= self._total
        if full or short:
            return moves.closing
        allowed = moves.allowed
        if said := _said_before(self._string[row]):
            allowed = allowed.clone()
            allowed[said] = False
        return allowed if allowed.any() else moves.closing


def _said_before(string: Sequence[int]) -> list[int]:
    """Tokens that came in `string` after the same NO_REPEAT - 1 tokens with which it ends."""
    size = NO_REPEAT - 1
    last = string[len(string) - size :]
    places = range(size, len(string))
    return [string[n] for n in places if string[n - size : n] == last]
