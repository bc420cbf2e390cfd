"""The grouped distance-Gumbel quantizer."""

import math

import pytest
import torch

from unisono.quantize.gumbel import SHARPNESS, GumbelQuantizer, gumbel_temperature


@pytest.fixture
def quantizer():
    torch.manual_seed(0)
    return GumbelQuantizer(dim=6, groups=2, codes=5)


def by_hand(quantizer, x):
    """Nearest rows by a loop over groups and codes."""
    codes, rows = [], []
    for group, part in enumerate(x.split(3)):
        distances = [float((part - row).square().sum()) for row in quantizer.codebook[group]]
        codes.append(distances.index(min(distances)))
        rows.append(quantizer.codebook[group, codes[-1]])
    return codes, torch.cat(rows)


def test_nearest_rows_of_each_group(quantizer):
    x = torch.randn(4, 7, 6)
    with torch.no_grad():
        made = quantizer(x)
        assert made.codes.shape == (4, 7, 2) and made.vectors.shape == x.shape
        for item in range(4):
            for frame in range(7):
                codes, rows = by_hand(quantizer, x[item, frame])
                assert made.codes[item, frame].tolist() == codes
                assert torch.equal(made.vectors[item, frame], rows)
        assert torch.equal(quantizer.encode(x), made.codes)
        assert torch.equal(quantizer.lookup(made.codes), made.vectors)
    assert len(made.codes.unique()) == 5


def test_drawn_rows_are_rows_and_both_sides_learn(quantizer):
    x = torch.randn(50, 6, requires_grad=True)
    made = quantizer(x, temperature=1.0)
    torch.testing.assert_close(made.vectors, quantizer.lookup(made.codes))
    (made.vectors * torch.randn(50, 6)).sum().backward()
    assert (x.grad.abs().sum(1) > 0).all()
    # Every row, not only those drawn, and both groups.
    assert (quantizer.codebook.grad.abs().sum(-1) > 0).all()


def test_a_low_temperature_draws_as_often_as_distances_say(quantizer):
    """Gumbel's maximum draws code c with the probability of the softmax over logits."""
    x = torch.randn(6) * 0.3
    with torch.no_grad():
        drawn = quantizer(x.expand(20_000, 6), temperature=0.5).codes
        for group, part in enumerate(x.split(3)):
            logits = -SHARPNESS * (part - quantizer.codebook[group]).square().sum(-1)
            shares = torch.bincount(drawn[:, group], minlength=5) / len(drawn)
            torch.testing.assert_close(shares, logits.softmax(0), atol=0.015, rtol=0)


def test_bits_known_by_hand():
    quantizer = GumbelQuantizer(dim=2, groups=2, codes=4)
    with torch.no_grad():
        quantizer.codebook[:] = torch.tensor([[-9.0], [-3.0], [3.0], [9.0]])
        even = torch.tensor([-9.0, -3.0, 3.0, 9.0])
        # Group 0 uses all four rows alike: 2 bits. Group 1 uses one row for 3 in 4: 0.811 bits.
        x = torch.stack([even, torch.tensor([3.0, 3.0, 3.0, -9.0])], dim=1)
        bits = float(quantizer(x).bits)
    by_hand = 2 - 0.75 * math.log2(0.75) - 0.25 * math.log2(0.25)
    assert bits == pytest.approx(by_hand, abs=1e-4)


def test_bits_have_finite_gradients_where_codes_are_never_used(quantizer):
    with torch.no_grad():
        quantizer.codebook[:, 1:] += 100
    x = torch.randn(9, 6, requires_grad=True)
    quantizer(x, 1.0).bits.backward()
    assert torch.isfinite(x.grad).all() and torch.isfinite(quantizer.codebook.grad).all()


def test_rate_can_be_pushed_either_way(quantizer):
    x = torch.randn(64, 6)
    optimizer = torch.optim.Adam(quantizer.parameters(), 0.05)
    before = float(quantizer(x).bits)
    for aim in (1.0, 4.0):
        for _ in range(80):
            optimizer.zero_grad()
            off = (quantizer(x, 1.0).bits - aim).abs()
            off.backward()
            optimizer.step()
        assert float(quantizer(x).bits) == pytest.approx(aim, abs=0.3) != before


def test_temperature_schedule():
    assert gumbel_temperature(0) == 2.0
    assert gumbel_temperature(10**6) == pytest.approx(2 * 0.9999995**1e6)
    assert gumbel_temperature(10**8) == 0.5
    assert (
        gumbel_temperature(2, 1.0, 0.5, 0.2) == 0.25 and gumbel_temperature(3, 1, 0.5, 0.2) == 0.2
    )


def test_groups_must_divide_the_vector():
    with pytest.raises(ValueError, match="7 numbers cannot be split into 2"):
        GumbelQuantizer(7, 2, 4)
