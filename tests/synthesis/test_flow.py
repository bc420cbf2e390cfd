"""The flow decoder against the reference's numbers, and its own promises."""

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from unisono.errors import ConfigError, ModelError, TokenError
from unisono.synthesis import FlowDecoder
from unisono.synthesis.conformer import relative_shift
from unisono.synthesis.masks import MaskedGroupNorm
from unisono.synthesis.regulator import stretch

FILES = sorted((Path(__file__).parents[1] / "golden").glob("flow_*.safetensors"))


def read_golden(path):
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    state = {k[6:]: v for k, v in tensors.items() if k.startswith("state.")}
    return config, state, tensors


def load(path):
    config, state, tensors = read_golden(path)
    flow = FlowDecoder.from_reference(config).eval()
    flow.load_reference_state(state)
    return flow, tensors


def by_name(name):
    return next(f for f in FILES if name in f.name)


@pytest.fixture(scope="module", params=["conformer_prompt7", "block_chunk1", "conformer_chunk4"])
def loaded(request):
    return load(by_name(request.param))


def test_all_goldens_are_there():
    assert len(FILES) == 6


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.parametrize("turned", [False, True])
def test_golden(path, turned):
    flow, t = load(path)
    prompt = t.get("in.prompt_feat")
    if prompt is not None and turned:
        prompt = prompt.transpose(1, 2)
    mel = flow.mel(
        t["in.token"], prompt_ids=t.get("in.prompt_token"), prompt_mel=prompt,
        speaker=t["in.embedding"], noise=t["in.noise"], steps=10,
    )  # fmt: skip
    want = t["out.mel"]
    assert mel.shape == want.shape
    assert (mel - want).abs().max() <= 1e-5 * want.abs().max()


@pytest.mark.parametrize("prompted", [False, True])
def test_batch_equals_alone(loaded, prompted):
    flow, t = loaded
    generator = torch.Generator().manual_seed(0)
    lengths = [31, 8, 17, 2]
    ids = torch.randint(0, 64, (4, 31), generator=generator)
    prompt = {}
    if prompted:
        prompt = {
            "prompt_ids": t["in.prompt_token"].expand(4, -1),
            "prompt_mel": t["in.prompt_feat"].expand(4, -1, -1),
        }
    speaker = torch.randn(4, 192, generator=generator)
    together = flow.mel(
        ids, speaker=speaker, lengths=torch.tensor(lengths), seed=[5, 6, 7, 8], steps=4, **prompt
    )
    for i, n in enumerate(lengths):
        one = {k: v[i : i + 1] for k, v in prompt.items()}
        alone = flow.mel(ids[i : i + 1, :n], speaker=speaker[i : i + 1], seed=5 + i, steps=4, **one)
        size = alone.shape[2]
        assert (together[i, :, :size] - alone[0]).abs().max() <= 1e-5 * alone.abs().max()
        assert together[i, :, size:].eq(0).all()


def test_frames():
    flow = load(by_name("conformer_prompt0"))[0]
    for tokens in (1, 7, 25, 31, 128, 750, 4480):
        assert flow.frames(tokens) == tokens * 22050 // (25 * 256)


def test_seed_is_the_references_noise_and_repeats(loaded):
    flow, t = loaded
    ids = t["in.token"]
    noise = torch.randn(1, 20, flow.frames(31), generator=torch.Generator().manual_seed(42))
    a, b = flow.mel(ids, steps=2), flow.mel(ids, steps=2)
    assert torch.equal(a, b)
    assert torch.equal(a, flow.mel(ids, steps=2, noise=noise))
    assert not torch.allclose(a, flow.mel(ids, steps=2, seed=1))


def test_guidance_batched_equals_two_passes(loaded):
    flow, t = loaded
    ids = t["in.token"]
    plain, strong = flow.mel(ids, steps=1, guidance=0), flow.mel(ids, steps=1, guidance=2.0)
    weak = flow.mel(ids, steps=1, guidance=1.0)
    # One Euler step is linear in the guidance weight.
    assert torch.allclose(strong - plain, 2 * (weak - plain), atol=1e-4)
    assert not torch.allclose(plain, weak)


def test_guidance_interval(loaded):
    flow, t = loaded
    ids = t["in.token"]
    full, none = flow.mel(ids, steps=4), flow.mel(ids, steps=4, guidance=0)
    part = flow.mel(ids, steps=4, guidance_interval=(0.2, 0.6))
    assert torch.equal(flow.mel(ids, steps=4, guidance_interval=(0, 1)), full)
    assert torch.equal(flow.mel(ids, steps=4, guidance_interval=(2, 3)), none)
    assert not torch.allclose(part, full) and not torch.allclose(part, none)


def test_loss_gives_gradients_everywhere_and_ignores_padding():
    config, _, t = read_golden(by_name("conformer_prompt0"))
    config["encoder"] |= {k: 0.0 for k in config["encoder"] if k.endswith("dropout_rate")}
    torch.manual_seed(0)
    flow = FlowDecoder.from_reference(config).train()
    mel = torch.randn(3, 20, 106)
    ids, lengths = t["in.token"].expand(3, -1).clone(), torch.tensor([31, 20, 9])
    mel_lengths = torch.tensor([106, 68, 31])

    def run(ids, mel):
        generator = torch.Generator().manual_seed(3)
        return flow.loss(ids, lengths, mel, mel_lengths, torch.ones(3, 192), generator)

    first = run(ids, mel)
    (first.flow + first.prior).backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert first.mu.shape == mel.shape and 0.5 < first.flow.item() < 20
    other_mel, other_ids = mel.clone(), ids.clone()
    other_mel[1, :, 68:], other_ids[2, 9:] = 9.0, 5
    second = run(other_ids, other_mel)
    assert torch.allclose(first.flow, second.flow, rtol=1e-5)
    assert torch.allclose(first.prior, second.prior, rtol=1e-5)


