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
STAGES = (
    "vocoder", "pitch", "encoder", "reader", "sap", "joint", "hear", "fields", "flow",
    "vocoder-decoded", "pitch-decoded",
)  # fmt: skip
SCENES = {
    "mini": (9000, 1), "mini-events": (8000, 77),
    "mini-voices": (4500, 6), "mini-sounds": (3000, 12),
}  # fmt: skip
"""Compositions in configs/scenes: how many, and from which seed."""
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
            runs / "mini-joint",
            out / "uniaudio-mini",
            "uniaudio-mini",
            flow_run=runs / "mini-flow",
            vocoder_run=runs / "mini-vocoder-decoded",
            pitch_run=runs / "mini-pitch-decoded",
            decoding=DECODING,
            hearing_run=runs / "mini-hear",
            whisper_reader=out / "corpus" / "models" / "whisper-base",
            fields_run=runs / "mini-fields",
            int4=True,
            voices={name: _voice(manifests / f"{source}.jsonl") for name, source in VOICES.items()},
        )
        print(folder)
    return 0


def compose_scenes(out: Path) -> None:
    """The table of voices, and the scenes below `out`: `runs/scenes.txt` and, apart, those of
    sounds and of voices, `scenes-events.txt`, `scenes-sounds.txt` and `scenes-voices.txt`."""
    import yaml

    runs = out / "runs"
    runs.mkdir(exist_ok=True)
    table = out / "corpus" / "voices.jsonl"
    if not table.exists():
        shutil.copy(ROOT / "recipes" / "voices.jsonl", table)
    configs = ROOT / "configs" / "scenes"
    tree = yaml.safe_load((configs / "mini.yaml").read_text(encoding="utf-8"))
    held_out = runs / "scenes-valid.yaml"
    held_out.write_text(yaml.safe_dump({**tree, "split": "valid"}), encoding="utf-8")
    compose = ("-m", "unisono.cli", "compose")
    run_python(out, *compose, str(configs / "voices.yaml"), "--voices")
    run_python(out, *compose, str(configs / "voices-eval.yaml"), "--voices")
    run_python(out, *compose, str(held_out), "runs/scenes-valid", "--count", str(VALID_SCENES))
    for name, (count, seed) in SCENES.items():
        numbers = ("--count", str(count), "--seed", str(seed))
        run_python(out, *compose, str(configs / f"{name}.yaml"), f"runs/scenes-{name}", *numbers)
    _list_scenes(runs / "scenes.txt", "scenes-mini", "scenes-valid")
    for name in ("events", "voices", "sounds"):
        _list_scenes(runs / f"scenes-{name}.txt", f"scenes-mini-{name}")


def _list_scenes(path: Path, *folders: str) -> None:
    """Write a list of the Parquet files that lie in folders beside it."""
    files = [
        f"{folder}/{line}"
        for folder in folders
        for line in (path.parent / folder / "scenes.txt").read_text().split()
    ]
    path.write_text("".join(f"{name}\n" for name in files), encoding="utf-8")


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
