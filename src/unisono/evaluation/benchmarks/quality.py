"""What a tokenizer keeps of one group of clips: words, opinion score, intelligibility, mel, codes.

Three versions of each clip are scored: the original, copy-synthesis (the true mel through the
model's own vocoder: what its tokens could reach at best) and the reconstruction from tokens; where
the model's tokens leave the voice open, also the reconstruction told the original's voice.
Of music and sounds only the mel distance and the codes are measured: the other scores are made
for speech.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from unisono.audio import Audio
from unisono.evaluation.asr import RATE as ASR_RATE
from unisono.evaluation.asr import Transcriber
from unisono.evaluation.benchmarks.clips import Clip
from unisono.evaluation.metrics import wer
from unisono.evaluation.metrics.cer import character_errors
from unisono.evaluation.metrics.codebook import codebook_report
from unisono.evaluation.metrics.mel import mel_distance
from unisono.evaluation.metrics.stoi import stoi
from unisono.evaluation.result import Figure, MetricError, attempt, mean
from unisono.synthesis.mel import MelSpectrogram
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import AudioTokens

Score = Callable[[Audio], float]
VERSIONS = ("original", "copy", "own voice", "reconstruction")
"""In the order of tables; "own voice" only for models that take one."""


@dataclass
class ClipResult:
    """Everything measured on one clip, by version where there are several."""

    name: str
    seconds: float
    texts: dict[str, str] = field(default_factory=dict)
    errors: dict[str, wer.WordErrors] = field(default_factory=dict)
    characters: dict[str, wer.WordErrors] = field(default_factory=dict)
    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        figures = {
            metric: {version: figure.to_dict() for version, figure in by.items()}
            for metric, by in self.figures.items()
        }
        words = {version: asdict(count) for version, count in self.errors.items()}
        head = {"name": self.name, "seconds": self.seconds}
        if not self.texts:
            return {**head, **figures}
        characters = {version: asdict(count) for version, count in self.characters.items()}
        said = {"texts": self.texts, "word_errors": words, "character_errors": characters}
        return {**head, **said, **figures}


@dataclass
class QualityResult:
    """Figures over all clips, per-clip results, their tokens, and the `protocol`: how made."""

    figures: dict[str, dict[str, Figure]]
    codebook: dict[str, Any]
    times: dict[str, float]
    clips: list[ClipResult]
    protocol: dict[str, Any]
    tokens: list[AudioTokens]

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        figures = {
            metric: {version: figure.to_dict() for version, figure in by.items()}
            for metric, by in self.figures.items()
        }
        return {
            "protocol": self.protocol,
            "figures": figures,
            "codebook": self.codebook,
            "times": self.times,
            "clips": [clip.to_dict() for clip in self.clips],
        }


def measure(
    tokenizer: AudioTokenizer,
    clips: Sequence[Clip],
    asr: Transcriber | None,
    mos: Score | None,
    *,
    language: str = "",
    seed: int = 0,
    batch_seconds: float = 60.0,
    keep: Callable[[str, str, Audio], None] | None = None,
    progress: Callable[[Sequence[Clip]], Any] = iter,
) -> QualityResult:
    """Encode, decode and score `clips`.

    `language` is forced on the recogniser; empty takes each clip's own. Without `asr` or `mos`
    those figures are reported as failed. `keep(clip name, version, audio)` receives all audio.
    """
    began = time.perf_counter()
    tokens = tokenizer.encode([clip.audio for clip in clips], batch_seconds=batch_seconds)
    times = {"encode": time.perf_counter() - began, "copy": 0.0, "decode": 0.0, "score": 0.0}
    results = []
    for clip, codes in zip(progress(clips), tokens, strict=True):
        versions = _versions(tokenizer, clip, codes, seed, times)
        began = time.perf_counter()
        results.append(_score(clip, versions, asr, mos, language))
        times["score"] += time.perf_counter() - began
        for version, audio in versions.items():
            if keep is not None and isinstance(audio, Audio):
                keep(clip.name, version, audio)
    seconds = sum(clip.audio.duration for clip in clips)
    times["audio"] = seconds
    for job in ("encode", "decode"):
        times[f"{job}_real_time"] = seconds / max(times[job], 1e-9)
    return QualityResult(
        figures=_overall(results, any(clip.kind == "speech" for clip in clips)),
        codebook=codebook_report(tokens).to_dict(),
        times=times,
        clips=results,
        protocol={
            "model": tokenizer.model_id,
            "clips": len(clips),
            "asr": asr.name if asr else "none",
            "language": language or "each clip's own",
            "reference": "the same recogniser's transcript of the untouched clip",
            "normaliser": wer.NORMALISER,
            "averaging": wer.AVERAGING,
            "characters": "CER as WER, over characters and single spaces",
            "mos": "DNSMOS P.808 (speechmos), mean over clips",
            "stoi": "not extended, 16 kHz, cut to the shorter, mean over clips",
            "mel_distance": "mean |natural-log mel difference|, 16 kHz, 80 bands, hop 256",
            "seed": seed,
        },
        tokens=tokens,
    )


def copy_synthesis(tokenizer: AudioTokenizer, audio: Audio, seed: int = 0) -> Audio:
    """The model's vocoder on the true mel of `audio`; `MetricError` if it has no such vocoder."""
    decoder: Any = getattr(tokenizer, "decoder", None)
    if decoder is None or not hasattr(decoder, "vocoder"):
        raise MetricError(f"model '{tokenizer.model_id}' has no mel vocoder")
    wave = torch.from_numpy(audio.mono().resample(decoder.rate).samples)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        mel = MelSpectrogram(decoder.mel_config)(wave)
        return Audio(decoder.vocoder(mel, generator=generator)[0][0].numpy(), decoder.rate)


