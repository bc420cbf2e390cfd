import numpy as np
import pytest

from unisono.evaluation.metrics.bootstrap import (
    balanced_of,
    difference_of,
    mean_of,
    missing,
    ratio_of,
)


def test_mean_of_right_and_wrong_has_the_interval_of_the_normal_approximation():
    right = np.array([1.0] * 60 + [0.0] * 40)
    figure = mean_of(right)
    assert (figure.value, figure.count) == (0.6, 100)
    assert figure.low == pytest.approx(0.6 - 1.96 * np.sqrt(0.24 / 100), abs=0.02)
    assert figure.high == pytest.approx(0.6 + 1.96 * np.sqrt(0.24 / 100), abs=0.02)
    assert figure == mean_of(right), "the draws are fixed"


def test_intervals_narrow_with_more_clips():
    few, many = mean_of([0, 1] * 10), mean_of([0, 1] * 1000)
    assert few.high - few.low > 5 * (many.high - many.low)


def test_corpus_rates_weigh_clips_by_their_words():
    figure = ratio_of([1, 8], [10, 10])
    assert figure.value == 9 / 20
    assert (figure.low, figure.high) == (0.1, 0.8)
    assert ratio_of([0, 4], [90, 10]).value == 0.04
    assert ratio_of([], []).value is None and ratio_of([], []).failed
    # Draws without any word are left out.
    assert ratio_of([1, 0], [2, 0]).low == 0.5


def test_balanced_figures_count_each_class_alike():
    figure = balanced_of([True] * 9 + [False], ["a"] * 9 + ["b"])
    assert (figure.value, figure.low, figure.high, figure.count) == (0.5, 0.5, 0.5, 10)
    uneven = balanced_of([1, 0, 1, 1], ["a", "a", "b", "b"])
    assert uneven.value == 0.75
    assert (uneven.low, uneven.high) == (0.5, 1.0)
    assert balanced_of([], []).value is None


def test_difference_of_two_groups():
    random = np.random.default_rng(0)
    here, there = random.normal(1.0, 1.0, 400), random.normal(0.0, 1.0, 100)
    figure = difference_of(here, there)
    width = 1.96 * np.sqrt(1 / 400 + 1 / 100)
    assert figure.value == pytest.approx(here.mean() - there.mean())
    assert figure.high - figure.low == pytest.approx(2 * width, rel=0.15)
    assert figure.count == 500
    assert difference_of([], there).failed


def test_texts_and_dicts():
    figure = mean_of([0.25, 0.25]).over(0.5)
    assert figure.text(2) == "0.25 [0.25, 0.25]"
    assert figure.to_dict() == {"value": 0.25, "low": 0.25, "high": 0.25, "count": 2, "chance": 0.5}
    assert missing("no clip").text() == "–"
    assert missing("no clip").to_dict()["failed"] == "no clip"
