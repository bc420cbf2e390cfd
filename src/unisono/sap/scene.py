"""A composed scene: its sound, its label, and the facts of every part that the label tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from unisono.data.effects import Wave
from unisono.sap.schema import SAP

__all__ = ["Part", "Role", "Scene"]

Role = Literal["speech", "event", "music", "noise"]


@dataclass(frozen=True)
class Part:
    """One thing heard in a scene.

    Attributes:
        role: speech, event (a sound), music, or noise.
        label: what it is: a class of sounds, `music`, a colour of noise; a speech part's language.
        start: seconds from the scene's beginning.
        seconds: length, without the reverberation after it.
        level: dB over full scale (0 is a mean square of 1) of this part alone in the mix, over
            its extent: from `start` for `seconds`.
        snr: the foreground's level minus this one's, dB; None for the foreground itself.
        lasting: whether it is a continuous event.
        clips: where it comes from, each as the manifest names it (`path@start`).
        changes: what was done and by how much: `speed` (factor, pitch kept), `semitones`,
            `played` (factor, pitch and length alike), `times` (a sound again and again), `rt60`
            and `direct` (room), `cutoff` (Hz), `telephone` (1).
    """

    role: Role
    label: str
    start: float
    seconds: float
    level: float
    snr: float | None = None
    lasting: bool = False
    clips: tuple[str, ...] = ()
    changes: dict[str, float] = field(default_factory=dict)

    @property
    def end(self) -> float:
        """Seconds from the scene's beginning to the part's end."""
        return self.start + self.seconds

    def facts(self) -> dict[str, object]:
        """The part as plain data, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Scene:
    """Samples `[n]` (mono, float32, at `rate` Hz) and what is true of them.

    Attributes:
        sap: the label.
        text: what is said; empty without speech.
        phonemes: the same in phonemes; empty without speech, or where a clip has none.
        language, speaker: of the speech; empty without.
        parts: the foreground first.
    """

    samples: Wave
    rate: int
    sap: SAP
    text: str
    phonemes: str
    language: str
    speaker: str
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.rate

    @property
    def kind(self) -> Literal["speech", "music", "sound"]:
        """What the foreground is, as manifests call it."""
        role = self.parts[0].role
        return role if role in ("speech", "music") else "sound"

    @property
    def caption(self) -> str:
        """The scene's sounds in a sentence or two."""
        return self.sap.nonLinguisticEvents.description

    @property
    def emotion(self) -> str:
        """How the voice feels, in lower case; empty when unknown."""
        return (self.sap.paralinguistics.emotion or "").lower()
