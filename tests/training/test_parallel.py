"""Two gloo processes train as one process with the joint batch would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from debug_runs import CONFIGS, overrides
from joint_task import CODES, DIM, run

from unisono.errors import ConfigError
from unisono.training.config import load_config
from unisono.training.loop import train
from unisono.training.sizes import stage_modules, stage_sizes
from unisono.training.state import load_checkpoint, read_checkpoint, save_checkpoint
from unisono.training.tasks import build_task

SCRIPT = Path(__file__).parent / "joint_task.py"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]


def launch(processes, *command):
    return start([*TORCHRUN, processes, *command])


def start(command):
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process):
    out, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, out
    return out


def together(runs):
    """Two processes do these `{folder: changes}` one after the other."""
    todo = [(str(folder), changes) for folder, changes in runs.items()]
    finish(launch(2, SCRIPT, json.dumps(todo)))


def lines(run_folder):
    return [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]


def assert_close(a, b, place=""):
    if isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5, msg=lambda m: f"{place}: {m}")
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), place
        for key in a:
            assert_close(a[key], b[key], f"{place}/{key}")
    else:
        assert a == b or a == pytest.approx(b), place


SHARDED = {"sharding": "full", "average": 0.9, "save_every": 2, "keep": 3, "steps": 4}
LATE = {"late": 2}  # at the first checkpoint some parameters have had no gradient yet
RUNS = {
    "plain": {},
    "random": {"options": {"dropout": 0.3}, "average": 0.9, "keep": 3},
    "overflow": {"options": {"overflow": 4}},
    "sharded": {**SHARDED, "options": LATE},
    "sharded-windows": {**SHARDED, "accumulate": 2, "options": {"even": True, "critic_every": 1}},
    "sharded-bf16": {**SHARDED, "precision": "bf16", "options": LATE},
    "meta": {"held_on_meta": str(CONFIGS / "uniaudio-paper-encoder-2.yaml")},
}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    together({folder / name: changes for name, changes in RUNS.items()})
    return folder


@pytest.fixture(scope="module")
def resumed(two, tmp_path_factory):
    """Runs that lost their last checkpoint and were started again."""
    folder = tmp_path_factory.mktemp("resumed")
    for name in ("random", "sharded"):
        shutil.copytree(two / name, folder / name)
        newest = max((folder / name / "checkpoints").iterdir())
        (newest / "state.pt").write_bytes(b"torn")
        assert load_checkpoint(folder / name)["step"] < RUNS[name].get("steps", 8)
    together({folder / name: RUNS[name] for name in ("random", "sharded")})
    return folder


def test_two_processes_train_as_one_with_the_joint_batch(two, tmp_path):
    run(tmp_path / "one", joint=2)
    shared, single = load_checkpoint(two / "plain"), load_checkpoint(tmp_path / "one")
    assert shared["step"] == single["step"] == 8
    assert_close(shared["modules"], single["modules"])
    for name in ("coder", "critic"):
        assert_close(shared["optimizers"][name]["state"], single["optimizers"][name]["state"])
    restarted = shared["modules"]["coder"]["quantizer.ema_count"] == 1.0
    assert 0 < restarted.sum() < CODES  # the last step restarts; both runs drew the same states
    assert_close(
        *(
            {line["step"]: [line["coder/loss"], line["coder/norm"]]
             for line in lines(place) if "coder/loss" in line}
            for place in (two / "plain", tmp_path / "one")
        )
    )  # fmt: skip


def test_one_process_speaks_for_all(two):
    found = [line for line in lines(two / "plain") if "coder/loss" in line]
    assert [line["step"] for line in found] == list(range(1, 9))
    # Position 2 * step is labelled, the other process's is not: the mean is over one.
    assert all(line["labelled"] == 2 for line in found)
    assert json.loads((two / "plain" / "environment.json").read_text())["processes"] == 2
    state = load_checkpoint(two / "plain")
    assert len(state["other_rng"]) == 1
    assert not torch.equal(state["rng"]["torch"], state["other_rng"][0]["torch"])


@pytest.mark.parametrize("name", ["random", "sharded"])
def test_a_stopped_run_goes_on_with_everything_where_it_was(name, two, resumed):
    """Dropout draws from each process's own generator; sharded optimizers come back in parts."""
    straight, again = load_checkpoint(two / name), load_checkpoint(resumed / name)
    for part in ("step", "modules", "optimizers", "average", "rng", "other_rng", "batches"):
        exact(straight[part], again[part], part)


def test_gradients_that_are_not_finite_on_one_process_stop_both_from_stepping(two):
    state = load_checkpoint(two / "overflow")
    for tensor in state["modules"]["critic"].values():
        assert torch.isfinite(tensor).all()
    steps = state["optimizers"]["critic"]["state"][0]["step"]
    assert steps == 3  # of the four at steps 0, 2, 4, 6


