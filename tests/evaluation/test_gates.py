import numpy as np
import pytest
import torch

from unisono.audio import Audio
from unisono.errors import ModelError
from unisono.evaluation.gates import gate_curves, has_equilibrium, has_gate
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.encoder import UniAudioEncoder
from unisono.uniaudio.features import LogMelFeatures
from unisono.uniaudio.tokenizer import UniAudioTokenizer

SAE = {
    "encoder_residual_source_position": 1, "encoder_residual_target_position": 2,
    "use_residual_adapter": True, "use_residual_gate": True,
}  # fmt: skip


def build(**changes):
    torch.manual_seed(3)
    config = UniAudioConfig(**{
        "d_model": 32, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 64,
        "num_mel_bins": 80, "max_source_positions": 200, "pooling_kernel_size": 2,
        "pooling_type": "avg", "pooling_position": 0, "quantize_vocab_size": 64,
        "quantize_position": 2, "quantize_encoder_only": True, "init_std": 0.2, **SAE, **changes,
    })  # fmt: skip
    return UniAudioTokenizer(UniAudioEncoder(config), LogMelFeatures(), None, "tiny-gate")


@pytest.fixture(scope="module")
def gated():
    return build()


def noise(seconds, seed=0, rate=16_000):
    wave = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return Audio((0.1 * wave).astype(np.float32), rate)


def test_a_curve_is_the_monitored_mean_frame_by_frame(gated):
    audio = noise(1.3)
    [curve] = gate_curves(gated, [audio])
    assert len(curve) == gated.encode(audio)["audio"].shape[1]
    assert curve.std() > 0 and 0 < curve.min() <= curve.max() < 1
    features, mask = gated.features(
        [audio.samples[0]], multiple=gated.encoder.config.frame_multiple
    )
    with torch.inference_mode():
        monitored = gated.encoder(features, mask).gate_mean
    assert curve.mean() == pytest.approx(float(monitored), abs=1e-6)


def test_curves_do_not_depend_on_the_batch_and_follow_the_inputs(gated):
    audios = [noise(0.5, 1), noise(5.3, 2), noise(2.0, 3, 22_050), noise(0.7, 4)]
    together = gate_curves(gated, audios)
    for audio, curve, tokens in zip(audios, together, gated.encode(audios), strict=True):
        assert len(curve) == tokens["audio"].shape[1]
        [alone] = gate_curves(gated, [audio], batch_seconds=0.1)
        np.testing.assert_allclose(curve, alone, atol=1e-5)


def test_a_gate_of_known_opening():
    tokenizer = build()
    torch.nn.init.zeros_(tokenizer.encoder.equilibrium.gate_out.weight)
    torch.nn.init.constant_(tokenizer.encoder.equilibrium.gate_out.bias, 1.0)
    [curve] = gate_curves(tokenizer, [noise(1.0)])
    np.testing.assert_allclose(curve, 1 / (1 + np.exp(-1.0)), rtol=1e-6)


def test_nothing_stays_behind_on_the_model(gated):
    before = gated.encode(noise(1.0))["audio"]
    gate_curves(gated, [noise(1.0)])
    assert not gated.encoder.equilibrium._forward_hooks
    assert np.array_equal(before, gated.encode(noise(1.0))["audio"])


def test_models_without_a_gate_say_so():
    plain = build(encoder_residual_source_position=None, encoder_residual_target_position=None)
    open_always = build(use_residual_gate=False)
    late = build(encoder_residual_target_position=3)
    assert [has_equilibrium(model) for model in (plain, open_always, late)] == [False, True, False]
    for model in (plain, open_always, late):
        assert not has_gate(model)
        with pytest.raises(ModelError, match="'tiny-gate' has no gate"):
            gate_curves(model, [noise(0.5)])


def test_activity_without_a_gate_is_one():
    equilibrium = build(use_residual_gate=False).encoder.equilibrium
    state = torch.randn(2, 5, 32)
    assert torch.equal(equilibrium.activity(state, state), torch.ones(2, 5))
