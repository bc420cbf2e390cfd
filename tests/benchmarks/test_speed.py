import json

import pytest

from unisono.audio import Audio
from unisono.evaluation.benchmarks import mini_speed


def test_sections_run_at_tiny_sizes(script, model_folder, corpus, tmp_path):
    out = tmp_path / "speed.json"
    arguments = ["--quick", "--repeats", "1", "--threads", "1", "--model", str(model_folder),
                 "--audio", str(corpus.parent / "speech.wav"), "--out", str(out),
                 "--only", "encoder", "decode", "int8", "memory"]  # fmt: skip
    assert script("speed").main(arguments) == 0
    results = json.loads(out.read_text())
    assert results["encoder"]["efficiency"] > 0
    assert 0 < results["int8"]["equal_tokens"] <= 1
    assert results["memory"]["peak_mb"]["60 s"] > 50
    rows = results["decode"]["settings"]
    assert rows[0]["setting"] == "euler 10" and rows[0]["evaluations"] == 20
    assert all(row["mel_distance_trained"] >= 0 for row in rows)


def test_a_section_without_its_model_is_failed(script, tmp_path):
    out = tmp_path / "speed.json"
    arguments = [
        "--quick",
        "--only",
        "memory",
        "--model",
        str(tmp_path / "none"),
        "--out",
        str(out),
    ]
    assert script("speed").main(arguments) == 1
    assert "failed" in json.loads(out.read_text())["memory"]


def test_clips_repeat_the_recording():
    clips = mini_speed._clips(Audio([0.1, 0.2, 0.3], 2), 1.0, 2)
    assert [clip.samples[0].tolist() for clip in clips] == [
        pytest.approx([0.1, 0.2]),
        pytest.approx([0.3, 0.1]),
    ]
