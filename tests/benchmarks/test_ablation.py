import json

import numpy as np
import pytest
import torch
from tests.benchmarks.readers import VOICES, Reader, book

from unisono.audio import Audio
from unisono.errors import ConfigError, DataError
from unisono.evaluation.benchmarks.ablation import Model, ModelResult, check_role, clusters, measure
from unisono.evaluation.benchmarks.ablation_claims import Claim, Finding, claims, decide
from unisono.evaluation.benchmarks.ablation_figure import draw, panels
from unisono.evaluation.benchmarks.ablation_table import claim_rows, markdown, rows
from unisono.evaluation.benchmarks.clips import Clip
from unisono.evaluation.benchmarks.sap_reading import Question, questions
from unisono.evaluation.benchmarks.sap_scores import score
from unisono.evaluation.metrics.bootstrap import Estimate
from unisono.evaluation.metrics.clustering import cluster_report
from unisono.sap.speakers import write_voices
from unisono.tokens import AudioTokens, TokenLayout, TokenStream
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.encoder import UniAudioEncoder
from unisono.uniaudio.features import LogMelFeatures
from unisono.uniaudio.tokenizer import UniAudioTokenizer

LAYOUT = TokenLayout((TokenStream("audio", 25.0, 1, 8),))


def build(sae):
    torch.manual_seed(int(sae))
    positions = {
        "encoder_residual_source_position": 1, "encoder_residual_target_position": 2,
        "use_residual_adapter": True, "use_residual_gate": True,
    }  # fmt: skip
    config = UniAudioConfig(
        d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64,
        num_mel_bins=80, max_source_positions=1500, pooling_kernel_size=2, pooling_type="avg",
        pooling_position=0, quantize_vocab_size=64, quantize_position=2, init_std=0.2,
        quantize_encoder_only=True, **(positions if sae else {}),
    )  # fmt: skip
    encoder = UniAudioEncoder(config)
    torch.nn.init.normal_(encoder.quantizer.codebook.weight)
    name = "with-sae" if sae else "plain"
    return Reader(UniAudioTokenizer(encoder, LogMelFeatures(), None, name), book)


@pytest.fixture(scope="module")
def readers():
    return {"text": build(False), "sae": build(True), "sap": build(False), "both": build(True)}


def tokens(codes):
    return AudioTokens(
        {"audio": np.array([codes], np.int32)}, len(codes) * 640, 16_000, LAYOUT, "m"
    )


def result(name, sae, sap, clips, gates=None):
    values = {
        f"{measure} {distance}": np.asarray(clips, float)
        for measure in ("silhouette", "purity")
        for distance in ("euclidean", "cosine")
    }
    use = {"used": 1, "perplexity": 1.0, "entropy_bits": 0.0}
    gates = {kind: np.asarray(own) for kind, own in (gates or {}).items()}
    reading = score("m", [], [], {})
    return ModelResult(name, sae, sap, reading, None, values, gates, {"books": {"audio": use}})


def test_clips_add_up_to_the_clustering():
    random = np.random.default_rng(0)
    items, labels = [], []
    for label, codes in (("a", [0, 1, 2]), ("b", [2, 3, 4]), ("c", [4, 5, 0])):
        for _ in range(7):
            items.append(tokens(random.choice(codes, 12)))
            labels.append(label)
    found, clips = clusters(items, labels)
    for distance in ("euclidean", "cosine"):
        silhouettes, purities = (clips[f"{name} {distance}"] for name in ("silhouette", "purity"))
        assert silhouettes.shape == purities.shape == (21,)
        assert silhouettes.mean() == pytest.approx(found.silhouette[distance])
        assert purities.mean() == pytest.approx(found.purity[distance])
        assert set(np.round(5 * purities, 6)) <= {0, 1, 2, 3, 4, 5}
    histograms = np.stack([np.bincount(item["audio"][0], minlength=8) / 12 for item in items])
    assert found == cluster_report(histograms[:, histograms.any(0)], labels)
    assert clusters(items[:7], labels[:7]) == (None, {})
    assert clusters([], []) == (None, {})


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.2, "agrees"), (-0.2, -0.01, "disagrees"), (-0.1, 0.1, "not decided"),
     (0.0, 0.1, "not decided"), (None, None, "not measured")],
)  # fmt: skip
def test_intervals_decide(low, high, verdict):
    assert decide(Estimate(0.0, low, high, 3)) == verdict


