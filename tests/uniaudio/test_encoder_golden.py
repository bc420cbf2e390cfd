"""The reference's numbers: tokens equal, states within 1e-4, a training step within 1e-5."""

import pytest
import torch

from unisono.uniaudio import UniAudioConfig, UniAudioEncoder, UniAudioForConditionalGeneration

ENCODERS = [
    "encoder_glm4voice_like_encoder_only",
    "encoder_glm4voice_like_full",
    "encoder_no_gate_no_adapter_max_encoder_only",
    "encoder_no_gate_no_adapter_max_full",
    "encoder_sae_after_quantizer_full",
    "encoder_uat_quantize_last_encoder_only",
    "encoder_uat_quantize_last_full",
    "encoder_uat_quantize_mid_encoder_only",
    "encoder_uat_quantize_mid_full",
]


def build(case, attention="sdpa", kind=UniAudioEncoder):
    config = UniAudioConfig.from_reference({**case.config, "attn_implementation": attention})
    model = kind(config)
    model.load_reference_state(case.state)
    return model.eval()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_matches_the_reference(golden, name, attention):
    case = golden(name)
    model = build(case, attention)
    with torch.no_grad():
        out = model(case["in.input_features"], case["in.attention_mask"], output_hidden_states=True)
    real = out.token_mask.bool()
    assert torch.equal(out.token_ids[real], case["out.token_ids"][real])
    torch.testing.assert_close(
        out.last_hidden_state, case["out.last_hidden_state"], atol=1e-4, rtol=0
    )
    expected = [key for key in case.tensors if key.startswith("out.hidden_states.")]
    assert len(out.hidden_states) == len(expected)
    for index, hidden in enumerate(out.hidden_states):
        torch.testing.assert_close(hidden, case[f"out.hidden_states.{index}"], atol=1e-4, rtol=0)
    if "out.residual_gamma_mean" in case.tensors:
        torch.testing.assert_close(out.gate_mean, case["out.residual_gamma_mean"][0])


def test_text_model_matches_the_reference(golden):
    case = golden("seq2seq_uat_quantize_mid")
    model = build(case, kind=UniAudioForConditionalGeneration)
    with torch.no_grad():
        out = model(
            case["in.input_features"],
            case["in.attention_mask"],
            case["in.decoder_input_ids"],
            labels=case["in.labels"],
        )
    assert torch.equal(out.token_ids, case["out.token_ids"])
    torch.testing.assert_close(out.logits, case["out.logits"], atol=1e-4, rtol=0)
    torch.testing.assert_close(out.text_loss, case["out.ce_loss"][0], atol=1e-5, rtol=0)
    assert torch.equal(out.loss, out.text_loss)


@pytest.mark.parametrize("name", ["uat_quantize_mid", "no_gate_no_adapter_max"])
def test_training_step_matches_the_reference(golden, name):
    case = golden(f"train_step_{name}")
    model = build(case).train()
    model.equilibrium.adapter_dropout.p = 0.0  # as when the numbers were made
    out = model(case["in.input_features"], case["in.attention_mask"])
    assert torch.equal(out.token_ids, case["out.token_ids"])
    close = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(out.last_hidden_state, case["out.last_hidden_state"], **close)
    torch.testing.assert_close(out.quantizer_loss, case["out.quantized_loss"][0], **close)
    quantizer = model.quantizer
    torch.testing.assert_close(
        quantizer.codebook.weight.detach(), case["out.after.codebook.weight"], **close
    )
    if quantizer.decay is not None:
        torch.testing.assert_close(quantizer.ema_count, case["out.after.ema_count"], **close)
        torch.testing.assert_close(quantizer.ema_weight, case["out.after.ema_weight"], **close)
