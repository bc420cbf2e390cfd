import json

import pytest

from unisono.errors import ConfigError, DataError
from unisono.evaluation.benchmarks.clips import (
    Clip,
    Selection,
    choose,
    labelled_sounds,
    read_clip,
    read_items,
    spread,
)
from unisono.evaluation.benchmarks.groups import (
    default_groups,
    parse_group,
    sound_classes,
)
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
    assert spread(list(range(40)), 4) == [5, 15, 25, 35]
    assert spread([1, 2], 4) == [1, 2]


def test_too_few_clips_or_no_manifest_name_the_recipe(corpus, tmp_path):
    with pytest.raises(DataError, match=r"3 speech clips .* not 4.*python -m recipes\.corpus"):
        choose(corpus, 4)
    with pytest.raises(DataError, match=r"no manifest .*python -m recipes\.corpus --out"):
        choose(tmp_path / "eval.jsonl", 1)
    with pytest.raises(DataError, match="train"):
        choose(corpus, 1, Selection(splits=("train",)))


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
    assert figures["cer"]["reconstruction"].value == 4 / 18  # three to five
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
                 "--no-groups", "--steps", "1", "--solver", "euler", "--guidance", "0",
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


def test_groups_by_default_are_what_the_manifest_holds_out(wide_corpus, corpus):
    groups = default_groups(read_items(wide_corpus), ["en"])
    assert [(group.name, group.selection.kind, group.clips) for group in groups] == [
        ("de", "speech", 20),
        ("music", "music", 12),
        ("sound", "sound", 40),
    ]
    chosen = [group.selection.among(read_items(wide_corpus)) for group in groups]
    assert [len(items) for items in chosen] == [2, 2, 9]
    assert default_groups(read_items(corpus), ["en"]) == []


def test_a_group_as_it_is_written_on_the_command_line():
    group = parse_group("german=source:a,source:b,language:de,clips:7,longest:9.5")
    assert (group.name, group.clips) == ("german", 7)
    assert group.selection == Selection("speech", ("eval",), ("a", "b"), ("de",), 2.5, 9.5)
    assert parse_group("s=kind:sound,split:valid").selection == Selection(
        "sound", ("valid",), shortest=0.15
    )


@pytest.mark.parametrize(
    "text",
    ["german", "=kind:music", "x=kind:noise", "x=speaker:anna", "x=clips:many", "x=clips:0",
     "x=split:test", "x=kind:music,kind:sound", "x=source"],
)  # fmt: skip
def test_a_group_that_makes_no_sense_is_one_sentence(text):
    with pytest.raises(ConfigError, match=r"^group "):
        parse_group(text)


def test_speech_scores_are_for_speech_alone(wide_corpus, tokenizer):
    items = Selection("music").among(read_items(wide_corpus))
    result = measure(
        tokenizer, [read_clip(wide_corpus, item) for item in items], FakeASR(), fails, language="en"
    )
    assert list(result.figures) == ["mel_distance"]
    assert result.figures["mel_distance"]["copy"].value > 0
    assert not result.clips[0].texts


def test_the_clips_own_language_is_heard_without_its_region(wide_corpus, tokenizer):
    clip = read_clip(wide_corpus, choose(wide_corpus, 1)[0])
    # FakeASR takes "en" only.
    result = measure(
        tokenizer, [Clip(clip.name, clip.audio, "en-gb")], FakeASR(), None, language=""
    )
    assert result.clips[0].texts["copy"] == "one two three four"


def test_sound_classes_are_those_with_enough_labelled_clips(wide_corpus, tokenizer):
    items = read_items(wide_corpus)
    assert {item.label for item in labelled_sounds(items, smallest=3)} == {"water", "fire"}
    assert {item.label for item in labelled_sounds(items, smallest=4)} == {"fire"}
    clips = [read_clip(wide_corpus, item) for item in labelled_sounds(items, smallest=3)]
    found = sound_classes(tokenizer, clips)
    assert found.classes == {"fire": 4, "water": 3}
    assert 4 / 7 <= found.purity["cosine"] <= 1
    assert sound_classes(tokenizer, clips[:3]) is None


def test_script_puts_all_groups_into_one_table(script, wide_corpus, model_folder, tmp_path, capsys):
    out = tmp_path / "results.json"
    arguments = ["--model", str(model_folder), "--data", str(wide_corpus), "--clips", "2",
                 "--no-asr", "--class-clips", "3", "--steps", "1", "--guidance", "0",
                 "--save-audio", str(tmp_path / "audio"), "--out", str(out)]  # fmt: skip
    assert script("quality").main(arguments) == 0
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines()]
    groups = {row[0]: row for row in rows if len(row) == 11 and row[0]}
    assert [(name, row[1]) for name, row in groups.items()] == [
        ("english", "2"), ("de", "2"), ("music", "2"), ("sound", "9"), ("all", "15"),
    ]  # fmt: skip
    assert "* english WER copy/reconstruction, english CER copy/reconstruction" in printed
    assert "7 sounds of 2 classes" in printed and "classes: fire 4, water 3" in printed
    results = json.loads(out.read_text())
    assert results["figures"]["mel_distance"]["copy"]["count"] == 2
    assert list(results["groups"]) == ["de", "music", "sound"]
    assert results["groups"]["sound"]["figures"]["mel_distance"]["copy"]["count"] == 9
    every = results["codebook_all"]["books"]["audio"]["tokens"]
    parts = [results, *results["groups"].values()]
    assert every == sum(part["codebook"]["books"]["audio"]["tokens"] for part in parts)
    assert set(results["sound_classes"]["silhouette"]) == {"euclidean", "cosine"}
    assert len(list((tmp_path / "audio").glob("*.wav"))) == 3 * 15


def test_script_takes_other_groups_and_names_what_is_not_there(
    script, wide_corpus, model_folder, tmp_path, capsys
):
    base = ["--model", str(model_folder), "--data", str(wide_corpus), "--clips", "1", "--no-asr",
            "--steps", "1", "--guidance", "0"]  # fmt: skip
    group = ["--group", "german=source:prompt-de,language:de,clips:1"]
    assert script("quality").main([*base, *group]) == 0
    printed = capsys.readouterr().out
    assert "german" in printed and "music" not in printed
    assert script("quality").main([*base, "--group", "x=language:xx"]) == 1
    assert "group x" in capsys.readouterr().err
    assert script("quality").main([*base, "--group", "english=kind:music"]) == 1
    assert "its own name" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script("quality").main([*base, "--group", "x=kind:noise"])
    assert "'noise' is none of" in capsys.readouterr().err