def test_a_claim_agrees_only_if_all_its_findings_do():
    yes, no = (Finding("x", "y", Estimate(v, v, v, 2)) for v in (1.0, -1.0))
    open_, none = Finding("x", "y", Estimate(0.0, -1.0, 1.0, 2)), Finding("x", "y", Estimate())
    assert Claim("c", (yes, yes, none)).verdict == "agrees"
    assert Claim("c", (no,)).verdict == "disagrees"
    assert Claim("c", (yes, open_)).verdict == "not decided"
    assert Claim("c", (yes, no)).verdict == "not decided"
    assert Claim("c", ()).verdict == Claim("c", (none,)).verdict == "not measured"
    assert Claim("c", (yes, open_)).sentence == "c: not decided (1 agrees, 1 not decided)"


def test_effects_are_paired_and_averaged_over_the_models_that_differ_in_one_thing():
    noise = np.random.default_rng(0).normal(0.0, 5.0, 50)
    speech, sound = np.full(10, 0.3), np.full(8, 0.5)
    results = [
        result("text", False, False, noise),
        result("sae", True, False, noise + 0.1, {"speech": speech, "sound": sound, "music": []}),
        result("sap", False, True, noise - 0.2),
        result("both", True, True, noise + 0.2, {"speech": speech, "sound": speech, "music": []}),
    ]
    found = {claim.text: claim for claim in claims(results)}
    sae = found["SAE raises clustering"]
    assert sae.findings[0].compared == "text to sae, sap to both"
    assert sae.findings[0].effect.value == pytest.approx((0.1 + 0.4) / 2)
    # The clips differ by far more than the models do; pairing takes that out.
    assert sae.verdict == "agrees"
    sap = found["SAP raises clustering"]
    assert sap.findings[0].effect.value == pytest.approx((-0.2 + 0.1) / 2)
    assert sap.verdict == "disagrees"
    both = found["SAP and SAE together raise clustering"]
    assert both.findings[0].compared == "text to both"
    assert both.findings[0].effect.value == pytest.approx(0.2)
    gates = found["the gate opens further for sounds than for speech"]
    assert [finding.effect.value for finding in gates.findings] == pytest.approx([0.2, 0.0])
    assert [finding.verdict for finding in gates.findings] == ["agrees", "not decided"]
    assert found["the gate opens further for music than for speech"].verdict == "not measured"
    body = claim_rows(list(found.values()))
    assert body[0][0] == "SAE raises clustering" and body[1][0] == ""
    assert body[0][3].startswith("+0.250 [")


def test_models_that_cannot_be_compared_leave_the_claim_open():
    found = claims([result("text", False, False, [0.1, 0.2])])
    assert {claim.verdict for claim in found} == {"not measured"}
    assert found[0].sentence == "SAE raises clustering: not measured (no models to compare)"


def test_a_model_named_after_another_architecture_is_refused(readers):
    assert check_role(Model("sae", readers["sae"], False)).sae
    assert check_role(Model("mine", readers["sae"], False)).name == "mine"
    with pytest.raises(ConfigError, match="called 'both' has no SAE"):
        check_role(Model("both", readers["text"], True))
    with pytest.raises(ConfigError, match="called 'text' has an SAE"):
        check_role(Model("text", readers["sae"], False))


def test_a_model_without_sap_supervision_is_not_asked_for_saps(wide_corpus, readers):
    asked = questions(wide_corpus, VOICES, clips=2, class_clips=3)
    plain = measure(Model("text", readers["text"], False), asked)
    full = measure(Model("both", readers["both"], True), asked)
    assert plain.reading.figures["gender"].value is None and not plain.gates
    assert full.reading.figures["gender"].value == 0.5
    assert {kind: len(values) for kind, values in full.gates.items()} == {
        "speech": 4, "music": 2, "sound": 7,
    }  # fmt: skip
    assert 0 < full.gate("sound").value < 1 and plain.gate("sound").value is None
    assert full.classes.classes == {"fire": 4, "water": 3}
    table = {row[0].partition(" (")[0]: row[1:] for row in rows([plain, full])}
    assert table["SAE"] == ("no", "yes") and table["SAP supervision"] == ("no", "yes")
    assert table["gender"][0] == "–" and table["gender"][1].startswith("0.500 [")
    assert table["mean |gate|, speech"][0] == "–"
    assert "shuffled" in table["purity cosine"][0]
    text = markdown([plain, full], claims([plain, full]), {"data": "x"})
    assert "| figure | text | both |" in text and "- data: x" in text
    assert "mean \\|gate\\|, speech" in text
    json.dumps(full.to_dict())