Version = Audio | str
"""A version of a clip, or the reason why it does not exist."""


def _versions(
    tokenizer: AudioTokenizer, clip: Clip, codes: AudioTokens, seed: int, times: dict[str, float]
) -> dict[str, Version]:
    versions: dict[str, Version] = {"original": clip.audio}
    began = time.perf_counter()
    try:
        versions["copy"] = copy_synthesis(tokenizer, clip.audio, seed)
    except MetricError as error:
        versions["copy"] = str(error)
    if tokenizer.voices:
        versions["own voice"] = tokenizer.decode(codes, seed=seed, voice=clip.audio)
    end = time.perf_counter()
    versions["reconstruction"] = tokenizer.decode(codes, seed=seed)
    times["copy"] += end - began
    times["decode"] += time.perf_counter() - end
    return versions


def _score(
    clip: Clip,
    versions: dict[str, Version],
    asr: Transcriber | None,
    mos: Score | None,
    language: str,
) -> ClipResult:
    result = ClipResult(clip.name, clip.audio.duration)
    # The recogniser knows languages, not regions: `pt-br` is `pt`.
    spoken = (language or clip.language).partition("-")[0]
    speech = clip.kind == "speech"
    for version, audio in versions.items():
        for metric in metrics(speech):
            if metric == "dnsmos" or version != "original":
                figure = (
                    Figure(None, audio, 0)
                    if isinstance(audio, str)
                    else _figure(metric, clip.audio, audio, mos)
                )
                result.figures.setdefault(metric, {})[version] = figure
        if asr is not None and spoken and speech and isinstance(audio, Audio):
            result.texts[version] = asr(audio.mono().resample(ASR_RATE).samples[0], spoken)
    for version, text in result.texts.items():
        if version != "original":
            said = result.texts["original"]
            result.errors[version] = wer.word_errors(said, text)
            result.characters[version] = character_errors(said, text)
    return result


def metrics(speech: bool) -> tuple[str, ...]:
    """Names of the scores that need no recogniser."""
    return ("dnsmos", "stoi", "mel_distance") if speech else ("mel_distance",)


def _figure(metric: str, original: Audio, audio: Audio, mos: Score | None) -> Figure:
    if metric == "dnsmos":
        return Figure(None, "no DNSMOS network", 0) if mos is None else attempt(mos, audio)
    return attempt(stoi if metric == "stoi" else mel_distance, original, audio)


def _overall(results: Sequence[ClipResult], speech: bool) -> dict[str, dict[str, Figure]]:
    """Means of the figures, and the corpus word and character error rates."""
    figures: dict[str, dict[str, Figure]] = {"wer": {}, "cer": {}} if speech else {}
    found = {version for result in results for version in result.figures["mel_distance"]}
    made = [version for version in VERSIONS[1:] if version in found]
    for name in figures:
        for version in made:
            counts = [result.errors if name == "wer" else result.characters for result in results]
            counted = [by[version] for by in counts if version in by]
            figures[name][version] = _rate(counted, len(results))
    for metric in metrics(speech):
        versions = ["original", *made] if metric == "dnsmos" else made
        figures[metric] = {
            version: mean([result.figures[metric][version] for result in results])
            for version in versions
        }
    return figures


def _rate(counted: Sequence[wer.WordErrors], clips: int) -> Figure:
    if not counted:
        return Figure(None, "no clip was transcribed", 0)
    figure = attempt(lambda: sum(counted, wer.WordErrors()).rate)
    missing = clips - len(counted)
    note = f"{missing} of {clips} clips were not transcribed" if missing else ""
    return Figure(figure.value, figure.failed or note, len(counted))
