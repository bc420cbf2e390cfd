"""A tiny corpus of made-up voices, sounds and music for scenes."""

from __future__ import annotations

import numpy as np
import soundfile

from unisono.data.manifest import ManifestItem, write_manifest
from unisono.sap.scene_config import SceneConfig
from unisono.sap.speakers import Voice, write_voices

RATE = 16_000
VOICES = {"anna": 210.0, "bert": 110.0}


def voiced(pitch, seconds, rate=RATE):
    """Harmonics of one pitch, in three swells, as syllables."""
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 12))
    return (0.12 * tone * (0.3 + np.sin(3 * np.pi * time / seconds) ** 2)).astype(np.float32)


def make_corpus(folder):
    """Writes `corpus.jsonl` and `voices.jsonl`; sounds begin and end at once, after silence."""
    rng = np.random.default_rng(0)
    items = []

    def add(name, wave, **facts):
        soundfile.write(folder / f"{name}.wav", wave, RATE, "FLOAT")
        items.append(
            ManifestItem(path=f"{name}.wav", duration=len(wave) / RATE, source="made", **facts)
        )

    for speaker, pitch in VOICES.items():
        for n in range(4):
            text = f"this is what {speaker} says {'again ' * n}".strip()
            wave = voiced(pitch, 0.9 + 0.2 * n)
            add(f"{speaker}{n}", wave, text=text, language="en", speaker=speaker)
    quiet = np.zeros(RATE // 5, np.float32)
    for label, seconds in (("bell", 0.5), ("gunshot", 0.2), ("water", 1.0), ("rain", 3.0)):
        noise = 0.3 * rng.standard_normal(round(seconds * RATE)).astype(np.float32)
        add(label, np.concatenate([quiet, noise, quiet]), kind="sound", label=label)
    add("nameless", voiced(50, 0.5), kind="sound")
    add("misc", voiced(60, 0.5), kind="sound", label="misc")
    add("tune", voiced(440, 12.0), kind="music", label="music")
    add("silent", np.zeros(RATE, np.float32), text="not to be heard", language="en", speaker="anna")
    write_manifest(folder / "corpus.jsonl", items)
    write_voices(
        folder / "voices.jsonl",
        [
            Voice(speaker="anna", gender="Female", age="Adult", pitch=210.0, language="en"),
            Voice(speaker="bert", gender="Male", age="Adult", pitch=110.0, accent="Scottish"),
        ],
    )
    return folder


def scene_config(folder, mix=None, **sections):
    """A config of that corpus in which nothing is changed unless sections say so."""
    sources = [str(folder / "corpus.jsonl")]
    plain = {
        "speech": {"speed": {"probability": 0}, "pitch": {"probability": 0}},
        "events": {},
        "music": {},
        "noise": {"probability": 0},
        "room": {"probability": 0},
    }
    for name in ("speech", "events", "music"):
        plain[name] |= {"sources": sources} | sections.pop(name, {})
    plain["speech"].setdefault("speakers", str(folder / "voices.jsonl"))
    return SceneConfig.model_validate(
        {"seconds": (2, 5), "mix": mix or {"speech": 1}} | plain | sections
    )
