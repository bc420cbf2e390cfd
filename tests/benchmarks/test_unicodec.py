import json
from dataclasses import replace

import numpy as np
import pytest
from tests.benchmarks.toy_streams import (
    LEVELS,
    LOUDNESS,
    SignASR,
    ToyTokenizer,
    alike,
    write_corpus,
)
from tests.tiny_unicodec import write

from unisono.audio import Audio
from unisono.errors import ConfigError
from unisono.evaluation.benchmarks.clips import read_items
from unisono.evaluation.benchmarks.peers import Judges
from unisono.evaluation.benchmarks.unicodec_conversion import convert_pairs, keep_voice
from unisono.evaluation.benchmarks.unicodec_figure import draw
from unisono.evaluation.benchmarks.unicodec_probes import (
    Probed,
    choose_clips,
    look_at,
    probe,
)
from unisono.evaluation.benchmarks.unicodec_streams import (
    StreamCodec,
    check_streams,
    code_vectors,
    held,
    modes,
)
from unisono.evaluation.benchmarks.unicodec_voices import by_speaker, joined, pairs, read_voices
from unisono.tokens import AudioTokens, TokenLayout, TokenStream

TOY = ToyTokenizer()
JUDGES = Judges(SignASR(), None, alike)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def voices(manifest):
    return read_voices(manifest, read_items(manifest), ("eval",))


def known(language):
    return language == "en"


def convert(manifest, chosen, judges=JUDGES, tokenizer=TOY):
    return convert_pairs("toy", tokenizer, manifest, chosen, judges, known)


# Streams ------------------------------------------------------------------------------------------


def test_held_frames_halve_the_rate_of_p():
    wave = np.repeat([0.1, 0.3, 0.2, 0.3, 0.1], 640).astype(np.float32)
    tokens = TOY.encode(Audio(wave, 16_000))
    assert tokens["residual"].tolist() == [[1, 3, 2, 3, 1]]
    slow = held(tokens)
    assert slow["residual"].tolist() == [[1, 1, 2, 2, 1]]
    assert np.array_equal(slow["semantic"], tokens["semantic"])


def test_modes_decode_what_they_keep_and_pay_for_it():
    wave = np.repeat([0.25, -0.5, 0.5, -0.25] * 50, 640).astype(np.float32)
    audio = Audio(wave, 16_000)
    found = {mode.name: StreamCodec(TOY, mode) for mode in modes()}
    # 25 Hz of one bit and of two bits; G is four bits, a byte.
    assert [codec.bit_rate for codec in found.values()] == [75.0, 50.0, 25.0]
    decoded = {name: codec.roundtrip(audio) for name, codec in found.items()}
    assert [payload for _, payload in decoded.values()] == [76, 51, 26]
    sizes = [np.abs(out.samples[0, 320::640][:4]) for out, _ in decoded.values()]
    third = 0.5 / 3
    # Half of the loudest is 1.5 steps of 3, which rounds to 2.
    assert sizes[0] == pytest.approx([2 * third, 0.5, 0.5, 2 * third], abs=1e-6)
    assert sizes[1] == pytest.approx([2 * third, 2 * third, 0.5, 0.5], abs=1e-6)
    assert sizes[2] == pytest.approx([2 * third] * 4, abs=1e-6)


def test_models_that_say_the_pitch_are_decoded_with_it_alone_too():
    found = {mode.name: mode for mode in modes(pitched=True)}
    assert [*found] == ["G + S + P", "G + S + P at 12.5 Hz", "G + S + pitch", "G + S"]
    layout = TokenLayout(
        (TokenStream("global", None, 2, 4), TokenStream("semantic", 25, 2, 4),
         TokenStream("residual", 25, 4, 16))
    )  # fmt: skip
    codes = {s.name: np.ones((s.groups, 1 if s.rate is None else 5)) for s in layout.streams}
    tokens = AudioTokens({n: x.astype(int) for n, x in codes.items()}, 3200, 16_000, layout)
    assert found["G + S + pitch"].keep(tokens)["residual"].shape == (1, 5)
    assert found["G + S + pitch"].bit_rate(layout) == 200.0
    assert len(modes()) == 3


