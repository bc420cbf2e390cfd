"""The loop in one process: windows, workers, averages, precision, old checkpoints."""

from __future__ import annotations

import json
import os

import pytest
import torch
from debug_runs import same
from joint_task import JointTask, make_config, run

from unisono.errors import ConfigError, DataError
from unisono.training.average import WeightAverage
from unisono.training.loop import train
from unisono.training.precision import choose_precision
from unisono.training.state import load_checkpoint, module_weights, save_checkpoint

EVEN = {"even": True, "critic_every": 1}


def lines(run_folder):
    return [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]


def steps_taken(state, player):
    return int(state["optimizers"][player]["state"][0]["step"])


def test_accumulated_batches_equal_one_big_batch(tmp_path):
    run(tmp_path / "small", accumulate=3, steps=12, options=EVEN)
    run(tmp_path / "big", joint=3, steps=4, options=EVEN)
    small, big = (load_checkpoint(tmp_path / name) for name in ("small", "big"))
    for name, module in big["modules"].items():
        for key, tensor in module.items():
            if "quantizer" not in key:
                torch.testing.assert_close(
                    small["modules"][name][key], tensor, atol=1e-6, rtol=1e-5
                )


def test_a_player_that_plays_early_in_a_window_steps_at_its_end(tmp_path):
    run(tmp_path / "run", accumulate=2)  # the critic plays at steps 0, 2, 4, 6 only
    state = load_checkpoint(tmp_path / "run")
    assert steps_taken(state, "critic") == steps_taken(state, "coder") == 4


def test_checkpoints_wait_for_the_end_of_a_window(tmp_path):
    run(tmp_path / "straight", accumulate=4, save_every=3, keep=9)
    names = sorted(p.name for p in (tmp_path / "straight" / "checkpoints").iterdir())
    assert names == ["step-00000004", "step-00000008"]


def test_a_run_must_end_with_a_window(tmp_path):
    with pytest.raises(ValueError, match=r"steps \(8\) must be a multiple of accumulate \(3\)"):
        make_config(tmp_path, accumulate=3)


def test_any_number_of_workers_makes_the_same_run(tmp_path):
    states = []
    for workers in (0, 1, 3):
        data = {"train": ["none"], "workers": workers}
        run(tmp_path / str(workers), data=data, options={"dropout": 0.2})
        states.append(load_checkpoint(tmp_path / str(workers)))
    for state in states[1:]:
        for part in ("modules", "optimizers", "rng"):
            assert same(states[0][part], state[part]), part


def test_a_workers_error_keeps_its_sentence(tmp_path):
    with pytest.raises(DataError) as caught:
        run(tmp_path / "run", options={"fails_at": 5})
    assert str(caught.value) == "position 5: broken; mend it"
    assert len(lines(tmp_path / "run")) == 6  # five steps and an evaluation before it


def test_batches_are_made_by_other_processes(tmp_path):
    config = make_config(tmp_path / "run", data={"train": ["none"], "workers": 2})
    task = JointTask(config)
    makers = tmp_path / "makers"
    batch = task.batch

    def noted(step):
        with makers.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return batch(step)

    task.batch = noted
    train(config, task, terminal=False)
    found = makers.read_text().split()
    assert len(found) == 8 and len(set(found)) == 2 and str(os.getpid()) not in found


def test_an_average_follows_the_weights_and_leaves_them_alone():
    module = torch.nn.Linear(2, 1)
    module.bias.requires_grad_(False)
    with torch.no_grad():
        module.weight.fill_(1.0)
    average = WeightAverage({"m": module}, 0.5)
    for value in (2.0, 4.0):
        with torch.no_grad():
            module.weight.fill_(value)
        average.update()
    # Decays 0.1 and 2 / 11, both below 0.5: .1 * 1 + .9 * 2 = 1.9, then 2/11 * 1.9 + 9/11 * 4.
    expected = (2 * 1.9 + 9 * 4) / 11
    with average.applied():
        assert module.weight.flatten().tolist() == pytest.approx([expected] * 2)
    assert module.weight.flatten().tolist() == [4.0, 4.0]
    state = average.state()
    assert list(state["modules"]["m"]) == ["weight"] and state["updates"] == 2
    other = WeightAverage({"m": torch.nn.Linear(2, 1)}, 0.5)
    state["modules"]["m"]["bias"] = module.bias
    other.load(state)
    assert same(other.state()["modules"]["m"]["weight"], state["modules"]["m"]["weight"])


