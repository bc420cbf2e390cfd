"""Two gloo processes train as one process with the joint batch would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from debug_runs import CONFIGS, overrides
from joint_task import CODES, run

from unisono.training.config import load_config
from unisono.training.loop import train
from unisono.training.state import load_checkpoint
from unisono.training.tasks import build_task

SCRIPT = Path(__file__).parent / "joint_task.py"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]


def launch(processes, *command):
    return subprocess.Popen(
        [*TORCHRUN, str(processes), *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process):
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return out


def together(out, processes=2, **changes):
    finish(launch(processes, SCRIPT, out, json.dumps(changes)))
    return load_checkpoint(out)


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


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "run"
    return together(out), out


def test_two_processes_train_as_one_with_the_joint_batch(two, tmp_path):
    shared, folder = two
    run(tmp_path / "one", joint=2)
    single = load_checkpoint(tmp_path / "one")
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
            for place in (folder, tmp_path / "one")
        )
    )  # fmt: skip


def test_one_process_speaks_for_all(two):
    shared, folder = two
    found = [line for line in lines(folder) if "coder/loss" in line]
    assert [line["step"] for line in found] == list(range(1, 9))
    # Position 2 * step is labelled, the other process's is not: the mean is over one.
    assert all(line["labelled"] == 2 for line in found)
    assert json.loads((folder / "environment.json").read_text())["processes"] == 2
    assert len(shared["other_rng"]) == 1
    assert not torch.equal(shared["rng"]["torch"], shared["other_rng"][0]["torch"])


def test_a_stopped_run_goes_on_with_every_generator_where_it_was(tmp_path):
    """Dropout draws from each process's own generator."""
    options = {"options": {"dropout": 0.3}, "average": 0.9, "keep": 3}
    straight = together(tmp_path / "straight", **options)
    together(tmp_path / "broken", **options)
    for step in (8,):
        folder = tmp_path / "broken" / "checkpoints" / f"step-{step:08d}"
        (folder / "state.pt").write_bytes(b"torn")
    assert load_checkpoint(tmp_path / "broken")["step"] == 4
    resumed = together(tmp_path / "broken", **options)
    for part in ("modules", "optimizers", "average", "rng", "other_rng"):
        exact(straight[part], resumed[part], part)


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


def test_gradients_that_are_not_finite_on_one_process_stop_both_from_stepping(tmp_path):
    state = together(tmp_path / "run", options={"overflow": 4})
    for tensor in state["modules"]["critic"].values():
        assert torch.isfinite(tensor).all()
    steps = state["optimizers"]["critic"]["state"][0]["step"]
    assert steps == 3  # of the four at steps 0, 2, 4, 6


def test_the_command_line_under_torchrun_stops_as_one(corpus, tmp_path):
    out = tmp_path / "run"
    command = ["-m", "unisono.cli", "train", CONFIGS / "debug-vocoder.yaml"]
    command += overrides(corpus, out, steps=5000, save_every=2)
    process = launch(2, *command)
    end = time.monotonic() + 120
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
    config = load_config(
        CONFIGS / "debug-vocoder.yaml", overrides(corpus, out, steps=stopped + 1)
    )
    task = build_task(config)
    train(config, task)
    assert task.world.position(stopped) == 2 * stopped
    assert load_checkpoint(out)["batches"] == 2 * stopped + 1


def test_two_processes_share_one_encoder_stage(corpus, tmp_path):
    more = {"options.cache": tmp_path / "cache"}
    command = ["-m", "unisono.cli", "train", CONFIGS / "debug-encoder.yaml"]
    finish(launch(2, *command, *overrides(corpus, tmp_path / "run", **more)))
    state = load_checkpoint(tmp_path / "run")
    assert state["step"] == 8
    assert torch.isfinite(state["modules"]["encoder"]["quantizer.ema_weight"]).all()
