"""UniCodec's claims, measured: what its streams keep, what G does to a voice, what each one knows.

The parts: resynthesis with all or fewer streams; voice conversion by G; one voice over a minute;
linear probes. Each is a number for a check of the specification ("disentanglement checks").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from unisono.evaluation.benchmarks.peers import PeersReport
from unisono.evaluation.benchmarks.unicodec_conversion import WINDOW, ConversionResult, LongResult
from unisono.evaluation.benchmarks.unicodec_probes import TASKS, ProbeResult
from unisono.evaluation.metrics import bootstrap, probes

PARTS = ("resynthesis", "conversion", "long", "probes")


@dataclass
class UniCodecReport:
    """Results of the parts that were asked for, and how they were made."""

    protocol: dict[str, Any]
    resynthesis: PeersReport | None = None
    conversion: list[ConversionResult] = field(default_factory=list)
    long: list[LongResult] = field(default_factory=list)
    probes: ProbeResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON; parts that were not asked for are left out."""
        plain: dict[str, Any] = {"protocol": self.protocol}
        if self.resynthesis is not None:
            plain["resynthesis"] = self.resynthesis.to_dict()
        if self.conversion:
            plain["conversion"] = [group.to_dict() for group in self.conversion]
        if self.long:
            plain["long"] = [one.to_dict() for one in self.long]
        if self.probes is not None:
            plain["probes"] = self.probes.to_dict()
        return plain


def protocol(**more: Any) -> dict[str, Any]:
    """What a reader of the figures has to know."""
    return {
        "similarity": "cosine of GE2E embeddings (weights of resemblyzer); different speakers "
        "already reach 0.5 to 0.7",
        "conversion": "to reference: converted against other clips of the reference voice; to "
        "source: against the very clip that was converted; own: the same tokens with their own G",
        "kept": "what conversion keeps of the tokens (of P the pitch alone, where P says it), with "
        "their own G",
        "wer": "against the recogniser's transcript of the source, in the source's language",
        "intervals": f"{bootstrap.METHOD}; pairs share voices, so other voices may differ by more",
        "long": f"windows of {WINDOW:g} s, first against last, and decoded against original",
        "probes": probes.METHOD,
        "vectors": "rows of the codebooks; clips: mean and standard deviation over frames",
        **{f"task {name}": text for name, text in TASKS.items()},
        **more,
    }
