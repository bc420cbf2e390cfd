import numpy as np
import pytest

from unisono.evaluation.metrics.cer import character_errors
from unisono.evaluation.metrics.clustering import (
    cluster_report,
    kmeans,
    purity,
    silhouette,
    token_histograms,
)
from unisono.evaluation.metrics.wer import WordErrors
from unisono.evaluation.result import MetricError
from unisono.tokens import AudioTokens, TokenLayout, TokenStream


def tokens(codes, rate=25.0, size=4):
    codes = np.atleast_2d(np.array(codes, np.int32))
    layout = TokenLayout((TokenStream("audio", rate, len(codes), size),))
    samples = round(codes.shape[1] / rate * 16_000)
    return AudioTokens({"audio": codes}, samples, 16_000, layout, "m")


def two_tight_classes():
    return np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]]), ["a", "a", "b", "b"]


def test_histograms_count_codes_and_sum_to_one():
    found = token_histograms([tokens([0, 0, 3, 1]), tokens([2, 2])])
    np.testing.assert_array_equal(found, [[0.5, 0.25, 0, 0.25], [0, 0, 1, 0]])


def test_histograms_of_several_codebooks_stand_side_by_side():
    (found,) = token_histograms([tokens([[0, 0], [1, 0]], size=2)])
    np.testing.assert_array_equal(found, [0.5, 0, 0.25, 0.25])


@pytest.mark.parametrize(
    ("clusters", "labels", "expected"),
    [
        ([0, 0, 0, 1, 1, 1], "aabbba", 4 / 6),
        ([0, 1, 2, 3], "aabb", 1.0),  # as many clusters as items: always pure
        ([0, 0, 0, 0], "aaab", 3 / 4),
        ([5, 5, 7, 7], "abab", 1 / 2),
    ],
)
def test_purity_by_hand(clusters, labels, expected):
    assert purity(clusters, list(labels)) == expected


def test_silhouette_by_hand():
    # All distances are multiples of √2: own class 0.1; other class 0.95 and 0.85 on average.
    expected = ((0.95 - 0.1) / 0.95 + (0.85 - 0.1) / 0.85) / 2
    assert silhouette(*two_tight_classes()) == pytest.approx(expected)
    mixed = (two_tight_classes()[0], ["a", "b", "b", "a"])
    # Each item: the other one of its class is 0.9 or 0.8·√2 … away, the other class' two nearer.
    a = np.array([0.9, 0.9, 0.9, 0.9])  # 0 to 3, 1 to 2, 2 to 1, 3 to 0
    b = np.array([0.1 + 1.0, 0.1 + 0.8, 1.0 + 0.1, 0.8 + 0.1]) / 2
    assert silhouette(*mixed) == pytest.approx(np.mean((b - a) / np.maximum(a, b)))


def test_cosine_silhouette_by_hand():
    near = 1 - 0.9 / np.sqrt(0.82)
    cross = 1 - 0.18 / 0.82  # of (0.9, 0.1) and (0.1, 0.9)
    outer = (1 + (1 - 0.1 / np.sqrt(0.82))) / 2
    inner = ((1 - 0.1 / np.sqrt(0.82)) + cross) / 2
    expected = ((outer - near) / outer + (inner - near) / inner) / 2
    assert silhouette(*two_tight_classes(), "cosine") == pytest.approx(expected)


def test_cosine_clusters_compare_directions_and_euclidean_ones_lengths_too():
    # Rows of two classes that use ten codes each are short, so near each other; two clips of almost
    # one code each are far apart, though only they have a code in common.
    wide = np.repeat(np.eye(2), 10, axis=1) / 10
    rows = np.zeros((6, 23))
    rows[0:2, :20], rows[2:4, :20] = wide[0], wide[1]
    rows[4, 20] = rows[5, 21] = 0.9
    rows[4:, 22] = 0.1
    rows[1, :2], rows[3, 10:12] = (0.11, 0.09), (0.11, 0.09)
    labels = list("aabbcc")
    assert [purity(found, labels) for found in kmeans(rows, 3)] == [4 / 6] * 5
    assert [purity(found, labels) for found in kmeans(rows, 3, "cosine")] == [1.0] * 5


def test_report_of_separate_classes():
    histograms = np.repeat(np.eye(3), 8, axis=0) * 0.9 + 0.1 / 3
    histograms += np.random.default_rng(0).uniform(0, 0.01, histograms.shape)
    histograms /= histograms.sum(1, keepdims=True)
    found = cluster_report(histograms, [name for name in "zxy" for _ in range(8)])
    assert (found.clips, found.classes) == (24, {"x": 8, "y": 8, "z": 8})
    for distance in ("euclidean", "cosine"):
        assert found.purity[distance] == 1.0 and found.purity_std[distance] == 0.0
        assert found.silhouette[distance] > 0.9
        assert 1 / 3 < found.chance[distance] < 0.7
    assert found == cluster_report(histograms, [name for name in "zxy" for _ in range(8)])
    assert found.to_dict()["purity"] == {"euclidean": 1.0, "cosine": 1.0}


@pytest.mark.parametrize("labels", ["aaaa", "abcd", "aab"])
def test_labels_that_cannot_be_clustered_are_an_error(labels):
    with pytest.raises(MetricError, match=r"clustering needs|do not fit"):
        cluster_report(two_tight_classes()[0], list(labels))


def test_character_errors_by_hand():
    assert character_errors("The cat.", "the cat") == WordErrors(0, 0, 0, 7)
    assert character_errors("the cat", "the bat") == WordErrors(1, 0, 0, 7)
    assert character_errors("the cat", "thecat") == WordErrors(0, 1, 0, 7)
    assert character_errors("ab", "") == WordErrors(0, 2, 0, 2)
    assert character_errors("!", "ab") == WordErrors(0, 0, 2, 0)
