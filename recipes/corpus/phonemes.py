"""Phonemes of a text by eSpeak NG, through its C library (one process, exact line mapping)."""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import unicodedata

from unisono.errors import DataError

VOICES = {"en": "en-us", "no": "nb"}
_DROPPED = re.compile(r"""\([a-z-]+\)|[ˈˌ͜͡‿_|"^\u200d-]""")
_REPAIRED = str.maketrans({"?": "ʔ", "ε": "ɛ"})  # eSpeak's Danish and Greek slip these in
_UTF8, _IPA = 1, 2
_SYNCHRONOUS = 2


class Phonemizer:
    """eSpeak NG's text to IPA. One at a time in a process: the library keeps one voice."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise DataError("eSpeak NG is not installed: apt-get install espeak-ng")
        self._library = ctypes.CDLL(name)
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_int,
            ctypes.c_int,
        ]
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, 0) < 0:
            raise DataError("eSpeak NG could not start: its data folder is missing")
        self._voice = ""

    def __call__(self, text: str, language: str) -> str:
        """IPA of `text`: words separated by one space, no stress; "" for an unknown language."""
        return normalize(self.raw(text, language)) if text and language else ""

    def raw(self, text: str, language: str) -> str:
        """IPA as eSpeak gives it, with stress marks, clauses joined by spaces."""
        voice = VOICES.get(language, language)
        if voice != self._voice:
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                return ""
            self._voice = voice
        pointer = ctypes.c_char_p(text.encode())
        parts = []
        while pointer.value is not None:
            part = self._library.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, _IPA)
            parts.append(part.decode() if part else "")
        return " ".join(parts)


def normalize(ipa: str) -> str:
    """Drop stress, ties and language switches such as `(en)`; keep length; single spaces."""
    ipa = unicodedata.normalize("NFC", ipa).translate(_REPAIRED)
    return " ".join(_DROPPED.sub("", ipa).split())
