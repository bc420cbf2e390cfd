"""What every layout of the encoder promises."""

import logging

import pytest
import torch
from transformers import AutoModel, AutoModelForAudioTokenization

from unisono.errors import ModelError
from unisono.uniaudio import LogMelFeatures, UniAudioConfig, UniAudioEncoder

FEATURES = LogMelFeatures()


def encode(encoder, waves, **options):
    features, mask = FEATURES(waves, encoder.config.frame_multiple)
    with torch.no_grad():
        return encoder(features, mask, **options)


def test_batch_equals_each_clip_alone(make_encoder, layout, wave):
    encoder = make_encoder(layout)
    clips = [wave(n, seed) for seed, n in enumerate([31_999, 1, 20_480, 641, 12_345, 320])]
    together = encode(encoder, clips, output_hidden_states=True)
    used = set()
    for row, clip in enumerate(clips):
        alone = encode(encoder, [clip], output_hidden_states=True)
        count = int(alone.token_mask.sum())
        assert count == -(-len(clip) // (160 * encoder.config.frame_multiple))
        assert int(together.token_mask[row].sum()) == count
        assert torch.equal(alone.token_ids[0, :count], together.token_ids[row, :count])
        for one, many in zip(alone.hidden_states, together.hidden_states, strict=True):
            real = one.shape[1] if one.shape[1] > count else count
            torch.testing.assert_close(one[0, :real], many[row, :real], atol=1e-5, rtol=1e-5)
        used |= set(alone.token_ids[0, :count].tolist())
    assert len(used) > 5  # else equal tokens would prove nothing


def test_token_count_for_every_length(make_encoder, layout, wave):
    encoder = make_encoder(layout)
    hop = 160 * encoder.config.frame_multiple
    edges = [n for k in (1, 2, 3, 7) for n in (k * hop - 1, k * hop, k * hop + 1)]
    lengths = [1, 2, 159, 160, 161, *edges]
    out = encode(encoder, [wave(n) for n in lengths])
    assert out.token_mask.sum(1).tolist() == [-(-n // hop) for n in lengths]


def test_what_padding_holds_is_never_seen(make_encoder, layout, wave):
    encoder = make_encoder(layout)
    features, mask = FEATURES([wave(30_000), wave(7_680)], encoder.config.frame_multiple)
    noisy = features.clone()
    frames = -(-48 // encoder.config.frame_multiple) * encoder.config.frame_multiple
    noisy[1, :, frames:] = 5.0
    with torch.no_grad():
        clean, dirty = encoder(features, mask), encoder(noisy, mask)
    assert torch.equal(clean.last_hidden_state, dirty.last_hidden_state)


def test_layers_can_be_run_in_parts(make_encoder, layout, wave):
    encoder = make_encoder(layout)
    features, mask = FEATURES([wave(20_000), wave(9_000)], encoder.config.frame_multiple)
    with torch.no_grad():
        whole = encoder(features, mask)
        for cut in range(len(encoder.layers) + 1):
            state = encoder.run_layers(encoder.embed(features, mask), cut)
            parts = encoder.finish(encoder.run_layers(state))
            assert torch.equal(whole.last_hidden_state, parts.last_hidden_state)
            assert torch.equal(whole.token_ids, parts.token_ids)


def test_pooling_between_source_and_target_pools_the_kept_state(make_encoder, wave):
    encoder = make_encoder("mini")
    features, mask = FEATURES([wave(20_000)], 4)
    with torch.no_grad():
        kept = encoder.run_layers(encoder.embed(features, mask), 2).shallow
        pooled = encoder.run_layers(encoder.embed(features, mask), 3).shallow
    torch.testing.assert_close(pooled, kept.unflatten(1, (-1, 2)).mean(2))


def test_gate_mean_counts_real_frames_only(make_encoder, wave):
    encoder = make_encoder("paper")
    clip = wave(12_800)
    alone = encode(encoder, [clip]).gate_mean
    twice = encode(encoder, [clip, clip]).gate_mean
    features, mask = FEATURES([clip], 4)
    padded = torch.nn.functional.pad(features, (0, 120))
    with torch.no_grad():
        with_padding = encoder(padded, torch.nn.functional.pad(mask, (0, 120))).gate_mean
    torch.testing.assert_close(twice, alone)
    torch.testing.assert_close(with_padding, alone)
    assert 0 < alone < 1
    assert make_encoder("glm4voice")(features, mask).gate_mean is None


@pytest.mark.parametrize("layout", ["glm4voice", "causal_by_gradient", "causal_below_quantizer"])
def test_causal_layouts_do_not_look_ahead(make_encoder, layout, wave):
    changes = {"encoder_causal_convolution": True} if layout == "causal_below_quantizer" else {}
    encoder = make_encoder(layout, **changes)
    features, mask = FEATURES([wave(32_000)], encoder.config.frame_multiple)
    later = features.clone()
    later[:, :, 120:] += 1.0  # frame 60 at 50 Hz: the edge of the fourth block of 20
    with torch.no_grad():
        a, b = encoder(features, mask), encoder(later, mask)
    before = 120 // encoder.config.frame_multiple
    assert torch.equal(a.token_ids[:, :before], b.token_ids[:, :before])
    assert not torch.equal(a.token_ids, b.token_ids)


def test_gradients_are_the_same_with_checkpointing(make_encoder, layout, wave):
    features, mask = FEATURES([wave(16_000), wave(5_000)], 12)
    grads = []
    for checkpointing in (False, True):
        encoder = make_encoder(layout)
        if checkpointing:
            encoder.gradient_checkpointing_enable()
        encoder.train()
        if encoder.equilibrium is not None:
            encoder.equilibrium.adapter_dropout.p = 0.0
        out = encoder(features, mask)
        (out.last_hidden_state.square().mean() + out.quantizer_loss).backward()
        grads.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    assert "conv1.weight" in grads[0] and grads[0]["conv1.weight"].abs().sum() > 0
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, grads[1][name])


def test_save_and_load_again(make_encoder, layout, wave, tmp_path):
    encoder = make_encoder(layout)
    encoder.save_pretrained(tmp_path)
    before = encode(encoder, [wave(20_000)])
    for kind in (UniAudioEncoder, AutoModel, AutoModelForAudioTokenization):
        again = kind.from_pretrained(tmp_path)
        assert isinstance(again, UniAudioEncoder) and not again.training
        assert again.config.to_diff_dict() == encoder.config.to_diff_dict()
        after = encode(again, [wave(20_000)])
        assert torch.equal(before.last_hidden_state, after.last_hidden_state)
        for name, tensor in encoder.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_fresh_codebook_agrees_with_its_averages(make_config):
    encoder = UniAudioEncoder(make_config("paper"))
    quantizer = encoder.quantizer
    assert torch.equal(quantizer.ema_weight, quantizer.codebook.weight)
    assert torch.equal(quantizer.ema_count, torch.ones(64))
    gaussian = UniAudioEncoder(make_config("paper", codebook_gaussian_init=True))
    assert gaussian.quantizer.codebook.weight.std() > 0.9
    assert torch.equal(gaussian.quantizer.ema_weight, gaussian.quantizer.codebook.weight)


def test_late_residual_is_announced_once(make_config, caplog):
    with caplog.at_level(logging.WARNING, "unisono"):
        UniAudioEncoder(make_config("max_late_residual"))
    assert [r.levelname for r in caplog.records if "does not reach" in r.message] == ["WARNING"]
    caplog.clear()
    with caplog.at_level(logging.WARNING, "unisono"):
        UniAudioEncoder(make_config("paper"))
    assert not caplog.records


def test_without_a_quantizer_there_are_states_only(make_config, wave):
    config = make_config("paper", quantize_vocab_size=None)
    out = encode(UniAudioEncoder(config).eval(), [wave(16_000)])
    assert out.token_ids is None and out.last_hidden_state.shape == (1, 25, 48)


def test_wrong_input_gets_one_sentence(make_encoder):
    encoder = make_encoder("paper")
    with pytest.raises(ModelError, match="needs \\[batch, 80, frames\\]"):
        encoder(torch.zeros(1, 128, 40))
    with pytest.raises(ModelError, match="shorter segments"):
        encoder(torch.zeros(1, 80, 404))


def test_half_precision_runs(make_encoder, wave):
    encoder = make_encoder("paper").to(torch.bfloat16)
    out = encode(encoder, [wave(16_000), wave(4_000)])
    assert out.last_hidden_state.dtype == torch.bfloat16
    assert torch.isfinite(out.last_hidden_state).all()


def test_config_survives_json(make_config, layout, tmp_path):
    config = make_config(layout)
    config.save_pretrained(tmp_path)
    assert UniAudioConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()