def test_models_without_the_streams_are_refused(tokenizer):
    check_streams(TOY)
    with pytest.raises(ConfigError, match=r"has the streams audio.*such as unicodec-mini"):
        check_streams(tokenizer)


# Voices -------------------------------------------------------------------------------------------


def test_references_are_long_and_pairs_are_of_different_voices(manifest, voices):
    assert [voice.name for voice in voices] == ["loud", "middle", "soft"]
    assert all(voice.reference.duration == 12.0 for voice in voices)
    chosen = pairs(voices, 24)
    assert len(chosen) == 24
    assert all(pair.source.speaker != pair.reference.name for pair in chosen)
    said = {(pair.source.path, pair.source.start, pair.reference.name) for pair in chosen}
    assert len(said) == 24
    assert len({(one, other) for one, _, other in said}) == 6
    assert len(pairs(voices, 1000)) == 36
    assert pairs(voices[:1], 5) == []


def test_voices_made_from_others_or_with_too_little_are_left_out(manifest):
    items = read_items(manifest)
    other = [item.model_copy(update={"speaker": "soft*1.2"}) for item in items]
    assert by_speaker(other, ("eval",)) == {}
    assert by_speaker(items, ("valid",)) == {}
    assert read_voices(manifest, items[:1], ("eval",)) == []


def test_joined_clips_are_cut_at_the_wanted_length(manifest):
    items = read_items(manifest)[:3]
    assert joined(manifest, items, 8.5).length == round(8.5 * 16_000)
    assert joined(manifest, items, 60.0).duration == 10.0


# Conversion ---------------------------------------------------------------------------------------


def test_conversion_by_g_alone_reaches_every_voice_and_keeps_the_words(manifest, voices):
    result = convert(manifest, pairs(voices, 18))
    figures = result.estimates
    assert figures["to_reference"].value == pytest.approx(1.0, abs=1e-4)
    assert figures["own_to_source"].value == pytest.approx(1.0, abs=1e-4)
    steps = [abs(a - b) for a in LOUDNESS.values() for b in LOUDNESS.values() if a != b]
    apart = 1 - np.mean(steps) / LEVELS
    assert figures["to_source"].value == pytest.approx(apart, abs=1e-3)
    assert figures["own_to_reference"].value == pytest.approx(apart, abs=1e-3)
    assert figures["gain"].value == pytest.approx(1 - apart, abs=1e-3)
    assert figures["share"].value == figures["share"].low == 1.0
    assert figures["wer"].value == figures["own_wer"].value == figures["kept_wer"].value == 0.0
    assert result.voices == ["loud", "middle", "soft"]
    assert json.loads(json.dumps(result.to_dict()))["pairs"][0]["texts"]["source"]


class Deaf(ToyTokenizer):
    """Takes a voice, and says the opposite in the own one."""

    def decode_blocks(self, tokens, seed, steps, voice):
        for wave in super().decode_blocks(tokens, seed, steps, None):
            yield wave if voice is None else -wave


def test_a_model_that_ignores_the_voice_gains_nothing(manifest, voices):
    figures = convert(manifest, pairs(voices, 6), tokenizer=Deaf()).estimates
    assert figures["gain"].value == 0.0
    assert figures["share"].value == 0.0
    assert figures["own_wer"].value == 0.0
    # Less than 1, since a shifted row of words still fits in part.
    assert figures["wer"].value > 0.6


class Thrifty(ToyTokenizer):
    """Says the opposite of tokens that were given another voice, even their own."""

    def revoiced(self, tokens, voice):
        return replace(super().revoiced(tokens, voice), rate=tokens.rate, model="thrifty")

    def decode_blocks(self, tokens, seed, steps, voice):
        for wave in super().decode_blocks(tokens, seed, steps, voice):
            yield -wave if tokens.model == "thrifty" else wave

    def check(self, tokens):
        """Takes all."""


def test_words_that_are_lost_by_what_is_kept_are_told_apart(manifest, voices):
    figures = convert(manifest, pairs(voices, 6), tokenizer=Thrifty()).estimates
    assert figures["wer"].value == figures["own_wer"].value == 0.0
    assert figures["kept_wer"].value > 0.6


