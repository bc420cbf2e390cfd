import json

import numpy as np
import pytest
from rich.console import Console
from tests.benchmarks.readers import ASR, VOICES, Reader, book, sap

from unisono.audio import Audio
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.errors import DataError
from unisono.evaluation.benchmarks.clips import Clip, Selection
from unisono.evaluation.benchmarks.sap_reading import (
    Answer,
    Question,
    ask,
    questions,
    validation_voices,
    with_references,
)
from unisono.evaluation.benchmarks.sap_scores import score
from unisono.evaluation.benchmarks.sap_table import render
from unisono.sap.speakers import write_voices


def clip(seconds=1.0, kind="speech", label="", language="en"):
    audio = Audio(np.full(round(16_000 * seconds), 0.1, np.float32), 16_000)
    return Clip(f"{kind}-{label}-{seconds}", audio, language, kind, label)


def test_what_is_asked_of_the_manifest(wide_corpus):
    asked = questions(wide_corpus, VOICES, clips=2, class_clips=3)
    speech = [q for q in asked if q.clip.kind == "speech"]
    assert [(q.speaker, q.words, q.gender) for q in speech] == [
        ("e", True, "Female"), ("e", True, "Female"), ("d", False, "Male"), ("d", False, "Male"),
    ]  # fmt: skip
    assert sum(q.clip.kind == "music" for q in asked) == 2
    assert [q.clip.label for q in asked if q.labelled] == ["water"] * 3 + ["fire"] * 4
    assert not any(q.gender for q in questions(wide_corpus, {}, clips=2))
    # Four clips of the one speaker, of whom only three are asked for by words.
    three = questions(wide_corpus, {"e": VOICES["e"]}, clips=3)
    assert [q.words for q in three if q.speaker == "e"] == [True] * 3
    with pytest.raises(DataError, match="not 5"):
        questions(wide_corpus, VOICES, clips=5)


def test_voices_that_training_heard(wide_corpus, tmp_path):
    lines = [
        ManifestItem(path="all.wav", start=n, duration=1.5, speaker=name, split="valid", text="x")
        for n, name in enumerate(("e", "d", "nobody", "d*1.02"))
    ]
    manifest = wide_corpus.parent / "valid.jsonl"
    write_manifest(manifest, lines)
    asked = validation_voices(manifest, VOICES)
    assert [(q.speaker, q.gender) for q in asked] == [
        ("e", "Female"), ("d", "Male"), ("d*1.02", "Male"),
    ]  # fmt: skip
    assert not any(q.disjoint or q.words or q.text for q in asked)
    assert len(validation_voices(manifest, VOICES, 2)) == 2
    with pytest.raises(DataError, match="unisono compose"):
        validation_voices(manifest, {})


def test_answers_stand_at_their_questions(wide_corpus, tokenizer):
    asked = questions(wide_corpus, VOICES, clips=2, class_clips=3)
    reader = Reader(tokenizer, book)
    tokens = reader.encode([q.clip.audio for q in asked])
    answers = ask(reader, asked, tokens, language="en")
    for question, answer in zip(asked, answers, strict=True):
        said, told, raw = book(round(question.clip.audio.duration, 1))
        assert (answer.sap, answer.raw) == (told, raw)
        assert answer.transcript == (said if question.words else None)
    assert ("transcribe", 2, "en") in reader.calls
    plain = ask(reader, asked, tokens, sap=False)
    assert all(answer.sap is None and answer.raw is None for answer in plain)
    assert reader.calls[-1] == ("transcribe", 2, None)


def test_figures_of_the_whole_run_by_hand(wide_corpus, tokenizer):
    asked = with_references(questions(wide_corpus, VOICES, clips=2, class_clips=3), ASR())
    reader = Reader(tokenizer, book)
    answers = ask(reader, asked, reader.encode([q.clip.audio for q in asked]))
    report = score("reader", asked, answers, {"data": "x"})
    values = {name: figure.value for name, figure in report.figures.items()}
    assert values["WER, transcribe"] == 0.25 and values["WER, describe"] == 0.5
    assert values["CER, transcribe"] == pytest.approx(5 / 18)  # " four" of "one two three four"
    assert values["WER, transcribe, written text"] is None
    assert values["valid SAP"] == 1.0
    # English is valid, music only with repair, German and sounds are no SAP.
    assert values["valid SAP, no grammar"] == pytest.approx(2 / 13)
    assert values["readable SAP, no grammar"] == pytest.approx(4 / 13)
    assert values["gender"] == 0.5 and values["gender, balanced"] == 0.5
    assert report.figures["gender"].chance == 0.5
    assert values["speech or not"] == pytest.approx(11 / 13)
    assert values["speech or not, balanced"] == pytest.approx((1 + 7 / 9) / 2)
    assert values["speech or not, music clips"] == 0.0
    assert values["sound class, first label"] == pytest.approx(3 / 7)
    assert values["sound class, any label"] == 1.0
    assert values["sound class, first label, balanced"] == 0.5
    assert report.figures["sound class, first label"].chance == pytest.approx(4 / 7)
    assert values["labels an answer"] == pytest.approx((3 + 8) / 7)
    assert report.classes["fire"].said == {"dog": 4} and report.classes["fire"].any == 4
    assert (report.speakers["d"].truth, report.speakers["d"].first) == ("Male", 0)
    assert "d Male by pitch" in report.protocol["gender truth"]
    plain = json.loads(json.dumps(report.to_dict()))
    assert len(plain["clips"]) == 13 and plain["figures"]["gender"]["count"] == 4
    for figure in report.figures.values():
        if figure.value is not None:
            assert figure.low <= figure.value <= figure.high


