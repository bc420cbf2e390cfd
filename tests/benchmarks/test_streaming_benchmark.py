import json

import pytest
import torch

from unisono.hub import save
from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.model import UniCodec
from unisono.unicodec.tokenizer import UniCodecTokenizer


@pytest.fixture(scope="module")
def unicodec_folder(tmp_path_factory):
    torch.manual_seed(0)
    book = {"groups": 2, "codes": 8, "dim": 8}
    stream = {"book": book, "channels": [2, 4], "strides": [4, 4], "hidden": 8, "blocks": 1}
    sizes = {f"{name}_stream": stream for name in ("global", "semantic", "residual")}
    model = UniCodec(
        UniCodecConfig.from_dict({
            **sizes,
            "transformer": {"layers": 1, "width": 16, "heads": 2, "window": 8},
            "decoder": {"channels": [2, 4], "strides": [4, 4], "hidden": 8, "blocks": 1},
        })
    )  # fmt: skip
    return save(UniCodecTokenizer(model, "tiny"), tmp_path_factory.mktemp("models") / "streams")


def test_every_frame_is_timed(script, unicodec_folder, corpus, tmp_path, capsys):
    out = tmp_path / "streaming.json"
    arguments = ["--model", str(unicodec_folder), "--audio", str(corpus.parent / "speech.wav"),
                 "--minutes", "0.1", "--lookahead", "0.2", "--json", str(out)]  # fmt: skip
    assert script("streaming").main(arguments) == 0
    result = json.loads(out.read_text())
    assert result["frames"] == 150
    assert result["latency_ms"] == {"frame": 40.0, "overlap": 30.0, "algorithmic": 70.0}
    for side in ("encode", "decode"):
        row = result[side]
        assert row["mean_ms"] > 0 and row["real_time"] == pytest.approx(40 / row["mean_ms"])
    assert result["peak_mb"]["growth"] < 50
    assert "algorithmic latency 70 ms" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("model", "minutes", "said"),
    [("tiny", "1", "has no live streams"), ("streams", "0.01", "more than 25 are needed")],
)
def test_what_cannot_be_measured_says_so(
    script, unicodec_folder, model_folder, model, minutes, said, capsys
):
    folder = model_folder if model == "tiny" else unicodec_folder
    assert script("streaming").main(["--model", str(folder), "--minutes", minutes]) == 1
    assert said in " ".join(capsys.readouterr().out.split())