def test_what_cannot_be_scored_says_why(manifest, voices):
    chosen = pairs(voices, 3)
    figures = convert(manifest, chosen, Judges()).estimates
    assert figures["share"].failed == "not asked for"
    assert figures["wer"].failed == "no recogniser"
    strange = [
        type(pair)(pair.source.model_copy(update={"language": "wa"}), pair.reference)
        for pair in chosen
    ]
    assert "language" in convert(manifest, strange).estimates["wer"].failed
    assert "no pair" in convert(manifest, []).estimates["gain"].failed


class Fading(ToyTokenizer):
    """Loses half of its loudness over a minute."""

    def decode_blocks(self, tokens, seed, steps, voice):
        for wave in super().decode_blocks(tokens, seed, steps, voice):
            yield wave * np.linspace(1.0, 0.5, wave.size)


def test_a_voice_that_is_lost_over_time_is_seen(manifest):
    recording = joined(manifest, by_speaker(read_items(manifest), ("eval",))["loud"], 20.0)
    kept = keep_voice("loud", TOY, recording, JUDGES)
    assert kept.original.value == kept.decoded.value == pytest.approx(1.0, abs=1e-3)
    assert [figure.value for figure in kept.kept] == pytest.approx([1.0] * 4, abs=1e-3)
    lost = keep_voice("loud", Fading(), recording, JUDGES)
    values = [figure.value for figure in lost.kept]
    assert values == sorted(values, reverse=True)
    assert lost.decoded.value < 0.8
    assert values[-1] == pytest.approx(1 - 0.75 * 0.375, abs=0.02)


# Probes -------------------------------------------------------------------------------------------


def probed(count=120):
    """Clips whose G holds the speaker, S the phones and P the movement of the pitch."""
    random = np.random.default_rng(0)
    for number in range(count):
        language = ("xx", "yy")[number % 2]
        speaker = number // 2 % 4
        said = random.random(3) < 0.5
        pitch = 7 + 0.2 * speaker + 0.1 * random.standard_normal(20)
        pitch[::4] = np.nan
        moved = np.nan_to_num(pitch - np.nanmean(pitch))[:, None]

        def noisy(values):
            return np.asarray(values, np.float64) + 0.01 * random.standard_normal(np.shape(values))

        yield Probed(
            f"c{number}", f"{language}{speaker}", language,
            frozenset(phone for phone, there in zip("abc", said, strict=True) if there),
            {
                "global": noisy([np.eye(4)[speaker]]),
                "semantic": noisy(np.repeat([said.astype(float)], 20, axis=0)),
                "residual": noisy(np.repeat(moved, 2, axis=1)),
            },
            pitch,
        )  # fmt: skip


@pytest.fixture(scope="module")
def matrix():
    return probe(list(probed()))


def test_each_stream_tells_what_it_holds_and_nothing_else(matrix):
    values = {
        name: {task: estimate.value for task, estimate in row.items()}
        for name, row in matrix.matrix.items()
    }
    assert values["global"]["speaker"] == 1.0
    assert values["semantic"]["phones"] > 0.98
    assert values["residual"]["f0_movement"] > 0.95
    assert max(values["semantic"]["speaker"], values["residual"]["speaker"]) < 0.45
    assert max(values["global"]["phones"], values["residual"]["phones"]) < 0.65
    assert values["global"]["f0_movement"] == pytest.approx(0.0, abs=1e-3)
    assert values["semantic"]["f0_movement"] < 0.05
    assert matrix.matrix["global"]["speaker"].chance == pytest.approx(0.25, abs=0.02)
    assert matrix.speakers["xx"] == ["xx0", "xx1", "xx2", "xx3"]
    plain = json.loads(json.dumps(matrix.to_dict()))
    assert plain["matrix"]["global"]["speaker"]["above_chance"] == pytest.approx(1.0)


