"""What G carries: voice conversion by another recording's G, and a voice kept over a minute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unisono.audio import Audio
from unisono.evaluation.asr import Transcriber
from unisono.evaluation.benchmarks.peers import Judges
from unisono.evaluation.benchmarks.unicodec_voices import RATE, Pair, read_at_rate
from unisono.evaluation.metrics import bootstrap, wer
from unisono.evaluation.metrics.bootstrap import Estimate
from unisono.evaluation.result import Figure, attempt
from unisono.tokenizer import AudioTokenizer

SIMILARITIES = ("to_reference", "to_source", "own_to_reference", "own_to_source")
"""Of the converted recording, and of the same tokens decoded with their own G."""
WINDOW = 5.0
"""Seconds of a long recording that are compared at once."""


@dataclass
class PairScore:
    """One conversion: similarities, and word errors of the converted and the own-voice version."""

    source: str
    reference: str
    figures: dict[str, Figure]
    texts: dict[str, str] = field(default_factory=dict)
    words: dict[str, wer.WordErrors] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        plain: dict[str, Any] = {"source": self.source, "reference": self.reference}
        plain |= {name: figure.to_dict() for name, figure in self.figures.items()}
        errors = {name: asdict(count) for name, count in self.words.items()}
        return plain | ({"texts": self.texts, "word_errors": errors} if self.texts else {})


@dataclass
class ConversionResult:
    """Conversions among one group of voices.

    estimates: `SIMILARITIES`; "gain", to_reference less own_to_reference; "share" of pairs that
    are nearer to the reference than to the source; "wer", "kept_wer", "own_wer": of the converted,
    of what conversion keeps of the tokens in the own voice, and of all tokens in it.
    """

    name: str
    voices: list[str]
    estimates: dict[str, Estimate]
    pairs: list[PairScore]

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        return {
            "name": self.name,
            "voices": self.voices,
            "figures": {name: estimate.to_dict() for name, estimate in self.estimates.items()},
            "pairs": [pair.to_dict() for pair in self.pairs],
        }


@dataclass
class LongResult:
    """A long recording of one voice, in windows of `WINDOW` seconds.

    original, decoded: similarity of the first and the last window of the same recording; kept:
    similarity of each decoded window to the original one, in order of time.
    """

    voice: str
    seconds: float
    original: Figure
    decoded: Figure
    kept: list[Figure]

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        return {
            "voice": self.voice,
            "seconds": self.seconds,
            "original": self.original.to_dict(),
            "decoded": self.decoded.to_dict(),
            "kept": [figure.to_dict() for figure in self.kept],
        }


def convert_pairs(
    name: str,
    tokenizer: AudioTokenizer,
    manifest: Path,
    pairs: Sequence[Pair],
    judges: Judges,
    known: Callable[[str], bool],
    progress: Callable[[Sequence[Pair]], Any] = iter,
) -> ConversionResult:
    """Convert all `pairs` and score them; words in the languages that the recogniser has `known`.

    The reference of the word errors is the recogniser's transcript of the source.
    """
    scores = [_convert(tokenizer, manifest, pair, judges, known) for pair in progress(pairs)]
    voices = {pair.reference.name for pair in pairs} | {pair.source.speaker for pair in pairs}
    return ConversionResult(name, sorted(voices), _estimates(scores, judges), scores)


def keep_voice(
    voice: str, tokenizer: AudioTokenizer, recording: Audio, judges: Judges
) -> LongResult:
    """Decode one long recording and follow its voice; `recording` mono at `RATE`."""
    decoded = tokenizer.decode(tokenizer.encode(recording)).mono().resample(RATE)
    before, after = _windows(recording), _windows(decoded)
    kept = [_similar(judges, x, y) for x, y in zip(before, after, strict=False)]
    return LongResult(
        voice,
        recording.duration,
        _similar(judges, before[0], before[-1]),
        _similar(judges, after[0], after[-1]),
        kept,
    )


def _convert(
    tokenizer: AudioTokenizer,
    manifest: Path,
    pair: Pair,
    judges: Judges,
    known: Callable[[str], bool],
) -> PairScore:
    clip, reference = read_at_rate(manifest, pair.source), pair.reference.reference
    tokens = tokenizer.encode(clip.audio)
    own = tokenizer.decode(tokens).mono().resample(RATE)
    converted = tokenizer.decode(tokens, voice=reference).mono().resample(RATE)
    heard = {"to_reference": (reference, converted), "to_source": (clip.audio, converted),
             "own_to_reference": (reference, own), "own_to_source": (clip.audio, own)}  # fmt: skip
    figures = {name: _similar(judges, *two) for name, two in heard.items()}
    score = PairScore(clip.name, pair.reference.name, figures)
    language = clip.language.partition("-")[0]
    if judges.asr is not None and known(language):
        kept = tokenizer.decode(tokenizer.revoiced(tokens, tokens)).mono().resample(RATE)
        versions = {"source": clip.audio, "converted": converted, "kept": kept, "own": own}
        score.texts = {name: _text(judges.asr, x, language) for name, x in versions.items()}
        for name in ("converted", "kept", "own"):
            score.words[name] = wer.word_errors(score.texts["source"], score.texts[name])
    return score


def _text(asr: Transcriber, audio: Audio, language: str) -> str:
    return asr(audio.samples[0], language)


def _estimates(scores: Sequence[PairScore], judges: Judges) -> dict[str, Estimate]:
    whole = [
        [score.figures[name].value for name in SIMILARITIES]
        for score in scores
        if all(score.figures[name].value is not None for name in SIMILARITIES)
    ]
    reasons = [f.failed for score in scores for f in score.figures.values() if f.value is None]
    if whole:
        array = np.asarray(whole, np.float64)
        estimates = {name: bootstrap.mean_of(array[:, n]) for n, name in enumerate(SIMILARITIES)}
        estimates["gain"] = bootstrap.mean_of(array[:, 0] - array[:, 2])
        estimates["share"] = bootstrap.mean_of(array[:, 0] > array[:, 1])
    else:
        nothing = bootstrap.missing(reasons[0] if reasons else "there is no pair of voices")
        estimates = dict.fromkeys((*SIMILARITIES, "gain", "share"), nothing)
    for name, version in (("wer", "converted"), ("kept_wer", "kept"), ("own_wer", "own")):
        counts = [score.words[version] for score in scores if version in score.words]
        wrong = [count.substitutions + count.deletions + count.insertions for count in counts]
        estimates[name] = (
            bootstrap.ratio_of(wrong, [count.words for count in counts])
            if counts
            else bootstrap.missing(
                "no recogniser" if judges.asr is None else "no clip in a language it knows"
            )
        )
    return estimates


def _windows(audio: Audio) -> list[Audio]:
    """Whole windows of a recording at `RATE`, or all of it where it is shorter than one."""
    size = round(WINDOW * RATE)
    starts = range(0, audio.length - size + 1, size) or (0,)
    return [Audio(audio.samples[:, start : start + size], RATE) for start in starts]


def _similar(judges: Judges, one: Audio, other: Audio) -> Figure:
    if judges.speaker is None:
        return Figure(None, judges.absent.get("speaker", "not asked for"), 0)
    return attempt(judges.speaker, one, other)