def test_voices_of_training_are_a_figure_of_their_own():
    asked = [
        Question(clip(), speaker="a", gender="Male"),
        Question(clip(), speaker="b", gender="Female", disjoint=False),
        Question(clip(), speaker="c", gender="Male", disjoint=False),
    ]
    answers = [Answer(sap=sap("x", "Male")), Answer(sap=sap("x", "Male")), Answer(sap=sap("x"))]
    report = score("m", asked, answers, {})
    assert report.figures["gender"].value == 1.0
    assert report.figures["gender (training's voices)"].value == 0.0
    assert report.figures["gender (training's voices)"].count == 2
    assert report.speakers["Male of training"].said == {"": 1}
    assert report.figures["speech or not"].count == 1


def test_written_texts_are_scored_in_the_language_that_was_told():
    asked = [
        Question(clip(), text="a cat sat"),
        Question(clip(2.0, language="it"), text="un gatto"),
    ]

    class Cat:
        def transcribe(self, tokens, language=None):
            return ["a cat"] * len(tokens)

    class Length:
        duration = 1.0

    answers = ask(Cat(), asked, [Length(), Length()], language="en", sap=False)
    assert [answer.transcript for answer in answers] == ["a cat", None]
    figure = score("m", asked, answers, {}).figures["WER, transcribe, written text"]
    assert (figure.value, figure.count) == (pytest.approx(1 / 3), 1)


def test_nothing_to_measure_is_no_figure():
    report = score("m", [], [], {})
    assert all(figure.value is None and figure.failed for figure in report.figures.values())


def test_labels_that_look_like_markup_are_printed_as_they_are(capsys):
    asked = [Question(clip(kind="sound", label="water"), labelled=True)] * 2
    answers = [Answer(sap=sap(discrete=["[/bold] [red]"])), Answer(sap=sap(discrete=["x" * 99]))]
    console = Console(width=200)
    for part in render(score("[m]", asked, answers, {})):
        console.print(part, highlight=False)
    printed = capsys.readouterr().out
    assert "[/bold] [red] 1, " + "x" * 29 + "… 1" in printed and "[m]: what" in printed


def test_script_end_to_end(script, wide_corpus, tokenizer, tmp_path, monkeypatch, capsys):
    write_voices(tmp_path / "voices.jsonl", VOICES.values())
    monkeypatch.setattr("unisono.load", lambda *_, **__: Reader(tokenizer, book))
    out = tmp_path / "sap.json"
    arguments = ["--data", str(wide_corpus), "--clips", "2", "--class-clips", "3", "--no-asr",
                 "--voices", str(tmp_path / "voices.jsonl"), "--json", str(out)]  # fmt: skip
    assert script("sap").main(arguments) == 0
    printed = capsys.readouterr().out
    assert "sound class, first label" in printed and "dog 4" in printed
    plain = json.loads(out.read_text())
    assert plain["figures"]["gender"]["value"] == 0.5
    assert plain["figures"]["WER, transcribe"]["value"] is None
    assert plain["protocol"]["asr"] == "none"


def test_a_model_that_does_not_read_is_one_sentence(script, wide_corpus, model_folder, capsys):
    arguments = ["--model", str(model_folder), "--data", str(wide_corpus), "--clips", "2",
                 "--no-asr"]  # fmt: skip
    assert script("sap").main(arguments) == 1
    assert "'tiny'" in capsys.readouterr().err


def test_the_words_are_those_of_the_quality_benchmark(script):
    quality = script("quality")._parser().parse_args(["--data", "x"])
    ours = script("sap")._parser().parse_args(["--data", "x"])
    assert (ours.clips, ours.sources, ours.splits) == (
        quality.clips,
        quality.sources,
        quality.splits,
    )
    assert Selection().shortest == quality.shortest and ours.language == quality.language