def test_a_run_evaluates_and_hands_on_its_averaged_weights(tmp_path):
    run(tmp_path / "run", average=0.9, options=EVEN)
    state, weights = load_checkpoint(tmp_path / "run"), module_weights(tmp_path / "run")
    trained = state["modules"]["head"]["weight"]
    assert not torch.equal(weights["head"]["weight"], trained)
    assert torch.equal(weights["head"]["weight"], state["average"]["modules"]["head"]["weight"])
    assert torch.equal(
        weights["coder"]["quantizer.codebook.weight"],
        state["modules"]["coder"]["quantizer.codebook.weight"],
    )
    task = JointTask(make_config(tmp_path / "run", options=EVEN))
    for name, module in task.modules.items():
        module.load_state_dict(weights[name])
    noted = [line["valid/error"] for line in lines(tmp_path / "run") if "valid/error" in line]
    assert noted[-1] == pytest.approx(task.evaluate()["error"], abs=1e-5)
    for name, module in task.modules.items():
        module.load_state_dict(state["modules"][name])
    assert noted[-1] != pytest.approx(task.evaluate()["error"], abs=1e-5)


def test_half_precision_leaves_out_the_optimizer_that_overflowed(tmp_path):
    run(tmp_path / "run", precision="fp16", options={"overflow": 4})
    state = load_checkpoint(tmp_path / "run")
    assert steps_taken(state, "critic") == 3 and steps_taken(state, "coder") == 8
    assert state["scaler"]["scale"] == 2.0**15  # it was 2 ** 16
    for module in state["modules"].values():
        for tensor in module.values():
            assert torch.isfinite(tensor).all() and tensor.dtype != torch.float16


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_mixed_precision_takes_about_the_same_steps(precision, tmp_path):
    norms = []
    for name in ("no", precision):
        run(tmp_path / name, precision=name, steps=2, options=EVEN)
        norms.append(
            [line["coder/norm"] for line in lines(tmp_path / name) if "coder/norm" in line]
        )
    assert norms[1] == pytest.approx(norms[0], rel=0.05)
    assert norms[1] != norms[0]  # it did compute in another precision


def test_precision_by_device():
    assert choose_precision("auto", torch.device("cpu")) == "no"
    assert choose_precision("auto", torch.device("mps")) == "no"
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"
    with pytest.raises(ConfigError, match="float32"):
        choose_precision("fp16", torch.device("cuda"), mixed=False)


def test_a_checkpoint_of_an_older_version_goes_on(tmp_path):
    run(tmp_path / "run", options={"dropout": 0.2})
    straight = load_checkpoint(tmp_path / "run")
    first = tmp_path / "run" / "checkpoints" / "step-00000004"
    state = torch.load(first / "state.pt", weights_only=True)
    older = {key: state[key] for key in ("step", "modules", "optimizers", "task", "rng")}
    older["rng"] = {key: state["rng"][key] for key in ("python", "numpy", "torch", "cuda")}
    save_checkpoint(tmp_path / "old", 4, older, keep=1)
    run(tmp_path / "old", options={"dropout": 0.2}, average=0.9)  # a new option joins in
    resumed = load_checkpoint(tmp_path / "old")
    for part in ("step", "batches", "modules", "optimizers", "rng"):
        assert same(straight[part], resumed[part]), part
    assert resumed["average"]["updates"] == 4


def test_rates_of_a_resumed_run_are_those_of_its_config(tmp_path):
    run(tmp_path / "run", steps=4)
    faster = {"coder": {"lr": 0.5, "rates": {"coder.layers": 3e-3}}, "critic": {"lr": 1e-2}}
    run(tmp_path / "run", steps=8, optimizers=faster)
    groups = load_checkpoint(tmp_path / "run")["optimizers"]["coder"]["param_groups"]
    assert [group["base"] for group in groups] == [0.5, 3e-3]


def test_optimizers_must_fit_the_players(tmp_path):
    with pytest.raises(ConfigError, match="needs optimizers"):
        run(tmp_path / "run", optimizers={"coder": {}})
