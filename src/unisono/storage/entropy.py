"""How often a tokenizer uses its codes: entropies, and the distributions of the range coder.

Everything from counts to distributions is integer arithmetic, so that encoder and decoder agree
on every machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.errors import ModelError, TokenError, require_extra
from unisono.storage.atomic import write_bytes
from unisono.tokens import AudioTokens, TokenLayout, TokenStream

__all__ = ["FILE_NAME", "PRECISION", "CodeStatistics", "model_statistics"]

FILE_NAME = "codes.safetensors"
PRECISION = 24
"""Bits of a probability: the frequencies of a codebook add up to `1 << PRECISION`."""

MAX_CODEBOOK = 1 << 20
# A larger one has too many pairs of codes to count.
MAX_CONTEXT_CODEBOOK = 1 << 14
# So many codes of all contexts together count for as much as the codes of the own context; of 100
# to 800 the best on held-out tokens of uniaudio-mini.
BACKOFF = 200
# Counts of all codes that smooth a code's row while contexts are looked for.
ROW_PRIOR = 5.0


@dataclass(frozen=True, eq=False)
class CodeStatistics:
    """Counts of the codes of a layout, from training tokens of the model `model`.

    `counts` maps each stream's name to uint32 `[groups, rows, codebook]`. With one row all frames
    are counted together. With more, row `c` counts the frames after a frame whose code of the same
    group has context `c`, and the last row the first frames of items; `contexts` then maps the
    stream's name to the context of each code, uint16 `[groups, codebook]`.
    """

    layout: TokenLayout
    counts: Mapping[str, NDArray[np.uint32]]
    contexts: Mapping[str, NDArray[np.uint16]] = field(default_factory=dict)
    model: str = ""

    def __post_init__(self) -> None:
        names = [stream.name for stream in self.layout.streams]
        if set(self.counts) != set(names) or not set(self.contexts) <= set(names):
            raise TokenError(f"code statistics need counts for {names}, got {sorted(self.counts)}")
        for stream in self.layout.streams:
            self._check(stream)
        for name, kind in (("counts", np.uint32), ("contexts", np.uint16)):
            own = {key: _frozen(value, kind) for key, value in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(own))

    def _check(self, stream: TokenStream) -> None:
        if stream.codebook_size > MAX_CODEBOOK:
            raise TokenError(
                f"stream {stream.name!r} has {stream.codebook_size} codes; statistics are kept for "
                f"at most {MAX_CODEBOOK}"
            )
        counts, contexts = self.counts[stream.name], self.contexts.get(stream.name)
        rows = counts.shape[1] if counts.ndim == 3 else 0
        fits = counts.shape == (stream.groups, rows, stream.codebook_size) and rows > 0
        if contexts is None:
            fits = fits and rows == 1
        else:
            fits = fits and contexts.shape == (stream.groups, stream.codebook_size)
            fits = fits and rows > 1 and int(contexts.max()) < rows - 1
        if not fits:
            raise TokenError(f"code statistics of stream {stream.name!r} do not fit its layout")

    @classmethod
    def of(cls, tokens: Iterable[AudioTokens], contexts: int = 1) -> CodeStatistics:
        """Count the codes of items of one layout and model.

        With `contexts` above 1, codes that are followed by similar codes share one of so many
        contexts (k-means; extra `train`), and codes are counted by the context before them; the
        streams that come once, have more than MAX_CONTEXT_CODEBOOK codes or fewer than two a
        context do without.
        Source: ours.
        """
        items = list(tokens)
        if not items:
            raise TokenError("code statistics need the tokens of at least one item")
        first = items[0]
        if any((item.layout, item.model) != (first.layout, first.model) for item in items):
            raise TokenError("code statistics take tokens of one layout and one model only")
        if not 1 <= contexts < 1 << 16:
            raise TokenError(f"contexts must lie in 1 to 65535, got {contexts}")
        counts: dict[str, NDArray[np.uint32]] = {}
        found: dict[str, NDArray[np.uint16]] = {}
        for stream in first.layout.streams:
            codes = [item.codes[stream.name] for item in items]
            if _takes_contexts(stream, contexts):
                found[stream.name] = np.stack(
                    [
                        _find_contexts([c[group] for c in codes], stream.codebook_size, contexts)
                        for group in range(stream.groups)
                    ]
                )
            counts[stream.name] = _count(codes, stream, found.get(stream.name))
        return cls(first.layout, counts, found, first.model)

    @cached_property
    def digest(self) -> str:
        """Names the statistics: 16 hexadecimal digits of the SHA-256 of contexts and counts."""
        digest = hashlib.sha256()
        for stream in self.layout.streams:
            for kind, arrays in (("contexts", self.contexts), ("counts", self.counts)):
                if stream.name in arrays:
                    array = arrays[stream.name]
                    digest.update(f"{stream.name} {kind} {list(array.shape)}\n".encode())
                    digest.update(array.astype("<u4").tobytes())
        return digest.hexdigest()[:16]

    @property
    def bits_per_frame(self) -> dict[str, float]:
        """Empirical entropy of each stream, bits a frame: the sum over its groups.

        The plain entropy of the codes, whatever contexts there are: what is reported for codecs.
        """
        return {
            name: sum(_entropy(group.sum(axis=0, dtype=np.uint64)) for group in counts)
            for name, counts in self.counts.items()
        }

    @property
    def bits_per_second(self) -> float:
        """Empirical entropy of the timed streams, bit/s; compare `TokenLayout.bits_per_second`."""
        bits = self.bits_per_frame
        return float(sum(bits[s.name] * s.rate for s in self.layout.streams if s.rate is not None))

    @property
    def bits_once(self) -> float:
        """Empirical entropy of what an item has whatever its length, bits."""
        bits = self.bits_per_frame
        return float(sum(bits[s.name] for s in self.layout.streams if s.rate is None))

    def frequencies(self, name: str, group: int, context: int | None = None) -> NDArray[np.uint64]:
        """Integer probabilities `[codebook]` of a group's codes, after a code of `context`.

        At least 1 each, `1 << PRECISION` together. None: no context, as in an item's first frame.
        Smoothing: half a count for every code (Krichevsky and Trofimov), and BACKOFF codes of the
        whole for those of one context.
        """
        known = (name, group, context)
        if known not in self._frequencies:
            counts = self.counts[name][group].astype(np.uint64)
            if context is None:
                weights = 2 * counts.sum(axis=0) + 1
            else:
                whole = self.frequencies(name, group)
                weights = (counts[context] << np.uint64(8)) + (
                    BACKOFF * whole >> np.uint64(PRECISION - 8)
                )
            self._frequencies[known] = _normalised(weights)
        return self._frequencies[known]

    @cached_property
    def _frequencies(self) -> dict[tuple[str, int, int | None], NDArray[np.uint64]]:
        return {}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, whole or not at all; `codes.safetensors` in a model folder."""
        from safetensors.numpy import save

        arrays = {f"{name}.counts": _narrow(array) for name, array in self.counts.items()}
        arrays |= {f"{name}.contexts": array for name, array in self.contexts.items()}
        layout = json.dumps(self.layout.to_dict(), separators=(",", ":"))
        facts = {"kind": "code statistics", "layout": layout, "model": self.model}
        write_bytes(path, save(arrays, facts), ModelError)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CodeStatistics:
        """Read what `save` wrote, or the `codes.safetensors` of a model folder.

        A missing, truncated or foreign file raises `ModelError`.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(path)
        path = path / FILE_NAME if path.is_dir() else path
        if not path.is_file():
            raise ModelError(f"{path} does not exist; give a model folder or its {FILE_NAME}")
        try:
            with safe_open(path, framework="numpy") as file:
                facts = dict(file.metadata() or {})
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            layout = TokenLayout.from_dict(json.loads(facts["layout"]))
            parts = {
                kind: {
                    name.removesuffix(f".{kind}"): array
                    for name, array in arrays.items()
                    if name.endswith(f".{kind}")
                }
                for kind in ("counts", "contexts")
            }
            return cls(layout, parts["counts"], parts["contexts"], facts["model"])
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, TokenError) as error:
            raise ModelError(
                f"{path} is not a whole file of code statistics ({error}); get it again or make it "
                "with `python -m recipes.statistics`"
            ) from error


def model_statistics(folder: Path, layout: TokenLayout) -> CodeStatistics | None:
    """The statistics in a model folder, checked against the model's layout; None: it has none."""
    if not (folder / FILE_NAME).is_file():
        return None
    statistics = CodeStatistics.load(folder)
    if statistics.layout != layout:
        raise ModelError(
            f"{folder / FILE_NAME} counts codes of another layout than the model's; make it anew"
        )
    return statistics


