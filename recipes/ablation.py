"""The ablation of SAE and SAP: `python -m recipes.ablation --out DIR` (after `recipes.uniaudio_mini
--only corpus scenes` in the same folder).

Trains the four encoders of configs/uniaudio-mini-ablation.yaml, writes their model folders to
DIR/ablation/{text,sae,sap,both} and compares them by benchmarks/ablation.py. Every part goes on
where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from recipes.uniaudio_mini import ROOT, run_python

CONFIG = ROOT / "configs" / "uniaudio-mini-ablation.yaml"
WITHOUT_SAE = (
    "options.encoder.encoder_residual_source_position=null",
    "options.encoder.encoder_residual_target_position=null",
    "options.encoder.use_residual_adapter=false",
    "options.encoder.use_residual_gate=false",
    "options.cache=runs/ablation-cache-plain",  # states without those that SAE keeps
)
TEXT_ALONE = ('options.tasks={"asr": 1}',)
MIX = {"speech": 10, "speech+events": 3, "speech+music": 1, "events": 10, "music": 1,
       "events+music": 1}  # fmt: skip
VARIANTS = {
    "text": (*WITHOUT_SAE, *TEXT_ALONE),
    "sae": TEXT_ALONE,
    "sap": WITHOUT_SAE,
    "both": (),
}


def main(arguments: list[str] | None = None) -> int:
    """Train, assemble and compare; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.ablation", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="work folder: corpus and runs")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a training")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="only these encoders")
    options = parser.parse_args(arguments)
    out: Path = options.out.resolve()
    chosen = options.only or list(VARIANTS)
    compose_english(out)
    for name in chosen:
        changes = (f"out=runs/ablation-{name}", *VARIANTS[name])
        threads = ("--threads", str(options.threads))
        run_python(out, "-m", "unisono.cli", "train", str(CONFIG), *changes, *threads)
        _model(out, name)
    folders = [f"{name}=ablation/{name}" for name in VARIANTS if (out / "ablation" / name).is_dir()]
    benchmark = ("benchmarks/ablation.py", "--models", *folders, "--data", "corpus/eval.jsonl")
    run_python(out, str(ROOT / benchmark[0]), *benchmark[1:])
    return 0


def compose_english(out: Path) -> None:
    """Scenes in English, more of them with speech: `runs/scenes-ablation.txt` below `out`."""
    runs = out / "runs"
    tree = yaml.safe_load((ROOT / "configs" / "scenes" / "mini.yaml").read_text(encoding="utf-8"))
    tree["speech"]["languages"] = ["en"]
    tree["mix"] = MIX
    lines = []
    for split, count, seed in (("train", 4000, 11), ("valid", 120, 7)):
        config = runs / f"scenes-ablation-{split}.yaml"
        config.write_text(yaml.safe_dump({**tree, "split": split}), encoding="utf-8")
        folder = f"scenes-ablation-{split}"
        settings = ("--count", str(count), "--seed", str(seed))
        run_python(out, "-m", "unisono.cli", "compose", str(config), f"runs/{folder}", *settings)
        listed = (runs / folder / "scenes.txt").read_text(encoding="utf-8").split()
        lines += [f"{folder}/{line}\n" for line in listed]
    (runs / "scenes-ablation.txt").write_text("".join(lines), encoding="utf-8")


def _model(out: Path, name: str) -> None:
    from unisono.training.export import assemble

    assemble(out / "runs" / f"ablation-{name}", out / "ablation" / name, f"ablation-{name}")


if __name__ == "__main__":
    sys.exit(main())
