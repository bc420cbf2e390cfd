"""A run killed at any moment goes on to exactly the weights of an uninterrupted one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from debug_runs import CONFIGS, overrides, same

from unisono.training.state import load_checkpoint


def start(stage, corpus, out, **more):
    command = [sys.executable, "-m", "unisono.cli", "train", str(CONFIGS / f"debug-{stage}.yaml")]
    command += overrides(corpus, out, **more)
    return subprocess.Popen(
        [*command, "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process):
    out, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, out
    return out


def kill_between(process, run, signal_number):
    """Send the signal once the run has its first checkpoint, if it has not ended by then."""
    end = time.monotonic() + 900
    while time.monotonic() < end and process.poll() is None:
        if load_checkpoint(run) is not None:
            time.sleep(0.05)
            os.kill(process.pid, signal_number)
            break
        time.sleep(0.01)
    process.wait(timeout=900)


@pytest.mark.parametrize("stage", ["vocoder", "encoder"])
def test_killed_and_resumed_equals_uninterrupted(stage, corpus, tmp_path):
    more = {"options.cache": tmp_path / "cache"} if stage == "encoder" else {}
    finish(start(stage, corpus, tmp_path / "straight", steps=14, **more))
    broken = start(stage, corpus, tmp_path / "broken", steps=14, **more)
    kill_between(broken, tmp_path / "broken", signal.SIGKILL)
    assert broken.returncode == -signal.SIGKILL
    assert load_checkpoint(tmp_path / "broken")["step"] < 14
    finish(start(stage, corpus, tmp_path / "broken", steps=14, **more))
    straight, resumed = (load_checkpoint(tmp_path / name) for name in ("straight", "broken"))
    assert straight["step"] == resumed["step"] == 14
    for part in ("modules", "optimizers", "task", "rng"):
        assert same(straight[part], resumed[part]), part


def test_sigterm_saves_and_stops(corpus, tmp_path):
    process = start("vocoder", corpus, tmp_path / "run", steps=5000, save_every=2)
    kill_between(process, tmp_path / "run", signal.SIGTERM)
    assert process.returncode == 0
    assert 0 < load_checkpoint(tmp_path / "run")["step"] < 5000
