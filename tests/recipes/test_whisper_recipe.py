import json
import struct

import numpy as np
import pytest
import torch
from recipes.ctranslate2 import read_ct2
from recipes.whisper import join_parts, to_transformers, whisper_config
from transformers import WhisperConfig, WhisperForConditionalGeneration

from unisono.errors import ModelError

CODES = {np.dtype(np.float32): 0, np.dtype(np.int8): 1, np.dtype(np.int16): 2}


def pack_ct2(variables, aliases=(), version=6):
    def text(value):
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    out = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        array = np.asarray(array)
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        data = array.tobytes()
        out += text(name) + shape + struct.pack("<BI", CODES[array.dtype], len(data)) + data
    out += struct.pack("<I", len(aliases))
    return out + b"".join(text(a) + text(b) for a, b in aliases)


@pytest.fixture(scope="module")
def whisper():
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=60,
        num_mel_bins=8,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_source_positions=10,
        max_target_positions=12,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=1,
    )
    return WhisperForConditionalGeneration(config).eval()


def as_ct2(model):
    """The variables that CTranslate2's converter writes for a transformers Whisper."""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    out = {"encoder/num_heads": np.int16(2), "decoder/num_heads": np.int16(2)}

    def linear(target, source):
        out[f"{target}/weight"] = state[f"{source}.weight"]
        out[f"{target}/bias"] = state[f"{source}.bias"]

    def norm(target, source):
        out[f"{target}/gamma"] = state[f"{source}.weight"]
        out[f"{target}/beta"] = state[f"{source}.bias"]

    def fused(target, source, names):
        zero = np.zeros(16, np.float32)
        weights = [state[f"{source}.{n}_proj.weight"] for n in names]
        biases = [state.get(f"{source}.{n}_proj.bias", zero) for n in names]
        out[f"{target}/weight"], out[f"{target}/bias"] = map(np.concatenate, (weights, biases))

    for side in ("encoder", "decoder"):
        out[f"{side}/position_encodings/encodings"] = state[f"model.{side}.embed_positions.weight"]
        norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for layer in range(2):
            old, new = f"model.{side}.layers.{layer}", f"{side}/layer_{layer}"
            norm(f"{new}/self_attention/layer_norm", f"{old}.self_attn_layer_norm")
            fused(f"{new}/self_attention/linear_0", f"{old}.self_attn", "qkv")
            linear(f"{new}/self_attention/linear_1", f"{old}.self_attn.out_proj")
            norm(f"{new}/ffn/layer_norm", f"{old}.final_layer_norm")
            linear(f"{new}/ffn/linear_0", f"{old}.fc1")
            linear(f"{new}/ffn/linear_1", f"{old}.fc2")
            if side == "decoder":
                norm(f"{new}/attention/layer_norm", f"{old}.encoder_attn_layer_norm")
                linear(f"{new}/attention/linear_0", f"{old}.encoder_attn.q_proj")
                fused(f"{new}/attention/linear_1", f"{old}.encoder_attn", "kv")
                linear(f"{new}/attention/linear_2", f"{old}.encoder_attn.out_proj")
    linear("encoder/conv1", "model.encoder.conv1")
    linear("encoder/conv2", "model.encoder.conv2")
    out["decoder/embeddings/weight"] = state["model.decoder.embed_tokens.weight"]
    return out


def test_conversion_gives_the_same_model(whisper, tmp_path):
    path = tmp_path / "model.bin"
    aliases = [("decoder/projection/weight", "decoder/embeddings/weight")]
    path.write_bytes(pack_ct2(as_ct2(whisper), aliases))
    model = read_ct2(path)
    assert (model.spec, model.revision) == ("WhisperSpec", 3)
    assert model.variables["decoder/projection/weight"].shape == (60, 16)
    state = to_transformers(model)
    heads = int(model.variables["encoder/num_heads"])
    config = whisper_config(state, heads, end=0, start=1)
    other = WhisperForConditionalGeneration(config).eval()
    missing, unexpected = other.load_state_dict(state, strict=False)
    assert missing == ["proj_out.weight"] and unexpected == []
    other.tie_weights()
    features, ids = torch.randn(1, 8, 20), torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        mine = other(input_features=features, decoder_input_ids=ids).logits
        theirs = whisper(input_features=features, decoder_input_ids=ids).logits
    torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "model.bin"
    good = pack_ct2({"a": np.zeros((2, 3), np.float32)})
    for data, problem in [
        (good[:-10], "ends early"),
        (good + b"x", "follow the model"),
        (pack_ct2({}, version=7), "version 7"),
        (pack_ct2({}, [("x", "y")]), "missing variable y"),
        (good.replace(struct.pack("<BI", 0, 24), struct.pack("<BI", 9, 24)), "dtype number 9"),
        (good.replace(struct.pack("<2I", 2, 3), struct.pack("<2I", 2, 4)), "not shape"),
    ]:
        path.write_bytes(data)
        with pytest.raises(ModelError, match=problem):
            read_ct2(path)


def test_parts_are_joined_in_order(tmp_path):
    for number, data in ((2, b"world"), (1, b"hello ")):
        folder = tmp_path / f"tree{number}" / "package" / "data"
        folder.mkdir(parents=True)
        (folder / f"model.bin.part{number}").write_bytes(data)
        (folder / f"config{number}.json").write_text(json.dumps(number))
    join_parts([tmp_path / "tree2", tmp_path / "tree1"], tmp_path / "out")
    assert (tmp_path / "out" / "model.bin").read_bytes() == b"hello world"
    assert sorted(p.name for p in (tmp_path / "out").glob("*.json")) == [
        "config1.json",
        "config2.json",
    ]
