"""Text as Whisper's decoder reads and writes it: token sequences with their prompt.

Source: Whisper's tokenizer; three task tokens: reference page section 3. Ours: a vocabulary that
is cut down to what its texts need, with one token for each fixed part of a SAP's JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from unisono.errors import ModelError

PROMPT = 4
"""Tokens before the text of a transcript: start, language, task, no timestamps."""

TASKS = ("<|emotion|>", "<|startofcaption|>", "<|startofsap|>")
"""Tokens that start a text that is no transcript (reference page section 3)."""

SAP_PIECES = (
    '{"transcription":', ',"paralinguistics":{"age":', ',"gender":', ',"emotion":', ',"accent":',
    ',"prosody":', ',"timbre":', '},"nonLinguisticEvents":{"description":', ',"discreteEvents":[',
    '],"continuousEvents":[', '}],"continuousEvents":[', '{"label":', '},{"label":',
    ',"characteristic":', ']}}', '}]}}', '"Child"', '"Adult"', '"Elderly"', '"Male"', '"Female"',
    '"Anger"', '"Disgust"', '"Fear"', '"Happiness"', '"Neutral"', '"Sadness"', '"Surprise"',
)  # fmt: skip
"""The fixed parts of a SAP's canonical JSON, and the values of its closed fields."""

# Whisper's names of languages that corpora call otherwise.
_ALIASES = {"nb": "no", "jv": "jw", "fil": "tl", "iw": "he", "cmn": "zh", "arb": "ar"}


