"""Fields of SAPs as supervision of the encoder stage: facts of clips, losses, whole runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch
from debug_runs import CONFIGS, overrides, same
from torch.nn.functional import cross_entropy

import unisono
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.errors import ConfigError, DataError, ModelError
from unisono.sap.schema import SAP
from unisono.sap.speakers import Voice
from unisono.training.config import load_config
from unisono.training.encoder_options import FieldsSection
from unisono.training.export import assemble, renew
from unisono.training.field_targets import FIELDS, FieldValues, facts_of, read_values
from unisono.training.given import given_weights
from unisono.training.loop import train
from unisono.training.state import load_checkpoint, module_weights
from unisono.training.tasks import build_task
from unisono.uniaudio.field_reader import EVENTS


def sap(text=None, gender=None, labels=()):
    vocal = dict.fromkeys(("age", "gender", "emotion", "accent", "prosody", "timbre"))
    return SAP.from_object(
        {
            "transcription": text,
            "paralinguistics": {**vocal, "gender": gender},
            "nonLinguisticEvents": {
                "description": "What is heard.",
                "discreteEvents": [{"label": n, "characteristic": "short"} for n in labels],
                "continuousEvents": [],
            },
        }
    ).canonical()


def item(**known):
    return ManifestItem(path="a.wav", duration=1.0, **known)


def test_facts_of_a_sap():
    one = item(sap=sap("Hello.", "Female", ["snare", "white noise", "tom"]))
    facts = facts_of([one], {}, {"snare": "drum", "tom": "drum", "white noise": ""})
    assert facts == {"speech": ("yes",), "gender": ("Female",), EVENTS: ("drum",)}
    quiet = facts_of([item(sap=sap("Hello."))], {}, {})
    assert quiet == {"speech": ("yes",), EVENTS: ("",)}
    assert facts_of([item(sap=sap())], {}, {})["speech"] == ("no",)


def test_facts_of_clips_without_a_sap():
    voices = {"ann": Voice(speaker="ann", gender="Female", age="Adult", pitch=200.0)}
    ann, bob = item(speaker="ann"), item(speaker="bob")
    assert facts_of([ann, ann], voices, {})["gender"] == ("Female",)
    assert facts_of([ann, bob], voices, {}) == {"speech": ("yes",)}
    dog, bell = (item(kind="sound", label=label) for label in ("dog", "bell"))
    assert facts_of([dog, dog], {}, {})[EVENTS] == ("dog",)
    assert facts_of([dog, bell], {}, {}) == {"speech": ("no",)}
    assert facts_of([item(kind="music")], {}, {})[EVENTS] == ("music",)
    # A voice that is played faster may no longer be known as a woman's or a man's.
    assert "gender" not in facts_of([item(speaker="ann*0.60")], voices, {})


FACTS = [
    *[{"speech": ("yes",), "gender": ("Male",)}] * 6,
    *[{"speech": ("yes",), "gender": ("Female",)}] * 2,
    {"speech": ("no",), EVENTS: ("dog",)},
    *[{"speech": ("no",), EVENTS: ("dog", "bell")}] * 2,
]


def test_values_and_targets():
    values = FieldValues.of(FACTS, FieldsSection(least=2))
    assert values.values == {
        "speech": ("no", "yes"), "gender": ("Female", "Male"), EVENTS: ("bell", "dog"),
    }  # fmt: skip
    rare, common = values.costs["gender"]
    assert rare / common == pytest.approx(3**0.5)
    even, _ = FieldValues.of(FACTS, FieldsSection(least=2, balance=1)).costs["gender"]
    assert even / rare == pytest.approx(2 / 2**0.5)
    targets = values.targets([FACTS[0], FACTS[-1], {}])
    assert targets["gender"].tolist() == [[0, 1], [0, 0], [0, 0]]
    assert targets[EVENTS].tolist() == [[0, 0], [0.5, 0.5], [0, 0]]
    assert FieldValues.of(FACTS, FieldsSection(least=3)).values.keys() == {"speech"}
    with pytest.raises(DataError, match=r"lower fields.least"):
        FieldValues.of(FACTS, FieldsSection(least=30))


def test_losses_and_right_answers():
    values = FieldValues.of(FACTS, FieldsSection(least=2))
    targets = values.targets(FACTS)
    torch.manual_seed(0)
    logits = {name: torch.randn_like(aim) for name, aim in targets.items()}
    losses = values.losses(logits, targets)
    total, count = losses["gender"]
    costs = torch.tensor(values.costs["gender"])
    wanted = cross_entropy(logits["gender"][:8], targets["gender"][:8], costs, reduction="sum")
    assert count == 8 and total == pytest.approx(wanted.item(), rel=1e-5)
    # Knowing nothing costs about one, whatever the number of values.
    even = values.losses({n: torch.zeros_like(a) for n, a in targets.items()}, targets)
    assert even["gender"][0] / 8 == pytest.approx(0.97, abs=0.1)
    right = values.right({n: aim.clone() for n, aim in targets.items()}, targets)
    assert right["gender"] == [True] * 8 and right[EVENTS] == [True] * 3
    wrong = values.right({n: -aim for n, aim in targets.items()}, targets)
    assert not any(wrong["gender"])


def test_values_are_kept_in_a_file(tmp_path):
    values = FieldValues.of(FACTS, FieldsSection(least=2))
    values.write(tmp_path / "run" / FIELDS)
    assert read_values(tmp_path / "run" / FIELDS) == values.values
    (tmp_path / "bad.json").write_text("[1")
    with pytest.raises(ModelError, match="no values of fields"):
        read_values(tmp_path / "bad.json")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Low voices and high ones, half with a loud click track called a clock."""
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(0)
    items = []
    for n in range(28):
        high, clock = n % 2 == 1, n // 2 % 2 == 1
        time = np.arange(round(16000 * (0.6 + 0.02 * n))) / 16000
        wave = 0.2 * np.sin(2 * np.pi * (300 if high else 100) * time)
        wave = wave + 0.01 * rng.standard_normal(len(time))
        if clock:
            wave[:: 16000 // 40] += 0.5
        soundfile.write(folder / f"{n}.wav", wave, 16000)
        label = sap("la", "Female" if high else "Male", ["clock"] if clock else [])
        split = "valid" if n >= 24 else "train"
        items.append(
            ManifestItem(path=f"{n}.wav", duration=len(wave) / 16000, sap=label, split=split)
        )
    write_manifest(folder / "scenes.jsonl", items)
    return folder / "scenes.jsonl"


def configured(scenes, out, **more):
    values = {
        "options.cache": "null", "options.fields_weight": 1.0, "options.fields.least": 2,
        "options.ctc_weight": 0, "options.mel_weight": 0, "options.fields.width": 32,
        "data.workers": 0, **more,
    }  # fmt: skip
    return load_config(CONFIGS / "debug-encoder.yaml", overrides(scenes, out, **values))


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    more = {"steps": 60, "evaluate_every": 60, "log_every": 1, "options.quantize_from": 10}
    config = configured(scenes, out, **more)
    train(config, build_task(config), terminal=False)
    return out


def test_a_run_learns_them_and_resumes(scenes, run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["field.gender"] for line in lines if "field.gender" in line]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert any("gender_right" in str(line) and "events_right" in str(line) for line in lines)
    assert read_values(run / FIELDS)["gender"] == ("Female", "Male")


def test_a_model_gets_them_and_gives_them_back(scenes, run, tmp_path):
    folder = assemble(run, tmp_path / "model", "teller", int8=False)
    tok = unisono.load(folder)
    assert set(tok.fields.fields) == {"gender", EVENTS}
    before = given_weights(folder).modules
    assert torch.equal(before["field_reader"]["body.inward.weight"], tok.fields.body.inward.weight)
    more = {"options.start_from": folder, "options.quantize_from": 0}
    task = build_task(configured(scenes, tmp_path / "next", **more))
    assert torch.equal(task.field_reader.body.inward.weight, tok.fields.body.inward.weight)
    # A model has no moving averages: they start from its codebook, which stays what it was.
    quantizer = task.encoder.quantizer
    assert torch.equal(quantizer.ema_weight, quantizer.codebook.weight)
    codes = quantizer.codebook.weight.clone()
    (turn,) = task.losses(task.batch(0), 0)
    assert turn[2]["codes"] >= 1
    assert (quantizer.codebook.weight - codes).norm() < 0.5 * codes.norm()


def of_tokens(scenes, out, encoder, **more):
    values = {"options.encoder": encoder, **more}
    return load_config(CONFIGS / "debug-fields.yaml", overrides(scenes, out, **values))


def test_the_stage_reads_a_finished_encoders_tokens(scenes, run, tmp_path):
    more = {"steps": 40, "options.dropout": 0.1, "options.fields.least": 2, "log_every": 1}
    config = of_tokens(scenes, tmp_path / "fields", run, **more)
    task = build_task(config)
    # One pass shows every sequence once, in another order than the next one.
    count = len(task.tokens["train"])
    passes = [[int(i) for i in task._order(lap)] for lap in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(count)) and passes[0] != passes[1]
    again = [next(iter(task.losses(task.batch(3), 3)))[1] for _ in range(2)]
    assert torch.equal(*again)
    done = train(config, task, terminal=False)
    lines = [json.loads(line) for line in (done / "metrics.jsonl").read_text().splitlines()]
    losses = [line["gender"] for line in lines if "gender" in line]
    assert np.mean(losses[-8:]) < np.mean(losses[:8])
    tok = unisono.load(assemble(run, tmp_path / "model", "teller", fields_run=done))
    assert tok.fields.fields == task.fields.values


def test_labelled_sounds_come_by_themselves_too(scenes, run, tmp_path):
    rng = np.random.default_rng(1)
    items = []
    for n, label in enumerate(("bell", "", "water", "bell", "water")):
        wave = 0.1 * rng.standard_normal(4800).astype(np.float32)
        soundfile.write(tmp_path / f"{n}.wav", wave, 16000)
        split = "valid" if n == 4 else "train"
        facts = {"kind": "sound", "label": label, "split": split}
        items.append(ManifestItem(path=f"{n}.wav", duration=0.3, **facts))
    write_manifest(tmp_path / "sounds.jsonl", items)
    more = {"data.train": [str(scenes), str(tmp_path / "sounds.jsonl")], "options.fields.least": 2,
            "data.kinds": ["speech", "sound"]}  # fmt: skip
    joined, apart = (
        build_task(of_tokens(scenes, tmp_path / name, run, **more, **{"options.singles": singles}))
        for name, singles in (("joined", False), ("apart", True))
    )
    count = len(joined.tokens["train"])
    assert len(apart.tokens["train"]) == len(apart.seconds["train"]) == count + 3
    assert [facts[EVENTS] for facts in apart.facts["train"][count:]] == [
        ("bell",), ("water",), ("bell",)
    ]  # fmt: skip
    assert apart.seconds["train"][count:] == [0.3] * 3
    assert len(apart.tokens["valid"]) == len(joined.tokens["valid"])


def test_a_stopped_stage_goes_on_as_if_nothing_had_been(scenes, run, tmp_path):
    even = {"options.fields.least": 2, "optimizers.reader.floor": 1, "optimizers.reader.warmup": 0}
    for name, stops in (("whole", (6,)), ("parts", (3, 6))):
        for steps in stops:
            config = of_tokens(scenes, tmp_path / name, run, steps=steps, **even)
            train(config, build_task(config), terminal=False)
    whole, parts = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 6
    assert same(whole["modules"], parts["modules"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"options.encoder": "unicodec-mini"}, "system unicodec"),
        ({"data.augment.gain.probability": 0.5}, "tokens are read once"),
        ({"options.singles": True}, "no sound of data.train has a label"),
    ],
)
def test_what_the_stage_cannot_take(scenes, run, tmp_path, change, told):
    encoder = change.pop("options.encoder", run)
    with pytest.raises(ConfigError, match=told):
        build_task(of_tokens(scenes, tmp_path / "out", encoder, **change))


