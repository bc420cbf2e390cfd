"""Training and generation of the text model."""

import pytest
import torch

from unisono.errors import ModelError
from unisono.uniaudio import LogMelFeatures, UniAudioForConditionalGeneration


@pytest.fixture
def model(make_config):
    torch.manual_seed(0)
    return UniAudioForConditionalGeneration(make_config("paper", init_std=0.3)).eval()


@pytest.fixture
def audio(wave):
    return LogMelFeatures()([wave(30_000, 1), wave(9_000, 2)], 4)


def greedy(model, features, mask, tokens):
    ids = torch.full((len(features), 1), 3)
    for _ in range(tokens):
        with torch.no_grad():
            logits = model(features, mask, ids).logits
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
    return ids


def test_generation_with_cache_equals_without_and_alone(model, audio):
    features, mask = audio
    expected = greedy(model, features, mask, 12)
    options = {"max_new_tokens": 12, "eos_token_id": None}
    assert torch.equal(model.generate(features, mask, **options), expected)
    frames = -(-int(mask[1].sum()) // 4) * 4
    alone = model.generate(features[1:, :, :frames], mask[1:, :frames], **options)
    assert torch.equal(alone, expected[1:])


def test_prompts_beams_and_the_default_length(model, audio):
    features, mask = audio
    prompt = torch.tensor([[3, 9, 11], [3, 9, 11]])
    ids = model.generate(features, mask, decoder_input_ids=prompt, num_beams=3, max_new_tokens=5)
    assert torch.equal(ids[:, :3], prompt) and ids.shape[1] <= 8
    assert model.generate(features, mask, eos_token_id=None).shape == (2, 64)


def test_too_long_a_text_is_refused(model, audio):
    with pytest.raises(ModelError, match="at most 64"):
        model(*audio, torch.ones(2, 65, dtype=torch.int64))
    with pytest.raises(ModelError, match="decoder_input_ids"):
        model(*audio)
    with pytest.raises(ModelError, match="input_features"):
        model(decoder_input_ids=torch.ones(1, 1, dtype=torch.int64))


def test_a_few_steps_learn_the_labels(model, audio):
    model.train()
    inputs = torch.tensor([[3, 10, 11, 12], [3, 20, 21, 22]])
    labels = torch.tensor([[10, 11, 12, 2], [20, 21, 2, -100]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        out = model(*audio, inputs, labels=labels)
        torch.testing.assert_close(out.loss, out.text_loss + out.quantizer_loss)
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
        losses.append(out.text_loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert model.model.encoder.quantizer.steps == 15


def test_save_and_load_keeps_the_tie(model, audio, tmp_path):
    model.save_pretrained(tmp_path)
    again = UniAudioForConditionalGeneration.from_pretrained(tmp_path)
    assert again.proj_out.weight is again.model.decoder.embed_tokens.weight
    ids = torch.tensor([[3, 4], [3, 5]])
    with torch.no_grad():
        assert torch.equal(model(*audio, ids).logits, again(*audio, ids).logits)


def test_gradient_checkpointing_reaches_the_decoder(model, audio):
    ids = torch.tensor([[3, 10], [3, 20]])
    grads = []
    for enable in (False, True):
        model.zero_grad()
        if enable:
            model.gradient_checkpointing_enable()
            model.train()
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            model.model.encoder.quantizer.eval()
        out = model(*audio, ids, labels=ids)
        out.text_loss.backward()
        grads.append(model.model.decoder.layers[0].fc1.weight.grad.clone())
    torch.testing.assert_close(grads[0], grads[1])


def test_new_special_tokens_fit_in(model):
    model.resize_token_embeddings(123)
    assert model.proj_out.weight.shape == (123, 48)
    assert model.proj_out.weight is model.model.decoder.embed_tokens.weight
