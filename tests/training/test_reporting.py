import io
import json
import logging
import re
import sys

import numpy as np
import pytest
import soundfile
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unisono.training.config import TrainConfig
from unisono.training.reporting import Reporter, Sample

RATE = 16_000


@pytest.fixture
def config(tmp_path):
    values = {"task": "flow", "out": tmp_path, "steps": 6, "log_every": 2, "data": {"train": ["x"]}}
    return TrainConfig.model_validate({**values, "optimizers": {"flow": {}}})


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def events(run):
    found = EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    return found


def scalars(run, tag):
    return [(event.step, event.value) for event in events(run).Scalars(tag)]


def tone(seconds):
    time = np.arange(round(seconds * RATE)) / RATE
    return torch.from_numpy((0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32))


def picture(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_figures_are_means_of_the_window_and_of_the_steps_that_gave_them(tmp_path, config):
    with Reporter(tmp_path, config, terminal=False) as report:
        report.step(1, {"mel": 1.0, "rate/flow": 2.5e-6}, 3.0)
        report.step(2, {"mel": 2.0, "rare": 7.0, "rate/flow": 2.5e-6}, 3.0)
        report.evaluation(2, {"use": 0.5, "perplexity": 1024.0})
        report.step(3, {"mel": 4.0}, 0.0)
        report.step(4, {"mel": 5.0}, 0.0)
    first, valid, second = lines(tmp_path)
    assert next(iter(first)) == "step" and first["step"] == 2
    assert (first["mel"], first["rare"], first["rate/flow"]) == (1.5, 7.0, 2.5e-6)
    assert first["audio_seconds_per_second"] * first["step_seconds"] == pytest.approx(3.0, rel=0.1)
    assert valid == {"step": 2, "valid/use": 0.5, "valid/perplexity": 1024.0}
    assert {key for key in second} == {"step", "mel", "step_seconds"}
    assert scalars(tmp_path, "train/mel") == [(2, 1.5), (4, 4.5)]
    assert scalars(tmp_path, "valid/perplexity") == [(2, 1024.0)]
    assert [step for step, _ in scalars(tmp_path, "speed/step_seconds")] == [2, 4]


def test_the_last_step_is_reported_whatever_the_interval(tmp_path, config):
    with Reporter(tmp_path, config.model_copy(update={"log_every": 5}), terminal=False) as report:
        for done in range(1, 7):
            report.step(done, {"mel": float(done)}, 1.0)
    assert [(line["step"], line["mel"]) for line in lines(tmp_path)] == [(5, 3.0), (6, 6.0)]


def test_what_is_not_finite_becomes_null(tmp_path, config):
    with Reporter(tmp_path, config, terminal=False) as report:
        report.step(2, {"bad": float("nan"), "worse": float("inf"), "good": 1.0}, 1.0)
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    values = json.loads(line, parse_constant=pytest.fail)
    assert (values["bad"], values["worse"], values["good"]) == (None, None, 1.0)


def test_a_resumed_run_drops_what_the_killed_one_wrote_later(tmp_path, config):
    with Reporter(tmp_path, config, terminal=False) as report:
        for done in range(1, 7):
            report.step(done, {"mel": 1.0}, 1.0)
        report.evaluation(4, {"mel": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "mel"')  # the kill came in the middle of a line
    with Reporter(tmp_path, config, terminal=False, start=2) as report:
        assert [line["step"] for line in lines(tmp_path)] == [2]
        for done in range(3, 7):
            report.step(done, {"mel": 2.0}, 1.0)
    wanted = [(2, 1.0), (4, 2.0), (6, 2.0)]
    assert [(line["step"], line["mel"]) for line in lines(tmp_path)] == wanted
    assert scalars(tmp_path, "train/mel") == wanted
    with Reporter(tmp_path, config, terminal=False) as report:
        report.step(2, {"mel": 3.0}, 1.0)
    assert [(line["step"], line["mel"]) for line in lines(tmp_path)] == [(2, 3.0)]
    assert scalars(tmp_path, "train/mel") == [(2, 3.0)]


def test_samples_can_be_heard_and_seen(tmp_path, config):
    gate = torch.cat([torch.zeros(25), torch.ones(25)])
    mel = torch.full((80, 200), -11.5)
    mel[40:, :100] = 0.0
    with Reporter(tmp_path, config, terminal=False) as report:
        report.samples(4, {"fr/one": Sample(tone(2.0), RATE, mel, gate), "two": Sample(None, 0)})
    folder = tmp_path / "samples" / "step-00000004"
    assert sorted(file.name for file in folder.iterdir()) == ["fr-one.png", "fr-one.wav"]
    wave, rate = soundfile.read(folder / "fr-one.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(wave, tone(2.0).numpy(), atol=1e-4)
    drawn = picture(folder / "fr-one.png")
    shown = events(tmp_path)
    assert shown.Audio("samples/fr/one")[0].sample_rate == RATE
    assert shown.Audio("samples/fr/one")[0].length_frames == 2 * RATE
    image = shown.Images("samples/fr/one")[0]
    assert (image.step, image.height, image.width) == (4, *drawn.shape[:2])
    # The loud quarter lies top left of the spectrogram; the gate's area is right, above it.
    brightness = drawn.sum(2)
    height, width = brightness.shape
    left, right = slice(width // 8, width * 3 // 8), slice(width * 5 // 8, width * 7 // 8)
    rows = slice(height * 40 // 100, height * 50 // 100)
    assert brightness[rows, left].min() > 600 > 100 > brightness[rows, right].max()
    top = slice(height * 10 // 100, height * 22 // 100)
    reddish = drawn[top, :, 0] - drawn[top, :, 2] > 20
    assert reddish[:, right].mean() > 0.9 and reddish[:, left].mean() < 0.1


def test_a_sample_without_mel_is_drawn_from_its_audio(tmp_path, config):
    with Reporter(tmp_path, config, terminal=False) as report:
        report.samples(
            2,
            {
                "tone": Sample(tone(1.0), RATE),
                "loud": Sample(torch.tensor([9.0, float("nan"), -9.0]), RATE),
                "gate": Sample(None, 0, gate=torch.rand(10), seconds=0.4),
                "torn": Sample(None, 0, mel=torch.full((80, 9), float("nan"))),
                "empty": Sample(torch.zeros(0), RATE, torch.zeros(80, 0), torch.zeros(0)),
            },
        )
    folder = tmp_path / "samples" / "step-00000002"
    names = {"tone.png", "tone.wav", "loud.png", "loud.wav", "gate.png", "torn.png"}
    assert {file.name for file in folder.iterdir()} == names
    wave, _ = soundfile.read(folder / "loud.wav", dtype="float32")
    np.testing.assert_allclose(wave, [1.0, 0.0, -1.0], atol=1e-4)
    # 1 kHz is one bright line across a dark picture.
    rows = picture(folder / "tone.png").sum(2)[:, 300:900].mean(1)
    assert 1 <= (rows[20:-60] > 500).sum() <= 40


@pytest.mark.parametrize("missing", ["tensorboard", "matplotlib.figure"])
def test_without_a_package_one_warning_and_the_rest(tmp_path, config, monkeypatch, caplog, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with Reporter(tmp_path, config, terminal=False) as report:
        report.step(2, {"mel": 1.0}, 1.0)
        for done in (2, 4):
            report.samples(done, {"one": Sample(tone(0.5), RATE)})
    (record,) = caplog.records
    extra = "train" if missing == "tensorboard" else "plot"
    assert record.levelno == logging.WARNING
    assert f"pip install 'unisono[{extra}]'" in record.getMessage()
    assert lines(tmp_path)[0]["mel"] == 1.0
    assert (tmp_path / "samples" / "step-00000004" / "one.wav").is_file()
    assert (tmp_path / "tensorboard").exists() == (missing != "tensorboard")
    assert (tmp_path / "samples/step-00000002/one.png").exists() == (missing == "tensorboard")


def test_other_processes_leave_no_trace(tmp_path, config, caplog):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    caplog.set_level(logging.INFO)
    with Reporter(tmp_path / "run", config, main=False, console=console) as report:
        report.step(2, {"mel": 1.0}, 1.0)
        report.evaluation(2, {"mel": 1.0})
        report.samples(2, {"one": Sample(tone(0.5), RATE)})
    assert not (tmp_path / "run").exists() and not screen.getvalue() and not caplog.records


def run_through(report):
    with report:
        for done in range(1, 5):
            report.step(done, {"flow/loss": 2.0, "rate/flow": 3e-4, "mel": 0.25}, 10.0)
        report.evaluation(4, {"use": 0.625})
        logging.getLogger().warning("gradient is not finite")
        report.step(6, {"flow/loss": 1.5, "rate/flow": 3e-5, "rate/low": 1e-6}, 10.0)


def test_a_terminal_shows_one_live_line_with_messages_above_it(tmp_path, config, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    console = Console(stderr=True, force_terminal=True, width=120, color_system=None)
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        run_through(Reporter(tmp_path, config, start=2, console=console))
        assert handler.stream is screen
    finally:
        logging.getLogger().removeHandler(handler)
    assert sys.stderr is screen
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    last = text.replace("\r", "\n").rstrip().splitlines()[-1]
    assert re.match(r"flow ━+ 6/6 loss 1.5  rate 3.0e-05/1.0e-06  [\d.e+]+ s/s 00:00 left", last)
    assert "step 4  valid/use 0.625\n" in text
    # Above the line: with a newline behind it, not appended to the drawn line.
    assert re.search(r"(^|[\r\n])gradient is not finite\n", text)


def test_without_a_terminal_each_report_is_a_log_line(tmp_path, config, caplog):
    screen = io.StringIO()
    caplog.set_level(logging.INFO)
    run_through(Reporter(tmp_path, config, console=Console(file=screen)))
    texts = [r.getMessage() for r in caplog.records if r.name.startswith("unisono")]
    assert not screen.getvalue()
    assert len(texts) == 4
    assert re.match(
        r"step 2/6  flow/loss 2  rate/flow 0.0003  mel 0.25  .*left 0:00:0\d$", texts[0]
    )
    assert texts[2] == "step 4/6  valid/use 0.625"


def test_quiet_shows_nothing_and_writes_everything(tmp_path, config, caplog):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True)
    caplog.set_level(logging.INFO)
    run_through(Reporter(tmp_path, config, terminal=False, console=console))
    assert not screen.getvalue()
    assert [r.getMessage() for r in caplog.records] == ["gradient is not finite"]
    assert [line["step"] for line in lines(tmp_path)] == [2, 4, 4, 6]
