"""Windowed attention with rotary positions."""

import pytest
import torch

from unisono.unicodec.attention import Transformer
from unisono.unicodec.config import TransformerConfig
from unisono.unicodec.state import StreamState

CONFIG = TransformerConfig(layers=1, width=16, heads=2, window=4)


@pytest.fixture
def make():
    def build(causal=True, layers=1):
        torch.manual_seed(0)
        config = TransformerConfig(layers, CONFIG.width, CONFIG.heads, CONFIG.window)
        return Transformer(config, causal).requires_grad_(False)

    return build


def reach(transformer, frames=15, at=7):
    """Which frames of the result change with frame `at` of the input."""
    x = torch.randn(1, frames, 16)
    changed = x.clone()
    changed[:, at] += torch.randn(16)  # a constant would be taken out by the norms
    off = (transformer(x) - transformer(changed)).abs().amax((0, 2))
    return [frame for frame in range(frames) if off[frame] > 1e-6]


def test_a_frame_reaches_its_window_and_no_further(make):
    assert reach(make()) == [7, 8, 9, 10, 11]
    assert reach(make(causal=False)) == list(range(3, 12))
    assert reach(make(layers=2), frames=20) == list(range(7, 16))


@pytest.mark.parametrize("cuts", [(1,) * 20, (7, 1, 12), (20,), (4, 4, 4, 4, 4), (3, 11, 6)])
def test_pieces_equal_the_whole(make, cuts):
    transformer, x, state = make(layers=2), torch.randn(2, 20, 16), StreamState()
    made = torch.cat([transformer(piece, state) for piece in x.split(cuts, dim=1)], dim=1)
    torch.testing.assert_close(made, transformer(x), atol=1e-5, rtol=1e-5)


def test_where_an_item_begins_does_not_matter_but_order_does(make):
    transformer, x = make(), torch.randn(1, 12, 16)
    # The last frame sees the four before it and itself, wherever they stand.
    torch.testing.assert_close(
        transformer(x)[:, -1], transformer(x[:, 7:])[:, -1], atol=1e-5, rtol=1e-5
    )
    swapped = x[:, [0, 1, 2, 3, 4, 5, 6, 7, 9, 8, 10, 11]]
    assert (transformer(x)[:, -1] - transformer(swapped)[:, -1]).abs().max() > 1e-3


def test_memory_of_a_stream_is_bounded(make):
    transformer, state = make(), StreamState()
    for _ in range(30):
        transformer(torch.randn(1, 3, 16), state)
    assert state.find(transformer.layers[0], "keys").shape == (1, 2, 4, 8)
