"""SAPs of consecutive windows as one."""

from __future__ import annotations

import pytest

from unisono.sap.merge import join_texts, merge
from unisono.sap.repair import NO_EVENTS
from unisono.sap.schema import SAP


def sap(words=None, description=NO_EVENTS, discrete=(), continuous=(), **voice) -> SAP:
    fields = ("age", "gender", "emotion", "accent", "prosody", "timbre")
    events = [
        [{"label": label, "characteristic": how} for label, how in listed]
        for listed in (discrete, continuous)
    ]
    return SAP.from_object(
        {
            "transcription": words,
            "paralinguistics": dict.fromkeys(fields) | voice,
            "nonLinguisticEvents": {
                "description": description,
                "discreteEvents": events[0],
                "continuousEvents": events[1],
            },
        }
    )


def test_one_window_stays_as_it_is():
    only = sap(" hello ", "A dog", [("dog", "loud"), ("dog", "faint")])
    assert merge([only]) is only


def test_words_are_joined():
    assert merge([sap("one two"), sap(), sap("three")]).transcription == "one two three"
    assert merge([sap(), sap()]).transcription is None
    assert join_texts(["a", None, " ", "b "]) == "a b"


def test_the_voice_is_that_of_most_letters():
    parts = [
        sap("short", gender="Male", accent="Scottish"),
        sap("a good deal longer", gender="Female", prosody="fast"),
        sap("and yet another of them, the longest of all of these", age="Adult"),
        sap("short", gender="Male"),
    ]
    voice = merge(parts).paralinguistics
    # Male has 5 + 5 letters, Female 15; null does not vote, however long its window.
    assert (voice.gender, voice.age, voice.accent, voice.prosody) == (
        "Female", "Adult", "Scottish", "fast",
    )  # fmt: skip
    assert voice.emotion is None


@pytest.mark.parametrize("words", ["even", None])
def test_the_earliest_of_equals_wins(words):
    parts = [sap(words, emotion="Fear"), sap(words, emotion="Anger")]
    assert merge(parts).paralinguistics.emotion == "Fear"
    assert merge(parts[::-1]).paralinguistics.emotion == "Anger"


def test_events_are_united_by_label():
    merged = merge(
        [
            sap(discrete=[("Dog bark", "near"), ("door", "soft")], continuous=[("rain", "steady")]),
            sap(discrete=[("dog bark!", "far"), ("DOOR", "Soft")], continuous=[("dog bark", "x")]),
            sap(discrete=[("dog bark", "unspecified")], continuous=[("rain", "unspecified")]),
        ]
    ).nonLinguisticEvents
    assert [(e.label, e.characteristic) for e in merged.discreteEvents] == [
        ("Dog bark", "near; far"),
        ("door", "soft"),
    ]
    assert [(e.label, e.characteristic) for e in merged.continuousEvents] == [
        ("rain", "steady"),
        ("dog bark", "x"),
    ]


def test_descriptions_are_joined_each_once():
    texts = ["Rain falls", "A dog barks.", NO_EVENTS, "rain falls", "Who knocks?"]
    merged = merge([sap(description=text) for text in texts])
    assert merged.nonLinguisticEvents.description == "Rain falls. A dog barks. Who knocks?"
    silent = merge([sap(), sap()])
    assert silent.nonLinguisticEvents.description == NO_EVENTS
    assert SAP.parse(silent.canonical()) == silent
