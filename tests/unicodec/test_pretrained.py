"""UniCodec as a model of transformers."""

import torch
from transformers import AutoConfig, AutoModel, AutoModelForAudioTokenization

from unisono.unicodec import UniCodecModel, UniCodecModelConfig

SIZES = {
    **{
        f"{name}_stream": {
            "book": {"groups": groups, "codes": 8, "dim": 8},
            "channels": [2, 4],
            "strides": [4, 4],
            "hidden": 8,
            "blocks": 1,
        }
        for name, groups in (("global", 2), ("semantic", 1), ("residual", 4))
    },
    "transformer": {"layers": 1, "width": 16, "heads": 2, "window": 8},
    "decoder": {"channels": [2, 4], "strides": [4, 4], "hidden": 8, "blocks": 1},
}


def test_saved_and_loaded_by_the_auto_classes(tmp_path):
    torch.manual_seed(0)
    model = UniCodecModel(UniCodecModelConfig(SIZES)).eval()
    model.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), UniCodecModelConfig)
    wave = torch.randn(1, 3200) * 0.1
    expected = model(wave).audio_codes
    for auto in (AutoModel, AutoModelForAudioTokenization):
        again = auto.from_pretrained(tmp_path)
        assert torch.equal(again(wave).audio_codes, expected)
        torch.testing.assert_close(
            again.decode(expected).audio_values, model.decode(expected).audio_values
        )


def test_shapes_and_padding():
    torch.manual_seed(0)
    model = UniCodecModel(UniCodecModelConfig(SIZES)).eval()
    waves = torch.randn(2, 3000) * 0.1
    mask = torch.ones(2, 3000, dtype=torch.long)
    mask[1, 1280:] = 0
    with torch.inference_mode():
        codes = model.encode(waves * mask, mask).audio_codes
        alone = model.encode(waves[1:, :1280]).audio_codes
        audio = model.decode(codes).audio_values
    assert codes.shape == (2, 2 + 1 + 4, 5)
    assert torch.equal(codes[1:, :, :2], alone)
    assert audio.shape == (2, 3200)
