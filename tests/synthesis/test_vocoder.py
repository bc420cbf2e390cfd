"""The HiFT vocoder against the reference's numbers, and its own promises."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from unisono.errors import ConfigError, ModelError
from unisono.synthesis import HiFTVocoder

GOLDEN = Path(__file__).parents[1] / "golden" / "hift.safetensors"


def read_golden(path):
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    state = {k[6:]: v for k, v in tensors.items() if k.startswith("state.")}
    return config, state, tensors


@pytest.fixture(scope="module")
def golden():
    config, state, tensors = read_golden(GOLDEN)
    vocoder = HiFTVocoder.from_reference(config).eval()
    vocoder.load_reference_state(state)
    return config, state, tensors, vocoder


def test_golden(golden):
    _, _, t, vocoder = golden
    with torch.no_grad():
        wave, source = vocoder(t["in.mel"], phases=t["in.phase"], noise=t["in.noise"])
        f0 = vocoder.f0(t["in.mel"])
    assert (f0 - t["out.f0"]).abs().max() <= 1e-5 * t["out.f0"].abs().max()
    assert (source - t["out.source"]).abs().max() <= 1e-4 * t["out.source"].abs().max()
    assert (wave - t["out.wav"]).abs().max() <= 1e-3 * t["out.wav"].abs().max()


def test_new_form_of_weight_norm_loads_alike(golden):
    config, state, _, vocoder = golden
    renamed = {
        k.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ).replace("source.l_linear", "m_source.l_linear"): v
        for k, v in state.items()
    }  # fmt: skip
    other = HiFTVocoder.from_reference(config)
    other.load_reference_state(renamed)
    for name, tensor in vocoder.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_missing_tensor_is_named(golden):
    config, state, _, _ = golden
    partial = {k: v for k, v in state.items() if k != "pre_conv.bias"}
    with pytest.raises(ModelError, match=r"missing: pre_conv\.bias"):
        HiFTVocoder.from_reference(config).load_reference_state(partial)


def test_given_f0_replaces_the_predicted_and_gradients_flow(golden):
    config, _, t, _ = golden
    vocoder = HiFTVocoder.from_reference(config)
    mel = t["in.mel"][:1]
    high, low = torch.full((1, 23), 300.0), torch.full((1, 23), 100.0)
    noise = torch.zeros(1, 9, 23 * 256)
    _, source = vocoder(mel, torch.zeros(1, 9, 1), noise, f0=low)
    wave, other = vocoder(mel, torch.zeros(1, 9, 1), noise, f0=high)
    assert not torch.allclose(source, other)
    wave.square().mean().backward()
    assert vocoder.pre_conv.weight.grad.abs().sum() > 0
    assert vocoder.source.l_linear.weight.grad.abs().sum() > 0
    assert vocoder.f0_predictor.classifier.weight.grad is None


def test_source_has_the_asked_pitch(golden):
    vocoder = golden[3]
    f0 = torch.full((1, 100), 220.5)
    phases, noise = torch.zeros(1, 9, 1), torch.zeros(1, 9, 100 * 256)
    linear = vocoder.source.l_linear
    with torch.no_grad():
        kept = linear.weight.clone()
        linear.weight.copy_(torch.eye(9)[:1])
        source = vocoder.source(f0, phases, noise)[0, 0]
        linear.weight.copy_(kept)
    peak = torch.fft.rfft(source * torch.hann_window(25600)).abs()[5:].argmax() + 5
    assert abs(peak.item() * 22050 / 25600 - 220.5) < 1


@pytest.mark.parametrize(
    "rates, kernels", [((4,), (8,)), ((8, 4), (16, 8)), ((2, 2, 3), (4, 4, 7))]
)
def test_any_number_of_levels(rates, kernels):
    levels = len(rates)
    vocoder = HiFTVocoder.from_reference(
        {
            "in_channels": 10, "base_channels": 16, "upsample_rates": rates,
            "upsample_kernel_sizes": kernels, "istft_params": {"n_fft": 16, "hop_len": 4},
            "source_resblock_kernel_sizes": [3] * levels,
            "source_resblock_dilation_sizes": [[1, 3]] * levels,
            "f0_predictor": {"num_class": 1, "in_channels": 10, "cond_channels": 8},
            "phase_activation": "none",
        }
    )  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        wave, source = vocoder(torch.randn(2, 10, 5), generator=generator)
    assert wave.shape == (2, 5 * vocoder.hop) and source.shape == (2, 1, 5 * vocoder.hop)
    assert wave.isfinite().all()


def test_same_generator_seed_same_wave(golden):
    _, _, t, vocoder = golden
    with torch.no_grad():
        a, b, c = (
            vocoder(t["in.mel"], generator=torch.Generator().manual_seed(s))[0] for s in (3, 3, 4)
        )
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"colour": 1}, "unknown keys: colour"),
        ({"upsample_rates": [8]}, "equally long"),
        ({"upsample_kernel_sizes": [16, 15]}, "even number"),
        ({"phase_activation": "tan"}, "'sin' or 'none'"),
        ({"resblock_kernel_sizes": [3]}, "differ in length"),
    ],
)
def test_bad_config_is_refused(golden, change, words):
    with pytest.raises(ConfigError, match=words):
        HiFTVocoder.from_reference(golden[0] | change)


def test_the_source_filter_can_be_silent_or_pass_the_source_on(golden):
    config, _, t, _ = golden
    vocoder = HiFTVocoder.from_reference({**config, "source_filter": True}).eval()
    plain = HiFTVocoder.from_reference(config).eval()
    plain.load_state_dict(
        {k: v for k, v in vocoder.state_dict().items() if not k.startswith("gain_conv")}
    )
    given = {"phases": t["in.phase"], "noise": t["in.noise"]}
    with torch.no_grad():
        bins = len(vocoder.gain_conv.bias) // 2
        assert vocoder.gain_conv.bias.tolist() == [1.0] * bins + [0.0] * bins
        vocoder.gain_conv.bias.zero_()
        wave, source = vocoder(t["in.mel"], **given)
        assert torch.equal(wave, plain(t["in.mel"], **given)[0])
        vocoder.post_conv.weight.zero_()
        vocoder.post_conv.bias.fill_(-10.0)  # the network itself falls almost silent …
        level = vocoder.config.nsf_alpha * vocoder.config.istft_params["n_fft"] / 8
        vocoder.gain_conv.bias[:bins] = 3 * level * math.exp(10.0)  # … and the gain is 3 + 0i
        wave, source = vocoder(t["in.mel"], **given)
    expected = (3 * source[:, 0]).clamp(-0.99, 0.99)
    torch.testing.assert_close(wave, expected, rtol=0, atol=1e-3)


def test_harmonics_above_half_the_rate_are_muted(golden):
    config = {**golden[0], "nb_harmonics": 30, "nsf_sigma": 0.0}
    vocoder = HiFTVocoder.from_reference(config).eval()
    torch.nn.init.constant_(vocoder.source.l_linear.weight, 1e-3)  # tanh stays linear
    torch.nn.init.zeros_(vocoder.source.l_linear.bias)
    f0 = torch.full((1, 40), 1000.0)
    phases, noise = torch.zeros(1, 31, 1), torch.zeros(1, 31, 40 * vocoder.hop)
    with torch.no_grad():
        wave = vocoder.source(f0, phases, noise)[0, 0]
    spectrum = torch.fft.rfft(wave * torch.hann_window(len(wave))).abs()
    bins = torch.fft.rfftfreq(len(wave), 1 / config.get("sampling_rate", 22050))
    between = (bins % 1000 - 500).abs() < 400  # nothing but the multiples of 1 kHz
    assert spectrum[between].max() < 1e-3 * spectrum.max()
