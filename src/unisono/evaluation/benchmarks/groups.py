"""Quality by groups of clips (languages, music, sounds), use of the codes by all, sound classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from unisono.data.manifest import Kind, ManifestItem, Split
from unisono.errors import ConfigError
from unisono.evaluation.benchmarks.clips import Clip, Selection
from unisono.evaluation.benchmarks.quality import QualityResult
from unisono.evaluation.metrics.clustering import Clustering, cluster_report, token_histograms
from unisono.evaluation.metrics.codebook import codebook_report
from unisono.tokenizer import AudioTokenizer

CLIPS: dict[Kind, int] = {"speech": 20, "music": 12, "sound": 40}
"""Clips of a group unless it says otherwise."""
SHORTEST: dict[Kind, float] = {"speech": 2.5, "music": 2.5, "sound": 0.15}


@dataclass(frozen=True)
class Group:
    """A named group of clips to score beside the main one."""

    name: str
    selection: Selection
    clips: int


@dataclass
class QualityReport:
    """Results by group (the first is the main one) and what is measured over all of them.

    codebook: use of the codes by the clips of all groups together. classes: clustering of all
    labelled sounds, None where the manifest has too few. Both are facts about the tokens alone.
    """

    groups: dict[str, QualityResult]
    codebook: dict[str, Any]
    classes: Clustering | None

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON: the main group's figures on top, as without groups."""
        main, *others = self.groups
        return {
            **self.groups[main].to_dict(),
            "name": main,
            "groups": {name: self.groups[name].to_dict() for name in others},
            "codebook_all": self.codebook,
            "sound_classes": self.classes.to_dict() if self.classes else None,
        }


def report(groups: dict[str, QualityResult], classes: Clustering | None) -> QualityReport:
    """Put the results of all groups together."""
    tokens = [item for result in groups.values() for item in result.tokens]
    return QualityReport(groups, codebook_report(tokens).to_dict(), classes)


def parse_group(text: str) -> Group:
    """A group from `NAME=key:value,key:value`, e.g. `german=source:voice-de,language:de`.

    Keys: source, language, split (each may come several times), kind (speech, music, sound),
    clips, shortest, longest (seconds). Keys left out: all sources and languages, split eval,
    speech. `ConfigError` for anything else.
    """
    name, equals, rest = text.partition("=")
    if not name or not equals:
        raise ConfigError(f"group {text!r}: write it as NAME=key:value,key:value")
    values: dict[str, list[str]] = {}
    for part in filter(None, rest.split(",")):
        key, colon, value = part.partition(":")
        if key not in _KEYS or not colon or not value:
            raise ConfigError(f"group {name}: {part!r} is not key:value with a key of {_KEYS}")
        values.setdefault(key, []).append(value)
    kind = _one(name, values, "kind", "speech")
    for key, allowed in (("kind", get_args(Kind)), ("split", get_args(Split))):
        for value in values.get(key, []):
            if value not in allowed:
                raise ConfigError(f"group {name}: {key} {value!r} is none of {allowed}")
    selection = Selection(
        kind,
        tuple(values.get("split", ["eval"])),
        tuple(values.get("source", [])),
        tuple(values.get("language", [])),
        _number(name, values, "shortest", SHORTEST[kind]),
        _number(name, values, "longest", 30.0),
    )
    clips = int(_number(name, values, "clips", CLIPS[kind]))
    if clips < 1:
        raise ConfigError(f"group {name}: it needs one clip or more, not {clips}")
    return Group(name, selection, clips)


def default_groups(items: Sequence[ManifestItem], known: Sequence[str]) -> list[Group]:
    """What the manifest holds of split eval: each language not in `known`, music, sounds."""
    groups = []
    speech = Selection()
    languages = {item.language for item in speech.among(items)} - {"", *known}
    for language in sorted(languages):
        groups.append(Group(language, replace(speech, languages=(language,)), CLIPS["speech"]))
    for kind in ("music", "sound"):
        selection = Selection(kind, shortest=SHORTEST[kind])
        if selection.among(items):
            groups.append(Group(kind, selection, CLIPS[kind]))
    return groups


def sound_classes(
    tokenizer: AudioTokenizer, clips: Sequence[Clip], batch_seconds: float = 60.0
) -> Clustering | None:
    """How the tokens of labelled clips group by class; None for fewer than two classes."""
    labels = [clip.label for clip in clips]
    if not 2 <= len(set(labels)) < len(labels):
        return None
    tokens = tokenizer.encode([clip.audio for clip in clips], batch_seconds=batch_seconds)
    return cluster_report(token_histograms(tokens), labels)


_KEYS = ("source", "language", "split", "kind", "clips", "shortest", "longest")


def _one(name: str, values: dict[str, list[str]], key: str, default: Any) -> Any:
    given = values.get(key, [default])
    if len(given) > 1:
        raise ConfigError(f"group {name}: {key} is given more than once")
    return given[0]


def _number(name: str, values: dict[str, list[str]], key: str, default: float) -> float:
    given = _one(name, values, key, default)
    try:
        return float(given)
    except ValueError as error:
        raise ConfigError(f"group {name}: {key} {given!r} is not a number") from error
