"""A JSON reader that forgives what language models get wrong, and counts every pardon.

Ours. Unlike general repair packages it never completes a text that breaks off, and nothing is
changed without a report: a label made of half an answer would be false.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from unisono.sap.repair import Repair

__all__ = ["NotJson", "TolerantReader"]

_DEPTH = 16
"""Nested objects and lists; SAP needs four."""

_OPENING = {'"': '"', "'": "'", "\u201c": "\u201c\u201d", "\u2018": "\u2018\u2019"}
"""Quotation marks that open a string, and those that close it."""

_MARKS = "\"'\u201c\u201d\u2018\u2019"
_GAP = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,300})(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_KEY_AHEAD = re.compile(
    rf"\s*(?:[{_MARKS}][\w -]{{1,60}}[{_MARKS}]\s*:|[A-Za-z_]\w{{0,60}}\s*:|}})"
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"null": None, "none": None, "undefined": None, "nan": None, "true": True, "false": False}


class NotJson(Exception):
    """The text at hand is no object even with good will."""


class TolerantReader:
    """Reads one object of `text` from `position` on; `position` is then behind it.

    Forgiven: single and typographic quotation marks, bare keys and words, None, NaN, comments,
    trailing, doubled and missing commas, raw line breaks and bare quotation marks in strings,
    wrong escapes, duplicate keys (the last one counts).
    """

    def __init__(self, text: str, position: int) -> None:
        self.position = position
        self._text = text
        self._pardons: Counter[str] = Counter()

    def read(self) -> Any:
        """The value; raises `NotJson` with place and reason."""
        return self._value(0, "}")

    def repairs(self) -> list[Repair]:
        """What was forgiven, each kind once with its number."""
        return [
            Repair("", kind if count == 1 else f"{kind} ({count} times)")
            for kind, count in self._pardons.items()
        ]

    def _value(self, depth: int, closing: str) -> Any:
        mark = self._peek()
        if depth > _DEPTH:
            raise self._error("nested too deeply to be a SAP")
        if mark == "{":
            return self._object(depth)
        if mark == "[":
            return self._list(depth)
        if mark in _OPENING:
            return self._string(closing)
        number = _NUMBER.match(self._text, self.position)
        if number:
            self.position = number.end()
            return float(number[0]) if set(number[0]) & set(".eE") else int(number[0])
        word = _WORD.match(self._text, self.position)
        if not word:
            raise self._error(f"a value cannot start with {mark!r}")
        self.position = word.end()
        if word[0] in ("null", "true", "false"):
            return _WORDS[word[0]]
        if word[0].lower() in _WORDS:
            value = _WORDS[word[0].lower()]
            self._pardon(f"{word[0]} read as {'null' if value is None else str(value).lower()}")
            return value
        self._pardon("a word without quotation marks read as text")
        return word[0]

    def _object(self, depth: int) -> dict[str, Any]:
        self.position += 1
        members: dict[str, Any] = {}
        while not self._ends("}", bool(members)):
            if self._peek() in _OPENING:
                key = self._string(":")
            else:
                word = _WORD.match(self._text, self.position)
                if not word:
                    raise self._error(f"a key cannot start with {self._peek()!r}")
                key, self.position = word[0], word.end()
                self._pardon("a key without quotation marks accepted")
            if self._peek() != ":":
                raise self._error(f"there is no colon after the key {key[:60]!r}")
            self.position += 1
            if key in members:
                self._pardon(f"the key {key!r} stands twice: the last one counts")
            members[key] = self._value(depth + 1, "}")
        return members

    def _list(self, depth: int) -> list[Any]:
        self.position += 1
        items: list[Any] = []
        while not self._ends("]", bool(items)):
            items.append(self._value(depth + 1, "]"))
        return items

    def _ends(self, closing: str, began: bool) -> bool:
        """Goes over the comma before the next member, or the closing bracket."""
        commas = 0
        while self._peek() == ",":
            self.position += 1
            commas += 1
        if self._peek() == closing:
            self.position += 1
            if commas:
                self._pardon("a trailing comma removed")
            return True
        if self._peek() in "]}":
            raise self._error(f"{closing!r} was expected, there is {self._peek()!r}")
        if began and not commas:
            self._pardon("a missing comma added")
        if commas > int(began):
            self._pardon("a doubled comma removed")
        return False

    def _string(self, closing: str) -> str:
        """A string that stands before `closing`: a key before ':', a member before '}' or ']'."""
        opening = self._peek()
        ends = _OPENING[opening]
        if opening != '"':
            self._pardon(f"strings in {opening} put into double quotation marks")
        parts: list[str] = []
        while True:
            self.position += 1
            letter = self._letter()
            if letter == "\\":
                parts.append(self._escape())
            elif letter in ends and letter != "\u201c" and letter != "\u2018":
                if self._closes(closing):
                    self.position += 1
                    return "".join(parts)
                self._pardon("a bare quotation mark inside a text kept")
                parts.append(letter)
            else:
                if letter < " ":
                    self._pardon("a raw line break or control character in a text escaped")
                parts.append(letter)

    def _closes(self, closing: str) -> bool:
        """Whether what follows a quotation mark can only follow the end of a string."""
        after = _GAP.match(self._text, self.position + 1)
        place = after.end() if after else self.position + 1
        if place >= len(self._text):
            return True
        follows = self._text[place]
        if closing == ":":
            return follows == ":"
        if follows == closing:
            return True
        if closing == "]":
            return follows == ","
        start = place + 1 if follows == "," else place
        gap = _GAP.match(self._text, start)
        start = gap.end() if gap else start
        if start >= len(self._text) or (follows == "," and self._text[start] == ","):
            return True
        # Without a comma only a quoted key tells the next member from a quotation.
        if follows != "," and follows not in _MARKS:
            return False
        return _KEY_AHEAD.match(self._text, start) is not None

    def _escape(self) -> str:
        self.position += 1
        letter = self._letter()
        if letter in '"\\/':
            return letter
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter == "u":
            return self._code()
        self._pardon("a wrong escape in a text read as the letter itself")
        return letter

    def _code(self) -> str:
        """A character given as `u` and four hexadecimal digits, or a pair of those."""
        code = self._digits(self.position + 1)
        if code is None:
            self._pardon("a wrong escape in a text read as the letter itself")
            return "u"
        self.position += 4
        if 0xD800 <= code < 0xDC00 and self._text[self.position + 1 : self.position + 3] == "\\u":
            low = self._digits(self.position + 3)
            if low is not None and 0xDC00 <= low < 0xE000:
                self.position += 6
                return chr(0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00)
        if 0xD800 <= code < 0xE000:
            self._pardon("half a character in a text removed")
            return ""
        return chr(code)

    def _digits(self, start: int) -> int | None:
        digits = self._text[start : start + 4]
        return int(digits, 16) if re.fullmatch("[0-9a-fA-F]{4}", digits) else None

    def _letter(self) -> str:
        if self.position >= len(self._text):
            raise NotJson("the JSON breaks off inside a text")
        return self._text[self.position]

    def _peek(self) -> str:
        """The next character that is neither white space nor a comment."""
        gap = _GAP.match(self._text, self.position)
        if gap and gap.end() > self.position:
            if gap[0].strip():
                self._pardon("a comment removed")
            self.position = gap.end()
        if self.position >= len(self._text):
            raise NotJson("the JSON breaks off before its last bracket")
        return self._text[self.position]

    def _pardon(self, kind: str) -> None:
        self._pardons[kind] += 1

    def _error(self, reason: str) -> NotJson:
        before = self._text[: self.position]
        line, column = before.count("\n") + 1, self.position - before.rfind("\n")
        return NotJson(f"the text is not JSON at line {line}, column {column}: {reason}")