def test_loss_learns_one_item():
    config, _, t = read_golden(by_name("conformer_prompt0"))
    torch.manual_seed(0)
    flow, mel = FlowDecoder.from_reference(config).train(), torch.randn(1, 20, 106)
    optimizer = torch.optim.Adam(flow.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    seen = []
    for _ in range(120):
        loss = flow.loss(
            t["in.token"], torch.tensor([31]), mel, torch.tensor([106]), generator=generator
        )
        optimizer.zero_grad()
        (loss.flow + loss.prior).backward()
        optimizer.step()
        seen.append((loss.flow + loss.prior).item())
    assert sum(seen[-40:]) < 0.75 * 40 * seen[0]


def test_without_speaker():
    config, _, t = read_golden(by_name("conformer_prompt0"))
    config["spk_embed_dim"] = 0
    with pytest.raises(ConfigError, match="60 input and 20 output"):
        FlowDecoder.from_reference(config)
    config["decoder"]["estimator"]["in_channels"] = 60
    flow = FlowDecoder.from_reference(config).eval()
    assert flow.mel(t["in.token"], steps=2).shape == (1, 20, 106)


def test_mel_setting_gives_the_frames():
    config, _, t = read_golden(by_name("conformer_prompt0"))
    flow = FlowDecoder.from_reference(config | {"mel": {"rate": 16000, "hop": 160}}).eval()
    assert flow.mel(t["in.token"], steps=1).shape == (1, 20, 124)


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("colour",), 1, "unknown keys: colour"),
        (("encoder_kind",), "lstm", "'conformer' or 'block'"),
        (("encoder", "macaron_style"), True, "macaron_style"),
        (("encoder", "unheard"), 1, "unknown key: unheard"),
        (("encoder", "block_size"), 5, "block_size"),
        (("encoder", "attention_heads"), 5, "divide"),
        (("encoder", "input_size"), 16, "input_size"),
        (("length_regulator", "x"), 1, "unknown keys: x"),
        (("decoder", "x"), 1, "unknown keys: x"),
        (("decoder", "cfm_params", "x"), 1, "unknown keys: x"),
        (("decoder", "estimator", "x"), 1, "unknown keys: x"),
        (("decoder", "estimator", "act_fn"), "snakebeta", "snakebeta"),
        (("decoder", "estimator", "channels"), [12], "multiples of 8"),
        (("mel",), {"rate": 1}, "rate and hop"),
    ],
)
def test_bad_config_is_refused(path, value, words):
    config = copy.deepcopy(read_golden(by_name("conformer_prompt0"))[0])
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError, match=words):
        FlowDecoder.from_reference(config)


def test_bad_calls_are_refused(loaded):
    flow, t = loaded
    ids = t["in.token"]
    with pytest.raises(TokenError, match="Token 64 is out of range"):
        flow.mel(torch.full((1, 3), 64))
    with pytest.raises(TokenError, match="belong together"):
        flow.mel(ids, prompt_ids=t["in.prompt_token"])
    with pytest.raises(TokenError, match="20 mel channels"):
        flow.mel(ids, prompt_ids=t["in.prompt_token"], prompt_mel=torch.zeros(1, 24, 21))
    with pytest.raises(ConfigError, match="solver 'rk9'"):
        flow.mel(ids, solver="rk9")
    with pytest.raises(ConfigError, match="at least 1"):
        flow.mel(ids, steps=0)
    state = dict(flow.state_dict())
    state["surprise"] = state.pop("encoder_proj.bias")
    with pytest.raises(ModelError, match=r"missing: encoder_proj\.bias.*unknown: surprise"):
        flow.load_reference_state(state)


def test_relative_shift_picks_the_offset():
    size = 6
    offsets = torch.arange(size - 1, -size, -1).float().expand(1, 2, size, -1)
    i = torch.arange(size).float()
    assert torch.equal(relative_shift(offsets)[0, 1], i[:, None] - i)


def test_stretch_equals_torch_interpolation():
    for n in range(1, 80):
        x = torch.arange(n).float()[None, :, None]
        for frames in (int(n * 3.4453125) + 1, 2 * n, n, max(1, n // 2)):
            want = torch.nn.functional.interpolate(x.transpose(1, 2), frames, mode="nearest")
            got = stretch(x, torch.tensor([n]), torch.tensor([frames]))
            assert torch.equal(got.transpose(1, 2), want)


def test_masked_group_norm_equals_the_plain_one_on_each_item():
    norm = MaskedGroupNorm(4, 8)
    torch.nn.init.normal_(norm.weight)
    x, mask = torch.randn(2, 8, 10), torch.ones(2, 1, 10)
    mask[1, :, 6:] = 0
    out = norm(x, mask)
    assert torch.allclose(out[:1], norm(x[:1]), atol=1e-5)
    assert torch.allclose(out[1:, :, :6], norm(x[1:, :, :6]), atol=1e-5)
