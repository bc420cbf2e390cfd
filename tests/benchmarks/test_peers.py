import json

import numpy as np
import pytest

from unisono.audio import Audio
from unisono.evaluation.benchmarks.clips import choose, read_clip
from unisono.evaluation.benchmarks.peers import Judges, measure, report, transcripts
from unisono.evaluation.benchmarks.peers_table import markdown, render
from unisono.evaluation.console import open_console
from unisono.evaluation.peers import Untouched
from unisono.evaluation.result import MetricError


class Louder:
    """A codec that multiplies by a factor and pays a byte a sample."""

    bit_rate = 100_000.0

    def __init__(self, factor):
        self.factor, self.name = factor, f"times {factor:g}"

    def roundtrip(self, audio):
        return Audio(self.factor * audio.samples, audio.rate), audio.length


class LevelASR:
    """Hears two words in loud clips and one of them in soft ones."""

    name = "level"

    def __call__(self, wave, language):
        assert language == "en" and wave.ndim == 1
        return "Loud, words" if np.abs(wave).max() > 0.15 else "words"


def level(audio):
    return float(np.abs(audio.samples).max())


def ratio(reference, other):
    if level(other) > 1:
        raise MetricError("too loud")
    return level(other) / level(reference)


@pytest.fixture(scope="module")
def clips(corpus):
    return [read_clip(corpus, item) for item in choose(corpus, 3)]


@pytest.fixture(scope="module")
def result(clips):
    judges = Judges(LevelASR(), level, ratio)
    said = transcripts(clips, judges)
    assert said == ["Loud, words"] * 3
    codecs = [Louder(0.5), Untouched(16_000), Louder(0.1)]
    return report([measure(codec, clips, said, judges) for codec in codecs], judges, "untouched")


def test_untouched_comes_first_then_the_others_by_bit_rate(result):
    assert [one.name for one in result.results] == ["untouched", "times 0.5", "times 0.1"]
    first = result.results[0].estimates
    assert first["wer"].value == 0.0
    assert first["speaker"].value == 1.0
    assert first["stoi"].value == pytest.approx(1.0, abs=1e-5)
    assert first["bit_rate"].value == 256_000.0


def test_scores_of_constructed_codecs_are_as_constructed(result, clips):
    half, tenth = (one.estimates for one in result.results[1:])
    assert half["speaker"].value == pytest.approx(0.5)
    assert (half["speaker"].low, half["speaker"].high) == pytest.approx((0.5, 0.5))
    assert tenth["wer"].value == 0.5 and tenth["wer"].count == 3
    assert tenth["dnsmos"].value == pytest.approx(
        np.mean([0.1 * level(clip.audio) for clip in clips])
    )
    assert half["bit_rate"].value == 128_000.0


def test_what_fails_is_said_and_not_counted(clips):
    judges = Judges(None, None, ratio, absent={"dnsmos": "no network today"})
    loud = Louder(1.1 / max(level(clip.audio) for clip in clips))
    one = measure(loud, clips, transcripts(clips, judges), judges)
    failed = sum(loud.factor * level(clip.audio) > 1 for clip in clips)
    assert 0 < failed < 3
    assert one.estimates["speaker"].count == 3 - failed
    assert one.estimates["speaker"].failed == f"{failed} of 3 failed, first: too loud"
    assert one.estimates["dnsmos"].failed == "no network today"
    assert one.estimates["wer"].failed == "no clip was transcribed"
    text = markdown(report([one], judges, "untouched"))
    assert f"{one.name} DNSMOS: no network today" in text and "–*" in text


def test_both_tables_hold_the_figures(result, capsys):
    text = markdown(result).splitlines()
    cells = [cell.strip() for cell in text[3].strip("|").split("|")]
    assert cells[:4] == ["times 0.5", "100", "128", "0.000 [0.000, 0.000]"]
    assert text[1].count("|") == text[0].count("|") == text[3].count("|")
    console = open_console(160)
    for part in render(result):
        console.print(part)
    printed = capsys.readouterr().out
    assert "times 0.1" in printed and "[0.500, 0.500]" in printed
    assert "percentile bootstrap" in printed
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["codecs"][2]["clips"][0]["word_errors"]["deletions"] == 1
    assert plain["codecs"][1]["figures"]["speaker"]["value"] == pytest.approx(0.5)


def test_script_end_to_end_with_the_real_codecs(script, corpus, model_folder, tmp_path, capsys):
    out = tmp_path / "peers.json"
    arguments = ["--data", str(corpus), "--models", str(model_folder), "--clips", "1", "--no-asr",
                 "--threads", "1", "--markdown", "--json", str(out)]  # fmt: skip
    assert script("peers").main(arguments) == 0
    printed = capsys.readouterr().out
    names = ["untouched", "tiny", "Codec2 1.2k", "Codec2 3.2k", "Opus 6k", "Opus 9k", "Opus 12k"]
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    assert sorted(rows[2:]) == sorted(names) and rows[2] == "untouched"
    results = json.loads(out.read_text())
    assert results["protocol"]["models"] == {"tiny": "packed"}
    assert all(one["clips"][0]["payload_bytes"] > 0 for one in results["codecs"])
    rates = [one["figures"]["bit_rate"]["value"] for one in results["codecs"][1:]]
    assert rates == sorted(rates)


def test_script_refuses_what_it_cannot_do(script, corpus, model_folder, capsys):
    base = ["--data", str(corpus), "--clips", "1"]
    assert script("peers").main(base) == 1
    assert "python -m recipes.whisper" in capsys.readouterr().err
    two = ["--models", str(model_folder), str(model_folder), "--no-asr"]
    assert script("peers").main([*base, *two]) == 1
    assert "different folder names" in capsys.readouterr().err