def test_sharded_weights_are_those_of_one_process(two, tmp_path):
    run(tmp_path / "one", joint=2, steps=4, average=0.9, options=LATE)
    shared, single = load_checkpoint(two / "sharded"), load_checkpoint(tmp_path / "one")
    assert_close(shared["modules"], single["modules"])
    for part in ("average", "optimizers"):
        assert_close(shared[part], single[part], part)
    assert single["task"] == {"held": 2 * DIM * DIM} and shared["task"] == {"held": DIM * DIM}
    even = RUNS["sharded-windows"]["options"]
    run(tmp_path / "windows", joint=4, steps=2, average=0.9, options=even)
    shared, single = load_checkpoint(two / "sharded-windows"), load_checkpoint(tmp_path / "windows")
    for name in ("head", "critic"):
        assert_close(shared["modules"][name], single["modules"][name])
    layers = [key for key in single["modules"]["coder"] if "quantizer" not in key]
    for key in layers:
        assert_close(shared["modules"]["coder"][key], single["modules"]["coder"][key], key)
    shared, single = load_checkpoint(two / "sharded-bf16"), load_checkpoint(tmp_path / "one")
    for key in layers:  # about the same, and kept in full precision
        ours, theirs = shared["modules"]["coder"][key], single["modules"]["coder"][key]
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=2e-2, rtol=2e-2)


def test_the_paper_size_is_held_as_planned(two):
    modules = stage_modules(load_config(CONFIGS / "uniaudio-paper-encoder-2.yaml"))
    planned = stage_sizes(modules, 2, sharded=True)["encoder"]
    alone = stage_sizes(modules, 2, sharded=False)["encoder"]
    assert alone.held == alone.parameters == planned.parameters > 600e6  # Whisper-large-v3's
    assert alone.bytes(False) == 4 * (alone.parameters + 3 * alone.trained)
    first, second = (json.loads((two / f"meta-{n}.json").read_text()) for n in (0, 1))
    assert first["encoder"] == planned.held
    codebook = 8192 * 1280  # whole on both
    assert first["encoder"] + second["encoder"] == planned.parameters + codebook
    assert planned.bytes(True) < 0.6 * alone.bytes(True)


def test_sharding_needs_company(tmp_path):
    with pytest.raises(ConfigError, match="several processes"):
        run(tmp_path / "run", **SHARDED)


def test_a_sharded_run_goes_on_without_sharding(two, tmp_path):
    """The same optimizer state, whole: steps, moments and what has none yet."""
    first = two / "sharded" / "checkpoints" / "step-00000002"
    state = read_checkpoint(first)
    assert "critic" in state["optimizers"] and not state["optimizers"]["critic"]["state"]
    save_checkpoint(tmp_path / "alone", 2, {**state, "batches": 2}, keep=1)  # of joint batches
    run(tmp_path / "alone", joint=2, steps=4, average=0.9, options=LATE)
    alone, sharded = load_checkpoint(tmp_path / "alone"), load_checkpoint(two / "sharded")
    for part in ("modules", "optimizers", "average"):
        assert_close(sharded[part], alone[part], part)


def exact(a, b, place):
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), place
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), place
        for key in a:
            exact(a[key], b[key], f"{place}/{key}")
    elif isinstance(a, (list, tuple)):
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            exact(x, y, f"{place}/{number}")
    else:
        assert a == b, place


def test_the_command_line_under_torchrun_stops_as_one(corpus, tmp_path):
    out = tmp_path / "run"
    command = ["-m", "unisono.cli", "train", CONFIGS / "debug-vocoder.yaml"]
    command += overrides(corpus, out, steps=5000, save_every=2)
    process = launch(2, *command)
    end = time.monotonic() + 900
    while time.monotonic() < end and load_checkpoint(out) is None:
        time.sleep(0.05)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    second = next(p for p in workers if b"RANK=1\0" in Path(f"/proc/{p}/environ").read_bytes())
    os.kill(int(second), signal.SIGTERM)
    finish(process)
    stopped = load_checkpoint(out)["step"]
    assert 0 < stopped < 5000
    assert load_checkpoint(out)["batches"] == 2 * stopped
    # One process goes on where the two stood in the data.
    config = load_config(CONFIGS / "debug-vocoder.yaml", overrides(corpus, out, steps=stopped + 1))
    task = build_task(config)
    train(config, task)
    assert task.world.position(stopped) == 2 * stopped
    assert load_checkpoint(out)["batches"] == 2 * stopped + 1


def test_accelerate_launches_an_encoder_stage(corpus, tmp_path):
    launcher = [sys.executable, "-m", "accelerate.commands.launch"]
    launcher += ["--multi_gpu", "--num_processes", "2"]  # Accelerate's name for torchrun
    command = ["-m", "unisono.cli", "train", CONFIGS / "debug-encoder.yaml"]
    command += overrides(corpus, tmp_path / "run", **{"options.cache": tmp_path / "cache"})
    finish(start([*launcher, *command]))
    state = load_checkpoint(tmp_path / "run")
    assert state["step"] == 8 and state["batches"] == 16
    assert torch.isfinite(state["modules"]["encoder"]["quantizer.ema_weight"]).all()
