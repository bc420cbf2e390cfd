"""Clean the text of clips: what is not spoken goes, spaces and quotes are made plain."""

from __future__ import annotations

import re
import unicodedata

_QUOTES = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "ʼ": "'", "`": "'"}
)
_DASHES = str.maketrans({"–": "-", "—": "-", "…": ".", "\u00a0": " ", "\u200b": " "})
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety"


def plain(text: str) -> str:
    """NFC text with plain quotes and single spaces; parentheses and what is in them removed."""
    text = unicodedata.normalize("NFC", text).translate(_QUOTES).translate(_DASHES)
    text = re.sub(r"\([^)]*\)", " ", text).replace('"', " ")
    text = re.sub(r"\s+([,.;:!?])", r"\1", re.sub(r"\s+", " ", text))
    return text.strip(" -|")


def english_number(value: int) -> str:
    """An integer in English words, `0 <= value < 1_000_000`: 1984 -> one thousand nine hundred…"""
    assert 0 <= value < 1_000_000, value
    if value < 20:
        return _ONES.split()[value]
    if value < 100:
        return _TENS.split()[value // 10] + (f" {_ONES.split()[value % 10]}" if value % 10 else "")
    if value < 1000:
        rest = f" {english_number(value % 100)}" if value % 100 else ""
        return f"{_ONES.split()[value // 100]} hundred{rest}"
    rest = f" {english_number(value % 1000)}" if value % 1000 else ""
    return f"{english_number(value // 1000)} thousand{rest}"
