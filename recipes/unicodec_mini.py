"""How `unicodec-mini` was made: `python -m recipes.unicodec_mini --out DIR`.

Corpus and Whisper base (the teacher), training by configs/unicodec-mini.yaml, the model folder,
its code statistics. Every part is resumable; run the same command again after an interruption.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recipes.uniaudio_mini import ROOT, run_python

NAME = "unicodec-mini"
CONTEXTS = 16


def main(arguments: list[str] | None = None) -> int:
    """Run what `--only` names, or everything; returns the exit code."""
    parts = ("corpus", "train", "model")
    parser = argparse.ArgumentParser(prog="python -m recipes.unicodec_mini", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="work folder: corpus and runs")
    parser.add_argument("--only", nargs="*", choices=parts, default=parts, help="only these parts")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the training")
    options = parser.parse_args(arguments)
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if "corpus" in options.only:
        run_python(out, "-m", "recipes.corpus", "--out", "corpus")
        run_python(out, "-m", "recipes.whisper", "--out", "corpus/models")
    if "train" in options.only:
        config = ROOT / "configs" / f"{NAME}.yaml"
        threads = str(options.threads)
        run_python(out, "-m", "unisono.cli", "train", str(config), "--threads", threads)
    if "model" in options.only:
        from unisono.training.export import assemble_unicodec

        folder = assemble_unicodec(out / "runs" / NAME, out / NAME, NAME)
        run_python(
            out, "-m", "recipes.statistics", str(folder), "corpus/train.jsonl",
            "--out", str(folder / "codes.safetensors"), "--contexts", str(CONTEXTS),
        )  # fmt: skip
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
