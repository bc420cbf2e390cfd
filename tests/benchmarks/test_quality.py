import json

import pytest

from unisono.errors import DataError
from unisono.evaluation.benchmarks.clips import choose, read_clip
from unisono.evaluation.benchmarks.quality import measure


class FakeASR:
    """Says four words for originals and makes one error in each third call after them."""

    name = "fake"

    def __init__(self):
        self.calls = 0

    def __call__(self, wave, language):
        assert wave.ndim == 1 and language == "en"
        self.calls += 1
        return ("One, two three four.", "one two three four", "one two five four")[
            (self.calls - 1) % 3
        ]


def fails(audio):
    raise DataError("no network today")


def test_choice_is_sorted_spread_and_long_enough(corpus):
    assert [item.start for item in choose(corpus, 3)] == [0.0, 3.0, 6.0]
    assert [item.start for item in choose(corpus, 1)] == [3.0]
    assert [item.start for item in choose(corpus, 1)] == [3.0]


def test_too_few_clips_or_no_manifest_name_the_recipe(corpus, tmp_path):
    with pytest.raises(DataError, match=r"3 speech clips .* not 4.*python -m recipes\.corpus"):
        choose(corpus, 4)
    with pytest.raises(DataError, match=r"no manifest .*python -m recipes\.corpus --out"):
        choose(tmp_path / "eval.jsonl", 1)
    with pytest.raises(DataError, match="train"):
        choose(corpus, 1, splits=("train",))


def test_measure_scores_all_versions_and_reports_failures(corpus, tokenizer):
    clips = [read_clip(corpus, item) for item in choose(corpus, 3)]
    kept = []
    result = measure(
        tokenizer,
        clips,
        FakeASR(),
        fails,
        keep=lambda name, version, audio: kept.append((version, audio.rate)),
    )
    figures = result.figures
    assert figures["wer"]["copy"].value == 0.0
    assert figures["wer"]["reconstruction"].value == 3 / 12
    assert figures["dnsmos"]["original"].value is None
    assert "no network today" in figures["dnsmos"]["reconstruction"].text()
    assert 0 < figures["mel_distance"]["reconstruction"].value < 20
    assert len(kept) == 9
    plain = json.loads(json.dumps(result.to_dict()))
    assert [clip["texts"]["original"] for clip in plain["clips"]] == ["One, two three four."] * 3
    assert plain["protocol"]["asr"] == "fake"
    assert plain["codebook"]["bits_nominal"] == 150.0


def test_script_end_to_end_without_recogniser(script, corpus, model_folder, tmp_path, capsys):
    out = tmp_path / "results.json"
    arguments = ["--model", str(model_folder), "--data", str(corpus), "--clips", "2", "--no-asr",
                 "--steps", "1", "--solver", "euler", "--guidance", "0",
                 "--save-audio", str(tmp_path / "audio"), "--out", str(out)]  # fmt: skip
    assert script("quality").main(arguments) == 0
    assert "no clip was" in capsys.readouterr().out
    results = json.loads(out.read_text())
    assert results["figures"]["wer"]["reconstruction"]["value"] is None
    assert results["protocol"]["decoding"]["steps"] == 1
    assert results["protocol"]["decoding"]["guidance"] == 0
    assert 1 <= results["figures"]["dnsmos"]["original"]["value"] <= 5
    assert len(list((tmp_path / "audio").glob("*.wav"))) == 6


def test_script_says_what_is_missing(script, corpus, tmp_path, capsys):
    assert script("quality").main(["--data", str(tmp_path / "eval.jsonl")]) == 1
    assert "python -m recipes.corpus" in capsys.readouterr().err
    assert script("quality").main(["--data", str(corpus), "--clips", "1"]) == 1
    assert "python -m recipes.whisper" in capsys.readouterr().err
