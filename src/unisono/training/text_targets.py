"""The texts of sequences, and what the text decoder reads and should say in a batch of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unisono.data.manifest import ManifestItem
from unisono.errors import ConfigError
from unisono.sap.schema import SAP
from unisono.storage.atomic import write_bytes
from unisono.training.encoder_options import EncoderOptions
from unisono.training.teacher import BEST, Taught
from unisono.training.world import World
from unisono.uniaudio.text_tokens import PROMPT, TextTokens

TOKENIZER = "tokenizer.json"
"""The run's tokenizer, as a file in its folder."""

IGNORED = -100
TASK_TOKENS = {
    "emotion": "<|emotion|>",
    "caption": "<|startofcaption|>",
    "sap": "<|startofsap|>",
}


@dataclass(frozen=True)
class TextTarget:
    """One sequence's text: tokens, whether they are true, and what the teacher says along them."""

    ids: tuple[int, ...]
    true: bool
    taught: Taught | None = None


@dataclass(frozen=True)
class TextBatch:
    """Texts of the items in `rows [R]`, R at least 1.

    ids: decoder input `[R, L]`; chosen: `[R, L]` bool, where a token is to be predicted. Of the N
    chosen places: labels `[N]` (-100: no true text), known `[N]` (whether the teacher speaks),
    best and shares `[N, k]` (see `Taught`). A batch without any text has one place of neither.
    """

    rows: Tensor
    ids: Tensor
    chosen: Tensor
    labels: Tensor
    known: Tensor
    best: Tensor
    shares: Tensor


def join_targets(targets: Sequence[TextTarget | None], tokens: TextTokens) -> TextBatch:
    """What the decoder reads and should say, for the sequences of a batch; None: nothing."""
    rows = [n for n, target in enumerate(targets) if target is not None]
    some = [target for target in targets if target is not None]
    if not some:
        rows, some = [0], [TextTarget((tokens.start, tokens.end), False)]
    length = max(len(target.ids) for target in some) - 1
    ids = torch.full((len(some), length), tokens.end)
    chosen = torch.zeros(len(some), length, dtype=torch.bool)
    parts = []
    for row, target in enumerate(some):
        count = len(target.ids) - 1
        ids[row, :count] = torch.tensor(target.ids[:-1])
        part = _Places.of(target)
        chosen[row, :count] = part.wanted
        parts.append(part)
    return TextBatch(
        rows=torch.tensor(rows),
        ids=ids,
        chosen=chosen,
        labels=torch.cat([part.labels[part.wanted] for part in parts]),
        known=torch.cat([part.known[part.wanted] for part in parts]),
        best=torch.cat([part.best[part.wanted] for part in parts]),
        shares=torch.cat([part.shares[part.wanted] for part in parts]),
    )


def told(item: ManifestItem) -> dict[str, str]:
    """What is said of a clip beside its transcript, and the transcript if only its SAP has it."""
    found = {}
    if item.sap:
        sap = SAP.parse(item.sap, lenient=True)
        found = {
            "asr": "" if item.text else sap.transcription or "",
            "caption": sap.nonLinguisticEvents.description,
            "emotion": (sap.paralinguistics.emotion or "").lower(),
            "sap": sap.canonical(),
        }
    found |= {task: text for task, text in (("caption", item.caption), ("emotion", item.emotion))
              if text}  # fmt: skip
    return {task: text for task, text in found.items() if text}


def vocabulary(
    options: EncoderOptions,
    given: TextTokens,
    clips: Iterable[ManifestItem],
    path: Path,
    world: World,
) -> TextTokens:
    """The text decoder's tokens, which are kept at `path`: a run goes on with those it has."""
    wanted = options.text_vocabulary
    if options.text_tokens is not None:
        tokens = TextTokens.from_file(options.text_tokens)
    elif wanted is None:
        tokens = given
    elif path.is_file():
        return TextTokens.from_file(path)
    else:
        texts = (text for item in clips for text in (item.text, *told(item).values()) if text)
        tokens = given.reduced(texts, wanted.least, wanted.first)
    world.wait()  # nobody writes while another still looks
    if world.main:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, tokens.pieces.to_str().encode(), ConfigError)
    return tokens


@dataclass(frozen=True)
class _Places:
    """One text's places: `[L]`, `[L]`, `[L]`, `[L, k]`, `[L, k]`; see `TextBatch`."""

    wanted: Tensor
    labels: Tensor
    known: Tensor
    best: Tensor
    shares: Tensor

    @classmethod
    def of(cls, target: TextTarget) -> _Places:
        count = len(target.ids) - 1
        labels = torch.full((count,), IGNORED)
        known = torch.zeros(count, dtype=torch.bool)
        best = torch.zeros(count, BEST, dtype=torch.long)
        shares = torch.zeros(count, BEST)
        if target.true:
            labels = torch.tensor(target.ids[1:])
        if target.taught is not None:
            best, shares = target.taught.best.long(), target.taught.probabilities.float()
            # Task and "no timestamps" are ours to say; the teacher was not asked.
            known[:] = True
            known[1 : PROMPT - 1] = False
        wanted = known | (labels != IGNORED)
        if not wanted.any():
            wanted[0] = True
        return cls(wanted, labels, known, best, shares)
