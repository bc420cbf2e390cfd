"""How `uniaudio-mini` was made: `python -m recipes.uniaudio_mini --out DIR`.

Corpus, Whisper base, then the stages of configs/uniaudio-mini-*.yaml, then the model folder.
Every part is resumable; run the same command again after an interruption. Vocoder and pitch do
not need the encoder and may run beside it (`--only`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DECODING = {"steps": 2, "guidance": 0.0, "start": 0.5, "temperature": 0.0, "voice": "rms"}
STAGES = ("vocoder", "pitch", "encoder", "sap", "flow", "vocoder-decoded", "pitch-decoded")
SCENES = 9000
VALID_SCENES = 160
VOICES = {"joe": "piper-joe", "slt": "flite-slt", "rms": "flite-rms", "awb": "flite-awb"}
VOICE_SECONDS = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Run what `--only` names, or everything; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.uniaudio_mini", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="work folder: corpus and runs")
    parser.add_argument(
        "--only", nargs="*", choices=["corpus", "scenes", *STAGES, "model"], help="only these parts"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a stage")
    options = parser.parse_args(arguments)
    parts = options.only or ["corpus", "scenes", *STAGES, "model"]
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if "corpus" in parts:
        run_python(out, "-m", "recipes.corpus", "--out", "corpus")
        run_python(out, "-m", "recipes.whisper", "--out", "corpus/models")
    if "scenes" in parts:
        compose_scenes(out)
    for stage in STAGES:
        if stage in parts:
            config = ROOT / "configs" / f"uniaudio-mini-{stage}.yaml"
            threads = str(options.threads)
            run_python(out, "-m", "unisono.cli", "train", str(config), "--threads", threads)
    if "model" in parts:
        from unisono.training.export import assemble

        manifests = out / "corpus" / "manifests"
        runs = out / "runs"
        folder = assemble(
            runs / "mini-encoder",
            out / "uniaudio-mini",
            "uniaudio-mini",
            flow_run=runs / "mini-flow",
            vocoder_run=runs / "mini-vocoder-decoded",
            pitch_run=runs / "mini-pitch-decoded",
            decoding=DECODING,
            reader_run=runs / "mini-sap",
            int4=True,
            voices={name: _voice(manifests / f"{source}.jsonl") for name, source in VOICES.items()},
        )
        print(folder)
    return 0


def compose_scenes(out: Path) -> None:
    """The table of voices, training and held-out scenes below `out`, and `runs/scenes.txt`."""
    import yaml

    runs = out / "runs"
    runs.mkdir(exist_ok=True)
    table = out / "corpus" / "voices.jsonl"
    if not table.exists():
        shutil.copy(ROOT / "recipes" / "voices.jsonl", table)
    config = ROOT / "configs" / "scenes" / "mini.yaml"
    tree = yaml.safe_load(config.read_text(encoding="utf-8"))
    held_out = runs / "scenes-valid.yaml"
    held_out.write_text(yaml.safe_dump({**tree, "split": "valid"}), encoding="utf-8")
    compose = ("-m", "unisono.cli", "compose")
    run_python(out, *compose, str(config), "--voices")
    run_python(out, *compose, str(ROOT / "configs" / "scenes" / "voices-eval.yaml"), "--voices")
    run_python(out, *compose, str(held_out), "runs/scenes-valid", "--count", str(VALID_SCENES))
    run_python(
        out, *compose, str(config), "runs/scenes-train", "--count", str(SCENES), "--seed", "1"
    )
    lists = [runs / name / "scenes.txt" for name in ("scenes-train", "scenes-valid")]
    named = [f"{path.parent.name}/{line}" for path in lists for line in path.read_text().split()]
    (runs / "scenes.txt").write_text("".join(f"{name}\n" for name in named), encoding="utf-8")


def _voice(manifest: Path) -> Any:
    """A minute of a source's speaker at natural speed, 16 kHz."""
    import torch

    from unisono.data.dataset import ClipSet

    clips = ClipSet([manifest])
    waves, seconds = [], 0.0
    for index, item in enumerate(clips.items):
        if "*" not in item.speaker and seconds < VOICE_SECONDS:
            waves.append(torch.from_numpy(clips.read(index)))
            seconds += item.duration
    return torch.cat(waves)


def run_python(folder: Path, *arguments: str) -> None:
    """Run Python in `folder` with this repository's recipes at hand; errors end the recipe."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main())
