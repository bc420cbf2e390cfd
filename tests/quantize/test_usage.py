"""Code use from counts."""

import pytest
import torch

from unisono.quantize import code_counts, code_usage


def test_counts_respect_the_mask():
    ids = torch.tensor([[0, 1, 1], [3, 3, 3]])
    assert code_counts(ids, 5).tolist() == [1, 2, 0, 3, 0]
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    assert code_counts(ids, 5, mask).tolist() == [1, 2, 0, 1, 0]


def test_even_use_has_the_perplexity_of_its_codes():
    usage = code_usage(torch.tensor([7, 7, 0, 7, 7]))
    assert (usage.used, usage.codes, usage.tokens, usage.share) == (4, 5, 28, 0.8)
    assert usage.entropy_bits == pytest.approx(2.0) and usage.perplexity == pytest.approx(4.0)


def test_uneven_and_empty_use():
    assert code_usage(torch.tensor([3, 1])).entropy_bits == pytest.approx(0.8112781)
    empty = code_usage(torch.zeros(4))
    assert (empty.used, empty.tokens, empty.entropy_bits, empty.perplexity) == (0, 0, 0.0, 1.0)