def test_a_model_is_renewed_with_what_a_run_trained(scenes, run, tmp_path):
    folder = assemble(run, tmp_path / "model", "teller", int8=False)
    summed = {"options.start_from": folder, "options.summary_weight": 1.0, "options.frozen": 2,
              "options.quantize_from": 0, "steps": 4, "log_every": 1}  # fmt: skip
    config = configured(scenes, tmp_path / "next", **summed)
    task = build_task(config)
    done = train(config, task, terminal=False)
    lines = [json.loads(line) for line in (done / "metrics.jsonl").read_text().splitlines()]
    assert all(0.1 < line["summary"] < 10 for line in lines if "summary" in line)
    assert any("summary" in line for line in lines)
    old = unisono.load(folder)
    new = unisono.load(renew(folder, tmp_path / "new", done, fields_run=done, int8=False))
    trained = module_weights(done)["encoder"]["equilibrium.gate_in.weight"]
    torch.testing.assert_close(new.encoder.equilibrium.gate_in.weight, trained)
    assert not torch.equal(old.encoder.equilibrium.gate_in.weight, trained)
    assert new.model_id == "teller" and new.fields.fields == task.fields.values
    with pytest.raises(ConfigError, match="no place for flow_run"):
        renew(folder, tmp_path / "x", done, flow_run=done)
    with pytest.raises(ConfigError, match="only uniaudio's"):
        renew("unicodec-mini", tmp_path / "x", done)


