"""A SAP in words from told fields and sounds."""

from __future__ import annotations

import pytest

from unisono.sap.schema import SAP
from unisono.sap.told import HeardSound, told_sap


def test_speech_with_a_sound():
    sounds = [HeardSound("dog", 0.2, 0.5)]
    sap = told_sap("Hello.", {"gender": "Female", "timbre": "Bright."}, sounds, 6.0, speech=True)
    assert SAP.parse(sap.canonical()) == sap
    assert sap.transcription == "Hello." and sap.paralinguistics.gender == "Female"
    assert sap.paralinguistics.age is None and sap.paralinguistics.timbre == "Bright."
    (event,) = sap.nonLinguisticEvents.discreteEvents
    assert (event.label, event.characteristic) == ("dog", "Brief, at the beginning")
    assert sap.nonLinguisticEvents.description == "A dog can be heard at the beginning."
    assert sap.nonLinguisticEvents.continuousEvents == []


def test_nothing_is_said_of_a_voice_where_nobody_speaks():
    sap = told_sap("Thanks for watching!", {"gender": "Male"}, [], 3.0, speech=False)
    assert sap.transcription is None and sap.paralinguistics.gender is None
    assert sap.nonLinguisticEvents.description == "No distinct sounds."
    assert SAP.parse(sap.canonical()) == sap


@pytest.mark.parametrize(
    ("label", "seconds", "lasting"),
    [("music", 5.9, True), ("water", 3.0, True), ("water", 2.9, False), ("dog", 5.9, False)],
)
def test_what_lasts_is_continuous(label, seconds, lasting):
    sap = told_sap(None, {}, [HeardSound(label, 0.0, seconds)], 6.0, speech=False)
    scene = sap.nonLinguisticEvents
    (event,) = scene.continuousEvents if lasting else scene.discreteEvents
    assert event.label == label
    assert len(scene.continuousEvents) + len(scene.discreteEvents) == 1


def test_speech_that_nobody_could_read_has_no_transcription():
    sap = told_sap("", {"gender": "Male"}, [], 3.0, speech=True)
    assert sap.transcription is None and sap.paralinguistics.gender == "Male"
    assert "Only the voice" in sap.nonLinguisticEvents.description
