"""Codecs side by side on the same clips of speech: what each keeps, at which bit rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from unisono.audio import Audio
from unisono.errors import UnisonoError
from unisono.evaluation.asr import RATE as ASR_RATE
from unisono.evaluation.asr import Transcriber
from unisono.evaluation.benchmarks.clips import Clip
from unisono.evaluation.metrics import bootstrap, wer
from unisono.evaluation.metrics.bootstrap import Estimate
from unisono.evaluation.metrics.f0 import match_f0
from unisono.evaluation.metrics.pesq import pesq
from unisono.evaluation.metrics.stoi import stoi
from unisono.evaluation.peers import Codec
from unisono.evaluation.result import Figure, attempt

Score = Callable[[Audio], float]
Compare = Callable[[Audio, Audio], float]
F0 = {"f0_correlation": "correlation", "f0_rmse": "rmse", "f0_cents": "cents"}
"""Names of the pitch figures here, and in `F0Match`."""
METRICS = ("pesq", "stoi", "dnsmos", "speaker", *F0)
"""Scores of single clips, beside the word error rate; in the order of tables."""


@dataclass(frozen=True)
class Judges:
    """Who scores; None leaves those figures out, with the reason in `absent` by metric name."""

    asr: Transcriber | None = None
    mos: Score | None = None
    speaker: Compare | None = None
    language: str = "en"
    absent: dict[str, str] = field(default_factory=dict)


@dataclass
class ClipScore:
    """One clip through one codec: bytes of payload, figures by metric, words where transcribed."""

    name: str
    seconds: float
    payload: int
    figures: dict[str, Figure]
    text: str = ""
    words: wer.WordErrors | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        plain = {"name": self.name, "seconds": self.seconds, "payload_bytes": self.payload}
        figures = {name: figure.to_dict() for name, figure in self.figures.items()}
        if self.words is None:
            return {**plain, **figures}
        return {**plain, "text": self.text, "word_errors": asdict(self.words), **figures}


@dataclass
class PeerResult:
    """One codec over all clips: `nominal` bit/s, seconds of computing, estimates by metric.

    `estimates` also has "wer" and "bit_rate", the payload's bits over the clips' seconds.
    """

    name: str
    nominal: float
    seconds: float
    estimates: dict[str, Estimate]
    clips: list[ClipScore]

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        estimates = {name: estimate.to_dict() for name, estimate in self.estimates.items()}
        clips = [clip.to_dict() for clip in self.clips]
        head = {"name": self.name, "bit_rate_nominal": self.nominal, "seconds": self.seconds}
        return {**head, "figures": estimates, "clips": clips}


@dataclass
class PeersReport:
    """Results, the untouched clips first and then by real bit rate, and how they were made."""

    results: list[PeerResult]
    protocol: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        codecs = [result.to_dict() for result in self.results]
        return {"protocol": self.protocol, "codecs": codecs}


def transcripts(clips: Sequence[Clip], judges: Judges) -> list[str]:
    """What the recogniser hears in the untouched clips: the reference of all word error rates."""
    return [_heard(clip.audio, judges) for clip in clips]


def measure(
    codec: Codec,
    clips: Sequence[Clip],
    said: Sequence[str],
    judges: Judges,
    progress: Callable[[Sequence[Clip]], Any] = iter,
) -> PeerResult:
    """Send all `clips` through `codec` and score them; `said` as `transcripts` gives it."""
    scores, seconds = [], 0.0
    for clip, reference in zip(progress(clips), said, strict=True):
        began = time.perf_counter()
        audio, payload = codec.roundtrip(clip.audio)
        seconds += time.perf_counter() - began
        score = ClipScore(clip.name, clip.audio.duration, payload, _figures(clip, audio, judges))
        if judges.asr is not None:
            score.text = _heard(audio, judges)
            score.words = wer.word_errors(reference, score.text)
        scores.append(score)
    return PeerResult(codec.name, codec.bit_rate, seconds, _estimates(scores), scores)


def report(
    results: Sequence[PeerResult], judges: Judges, first: str, **protocol: Any
) -> PeersReport:
    """Put results in order: the one named `first`, then the others from low to high bit rate."""
    ordered = sorted(
        results, key=lambda result: (result.name != first, result.estimates["bit_rate"].value or 0)
    )
    how = {
        "asr": judges.asr.name if judges.asr else "none",
        "language": judges.language,
        "reference": "the same recogniser's transcript of the untouched clip",
        "normaliser": wer.NORMALISER,
        "averaging": f"WER {wer.AVERAGING}; all others the mean over clips",
        "intervals": bootstrap.METHOD,
        "pesq": "ITU-T P.862.2 wideband, 16 kHz (package pesq)",
        "stoi": "not extended, 16 kHz",
        "dnsmos": "DNSMOS P.808 (speechmos)",
        "speaker": "cosine of GE2E embeddings (weights of resemblyzer)",
        "f0": "WORLD (DIO, StoneMask), 40-800 Hz, frames voiced in both recordings",
        "bit_rate": "payload bits over seconds, no container; nominal leaves once-tokens out",
    }
    return PeersReport(ordered, how | protocol)


def _heard(audio: Audio, judges: Judges) -> str:
    if judges.asr is None:
        return ""
    return judges.asr(audio.mono().resample(ASR_RATE).samples[0], judges.language)


def _figures(clip: Clip, audio: Audio, judges: Judges) -> dict[str, Figure]:
    original = clip.audio
    figures = {
        "pesq": attempt(pesq, original, audio),
        "stoi": attempt(stoi, original, audio),
        "dnsmos": _absent("dnsmos", judges) if judges.mos is None else attempt(judges.mos, audio),
        "speaker": _absent("speaker", judges)
        if judges.speaker is None
        else attempt(judges.speaker, original, audio),
    }
    try:
        match = match_f0(original, audio)
    except UnisonoError as error:  # pyworld is missing
        return figures | {name: Figure(None, str(error), 0) for name in F0}
    return figures | {name: attempt(getattr, match, part) for name, part in F0.items()}


def _absent(metric: str, judges: Judges) -> Figure:
    return Figure(None, judges.absent.get(metric, "not asked for"), 0)


def _estimates(scores: Sequence[ClipScore]) -> dict[str, Estimate]:
    counted = [score.words for score in scores if score.words is not None]
    errors = [words.substitutions + words.deletions + words.insertions for words in counted]
    estimates = {
        "bit_rate": bootstrap.ratio_of(
            [8 * score.payload for score in scores], [score.seconds for score in scores]
        ),
        "wer": bootstrap.ratio_of(errors, [words.words for words in counted])
        if counted
        else bootstrap.missing("no clip was transcribed"),
    }
    for metric in METRICS:
        estimates[metric] = _mean([score.figures[metric] for score in scores])
    return estimates


def _mean(figures: Sequence[Figure]) -> Estimate:
    """Mean over the clips that have a value; says how many have none, and the first reason."""
    values = [figure.value for figure in figures if figure.value is not None]
    reasons = [figure.failed for figure in figures if figure.value is None]
    if not values:
        return bootstrap.missing(reasons[0] if reasons else "there is no clip")
    note = f"{len(reasons)} of {len(figures)} failed, first: {reasons[0]}" if reasons else ""
    return replace(bootstrap.mean_of(values), failed=note)