class TextTokens:
    """A tokenizer with Whisper's special tokens and the three tokens of TASKS.

    Raises:
        ModelError: one of them is missing; `where` names the tokenizer.
    """

    def __init__(self, pieces: Tokenizer, where: str = "the tokenizer") -> None:
        self.pieces = pieces
        self._where = where
        self.tasks = {name: self._number(name) for name in TASKS}
        self.size = pieces.get_vocab_size()
        self.start = self._number("<|startoftranscript|>")
        self.end = self._number("<|endoftext|>")
        self._after_language = [self._number("<|transcribe|>"), self._number("<|notimestamps|>")]
        # Between start and task, Whisper's vocabulary holds the languages and nothing else.
        translate = self._number("<|translate|>")
        self.languages = range(self.start + 1, min(translate, self._after_language[0]))
        added = pieces.get_added_tokens_decoder()
        self._special = frozenset(n for n, token in added.items() if token.special)
        self._added = {n: token.content for n, token in added.items() if not token.special}
        self._bytes = {letter: byte for byte, letter in _byte_letters().items()}
        # A transcript that spells a special token must not become one.
        pieces.encode_special_tokens = True

    @classmethod
    def from_whisper(cls, folder: Path, vocabulary: int | None = None) -> TextTokens:
        """Whisper's own tokenizer, with TASKS after `vocabulary` (its model's rows; None: its own).

        Raises:
            ModelError: the folder has no `tokenizer.json`, or one that is not Whisper's.
        """
        path = folder / "tokenizer.json"
        pieces = _open(path)
        own = pieces.get_vocab_size()
        if vocabulary is not None and own < vocabulary:
            pieces.add_special_tokens([f"<|unused{n}|>" for n in range(vocabulary - own)])
        pieces.add_special_tokens(list(TASKS))
        return cls(pieces, str(path))

    @classmethod
    def from_file(cls, path: Path) -> TextTokens:
        """A `tokenizer.json` that has the tokens of TASKS.

        Raises:
            ModelError: there is no such file, or it lacks a token.
        """
        return cls(_open(path), str(path))

    def reduced(self, texts: Iterable[str], least: int = 2, first: int = 0) -> TextTokens:
        """A smaller vocabulary, made for `texts`, that still spells everything.

        Kept are the single bytes, the vocabulary's `first` pieces (the most frequent ones), those
        that come `least` times or more in the texts, with all they are merged from, and the
        special tokens without timestamps; SAP_PIECES are added (ours).
        """
        counts: Counter[int] = Counter()
        for text in texts:
            counts.update(self.encode(text))
        state = self._state()
        made_of = {one + other: (one, other) for one, other in reversed(_merges(state))}
        kept: set[str] = set()
        wanted = {number for number, count in counts.items() if count >= least}
        wanted |= {*range(min(first, len(state["model"]["vocab"])))} - self._special
        for number in wanted:
            _with_parts(self._piece(number), made_of, kept)
        return self._cut(kept, SAP_PIECES)

    def ascii(self) -> TextTokens:
        """Without the pieces that hold other letters than ASCII's, which bytes then spell (ours).

        The others, and with them the tokens of English text, stay as they are; timestamps go.
        """
        letters = {letter for byte, letter in _byte_letters().items() if 32 <= byte < 127}
        special = {self._piece(number) for number in self._special}
        vocabulary = set(self._state()["model"]["vocab"]) - special
        return self._cut({piece for piece in vocabulary if piece and set(piece) <= letters}, ())

    def _cut(self, kept: set[str], added: Sequence[str]) -> TextTokens:
        """These pieces, the single bytes, the special tokens without timestamps, and `added`."""
        state = self._state()
        numbers, merges = state["model"]["vocab"], _merges(state)
        kept = kept | {letter for letter in _byte_letters().values() if letter in numbers}
        vocabulary = sorted(kept, key=numbers.__getitem__)
        state["model"]["vocab"] = {piece: n for n, piece in enumerate(vocabulary)}
        state["model"]["merges"] = [list(pair) for pair in merges if {*pair, "".join(pair)} <= kept]
        specials = [self._piece(number) for number in sorted(self._special)]
        specials = [token for token in specials if not _is_timestamp(token)]
        state["added_tokens"], state["post_processor"] = [], None
        pieces = Tokenizer.from_str(json.dumps(state))
        pieces.add_special_tokens(specials)
        pieces.add_tokens([AddedToken(piece, normalized=False) for piece in added])
        return TextTokens(pieces, "the reduced tokenizer")

    def _state(self) -> dict[str, Any]:
        """What `tokenizer.json` holds."""
        state: dict[str, Any] = json.loads(self.pieces.to_str())
        return state

    def language(self, code: str) -> int | None:
        """Token of a BCP 47 language; None if Whisper has no such language."""
        base = code.lower().split("-")[0].split("_")[0]
        number = self.pieces.token_to_id(f"<|{_ALIASES.get(base, base)}|>")
        return number if number in self.languages else None

    def language_code(self, token: int) -> str:
        """Whisper's code of a language token."""
        return str(self.pieces.id_to_token(token)).strip("<|>")

    def prompt(self, language: int) -> list[int]:
        """What comes before a transcript."""
        return [self.start, language, *self._after_language]

    def transcript(self, text: str, language: int) -> list[int]:
        """Prompt, text, end of text."""
        return [*self.prompt(language), *self.encode(text), self.end]

    def other(self, task: str, text: str) -> list[int]:
        """A task's token (of TASKS), text, end of text."""
        return [self.tasks[task], *self.encode(text), self.end]

    def encode(self, text: str) -> list[int]:
        """Pieces of a text, which starts with a space as in Whisper."""
        ids: list[int] = self.pieces.encode(" " + text.strip(), add_special_tokens=False).ids
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """The text of a sequence, without special tokens."""
        plain = b"".join(self.bytes_of(i) or b"" for i in ids)
        return plain.decode("utf-8", "replace").strip()

    def is_word(self, token: int) -> bool:
        """Whether a token may stand in a transcript: neither special nor a piece of a SAP."""
        return token not in self._added and self.bytes_of(token) is not None

    def bytes_of(self, token: int) -> bytes | None:
        """UTF-8 bytes that a token stands for; None for special tokens and numbers beyond all."""
        if token in self._added:
            return self._added[token].encode()
        piece = None if token in self._special else self.pieces.id_to_token(token)
        return None if piece is None else bytes(self._bytes[letter] for letter in piece)

    def _piece(self, number: int) -> str:
        return str(self.pieces.id_to_token(number))

    def _number(self, token: str) -> int:
        number = self.pieces.token_to_id(token)
        if number is None:
            raise ModelError(
                f"{self._where}: no token {token}; take a multilingual Whisper's tokenizer"
            )
        return int(number)


def _open(path: Path) -> Tokenizer:
    if not path.is_file():
        raise ModelError(f"{path}: there is no tokenizer; reading text needs Whisper's own")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(f"{path} is no tokenizer.json ({error}); restore the file") from error


def _is_timestamp(token: str) -> bool:
    return token[2:-2].replace(".", "", 1).isdigit()


def _merges(state: dict[str, Any]) -> list[tuple[str, str]]:
    """The pairs that BPE joins, the first ones first."""
    merges = state["model"]["merges"]
    return [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in merges]


def _with_parts(piece: str, made_of: dict[str, tuple[str, str]], kept: set[str]) -> None:
    """Add a piece and everything on the way to it from single bytes."""
    if piece in kept:
        return
    kept.add(piece)
    for part in made_of.get(piece, ()):
        _with_parts(part, made_of, kept)


def _byte_letters() -> dict[int, str]:
    """The letter by which byte-level BPE writes each byte (GPT-2's table)."""
    alphabet = set(ByteLevel.alphabet())
    same = [b for b in range(256) if chr(b) in alphabet and (33 <= b <= 126 or b >= 161)]
    letters = {byte: chr(byte) for byte in same}
    others = (byte for byte in range(256) if byte not in letters)
    return letters | {byte: chr(256 + n) for n, byte in enumerate(others)}
