"""All stages end to end on tiny data, to a model folder that encodes and decodes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from debug_runs import CONFIGS, overrides

import unisono
from unisono.errors import ConfigError, DataError
from unisono.training.config import load_config
from unisono.training.encoder_tokens import embeddings_of, tokenized
from unisono.training.export import assemble
from unisono.training.loop import train
from unisono.training.state import load_checkpoint, save_checkpoint
from unisono.training.tasks import build_task
from unisono.training.world import World


def run_stage(name, corpus, out, **more):
    config = load_config(CONFIGS / f"debug-{name}.yaml", overrides(corpus, out, **more))
    return train(config, build_task(config))


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    cache = {"options.cache": folder / "cache"}
    return {
        "encoder": run_stage("encoder", corpus, folder / "encoder", **cache),
        "flow": run_stage(
            "flow", corpus, folder / "flow", **{"options.encoder_run": folder / "encoder"}
        ),
        "vocoder": run_stage("vocoder", corpus, folder / "vocoder"),
        "pitch": run_stage("pitch", corpus, folder / "pitch"),
    }


def test_a_run_folder_says_what_was_done(runs):
    for run in runs.values():
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines if "step_seconds" in line] == [2, 4, 6, 8]
        assert any(key.startswith("valid/") for line in lines for key in line)
        assert json.loads((run / "environment.json").read_text())["torch"]
        assert load_config(run / "config.yaml").steps == 8
        assert len(list((run / "checkpoints").iterdir())) == 2


def test_stages_assemble_to_a_tokenizer(runs, tmp_path):
    decoding = {"steps": 2}
    parts = (runs["encoder"], tmp_path / "tiny", "tiny", runs["flow"], runs["vocoder"], decoding)
    folder = assemble(*parts, pitch_run=runs["pitch"])
    tok = unisono.load(folder)
    wave = (0.1 * np.random.default_rng(0).standard_normal(16001)).astype(np.float32)
    tokens = tok.encode(unisono.Audio(wave, 16000))
    assert tokens.codes["audio"].shape == (1, 26)
    assert tok.decode(tokens).length == 16001
    trained = load_checkpoint(runs["pitch"])["modules"]["f0_predictor"]["classifier.weight"]
    torch.testing.assert_close(
        tok.decoder.vocoder.f0_predictor.classifier.weight, trained, rtol=1e-3, atol=1e-3
    )


def test_the_quantizer_joins_at_its_step_and_codes_are_used(runs):
    lines = [json.loads(s) for s in (runs["encoder"] / "metrics.jsonl").read_text().splitlines()]
    first = next(line for line in lines if line["step"] == 2)
    last = next(line for line in lines if line["step"] == 8 and "codes" in line)
    assert "commit" not in first
    assert last["codes"] > 1
    state = load_checkpoint(runs["encoder"])
    counts = state["modules"]["encoder"]["quantizer.ema_count"]
    assert torch.isfinite(counts).all()


def test_a_flow_decoder_goes_on_with_another_encoders_tokens(runs, corpus, tmp_path):
    cache = {"options.cache": tmp_path / "cache"}
    other = run_stage("encoder", corpus, tmp_path / "other", steps=6, **cache)
    config = load_config(
        CONFIGS / "debug-flow.yaml",
        overrides(
            corpus,
            tmp_path / "flow",
            **{
                "options.encoder_run": other,
                "options.start_from": runs["flow"],
                "options.from_encoder": "false",
            },
        ),
    )
    task = build_task(config)
    before = load_checkpoint(runs["flow"])["modules"]["flow"]
    old = tokenized(runs["encoder"], config, ("train",), World()).tokens["train"]
    expected = embeddings_of(old, task.tokens["train"], before["input_embedding.weight"])
    assert not torch.equal(expected, before["input_embedding.weight"])
    torch.testing.assert_close(task.flow.input_embedding.weight.data, expected)
    own = task.flow.state_dict()
    assert all(torch.equal(own[n], t) for n, t in before.items() if n != "input_embedding.weight")


def test_a_flow_decoder_goes_on_from_a_model(runs, corpus, tmp_path):
    parts = {"flow_run": runs["flow"], "vocoder_run": runs["vocoder"]}
    folder = assemble(runs["encoder"], tmp_path / "model", "debug", int8=False, **parts)
    cache = {"options.cache": tmp_path / "cache"}
    other = run_stage(
        "encoder", corpus, tmp_path / "other", **cache, **{"optimizers.encoder.lr": 0.05}
    )
    more = {"options.start_from": folder, "options.from_encoder": "false"}
    given = unisono.load(folder).decoder.flow.state_dict()
    for encoder_run, same in ((runs["encoder"], True), (other, False)):
        out = tmp_path / f"flow-{same}"
        values = {"options.encoder_run": encoder_run, **more}
        config = load_config(CONFIGS / "debug-flow.yaml", overrides(corpus, out, **values))
        task = build_task(config)
        own = task.flow.state_dict()
        rest = {n: t for n, t in given.items() if n != "input_embedding.weight"}
        assert rest and all(torch.equal(own[name], tensor) for name, tensor in rest.items())
        moved = own["input_embedding.weight"]
        # Its own encoder's codes keep what they stood for, another's take over the means.
        assert torch.allclose(moved, given["input_embedding.weight"], atol=1e-6) == same


def test_a_flow_cannot_begin_with_a_model_that_has_none(runs, corpus, tmp_path):
    folder = assemble(runs["encoder"], tmp_path / "model", "debug", int8=False)
    values = {"options.encoder_run": runs["encoder"], "options.start_from": folder}
    config = load_config(CONFIGS / "debug-flow.yaml", overrides(corpus, tmp_path / "x", **values))
    with pytest.raises(DataError, match="has no flow decoder"):
        build_task(config)


def test_embeddings_of_new_codes_are_means_of_the_old_ones():
    embedding = torch.tensor([[0.0], [1.0], [2.0], [7.0]])
    old, new = (
        [torch.tensor([0, 1, 2]), torch.tensor([2])],
        [
            torch.tensor([1, 1, 0]),
            torch.tensor([1]),
        ],
    )
    made = embeddings_of(old, new, embedding)
    assert made.squeeze(1).tolist() == [2.0, 1.0, 2.0, 7.0]
    with pytest.raises(ConfigError, match="do not fit"):
        embeddings_of([torch.tensor([0])], [torch.tensor([0, 1])], embedding)


def test_a_stage_without_its_encoder_says_so(corpus, tmp_path):
    with pytest.raises(ConfigError, match="none"):
        run_stage("flow", corpus, tmp_path / "x", **{"options.encoder_run": tmp_path / "none"})


def test_a_torn_checkpoint_is_passed_over(tmp_path):
    save_checkpoint(tmp_path, 1, {"step": 1}, keep=3)
    newest = save_checkpoint(tmp_path, 2, {"step": 2}, keep=3)
    assert load_checkpoint(tmp_path) == {"step": 2}
    data = (newest / "state.pt").read_bytes()
    (newest / "state.pt").write_bytes(data[: len(data) // 2])
    assert load_checkpoint(tmp_path) == {"step": 1}


def test_assemble_without_a_run_says_so(tmp_path, runs):
    (tmp_path / "empty").mkdir()
    config = (runs["encoder"] / "config.yaml").read_text()
    (tmp_path / "empty" / "config.yaml").write_text(config)
    with pytest.raises(DataError, match="no whole checkpoint"):
        assemble(tmp_path / "empty", tmp_path / "out", "x")
