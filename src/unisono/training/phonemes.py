"""Phonemes as CTC targets: the inventory, the targets of a batch, and the errors of a reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unisono.data.manifest import ManifestItem


@dataclass(frozen=True)
class PhonemeBatch:
    """Targets of the items in `rows`: all `symbols` in a row, and the `lengths` of each item's."""

    rows: Tensor
    symbols: Tensor
    lengths: Tensor


class Inventory:
    """Numbers of phoneme symbols, from 1 on; 0 is CTC's blank. Spaces are left out."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.symbols = sorted({symbol for text in texts for symbol in text} - {" "})
        self._number = {symbol: n for n, symbol in enumerate(self.symbols, 1)}

    def __len__(self) -> int:
        return len(self.symbols)

    def batch(self, texts: Sequence[str], frames: Sequence[int]) -> PhonemeBatch:
        """Targets of a batch's phoneme strings; items without any, or without room, are left out.

        Symbols that are not in the inventory are passed over. Of several processes each must run
        the head, so a batch without any target has one row in which nothing is to be read.
        """
        targets = [[self._number[c] for c in text if c in self._number] for text in texts]
        rows = [n for n, target in enumerate(targets) if 0 < len(target) < frames[n]]
        symbols = [symbol for n in rows for symbol in targets[n]]
        lengths = [len(targets[n]) for n in rows]
        return PhonemeBatch(
            rows=torch.tensor(rows or [0]),
            symbols=torch.tensor(symbols, dtype=torch.long),
            lengths=torch.tensor(lengths or [0]),
        )


def sequence_phonemes(items: Sequence[ManifestItem]) -> str:
    """Phonemes of clips in a row; empty where one of them has none."""
    texts = [item.phonemes for item in items]
    return " ".join(texts) if all(texts) else ""


def reading_errors(scores: Tensor, mask: Tensor, targets: PhonemeBatch) -> int:
    """Edits between greedy CTC readings of `scores [N, T, symbols + 1]` and the targets.

    An item without targets is not read.
    """
    wrong = 0
    for row, real, target in zip(
        scores.argmax(-1),
        mask.sum(1),
        targets.symbols.split(targets.lengths.tolist()),
        strict=True,
    ):
        if not len(target):
            continue
        read = torch.unique_consecutive(row[: int(real)])
        wrong += edit_distance(read[read > 0].tolist(), target.tolist())
    return wrong


def edit_distance(made: Sequence[int], real: Sequence[int]) -> int:
    """Levenshtein distance."""
    row = list(range(len(real) + 1))
    for i, a in enumerate(made, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(real, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
