"""What models are told when they caption a clip and when they turn a caption into SAP (ours)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from unisono.sap.values import AGES, EMOTIONS, GENDERS

__all__ = ["CAPTION", "SAP", "again", "caption_messages", "sap_messages"]

CAPTION = """\
Listen to the recording and describe everything that can be heard, in one paragraph of plain text.
- Speech: write down word for word what is said, in its own language, between quotation marks.
- Voices: age (child, adult, elderly), gender, emotion, accent or language, how they speak (speed, \
pitch, loudness, stress, pauses) and how the voice sounds (deep, bright, hoarse, breathy).
- Everything else: single sounds in their order and sounds that last (music, hum, rain, traffic), \
what each is like, the place, and how good the recording is.
Say only what you hear. Where there is no voice, or no other sound, say so."""

SAP = f"""\
You turn the description of a recording into one JSON object. Answer with that object alone: no \
remarks, no code fence. It has exactly these keys:
{{"transcription": what is said word for word, in its own language, or null when nothing is said,
 "paralinguistics": {{
  "age": {" or ".join(f'"{age}"' for age in AGES)} or null,
  "gender": {" or ".join(f'"{gender}"' for gender in GENDERS)} or null,
  "emotion": {" or ".join(f'"{emotion}"' for emotion in EMOTIONS)} or null,
  "accent": text or null,
  "prosody": text on speed, pitch, loudness, stress and pauses, or null,
  "timbre": text on how the voice sounds, or null}},
 "nonLinguisticEvents": {{
  "description": one or two sentences on all sounds that are not speech,
  "discreteEvents": [{{"label": short name, "characteristic": text}}] for sounds with a beginning \
and an end,
  "continuousEvents": [{{"label": short name, "characteristic": text}}] for sounds that last}}}}
Rules: use what the description says and nothing else; a vocal attribute that it does not tell is \
null, and without a human voice all of them are null; lists may be empty; choose the nearest of \
the given emotions; write everything but the transcription in English. Known facts are certain: \
where the description contradicts them, they hold."""


def caption_messages(wav: bytes) -> list[dict[str, Any]]:
    """The request for a caption of a WAV file, as an `input_audio` part."""
    audio = {"data": base64.b64encode(wav).decode(), "format": "wav"}
    parts = [{"type": "input_audio", "input_audio": audio}, {"type": "text", "text": CAPTION}]
    return [{"role": "user", "content": parts}]


def sap_messages(caption: str, facts: Mapping[str, str]) -> list[dict[str, Any]]:
    """The request for the SAP of a caption; `facts` are what is known for certain."""
    text = f"Description:\n{caption}"
    known = "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)
    if known:
        text += f"\n\nKnown facts:\n{known}"
    return [{"role": "system", "content": SAP}, {"role": "user", "content": text}]


def again(answer: str, fault: str) -> list[dict[str, Any]]:
    """What follows on an answer that is no SAP."""
    text = f"That is not the object asked for: {fault} Answer with the corrected JSON object alone."
    return [{"role": "assistant", "content": answer}, {"role": "user", "content": text}]