def _takes_contexts(stream: TokenStream, contexts: int) -> bool:
    fitting = 2 * contexts <= stream.codebook_size <= MAX_CONTEXT_CODEBOOK
    return stream.rate is not None and contexts > 1 and fitting


def _count(
    codes: Sequence[NDArray[np.int32]], stream: TokenStream, contexts: NDArray[np.uint16] | None
) -> NDArray[np.uint32]:
    """Counts `[groups, rows, codebook]` of items `[groups, frames]`."""
    rows = 1 if contexts is None else int(contexts.max()) + 2
    counts = np.zeros((stream.groups, rows, stream.codebook_size), dtype=np.int64)
    for item in codes:
        for group, own in enumerate(item):
            row = np.full(own.size, rows - 1)
            if contexts is not None:
                row[1:] = contexts[group][own[:-1]]
            np.add.at(counts[group], (row, own), 1)
    # Saturation, after years of audio, costs a little size and nothing else.
    return np.minimum(counts, 2**32 - 1).astype(np.uint32)


def _find_contexts(
    items: Sequence[NDArray[np.int32]], size: int, number: int
) -> NDArray[np.uint16]:
    """The context `[codebook]` of each code: k-means of what follows it, as square roots."""
    cluster = require_extra("sklearn.cluster", "train")
    follows = np.zeros((size, size), dtype=np.float32)
    for item in items:
        np.add.at(follows, (item[:-1], item[1:]), 1)
    seen = follows.sum(axis=1, keepdims=True)
    whole = (follows.sum(axis=0) + 0.5) / (seen.sum() + 0.5 * size)
    rows = np.sqrt((follows + ROW_PRIOR * whole) / (seen + ROW_PRIOR))
    means = cluster.KMeans(number, random_state=0, n_init=1, max_iter=50)
    labels = means.fit(rows, sample_weight=seen[:, 0] + 1).labels_
    # Contexts that came out empty leave no gap in the numbers.
    return np.unique(labels, return_inverse=True)[1].astype(np.uint16)


def _entropy(counts: NDArray[np.uint64]) -> float:
    seen = counts[counts > 0] / max(1, int(counts.sum()))
    return float(-(seen * np.log2(seen)).sum())


def _normalised(weights: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Weights as frequencies of at least 1 that add up to `1 << PRECISION`."""
    total = int(weights.sum())
    # Keeps the product below within 64 bits.
    weights = weights >> np.uint64(max(0, total.bit_length() - 39))
    spare = (1 << PRECISION) - weights.size
    shares = weights * np.uint64(spare) // max(np.uint64(1), weights.sum())
    shares[np.argmax(shares)] += np.uint64(spare - int(shares.sum()))
    return shares + np.uint64(1)


def _narrow(counts: NDArray[np.uint32]) -> NDArray[np.unsignedinteger]:
    """Counts in two bytes each where they fit."""
    return counts.astype(np.uint16) if counts.max(initial=0) < 1 << 16 else counts


def _frozen(array: NDArray[Any], kind: type) -> NDArray[Any]:
    if array.dtype.kind != "u":
        raise TokenError(f"code statistics are unsigned whole numbers, got {array.dtype}")
    own: NDArray[Any] = np.array(array, dtype=kind, order="C", copy=True)
    own.flags.writeable = False
    return own
