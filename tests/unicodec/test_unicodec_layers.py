"""Layers that mix frames: pieces equal the whole, and causal ones see nothing later."""

import pytest
import torch
from torch import nn

from unisono.unicodec.layers import (
    DilatedTaps,
    InstanceNorm,
    Recurrent,
    SpectralConv,
    SpectralDeconv,
    TemporalBlock,
)
from unisono.unicodec.state import StreamState

CUTS = (3, 1, 5, 1, 1, 4)


def instance(channels=4, causal=True, affine=True):
    norm = InstanceNorm(channels, causal, prior=5.0, affine=affine)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter += torch.randn_like(parameter)
    return norm


def seen_batch(channels, kind=nn.BatchNorm1d):
    norm = kind(channels).eval()
    norm.running_mean += torch.randn(channels)
    norm.running_var *= torch.rand(channels) + 0.5
    return norm


def block(causal=True):
    return TemporalBlock(4, 6, 2, causal, (instance(6, causal), seen_batch(6)))


LAYERS = {
    "norm": (instance, (4, 15)),
    "norm of spectra": (instance, (4, 15, 7)),
    "plain norm": (lambda: instance(affine=False), (4, 15)),
    "convolution": (lambda: SpectralConv(4, 6, 2, instance(6)), (4, 15, 9)),
    "batch-normed convolution": (
        lambda: SpectralConv(4, 6, 2, seen_batch(6, nn.BatchNorm2d)), (4, 15, 9)
    ),
    "deconvolution": (lambda: SpectralDeconv(4, 3, 4, 30, last=False).eval(), (4, 15, 8)),
    "last deconvolution": (lambda: SpectralDeconv(4, 2, 1, 8, last=True), (4, 15, 8)),
    "block": (block, (4, 15)),
    "recurrent": (lambda: Recurrent(4), (4, 15)),
}  # fmt: skip


@pytest.fixture(params=list(LAYERS))
def causal(request):
    torch.manual_seed(1)
    make, shape = LAYERS[request.param]
    return make().requires_grad_(False), 2 * torch.randn(3, *shape) + 1


def test_pieces_equal_the_whole(causal):
    layer, x = causal
    state = StreamState()
    made = torch.cat([layer(piece, state) for piece in x.split(CUTS, dim=2)], dim=2)
    torch.testing.assert_close(made, layer(x), atol=1e-5, rtol=1e-5)


def test_nothing_later_is_seen(causal):
    layer, x = causal
    changed = x.clone()
    changed[:, :, 9:] += 5
    a, b = layer(x), layer(changed)
    torch.testing.assert_close(a[:, :, :9], b[:, :, :9], atol=1e-6, rtol=1e-6)
    assert (a[:, :, 9] - b[:, :, 9]).abs().max() > 1e-3


def test_items_do_not_mix(causal):
    layer, x = causal
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("make", [lambda: instance(causal=False), lambda: block(causal=False)])
def test_without_causality_the_past_hears_the_future(make):
    torch.manual_seed(2)
    layer, x = make(), torch.randn(1, 4, 15)
    changed = x.clone()
    changed[:, :, 9:] += 5
    assert (layer(x)[:, :, 8] - layer(changed)[:, :, 8]).abs().max() > 1e-3


def test_running_moments_by_hand():
    norm = instance(2)
    x = torch.randn(1, 2, 6)
    made = norm(x)
    for channel in range(2):
        mean0 = float(norm.mean[channel])
        square0 = mean0**2 + float(norm.log_square[channel].exp())
        for frame in range(6):
            so_far = x[0, channel, : frame + 1]
            count = 5 + frame + 1
            mean = (5 * mean0 + float(so_far.sum())) / count
            square = (5 * square0 + float(so_far.square().sum())) / count
            wanted = (float(x[0, channel, frame]) - mean) / (square - mean**2 + 1e-5) ** 0.5
            wanted = wanted * float(norm.scale[channel]) + float(norm.offset[channel])
            assert float(made[0, channel, frame]) == pytest.approx(wanted, abs=1e-5)


def test_offline_norm_is_torchs_own():
    x = 3 * torch.randn(2, 4, 50) + 7
    norm = InstanceNorm(4, causal=False, prior=0.0)
    torch.testing.assert_close(norm(x), nn.functional.instance_norm(x), atol=1e-4, rtol=1e-4)
    x = torch.randn(2, 4, 9, 5)
    torch.testing.assert_close(norm(x), nn.functional.instance_norm(x), atol=1e-4, rtol=1e-4)


def test_what_lasts_is_taken_out_of_a_long_stream():
    norm = InstanceNorm(1, causal=True, prior=50.0, affine=False)
    made = norm(4 * torch.randn(1, 1, 30_000) + 10)[..., 15_000:].detach()
    assert abs(float(made.mean())) < 0.05 and float(made.std()) == pytest.approx(1, abs=0.05)


def test_taps_are_a_depthwise_convolution():
    taps = DilatedTaps(5, dilation=3)
    x = torch.randn(2, 5, 20)
    wanted = nn.functional.conv1d(
        x, taps.taps.squeeze(-1).T.unsqueeze(1), taps.bias.squeeze(-1), dilation=3, groups=5
    )
    torch.testing.assert_close(taps(x), wanted, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("bins", "stride"), [(320, 4), (37, 2), (10, 1), (5, 4)])
def test_deconvolution_gives_back_the_frequencies_of_the_convolution(bins, stride):
    down = SpectralConv(2, 3, stride, nn.Identity())
    up = SpectralDeconv(3, 2, stride, bins, last=True)
    x = torch.randn(1, 2, 6, bins)
    assert down(x).shape == (1, 3, 6, -(-bins // stride))
    assert up(down(x)).shape == x.shape