def test_the_picture_of_the_matrix(matrix, tmp_path):
    draw(tmp_path / "matrix.png", matrix)
    assert (tmp_path / "matrix.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_clips_to_probe_are_of_languages_with_three_speakers(tmp_path):
    manifest = write_corpus(tmp_path, "valid", 12, phonemes="aː b̪")
    items = read_items(manifest)
    assert len(choose_clips(items, ("valid",))) == 36
    assert len(choose_clips(items, ("valid",), least=12, most=5)) == 15
    assert choose_clips(items, ("valid",), least=13) == []
    assert choose_clips(items[:24], ("valid",)) == []
    no_phonemes = [item.model_copy(update={"phonemes": ""}) for item in items]
    assert choose_clips(no_phonemes, ("valid",)) == []


def test_a_clip_is_looked_at_frame_by_frame(manifest):
    item = read_items(manifest)[0].model_copy(update={"phonemes": "aː b̪"})
    time = np.arange(32_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20)) * (time < 1)
    clip = look_at(
        TOY, lambda tokens: {name: tokens[name].T for name in tokens.codes}, "x", item,
        Audio((0.2 * tone).astype(np.float32), 16_000),
    )  # fmt: skip
    assert clip.phones == {"a", "b"}
    assert clip.pitch.shape == (50,)
    assert clip.pitch[5:20] == pytest.approx(np.log2(150.0), abs=0.02)
    assert np.isnan(clip.pitch[30:]).all()


def test_vectors_are_the_rows_of_the_codebooks(tiny, voice):
    import unisono

    model = unisono.load(tiny)
    tokens = model.encode((voice(1.0, 16_000), 16_000))
    found = code_vectors(model)(tokens)
    assert {name: rows.shape for name, rows in found.items()} == {
        "global": (1, 8), "semantic": (25, 8), "residual": (25, 8),
    }  # fmt: skip
    books = model.model.residual_encoder.quantizer.codebook.detach().numpy()
    rows = [books[group, tokens["residual"][group, 7]] for group in range(4)]
    assert found["residual"][7] == pytest.approx(np.concatenate(rows))


# Script -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, voice):
    noise = 0.3 * np.random.default_rng(3).standard_normal(19_200).astype(np.float32)
    return write(tmp_path_factory.mktemp("tiny") / "model", voice(1.2, 16_000), noise)


def test_script_end_to_end_without_recogniser(script, manifest, tiny, tmp_path, capsys):
    write_corpus(tmp_path, "valid", 12, phonemes="a b")
    base = ["--model", str(tiny), "--data", str(manifest), "--no-asr", "--clips", "2",
            "--sources", "toy", "--pairs", "2", "--long-seconds", "15", "--probe-data",
            str(tmp_path / "valid.jsonl"), "--seen", str(tmp_path / "valid.jsonl"),
            "--probe-clips", "12"]  # fmt: skip
    out, picture = tmp_path / "o.json", tmp_path / "m.png"
    arguments = [*base, "--markdown", "--json", str(out), "--figure", str(picture)]
    assert script("unicodec").main(arguments) == 0
    printed = capsys.readouterr().out
    for row in ("| G + S |", "| G + S + P at 12.5 Hz |", "| held-out voices (", "| P residual |",
                "| voices of training (", "| loud | 15.0 |", "| chance |"):  # fmt: skip
        assert row in printed
    results = json.loads(out.read_text())
    assert {"protocol", "resynthesis", "conversion", "long", "probes"} == set(results)
    assert results["resynthesis"]["codecs"][0]["name"] == "untouched"
    assert [len(one["pairs"]) for one in results["conversion"]] == [2, 2]
    assert results["probes"]["clips"] == 36
    assert picture.is_file()
    assert script("unicodec").main([*base, "--parts", "long"]) == 0
    printed = capsys.readouterr().out
    assert "one voice over time" in printed and "linear probes on" not in printed


def test_script_says_what_is_wrong(script, manifest, model_folder, tiny, capsys):
    base = ["--data", str(manifest), "--no-asr"]
    assert script("unicodec").main([*base, "--model", str(model_folder)]) == 1
    assert "has the streams audio" in capsys.readouterr().err
    assert script("unicodec").main([*base, "--model", str(tiny), "--parts", "long"]) == 1
    assert "give fewer --long-seconds" in capsys.readouterr().err
    assert script("unicodec").main([*base, "--model", str(tiny), "--parts", "probes"]) == 1
    assert "valid.jsonl" in capsys.readouterr().err
