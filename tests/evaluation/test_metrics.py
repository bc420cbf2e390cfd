import numpy as np
import pytest

from unisono.audio import Audio
from unisono.errors import UnisonoError
from unisono.evaluation.metrics.codebook import codebook_report
from unisono.evaluation.metrics.dnsmos import DNSMOS
from unisono.evaluation.metrics.mel import mel_distance
from unisono.evaluation.metrics.stoi import stoi
from unisono.evaluation.metrics.wer import WordErrors, corpus_errors, normalise, word_errors
from unisono.evaluation.models import find_whisper
from unisono.evaluation.result import Figure, MetricError, attempt, mean
from unisono.tokens import AudioTokens, TokenLayout, TokenStream


def voice(seconds, seed):
    """A hum with harmonics, syllables and a little noise, 16 kHz."""
    t = np.arange(int(seconds * 16_000)) / 16_000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / 16_000
    hum = sum(np.sin(k * phase) / k for k in range(1, 20)) * (0.5 + 0.5 * np.sin(6 * np.pi * t))
    noise = np.random.default_rng(seed).standard_normal(t.size)
    return Audio((0.1 * hum + 0.01 * noise).astype(np.float32), 16_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello,  World!", "hello world"),
        ("Don't stop", "don't stop"),
        ("don’t", "don't"),
        ("'Yes,' she said.", "'yes' she said"),
        ("a ' b", "a b"),
        ("Press 1 — now… ¿qué?", "press 1 now qué"),
        ("...", ""),
    ],
)
def test_normaliser(text, expected):
    assert normalise(text) == expected


def test_word_errors_by_hand():
    assert word_errors("the cat sat", "the cat sat.") == WordErrors(0, 0, 0, 3)
    assert word_errors("the cat sat", "the dog sat") == WordErrors(1, 0, 0, 3)
    assert word_errors("the cat sat", "cat sat") == WordErrors(0, 1, 0, 3)
    assert word_errors("the cat", "the big cat") == WordErrors(0, 0, 1, 2)
    assert word_errors("the cat", "") == WordErrors(0, 2, 0, 2)
    assert word_errors("...", "you there") == WordErrors(0, 0, 2, 0)


def test_corpus_rate_weighs_words_not_clips():
    errors = corpus_errors(["a", "b c d e"], ["x", "b c d e"])
    assert errors.rate == 1 / 5  # the mean over clips would be 1/2


def test_word_error_rate_without_reference_words_is_an_error():
    with pytest.raises(MetricError, match="no words"):
        _ = corpus_errors([""], ["you"]).rate


def test_stoi_of_identical_speech_is_one_and_falls_with_noise():
    clean = voice(3, 0)
    noise = np.random.default_rng(1).standard_normal(clean.length).astype(np.float32)
    assert stoi(clean, clean) == pytest.approx(1.0, abs=1e-6)
    assert stoi(clean, Audio(clean.samples[0] + 0.3 * noise, 16_000)) < 0.8


def test_stoi_of_too_little_sound_is_failed_and_not_a_number():
    short = Audio(voice(1, 0).samples[0, :2000], 16_000)
    figure = attempt(stoi, short, short)
    assert figure.value is None
    assert figure.failed.startswith("STOI")


def test_mel_distance_of_half_amplitude_is_log_two():
    clean = voice(2, 0)
    assert mel_distance(clean, clean) == 0.0
    half = Audio(clean.samples / 2, 16_000)
    assert mel_distance(clean, half) == pytest.approx(np.log(2), abs=1e-2)


@pytest.mark.parametrize(
    # As speechmos 0.0.1.1 with librosa scores them.
    ("seconds", "seed", "score"),
    [(3, 0, 2.2933826), (9.5, 1, 2.278651), (11.3, 2, 2.2970872)],
)
def test_dnsmos_equals_speechmos(seconds, seed, score):
    assert DNSMOS()(voice(seconds, seed)) == pytest.approx(score, abs=1e-4)


def test_dnsmos_reports_what_it_cannot_score():
    mos = DNSMOS()
    silent = attempt(mos, Audio(np.zeros(16_000, np.float32), 16_000))
    loud = attempt(mos, Audio(np.full(16_000, 1.5, np.float32), 16_000))
    assert silent.value is None and "silent" in silent.failed
    assert loud.value is None and "1.50" in loud.failed


def test_mean_says_what_failed():
    figure = mean([Figure(1.0), Figure(None, "too short", 0), Figure(3.0)])
    assert (figure.value, figure.count) == (2.0, 2)
    assert figure.failed == "1 of 3 failed, first: too short"
    assert mean([Figure(None, "broken", 0)]).text() == "failed: broken"


def test_a_defect_in_a_metric_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        attempt(lambda: 1 / 0)


def test_code_use_and_bit_rates_by_hand():
    layout = TokenLayout((TokenStream("audio", 25.0, 1, 8),))
    codes = {"audio": np.array([[0, 1, 0, 1] * 25], np.int32)}
    tokens = AudioTokens(codes, samples=64_000, rate=16_000, layout=layout, model="m")
    report = codebook_report([tokens]).to_dict()
    book = report["books"]["audio"]
    assert (book["used"], book["share"], book["perplexity"]) == (2, 0.25, 2.0)
    assert report["bits_nominal"] == 75.0
    assert report["bits_empirical"] == 25.0


def test_a_missing_recogniser_is_one_sentence_with_the_command(tmp_path):
    with pytest.raises(UnisonoError, match=r"python -m recipes\.whisper --out"):
        find_whisper(tmp_path / "none", tmp_path)