def test_the_mixed_clip_is_speech_and_then_the_sound_equally_loud():
    def question(seconds, level, kind, label=""):
        wave = level * np.sin(0.3 * np.arange(round(8000 * seconds)))
        audio = Audio(wave.astype(np.float32), 8000)
        return Question(Clip("n", audio, kind=kind, label=label), labelled=bool(label))

    asked = [
        question(1.0, 0.2, "speech"), question(2.8, 0.2, "speech"), question(9.0, 0.1, "speech"),
        question(0.5, 0.02, "sound", "fire"), question(2.0, 0.02, "sound", "water"),
        question(7.0, 0.02, "sound", "wind"),
    ]  # fmt: skip
    speech, sound, mixed = panels(asked)
    assert (speech.audio.duration, sound.audio.duration) == (2.8, 2.0)
    assert (mixed.title, mixed.border) == ("speech, then water", 2.8)
    assert mixed.audio.duration == pytest.approx(4.8)
    here, there = np.split(mixed.audio.samples[0], [round(2.8 * 16_000)])
    assert np.std(here[2000:-2000]) == pytest.approx(np.std(there[2000:-2000]), rel=0.1)
    with pytest.raises(DataError, match="speech and a labelled sound"):
        panels(asked[:3])


def test_the_picture_shows_every_curve(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    time = np.arange(16_000) / 16_000
    audio = Audio((0.2 * np.sin(900 * time)).astype(np.float32), 16_000)
    asked = [
        Question(Clip("a", audio)),
        Question(Clip("b", audio, kind="sound", label="water"), labelled=True),
    ]
    shown = panels(asked)
    curves = [np.linspace(0.2, 0.6, 25 * round(panel.audio.duration)) for panel in shown]
    draw(tmp_path / "one.png", shown, {"sae": curves})
    draw(tmp_path / "two.png", shown, {"sae": curves, "both": [1 - curve for curve in curves]})
    one, two = (imread(tmp_path / f"{name}.png") for name in ("one", "two"))
    assert one.shape == two.shape and one.shape[1] > 1000
    red, blue = np.array([209, 73, 91]) / 255, np.array([0, 121, 140]) / 255

    def has(image, colour):
        return bool((np.abs(image[..., :3] - colour).max(-1) < 0.02).any())

    assert has(one, red) and not has(one, blue)
    assert has(two, red) and has(two, blue)


def test_script_end_to_end(script, wide_corpus, readers, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    write_voices(tmp_path / "voices.jsonl", VOICES.values())
    monkeypatch.setattr("unisono.load", lambda folder, **_: readers[str(folder)])
    base = ["--data", str(wide_corpus), "--clips", "2", "--class-clips", "3", "--no-asr",
            "--voices", str(tmp_path / "voices.jsonl")]  # fmt: skip
    files = {name: tmp_path / name for name in ("a.json", "a.md", "gate.png")}
    arguments = [*base, "--json", str(files["a.json"]), "--markdown", str(files["a.md"]),
                 "--figure", str(files["gate.png"])]  # fmt: skip
    models = ["--models", *(f"{name}={name}" for name in readers)]
    assert script("ablation").main([*models, *arguments]) == 0
    printed = capsys.readouterr().out
    assert "SAE raises clustering:" in printed
    plain = json.loads(files["a.json"].read_text())
    assert plain["models"]["text"]["reading"]["figures"]["gender"]["value"] is None
    assert plain["models"]["sap"]["reading"]["figures"]["gender"]["value"] == 0.5
    assert len(plain["claims"]) == 5
    assert "| figure | text | sae | sap | both |" in files["a.md"].read_text()
    assert files["gate.png"].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("models", "more", "message"),
    [
        (["text"], [], "NAME=FOLDER"),
        (["text=text", "text=sae"], [], "Two models"),
        (["text=text"], ["--sap-models", "x"], "names x"),
        (["sae=text"], [], "has no SAE"),
        (["text=text"], ["--figure", "gate.png"], "None of the models has a gate"),
    ],
)
def test_wrong_models_are_one_sentence(
    models, more, message, script, wide_corpus, readers, monkeypatch, capsys
):
    monkeypatch.setattr("unisono.load", lambda folder, **_: readers[str(folder)])
    base = ["--data", str(wide_corpus), "--clips", "2", "--no-asr", "--models", *models]
    assert script("ablation").main([*base, *more]) == 1
    assert message in capsys.readouterr().err
