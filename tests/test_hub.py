"""Loading and saving: folders of every layout, names, options."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from unisono import load
from unisono.errors import ConfigError, ModelError
from unisono.hub import pick_device, pick_dtype, resolve, save
from unisono.models import embedded_models


def test_release_tokens_equal_the_encoder_alone(uat, uat_folder, voice, golden_state):
    from unisono.uniaudio import LogMelFeatures, UniAudioConfig, UniAudioEncoder

    config, state = golden_state("encoder_uat_quantize_last_encoder_only")
    encoder = UniAudioEncoder(UniAudioConfig.from_reference(config)).eval()
    encoder.load_reference_state(state)
    wave = voice(3.3, 16000)
    features, mask = LogMelFeatures()([wave], multiple=4)
    with torch.inference_mode():
        ids = encoder(features, mask).token_ids.numpy()
    assert np.array_equal(uat.encode((wave, 16000))["audio"], ids)
    assert uat.output_rate == 22050 and uat.segment_seconds == 4 and uat.has_decoder


def test_model_id_names_the_weights_not_the_folder(uat, uat_folder, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(uat_folder, copy)
    assert load(copy, decoder=False).model_id == uat.model_id


def test_full_checkpoint_gives_the_tokens_of_its_lower_layers(tokenizer_maker, tmp_path, voice):
    whole = load(tokenizer_maker(tmp_path / "full", "encoder_uat_quantize_mid_full"))
    golden = tokenizer_maker(tmp_path / "lower", "encoder_uat_quantize_mid_encoder_only")
    wave = (voice(2.0, 16000), 16000)
    tokens = whole.encode(wave)
    assert tokens["audio"].shape == (1, 50)
    assert len(whole.encoder.layers) == len(load(golden).encoder.layers)


def test_shards_with_an_index(uat_folder, uat, tmp_path, voice):
    folder = tmp_path / "sharded"
    shutil.copytree(uat_folder, folder)
    home = folder / "tokenizer"
    state = load_file(home / "model.safetensors")
    names = sorted(state)
    parts = {"model-00001-of-00002.safetensors": names[::2]}
    parts["model-00002-of-00002.safetensors"] = names[1::2]
    for file, part in parts.items():
        save_file({n: state[n] for n in part}, home / file)
    index = {"weight_map": {n: file for file, part in parts.items() for n in part}}
    (home / "model.safetensors.index.json").write_text(json.dumps(index))
    (home / "model.safetensors").unlink()
    wave = (voice(1.0, 16000), 16000)
    assert load(folder, decoder=False).encode(wave) == uat.encode(wave)
    index["weight_map"][names[0]] = "../../other.safetensors"
    (home / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="outside its folder"):
        load(folder, decoder=False)


def test_tokenizer_files_alone_only_encode(tokenizer_maker, tmp_path, voice):
    folder = tokenizer_maker(tmp_path / "glm", "encoder_glm4voice_like_encoder_only")
    tokenizer = load(folder)
    tokens = tokenizer.encode((voice(1.0, 16000), 16000))
    assert tokens["audio"].shape == (1, 13) and tokenizer.layout.tokens_per_second == 12.5
    with pytest.raises(ModelError, match="no decoder"):
        tokenizer.decode(tokens)


def test_own_format_round_trip(uat, tmp_path, voice):
    wave = (voice(1.5, 24000), 24000)
    tokens = uat.encode(wave)
    again = load(save(uat, tmp_path / "own"))
    assert again.encode(wave) == tokens
    assert np.array_equal(again.decode(tokens).samples, uat.decode(tokens).samples)
    assert again.model_id == uat.model_id
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_int8_storage_is_smaller_and_runs(uat, tmp_path, voice):
    plain, small = tmp_path / "plain", tmp_path / "small"
    uat.save_pretrained(plain)
    uat.save_pretrained(small, int8=True)
    sizes = [(f / "model.safetensors").stat().st_size for f in (plain, small)]
    assert sizes[1] < 0.75 * sizes[0]
    tokens = load(small).encode((voice(1.0, 16000), 16000))
    assert tokens["audio"].shape == (1, 25)


def test_int8_storage_keeps_an_encoder_that_training_rounded(uat_folder, tmp_path):
    """The decoder is trained on tokens of rounded weights; a saved model must give just those."""
    from unisono.training.tasks.encoder import as_stored

    tokenizer = load(uat_folder)
    as_stored(tokenizer.encoder)
    again = load(tokenizer.save_pretrained(tmp_path / "small", int8=True))
    loaded = again.encoder.state_dict()
    for name, parameter in tokenizer.encoder.named_parameters():
        assert torch.equal(loaded[name], parameter), name


def test_int8_arithmetic_keeps_a_batch_equal_to_its_items(uat_folder, uat, voice):
    tokenizer = load(uat_folder, int8=True)
    clips = [(voice(s, 16000, i), 16000) for i, s in enumerate((0.5, 3.1, 1.7))]
    assert tokenizer.encode(clips) == [tokenizer.encode(clip) for clip in clips]
    plain = np.concatenate([t["audio"][0] for t in uat.encode(clips)])
    rough = np.concatenate([t["audio"][0] for t in tokenizer.encode(clips)])
    assert np.mean(plain == rough) > 0.5


def test_int8_linear_is_close_to_the_float_layer():
    from unisono.quantize.int8 import Int8Linear

    torch.manual_seed(0)
    linear = torch.nn.Linear(96, 40)
    x = torch.randn(3, 7, 96)
    exact, rough = linear(x), Int8Linear(linear)(x)
    assert rough.shape == exact.shape
    assert (rough - exact).abs().max() < 0.03 * exact.abs().max()
    assert torch.equal(Int8Linear(linear)(x[1:2, 2:3]), rough[1:2, 2:3])


def test_without_decoder(uat_folder):
    assert not load(uat_folder, decoder=False).has_decoder


def test_half_precision_encodes(uat_folder, voice):
    tokenizer = load(uat_folder, dtype="bfloat16", decoder=False)
    assert tokenizer.encode((voice(1.0, 16000), 16000))["audio"].shape == (1, 25)


def test_options_are_checked(uat_folder):
    with pytest.raises(ConfigError, match="number format"):
        load(uat_folder, dtype="float8", decoder=False)
    with pytest.raises(ConfigError, match="no device"):
        load(uat_folder, device="toaster", decoder=False)
    with pytest.raises(ConfigError, match="float32"):
        load(uat_folder, dtype="float16", int8=True, decoder=False)
    assert pick_dtype("auto", "cpu") is torch.float32
    assert pick_device("auto") in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("name", ["no-such-model", "./nowhere", "../x/y/z"])
def test_unknown_names_tell_what_could_be_given(name):
    with pytest.raises(ModelError, match="Embedded models"):
        load(name)


def test_hub_ids_fail_clearly_offline(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hub") as caught:
        load("someone/no-such-model-here")
    assert "\n" not in str(caught.value)


def test_embedded_names_resolve_and_models_load_offline(tmp_path, voice):
    for name, folder in embedded_models().items():
        assert resolve(name) == folder
        tokenizer = load(name)
        tokens = tokenizer.encode((voice(1.0, 16000), 16000))
        assert tokenizer.decode(tokens).duration == pytest.approx(1.0, abs=1e-4)
