"""Tokens: named streams, their layout, flat ids for a language model (numpy only)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unisono.errors import TokenError
from unisono.flat_order import samples_of, slots

if TYPE_CHECKING:
    from unisono.storage.entropy import CodeStatistics

__all__ = ["AudioTokens", "TokenLayout", "TokenStream"]

# Rate that describes tokens without an original, such as those that a language model wrote.
DEFAULT_RATE = 16_000


@dataclass(frozen=True)
class TokenStream:
    """One stream of tokens: `groups` parallel codebooks of `codebook_size` codes each.

    `rate` is in frames per second; None means one frame for the whole item. Rates are taken as
    exact fractions (12.5, 160/3), so frame counts never suffer from float rounding.
    """

    name: str
    rate: float | None
    groups: int
    codebook_size: int

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TokenError(f"a token stream needs a name, got {self.name!r}")
        where = f"token stream {self.name!r}"
        if self.rate is not None:
            if isinstance(self.rate, bool) or not isinstance(self.rate, int | float):
                raise TokenError(f"{where}: rate must be a number in Hz or None, got {self.rate!r}")
            if not (math.isfinite(self.rate) and 1e-4 <= self.rate <= 1e6):
                raise TokenError(f"{where}: rate must lie in 0.0001 to 1,000,000, got {self.rate}")
        for name, value, least in (
            ("groups", self.groups, 1),
            ("codebook_size", self.codebook_size, 2),
        ):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TokenError(f"{where}: {name} must be a whole number, got {value!r}")
            if not least <= value < 2**31:
                raise TokenError(f"{where}: {name} must be at least {least}, got {value}")

    @property
    def exact_rate(self) -> Fraction | None:
        """Rate as the simplest fraction that the float stands for."""
        return None if self.rate is None else Fraction(self.rate).limit_denominator(100_000)

    @property
    def bits(self) -> int:
        """Whole bits that hold one code: ceil(log2(codebook_size))."""
        return (self.codebook_size - 1).bit_length()

    def frames(self, samples: int, rate: int) -> int:
        """Frames of an item of `samples` samples at `rate` Hz: ceil(seconds * stream rate)."""
        exact = self.exact_rate
        return 1 if exact is None else math.ceil(Fraction(samples, rate) * exact)


@dataclass(frozen=True)
class TokenLayout:
    """The streams of a tokenizer, in the order in which they take their ids.

    Flat ids: every group of every stream has its own range, ranges follow layout order. Flat
    order: the streams that come once, all their groups; then frame by frame in time, at equal
    times the lower rate first and equal rates in layout order.
    """

    streams: tuple[TokenStream, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "streams", tuple(self.streams))
        if not self.streams:
            raise TokenError("a token layout needs at least one stream")
        names = [stream.name for stream in self.streams]
        if len(set(names)) != len(names):
            raise TokenError(f"the streams of a layout need different names, got {names}")

    def __getitem__(self, name: str) -> TokenStream:
        for stream in self.streams:
            if stream.name == name:
                return stream
        names = ", ".join(stream.name for stream in self.streams)
        raise TokenError(f"no stream {name!r} in this layout; it has {names}")

    @property
    def tokens_per_second(self) -> float:
        """Tokens a second of the timed streams, all groups."""
        return float(sum(s.groups * s.rate for s in self.streams if s.rate is not None))

    @property
    def tokens_once(self) -> int:
        """Tokens that an item has whatever its length."""
        return sum(s.groups for s in self.streams if s.rate is None)

    @property
    def bits_per_second(self) -> float:
        """Nominal bit rate of the timed streams: tokens a second times log2(codebook size)."""
        timed = (s for s in self.streams if s.rate is not None)
        return float(sum(s.groups * (s.rate or 0) * math.log2(s.codebook_size) for s in timed))

    @property
    def bits_once(self) -> float:
        """Bits that an item has whatever its length."""
        once = (s for s in self.streams if s.rate is None)
        return float(sum(s.groups * math.log2(s.codebook_size) for s in once))

    @property
    def vocabulary_size(self) -> int:
        """Number of different flat ids: the sum of groups * codebook_size."""
        return sum(s.groups * s.codebook_size for s in self.streams)

    def offset(self, name: str, group: int = 0) -> int:
        """First flat id of a group of the stream `name`."""
        stream = self[name]
        if not 0 <= group < stream.groups:
            raise TokenError(f"stream {name!r} has groups 0 to {stream.groups - 1}, got {group}")
        first = 0
        for other in self.streams:
            if other.name == name:
                break
            first += other.groups * other.codebook_size
        return first + group * stream.codebook_size

    def first_groups(self, **groups: int) -> TokenLayout:
        """The same layout with so many groups, from the first, of the streams named.

        `TokenError` for a stream that it has not, or more or fewer groups than that has.
        """
        for name, count in groups.items():
            if not 1 <= count <= self[name].groups:
                raise TokenError(
                    f"stream {name!r} has {self[name].groups} groups; {count} of them cannot be "
                    "kept"
                )
        kept = (replace(s, groups=groups.get(s.name, s.groups)) for s in self.streams)
        return TokenLayout(tuple(kept))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` takes it back."""
        return {
            "streams": [
                {
                    "name": s.name,
                    "rate": s.rate,
                    "groups": s.groups,
                    "codebook_size": s.codebook_size,
                }
                for s in self.streams
            ]
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TokenLayout:
        """Layout from the data of `to_dict`; missing and unknown keys are refused by name."""
        _check_keys("token layout", data, {"streams"})
        streams = data["streams"]
        if isinstance(streams, str) or not isinstance(streams, Sequence):
            raise TokenError(f"token layout: streams must be a list, got {streams!r}")
        for entry in streams:
            _check_keys("token stream", entry, {"name", "rate", "groups", "codebook_size"})
        return cls(tuple(TokenStream(**entry) for entry in streams))

    def from_ids(
        self,
        ids: ArrayLike,
        samples: int | None = None,
        rate: int | None = None,
        model: str = "",
    ) -> AudioTokens:
        """Tokens from the flat ids `[n]` of `AudioTokens.ids` or of a language model.

        `samples` and `rate` describe the original audio. Without `samples` the item is as long
        as its whole frames last; without `rate` it is described at 16 kHz. Ids that do not fill
        whole frames, or lie outside the range of their place, raise `TokenError` with the
        position and the value.
        """
        flat = _as_integers("flat ids", ids)
        if flat.ndim != 1 or flat.size == 0:
            raise TokenError(f"flat ids must be a non-empty list, got shape {list(flat.shape)}")
        rate = DEFAULT_RATE if rate is None else rate
        if samples is None:
            samples = samples_of(self, flat.size, rate)
        _check_length(samples, rate)
        counts = [stream.frames(samples, rate) for stream in self.streams]
        expected = sum(n * s.groups for n, s in zip(counts, self.streams, strict=True))
        if flat.size != expected:
            raise TokenError(
                f"{flat.size} flat ids do not fit {samples} samples at {rate} Hz, which take "
                f"{expected}; give the ids of the whole item, or leave samples out"
            )
        places = slots(self, counts)
        low, size = places.low, places.size
        wrong = np.flatnonzero((flat < low) | (flat >= low + size))
        if wrong.size:
            raise TokenError(_misplaced(self, int(wrong[0]), int(flat[wrong[0]]), low, size))
        codes = {}
        for index, (stream, count) in enumerate(zip(self.streams, counts, strict=True)):
            mine = places.stream == index
            codes[stream.name] = (flat - low)[mine].reshape(count, stream.groups).T
        return AudioTokens(codes, samples=samples, rate=rate, layout=self, model=model)


@dataclass(frozen=True, eq=False, repr=False)
class AudioTokens:
    """The tokens of one item; immutable, equal when everything is equal.

    `codes` maps each stream's name to an int32 array `[groups, frames]` (read-only copies; a
    stream with one group may be given as `[frames]`); `samples` and `rate` (Hz) describe the
    original audio, and a stream has exactly `TokenStream.frames(samples, rate)` frames. `model`
    is the id of the model that made them.
    """

    codes: Mapping[str, NDArray[np.int32]]
    samples: int
    rate: int
    layout: TokenLayout
    model: str = field(default="")

    def __post_init__(self) -> None:
        _check_length(self.samples, self.rate)
        object.__setattr__(self, "samples", int(self.samples))
        object.__setattr__(self, "rate", int(self.rate))
        names = [stream.name for stream in self.layout.streams]
        if set(self.codes) != set(names):
            raise TokenError(f"tokens need codes for {names}, got {sorted(self.codes)}")
        checked = {s.name: self._checked(s, self.codes[s.name]) for s in self.layout.streams}
        object.__setattr__(self, "codes", MappingProxyType(checked))

    def _checked(self, stream: TokenStream, values: ArrayLike) -> NDArray[np.int32]:
        where = f"stream {stream.name!r}"
        array = _as_integers(f"codes of {where}", values)
        if array.ndim == 1 and stream.groups == 1:
            array = array[None]
        expected = (stream.groups, stream.frames(self.samples, self.rate))
        if array.shape != expected:
            raise TokenError(
                f"codes of {where} have shape {list(array.shape)}, but {self.samples} samples at "
                f"{self.rate} Hz take [groups, frames] = {list(expected)}"
            )
        wrong = np.argwhere((array < 0) | (array >= stream.codebook_size))
        if wrong.size:
            group, frame = (int(i) for i in wrong[0])
            raise TokenError(
                f"code {int(array[group, frame])} of {where}, group {group}, frame {frame} is "
                f"outside its codebook of 0 to {stream.codebook_size - 1}"
            )
        own = np.array(array, dtype=np.int32, order="C", copy=True)
        own.flags.writeable = False
        return own

    def __getitem__(self, name: str) -> NDArray[np.int32]:
        """Codes `[groups, frames]` of one stream."""
        return self.codes[self.layout[name].name]

    def __len__(self) -> int:
        """Number of tokens, all streams and groups."""
        return sum(array.size for array in self.codes.values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AudioTokens):
            return NotImplemented
        return self._facts() == other._facts() and all(
            np.array_equal(array, other.codes[name]) for name, array in self.codes.items()
        )

    def __hash__(self) -> int:
        return hash((self._facts(), *(array.tobytes() for array in self.codes.values())))

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{name} {array.shape[0]}x{array.shape[1]}" for name, array in self.codes.items()
        )
        return (
            f"AudioTokens({shapes}, {self.duration:.3f} s = {self.samples} samples at "
            f"{self.rate} Hz, model={self.model!r})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # The read-only mapping cannot be pickled as it is; worker processes need tokens to travel.
        return type(self), (dict(self.codes), self.samples, self.rate, self.layout, self.model)

    def _facts(self) -> tuple[int, int, TokenLayout, str]:
        return self.samples, self.rate, self.layout, self.model

    def only(self, *names: str) -> AudioTokens:
        """The same item with some of its streams; `TokenError` for a name that it has not."""
        kept = {self.layout[name].name for name in names}
        layout = TokenLayout(tuple(s for s in self.layout.streams if s.name in kept))
        codes = {name: self.codes[name] for name in kept}
        return AudioTokens(codes, self.samples, self.rate, layout, self.model)

    def first_groups(self, **groups: int) -> AudioTokens:
        """The same item with so many groups, from the first, of the streams named.

        See `TokenLayout.first_groups`.
        """
        layout = self.layout.first_groups(**groups)
        codes = {s.name: self.codes[s.name][: s.groups] for s in layout.streams}
        return AudioTokens(codes, self.samples, self.rate, layout, self.model)

    @property
    def duration(self) -> float:
        """Length of the original audio in seconds."""
        return self.samples / self.rate

    def ids(self) -> NDArray[np.int64]:
        """Flat ids `[n]` for a language model, in the order that `TokenLayout` describes."""
        places = slots(self.layout, [self.codes[s.name].shape[1] for s in self.layout.streams])
        flat = places.low.copy()
        for index, stream in enumerate(self.layout.streams):
            flat[places.stream == index] += self.codes[stream.name].T.ravel()
        return flat

    def save(self, path: str | os.PathLike[str], statistics: CodeStatistics | None = None) -> None:
        """Write a `.utok` file: codes, header, checksum; whole or not at all.

        Codes are bit-packed; with `statistics` (those of the tokenizer) they are range-coded, which
        takes fewer bytes and the extra `entropy`, and reading needs the same statistics.
        """
        from unisono.storage.utok import write_utok

        write_utok(path, self, statistics)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], statistics: CodeStatistics | None = None
    ) -> AudioTokens:
        """Read a `.utok` file; a truncated, altered or foreign one raises `TokenError`.

        A range-coded file needs the `statistics` it was written with; None: those of the embedded
        models are tried. Packed files need none.
        """
        from unisono.storage.utok import read_utok

        return read_utok(path, statistics)

    @staticmethod
    def to_hf(
        items: Iterable[AudioTokens], pad: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hugging Face's shape: codes `[batch, codebooks, frames]` and mask `[batch, frames]`.

        NumPy int64 arrays (`torch.from_numpy` shares them). Codebooks are the groups of all
        streams in layout order, without id offsets; a stream that comes once is repeated at
        every frame. The mask is 1 where there is audio, and `pad` fills the rest. All items need
        the same layout, whose timed streams have one rate.
        """
        batch = list(items)
        if not batch:
            raise TokenError("to_hf needs at least one item")
        layout = batch[0].layout
        if any(item.layout != layout for item in batch):
            raise TokenError("to_hf takes items of one layout only; sort them by model first")
        if len({s.rate for s in layout.streams if s.rate is not None}) > 1:
            raise TokenError("to_hf needs timed streams of one rate; use ids() for this layout")
        lengths = [max(array.shape[1] for array in item.codes.values()) for item in batch]
        books = sum(stream.groups for stream in layout.streams)
        codes = np.full((len(batch), books, max(lengths)), pad, dtype=np.int64)
        mask = np.zeros((len(batch), max(lengths)), dtype=np.int64)
        for row, (item, frames) in enumerate(zip(batch, lengths, strict=True)):
            parts = [
                np.broadcast_to(item.codes[s.name], (s.groups, frames)) for s in layout.streams
            ]
            codes[row, :, :frames] = np.concatenate(parts)
            mask[row, :frames] = 1
        return codes, mask


def _misplaced(
    layout: TokenLayout, position: int, value: int, low: NDArray[Any], size: NDArray[Any]
) -> str:
    first, last = int(low[position]), int(low[position] + size[position]) - 1
    name, group = _owner(layout, first)
    text = (
        f"id {value} at position {position} does not fit: stream {name!r} group {group} is due "
        f"there, ids {first} to {last}"
    )
    if 0 <= value < layout.vocabulary_size:
        owner, other = _owner(layout, value)
        return f"{text}; {value} belongs to stream {owner!r} group {other}"
    return f"{text}; the vocabulary ends at {layout.vocabulary_size - 1}"


def _owner(layout: TokenLayout, value: int) -> tuple[str, int]:
    first = 0
    for stream in layout.streams:
        if value < first + stream.groups * stream.codebook_size:
            return stream.name, (value - first) // stream.codebook_size
        first += stream.groups * stream.codebook_size
    raise AssertionError("the value lies in the vocabulary")


def _check_length(samples: int, rate: int) -> None:
    for name, value in (("samples", samples), ("rate", rate)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise TokenError(f"{name} of tokens must be a whole number from 1, got {value!r}")


def _check_keys(what: str, data: Any, keys: set[str]) -> None:
    if not isinstance(data, Mapping) or set(data) != keys:
        got = sorted(map(str, data)) if isinstance(data, Mapping) else data
        raise TokenError(f"{what}: the keys must be {sorted(keys)}, got {got}")


def _as_integers(what: str, values: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise TokenError(f"{what} must be whole numbers, got {array.dtype}")
    return array.astype(np.int64)
