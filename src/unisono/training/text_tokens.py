"""Text as Whisper's decoder reads and writes it: token sequences with their prompt."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer as WordPieces

from unisono.errors import ModelError

PROMPT = 4
"""Tokens before the text of a transcript: start, language, task, no timestamps."""

TASKS = ("<|emotion|>", "<|startofcaption|>", "<|startofsap|>")
"""Tokens that start a text that is no transcript (reference page section 3)."""

# Whisper's names of languages that corpora call otherwise.
_ALIASES = {"nb": "no", "jv": "jw", "fil": "tl", "iw": "he", "cmn": "zh", "arb": "ar"}


class TextTokens:
    """The tokenizer of a Whisper folder, with the three tokens of TASKS after its vocabulary.

    Args:
        folder: holds `tokenizer.json`.
        vocabulary: rows of the model's embedding; the added tokens come next.
    """

    def __init__(self, folder: Path, vocabulary: int) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(f"{path}: there is no tokenizer; text supervision needs Whisper's own")
        self._pieces = WordPieces.from_file(str(path))
        self.tasks = {name: vocabulary + n for n, name in enumerate(TASKS)}
        self.size = vocabulary + len(TASKS)
        self.start = self._number(path, "<|startoftranscript|>")
        self.end = self._number(path, "<|endoftext|>")
        self._after_language = [
            self._number(path, "<|transcribe|>"),
            self._number(path, "<|notimestamps|>"),
        ]
        # Between start and task, Whisper's vocabulary holds the languages and nothing else.
        translate = self._number(path, "<|translate|>")
        self.languages = range(self.start + 1, min(translate, self._after_language[0]))
        # A transcript that spells a special token must not become one.
        self._pieces.encode_special_tokens = True

    def language(self, code: str) -> int | None:
        """Token of a BCP 47 language; None if Whisper has no such language."""
        base = code.lower().split("-")[0].split("_")[0]
        number = self._pieces.token_to_id(f"<|{_ALIASES.get(base, base)}|>")
        return number if number in self.languages else None

    def prompt(self, language: int) -> list[int]:
        """What comes before a transcript."""
        return [self.start, language, *self._after_language]

    def transcript(self, text: str, language: int) -> list[int]:
        """Prompt, text, end of text."""
        return [*self.prompt(language), *self._encode(text), self.end]

    def other(self, task: str, text: str) -> list[int]:
        """A task's token (of TASKS), text, end of text."""
        return [self.tasks[task], *self._encode(text), self.end]

    def text(self, ids: list[int]) -> str:
        """The text of a sequence, without special tokens."""
        plain = [i for i in ids if i < self.end]
        return self._pieces.decode(plain, skip_special_tokens=True).strip()

    def _encode(self, text: str) -> list[int]:
        # Whisper writes a space before the first word too.
        return self._pieces.encode(" " + text.strip(), add_special_tokens=False).ids

    def _number(self, path: Path, token: str) -> int:
        number = self._pieces.token_to_id(token)
        if number is None:
            raise ModelError(f"{path}: no token {token}; take a multilingual Whisper's tokenizer")
        return number
