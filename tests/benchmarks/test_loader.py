import json

import pytest

from unisono.data.manifest import ManifestItem, write_manifest


def test_every_form_is_measured_over_the_same_clips(script, tmp_path):
    out = tmp_path / "loader.json"
    arguments = ["--clips", "6", "--seconds", "0.2", "0.4", "--reads", "4", "--out", str(out)]
    assert script("loader").main(arguments) == 0
    rows = json.loads(out.read_text())
    forms = [row["form"] for row in rows]
    assert forms == ["folder", "manifest", "WebDataset", "Parquet", "Hugging Face"]
    for row in rows:
        assert row["clips"] == 6
        for way in ("plain", "augmented"):
            rates = row[way]
            mean = 3600 * rates["hours_per_minute"] / 60 / rates["clips_per_second"]
            assert 0.2 < mean < 0.4, "seconds a clip"


def test_data_of_ones_own(script, corpus, tmp_path, capsys):
    lines = [ManifestItem(path="speech.wav", start=n, duration=1.0) for n in range(5)]
    write_manifest(corpus.parent / "own.jsonl", lines)
    arguments = ["--data", str(corpus.parent / "own.jsonl"), "--reads", "3", "--out",
                 str(tmp_path / "o.json")]  # fmt: skip
    assert script("loader").main(arguments) == 0
    [row] = json.loads((tmp_path / "o.json").read_text())
    rates = row["plain"]
    assert rates["hours_per_minute"] * 60 == pytest.approx(rates["clips_per_second"])


def test_data_that_is_not_there(script, tmp_path, capsys):
    assert script("loader").main(["--data", str(tmp_path / "none.tar")]) == 1
    assert "no such file" in " ".join(capsys.readouterr().out.split())