def test_summaries_need_frozen_layers(scenes, tmp_path):
    with pytest.raises(ConfigError, match="summary_weight"):
        build_task(
            configured(
                scenes, tmp_path / "x", **{"options.summary_weight": 1.0, "options.frozen": 0}
            )
        )


def test_statistics_answer_after_a_few_steps(scenes, run, tmp_path):
    more = {"steps": 30, "options.fields.least": 2, "options.whole": True, "log_every": 1}
    config = of_tokens(scenes, tmp_path / "whole", run, **more)
    task = build_task(config)
    seen = task._statistics()
    torch.testing.assert_close(task.reader.whole.center, seen.mean(0))
    done = train(config, task, terminal=False)
    lines = [json.loads(line) for line in (done / "metrics.jsonl").read_text().splitlines()]
    losses = [line["gender.whole"] for line in lines if "gender.whole" in line]
    assert losses[-1] < 0.9 * losses[0]
    held = {**more, "options.penalty": 100.0}
    strict = build_task(of_tokens(scenes, tmp_path / "strict", run, **held))
    train(strict.config, strict, terminal=False)
    size = [t.reader.whole.outward.weight.norm() for t in (strict, task)]
    assert size[0] < 0.5 * size[1]
    tok = unisono.load(assemble(run, tmp_path / "model", "teller", fields_run=done))
    assert tok.fields.whole is not None
