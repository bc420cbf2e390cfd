"""The convolution token encoder (ours) inside a flow decoder."""

from __future__ import annotations

import pytest
import torch

from unisono.errors import ConfigError
from unisono.synthesis.convolution import TokenConvolutions
from unisono.synthesis.flow import FlowDecoder

CONFIG = {
    "input_size": 24,
    "output_size": 20,
    "spk_embed_dim": 0,
    "vocab_size": 32,
    "encoder_kind": "convolution",
    "encoder": {"input_size": 24, "output_size": 10, "frames": 4, "width": 16, "layers": 2},
    "length_regulator": {"channels": 20, "sampling_ratios": [1]},
    "mel": {"rate": 16000, "hop": 256, "mean": -4.0, "std": 2.0},
    "decoder": {
        "estimator": {
            "in_channels": 60,
            "out_channels": 20,
            "channels": [16, 16],
            "attention_head_dim": 8,
            "n_blocks": 1,
            "num_mid_blocks": 1,
            "num_heads": 2,
        }
    },
}


@pytest.fixture
def flow():
    torch.manual_seed(0)
    return FlowDecoder.from_reference(CONFIG).eval()


def test_a_batch_is_its_items_alone(flow):
    lengths = torch.tensor([9, 23, 16])
    ids = torch.randint(0, 32, (3, 23))
    together = flow.mel(ids, lengths=lengths, steps=2)
    for row, count in enumerate(lengths.tolist()):
        alone = flow.mel(ids[row : row + 1, :count], steps=2)
        frames = alone.shape[2]
        assert frames == flow.frames(count)
        torch.testing.assert_close(together[row, :, :frames], alone[0], rtol=0, atol=1e-5)
        assert not together[row, :, frames:].any()


def test_each_token_gives_its_own_frames(flow):
    """Changing the last token leaves frames out of the convolutions' reach as they were."""
    ids = torch.randint(0, 31, (1, 40))
    other = ids.clone()
    other[0, -1] = 31
    mask = torch.ones(1, 40)
    states = [flow.encoder(flow.input_embedding(x), mask) for x in (ids, other)]
    difference = (states[0] - states[1]).abs().amax((0, 2))
    assert not difference[: 40 - 1 - 2 * 2].any()  # two layers of five tokens reach four back
    assert difference[-5:].all()


def test_the_encoder_stages_head_fits(flow):
    head = TokenConvolutions(24, 40, width=16, layers=2)
    flow.encoder.load_state_dict(head.state_dict())


def test_a_wrong_key_is_named():
    wrong = {**CONFIG, "encoder": {**CONFIG["encoder"], "kernel": 3}}
    with pytest.raises(ConfigError, match="kernel"):
        FlowDecoder.from_reference(wrong)


def test_a_late_start_stays_near_the_prior(flow):
    """The later sampling starts, the less can come between μ and the result."""
    ids = torch.randint(0, 32, (1, 25))
    prior = flow.mel(ids, steps=1, guidance=0.0, start=0.999999, temperature=0.0)
    distances = [
        float((flow.mel(ids, steps=4, start=start) - prior).abs().mean())
        for start in (0.0, 0.5, 0.9, 0.99)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 * distances[0]


def test_no_noise_makes_seeds_alike(flow):
    ids = torch.randint(0, 32, (1, 25))
    cold = [flow.mel(ids, steps=2, seed=s, temperature=0.0) for s in (1, 2)]
    warm = [flow.mel(ids, steps=2, seed=s) for s in (1, 2)]
    assert torch.equal(*cold)
    assert not torch.equal(*warm)


@pytest.mark.parametrize("start", [-0.1, 1.0])
def test_an_impossible_start_is_refused(flow, start):
    with pytest.raises(ConfigError, match="start"):
        flow.mel(torch.zeros(1, 5, dtype=torch.long), start=start)


def test_a_path_that_begins_at_the_prior():
    """Without noise, and with a network that has learnt to stay, the result is μ itself."""
    torch.manual_seed(0)
    decoder = {**CONFIG["decoder"], "cfm_params": {"prior_sigma": 0.5, "training_cfg_rate": 0.0}}
    flow = FlowDecoder.from_reference({**CONFIG, "decoder": decoder}).eval()
    torch.nn.init.zeros_(flow.estimator.final_proj.weight)
    torch.nn.init.zeros_(flow.estimator.final_proj.bias)
    ids = torch.randint(0, 32, (1, 25))
    cold = flow.mel(ids, steps=2, temperature=0.0, guidance=0.0)
    lengths, frames = torch.tensor([25]), torch.tensor([flow.frames(25)])
    loss = flow.loss(ids, lengths, cold, frames)
    torch.testing.assert_close(loss.mu * 2.0 - 4.0, cold, rtol=0, atol=1e-4)
    # The target is then the noise alone, with its sign turned: its variance is the loss.
    losses = [flow.loss(ids, lengths, cold, frames).flow for _ in range(30)]
    assert 0.9 * 0.25 < torch.stack(losses).mean() < 1.1 * 0.25
    warm = flow.mel(ids, steps=2, guidance=0.0)
    deviation = ((warm - cold) / 2.0).std()
    assert 0.9 * 0.5 < deviation < 1.1 * 0.5
