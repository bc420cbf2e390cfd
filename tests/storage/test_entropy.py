"""Code statistics: counts, entropies, whole-number distributions, files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tests.storage.coded_tokens import LAYOUT, golden_statistics, golden_tokens

from unisono.errors import ModelError, TokenError
from unisono.storage.entropy import PRECISION, CodeStatistics, model_statistics
from unisono.tokens import AudioTokens, TokenLayout, TokenStream

ONE = TokenLayout((TokenStream("audio", 25, 1, 8),))


def one(codes, layout: TokenLayout = ONE, model: str = "m") -> AudioTokens:
    return AudioTokens({"audio": codes}, len(codes) * 640, 16_000, layout, model)


def chain(states: int, frames: int, seed: int) -> list[int]:
    """Codes of which each is followed by one of two, where all together come equally often."""
    steps = np.random.default_rng(seed).integers(0, 2, frames)
    codes = [0]
    for step in steps[1:]:
        codes.append((2 * codes[-1] + int(step)) % states)
    return codes


def test_counts_and_entropy() -> None:
    statistics = CodeStatistics.of([one([0, 1, 0, 1]), one([0, 1, 2, 3])])
    np.testing.assert_array_equal(statistics.counts["audio"], [[[3, 3, 1, 1, 0, 0, 0, 0]]])
    bits = -2 * 3 / 8 * np.log2(3 / 8) + 2 / 8 * 3
    assert statistics.bits_per_frame == {"audio": pytest.approx(bits)}
    assert statistics.bits_per_second == pytest.approx(25 * bits)
    assert statistics.bits_once == 0 and statistics.model == "m"


def test_entropy_of_all_groups_and_of_what_comes_once() -> None:
    layout = TokenLayout((TokenStream("once", None, 1, 4), TokenStream("audio", 10, 2, 4)))
    items = [
        AudioTokens({"once": [k], "audio": [[0, 1, 2, 3], [0, 0, 1, 1]]}, 6400, 16_000, layout)
        for k in (0, 1)
    ]
    statistics = CodeStatistics.of(items)
    assert statistics.bits_once == pytest.approx(1)
    assert statistics.bits_per_frame["audio"] == pytest.approx(3)
    assert statistics.bits_per_second == pytest.approx(30)


def test_contexts_gather_codes_that_are_followed_alike() -> None:
    layout = TokenLayout((TokenStream("audio", 25, 1, 16),))
    statistics = CodeStatistics.of([one(chain(16, 20_000, 0), layout)], contexts=8)
    contexts = statistics.contexts["audio"][0]
    # Codes c and c + 8 are followed by 2c and 2c + 1, both modulo 16.
    np.testing.assert_array_equal(contexts[:8], contexts[8:])
    assert len(set(contexts.tolist())) == 8
    assert statistics.counts["audio"].shape == (1, 9, 16)
    assert statistics.counts["audio"][0, -1].sum() == 1
    after = statistics.frequencies("audio", 0, int(contexts[3]))
    assert after[6] + after[7] > 0.9 * (1 << PRECISION)
    assert statistics.bits_per_frame["audio"] == pytest.approx(4, abs=0.01)


def test_contexts_only_where_they_make_sense() -> None:
    statistics = CodeStatistics.of([golden_tokens()], contexts=33)
    assert not statistics.contexts and statistics.counts["audio"].shape == (2, 1, 64)
    with pytest.raises(TokenError, match="contexts must lie in 1 to 65535, got 0"):
        CodeStatistics.of([golden_tokens()], contexts=0)


@settings(deadline=None)
@given(
    st.integers(2, 3000),
    st.sampled_from([0, 1, 1000, 2**32 - 1]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_frequencies_leave_no_code_out(size: int, top: int, contexts: bool, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    rows = 3 if contexts else 1
    counts = numbers.integers(0, top, (1, rows, size), dtype=np.uint32, endpoint=True)
    layout = TokenLayout((TokenStream("audio", 25, 1, size),))
    kinds = {"audio": numbers.integers(0, 2, (1, size)).astype(np.uint16)} if contexts else {}
    statistics = CodeStatistics(layout, {"audio": counts}, kinds)
    for context in [None, 0, 1] if contexts else [None]:
        found = statistics.frequencies("audio", 0, context)
        assert found.min() >= 1 and int(found.sum()) == 1 << PRECISION
    share = (counts[0].sum(axis=0) + 0.5) / (counts.sum(dtype=np.float64) + size / 2)
    expected = share * 2**PRECISION
    np.testing.assert_allclose(statistics.frequencies("audio", 0), expected, rtol=0.01, atol=size)


def test_file_and_back(tmp_path: Path) -> None:
    statistics = golden_statistics()
    statistics.save(tmp_path / "codes.safetensors")
    for place in (tmp_path, tmp_path / "codes.safetensors"):
        back = CodeStatistics.load(place)
        assert (back.layout, back.model, back.digest) == (LAYOUT, "golden", statistics.digest)
        for name, array in statistics.counts.items():
            np.testing.assert_array_equal(back.counts[name], array)
        np.testing.assert_array_equal(back.contexts["audio"], statistics.contexts["audio"])
    assert model_statistics(tmp_path, LAYOUT).digest == statistics.digest
    assert model_statistics(tmp_path / "elsewhere", LAYOUT) is None
    with pytest.raises(ModelError, match="another layout than the model's"):
        model_statistics(tmp_path, ONE)


def test_large_counts_come_back(tmp_path: Path) -> None:
    counts = np.array([[[2**32 - 1, 0, 3, 4, 5, 6, 7, 8]]], dtype=np.uint32)
    CodeStatistics(ONE, {"audio": counts}).save(tmp_path / "c")
    np.testing.assert_array_equal(CodeStatistics.load(tmp_path / "c").counts["audio"], counts)


def test_the_digest_is_of_counts_and_contexts() -> None:
    base = golden_statistics()
    assert base.digest == "9371211ba749aa8d"
    counts = {name: array.copy() for name, array in base.counts.items()}
    counts["once"][1, 0, 5] += 1
    contexts = {"audio": (base.contexts["audio"] + 1) % 4}
    others = [
        CodeStatistics(LAYOUT, counts, base.contexts),
        CodeStatistics(LAYOUT, base.counts, contexts),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 3


def test_tokens_that_cannot_be_counted_together() -> None:
    with pytest.raises(TokenError, match="at least one item"):
        CodeStatistics.of([])
    with pytest.raises(TokenError, match="one layout and one model"):
        CodeStatistics.of([one([1]), one([1], model="other")])
    with pytest.raises(TokenError, match="one layout and one model"):
        CodeStatistics.of([one([1]), golden_tokens()])


@pytest.mark.parametrize(
    ("counts", "contexts"),
    [
        ({}, {}),
        ({"audio": np.ones((1, 1, 7), np.uint32)}, {}),
        ({"audio": np.ones((1, 8), np.uint32)}, {}),
        ({"audio": np.ones((1, 1, 8), np.int64)}, {}),
        ({"audio": np.ones((1, 3, 8), np.uint32)}, {}),
        ({"audio": np.ones((1, 1, 8), np.uint32)}, {"audio": np.zeros((1, 8), np.uint16)}),
        ({"audio": np.ones((1, 3, 8), np.uint32)}, {"audio": np.full((1, 8), 2, np.uint16)}),
        ({"audio": np.ones((1, 3, 8), np.uint32)}, {"other": np.zeros((1, 8), np.uint16)}),
    ],
)
def test_counts_that_do_not_fit_the_layout(counts, contexts) -> None:
    with pytest.raises(TokenError, match="code statistics"):
        CodeStatistics(ONE, counts, contexts)


def test_a_codebook_too_large_for_statistics() -> None:
    layout = TokenLayout((TokenStream("audio", 25, 1, 2**20 + 1),))
    with pytest.raises(TokenError, match="1048577 codes; statistics are kept for at most 1048576"):
        CodeStatistics.of([one([0, 1], layout)])


def test_files_that_are_no_statistics(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none does not exist; give a model folder"):
        CodeStatistics.load(tmp_path / "none")
    golden_statistics().save(tmp_path / "c")
    whole = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(whole[:-5])
    with pytest.raises(ModelError, match="is not a whole file of code statistics"):
        CodeStatistics.load(tmp_path / "c")
    save_file({"audio.counts": np.ones((1, 1, 8), np.uint32)}, tmp_path / "foreign")
    with pytest.raises(ModelError, match=r"foreign is not a whole file of code statistics"):
        CodeStatistics.load(tmp_path / "foreign")
