import numpy as np
import pytest

from unisono.evaluation.metrics.bootstrap import Estimate
from unisono.evaluation.metrics.probes import (
    above_chance,
    class_probe,
    number_probe,
    presence_probe,
)

COUNT = 90
SPEAKERS = [f"s{n % 6}" for n in range(COUNT)]
CLIPS = [f"c{n}" for n in range(COUNT)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_a_class_that_the_vectors_hold_is_told_and_one_that_they_lack_is_not():
    classes = ["a", "b", "c"] * 30
    corners = np.array([[9.0, 0.0], [0.0, 9.0], [-9.0, -9.0]])[np.arange(COUNT) % 3]
    told = class_probe(corners + noise(COUNT, 2), classes)
    assert told.value == told.low == told.high == 1.0
    assert told.chance == pytest.approx(1 / 3)
    assert told.count == COUNT
    blind = class_probe(noise(COUNT, 2, seed=1), classes)
    assert blind.low <= 1 / 3 + 0.05 and blind.value < 0.5


def test_chance_is_the_most_frequent_class():
    assert class_probe(noise(COUNT, 2), ["a"] * 60 + ["b"] * 30).chance == pytest.approx(2 / 3)


def test_telling_the_part_does_not_help_within_it():
    language = ["x", "y"] * 45
    speaker = [f"{part}{n // 2 % 3}" for n, part in enumerate(language)]
    only_language = np.array([[9.0], [-9.0]])[np.arange(COUNT) % 2] + noise(COUNT, 1)
    within = class_probe(only_language, speaker, language)
    assert within.chance == pytest.approx(1 / 3)
    assert within.value < 0.5
    # In one pot the same vectors seem to know something of the speaker.
    mixed = class_probe(only_language, speaker)
    assert above_chance(mixed) > 0.1


def test_classes_too_rare_for_the_folds_are_not_measured():
    assert "two classes" in class_probe(noise(4, 2), ["a", "a", "b", "b"]).failed
    assert "two classes" in class_probe(noise(4, 2), ["a"] * 4).failed


def test_presence_is_told_across_speakers_and_rare_answers_have_a_high_chance():
    present = np.random.default_rng(0).random((COUNT, 2)) < [0.5, 0.1]
    vectors = np.where(present, 4.0, -4.0) + noise(COUNT, 2)
    told = presence_probe(vectors, present, SPEAKERS)
    assert told.value > 0.99
    assert 0.6 < told.chance < 0.8
    blind = presence_probe(noise(COUNT, 2, seed=2), present, SPEAKERS)
    assert blind.value < told.chance + 0.06
    assert "speakers" in presence_probe(vectors, present, ["one"] * COUNT).failed


def test_presence_does_not_lean_on_who_speaks():
    # The answer is the speaker's; a probe that has not met the speaker cannot know it.
    present = np.array([[n % 6 % 2 == 0] for n in range(COUNT)])
    speakers = np.eye(6)[np.arange(COUNT) % 6] * 9
    assert presence_probe(speakers, present, SPEAKERS).value < 0.75


def test_numbers_are_told_and_the_mean_alone_gives_nothing():
    vectors = noise(COUNT, 3)
    numbers = 5 + vectors @ [1.0, -2.0, 0.5]
    told = number_probe(vectors, numbers, CLIPS, SPEAKERS)
    assert told.value == pytest.approx(1.0, abs=0.01)
    assert told.low <= told.value <= told.high <= 1
    assert told.chance == 0.0
    assert number_probe(noise(COUNT, 3, seed=5), numbers, CLIPS, SPEAKERS).value < 0.05
    constant = number_probe(np.ones((COUNT, 3)), numbers, CLIPS, SPEAKERS)
    assert constant.value == pytest.approx(0.0, abs=1e-9)
    assert "the same" in number_probe(vectors, np.ones(COUNT), CLIPS, SPEAKERS).failed


def test_clips_are_what_is_drawn():
    vectors = noise(COUNT, 1)
    numbers = vectors[:, 0] + noise(COUNT, seed=3)
    rows = np.repeat(np.arange(COUNT), 20)
    once = number_probe(vectors, numbers, CLIPS, SPEAKERS)
    often = number_probe(
        vectors[rows], numbers[rows], [CLIPS[n] for n in rows], [SPEAKERS[n] for n in rows]
    )
    assert often.count == COUNT
    # Twenty copies of each frame make nothing surer.
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.2)


def test_above_chance():
    assert above_chance(Estimate(0.75).over(0.5)) == 0.5
    assert above_chance(Estimate(0.25).over(0.5)) == -0.5
    assert above_chance(Estimate(failed="nothing")) is None
