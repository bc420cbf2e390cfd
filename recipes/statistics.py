"""Code statistics of a model, for range-coded `.utok` files:

    python -m recipes.statistics MODEL MANIFEST... --out codes.safetensors

tokenizes the training clips of the manifests (split `train`, never `valid` or `eval`), counts the
codes and writes the file that lies in the model's folder. Clips are spread evenly over each
manifest; two hours of audio are enough for a codebook of 2048.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import unisono
from unisono.audio import Audio
from unisono.data.manifest import read_manifest
from unisono.errors import DataError, UnisonoError
from unisono.evaluation.benchmarks.clips import read_clip, spread
from unisono.storage.entropy import CodeStatistics
from unisono.tokens import AudioTokens


def main(arguments: list[str] | None = None) -> int:
    """Count and write; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.statistics", description=__doc__)
    parser.add_argument("model", help="embedded name, model folder or hub id")
    parser.add_argument("manifests", type=Path, nargs="+", help="manifests (.jsonl) of a corpus")
    parser.add_argument("--out", type=Path, required=True, help="codes.safetensors to write")
    parser.add_argument("--clips", type=int, default=5000, help="clips of each manifest, at most")
    parser.add_argument(
        "--contexts",
        type=int,
        default=64,
        help="contexts that the previous code is sorted into; 1: none, a much smaller file",
    )
    options = parser.parse_args(arguments)
    try:
        statistics = count(options.model, options.manifests, options.clips, options.contexts)
        statistics.save(options.out)
    except UnisonoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, bits in statistics.bits_per_frame.items():
        print(f"{name}: {bits:.2f} bits a frame by entropy")
    print(
        f"{statistics.bits_per_second:.0f} bit/s by entropy, "
        f"{statistics.layout.bits_per_second:.0f} nominal -> {options.out}"
    )
    return 0


def count(model: str, manifests: Sequence[Path], clips: int, contexts: int) -> CodeStatistics:
    """The statistics of the training clips that the manifests list."""
    tokenizer = unisono.load(model, decoder=False)
    items: list[AudioTokens] = []
    for _, outcome in tokenizer.encode_iter(training_audio(manifests, clips)):
        if isinstance(outcome, UnisonoError):
            raise outcome
        items.append(outcome)
    return CodeStatistics.of(items, contexts)


def training_audio(manifests: Sequence[Path], clips: int) -> Iterator[Audio]:
    """At most `clips` training clips of each manifest, spread evenly over it."""
    for manifest in manifests:
        training = [item for item in read_manifest(manifest) if item.split == "train"]
        if not training:
            raise DataError(f"{manifest} lists no clip of the split 'train'; give another manifest")
        for item in spread(training, clips):
            yield read_clip(manifest, item).audio


if __name__ == "__main__":
    sys.exit(main())
