"""Configuration of UniCodec: every size, and whether it is causal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from unisono.errors import ConfigError
from unisono.tokens import TokenLayout, TokenStream


@dataclass(frozen=True)
class BookConfig:
    """A grouped quantizer: `groups` codebooks of `codes` rows over a vector of `dim` numbers."""

    groups: int
    codes: int
    dim: int


@dataclass(frozen=True)
class StreamConfig:
    """One stream's encoder [TF-Codec].

    channels, strides: of the convolutions over the spectrum; a stride divides the frequencies.
    hidden: inner width of the temporal blocks; blocks: their number (dilations 1, 2, 4, 8, 1, …).
    recurrent: whether a GRU follows. book: its quantizer.
    """

    book: BookConfig
    channels: tuple[int, ...] = (16, 32, 32, 64, 64)
    strides: tuple[int, ...] = (1, 2, 4, 4, 2)
    hidden: int = 512
    blocks: int = 4
    recurrent: bool = True

    def width(self, bins: int) -> int:
        """Numbers a frame after the convolutions."""
        for stride in self.strides:
            bins = -(-bins // stride)
        return bins * self.channels[-1]


@dataclass(frozen=True)
class TransformerConfig:
    """Attention over the folded frames of the semantic stream [semantic TF-Codec].

    window: frames that one looks back (and ahead, where the model is not causal), at 25 Hz.
    """

    layers: int = 6
    width: int = 512
    heads: int = 8
    window: int = 250


@dataclass(frozen=True)
class DecoderConfig:
    """Fusion decoder [Disen-TF-Codec]: channels and strides from the spectrum's side."""

    channels: tuple[int, ...] = (16, 32, 32, 64, 64)
    strides: tuple[int, ...] = (1, 2, 4, 4, 2)
    hidden: int = 512
    blocks: int = 4
    """Temporal blocks before the GRU, and again after it."""
    source: bool = False
    """Whether the spectrum is drawn from pulses at the pitch and noise as well [ours]."""


# Sixteen numbers a group: in many more, distances leave the softmax no choice (ours).
def _g() -> StreamConfig:
    return StreamConfig(BookConfig(16, 1024, 256))


def _s() -> StreamConfig:
    return StreamConfig(BookConfig(2, 256, 32))


def _p() -> StreamConfig:
    return StreamConfig(BookConfig(4, 1024, 64))


@dataclass(frozen=True)
class UniCodecConfig:
    """Sizes of a UniCodec; the defaults are the specification's full size.

    rate: Hz. window, hop: of the spectrum, samples. fold: spectrum frames a token. power: to
    which magnitudes are raised at the start of training. causal: no layer sees a later frame, so
    that the model streams; otherwise temporal blocks and attention look both ways and norms know
    the whole item. prior: frames that instance norms' learnt starting values count for [ours].
    pitch: P's first group tells pitch and voicing as they are, for a decoder with a source [ours].

    Raises ConfigError for sizes that cannot run.
    """

    rate: int = 16_000
    window: int = 640
    hop: int = 160
    fold: int = 4
    power: float = 0.4
    causal: bool = True
    prior: float = 50.0
    pitch: bool = False
    global_stream: StreamConfig = field(default_factory=_g)
    semantic_stream: StreamConfig = field(default_factory=_s)
    residual_stream: StreamConfig = field(default_factory=_p)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ConfigError(f"UniCodec config: {problem}.")

    @property
    def bins(self) -> int:
        """Frequencies of the spectrum, the highest (half the rate) left out."""
        return self.window // 2

    @property
    def frame(self) -> int:
        """Samples a token."""
        return self.hop * self.fold

    @property
    def streams(self) -> dict[str, StreamConfig]:
        """The three encoders by the names of their streams."""
        return {
            "global": self.global_stream,
            "semantic": self.semantic_stream,
            "residual": self.residual_stream,
        }

    @property
    def layout(self) -> TokenLayout:
        """The tokens: global once an item, semantic and residual at rate / frame."""
        timed = self.rate / self.frame
        return TokenLayout(
            tuple(
                TokenStream(
                    name,
                    None if name == "global" else timed,
                    stream.book.groups,
                    stream.book.codes,
                )
                for name, stream in self.streams.items()
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON and YAML; `from_dict` takes it back."""
        return _plain(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UniCodecConfig:
        """Config from plain data; what is left out has its default, unknown keys are refused."""
        return _filled(cls(), values, "UniCodec config")

    def _problem(self) -> str | None:
        if self.window % (2 * self.hop):
            return f"window {self.window} must be a multiple of two hops of {self.hop}"
        sized: dict[str, StreamConfig | DecoderConfig] = {**self.streams, "decoder": self.decoder}
        for name, sizes in sized.items():
            if len(sizes.channels) != len(sizes.strides) or not sizes.channels:
                return f"{name} needs as many strides as channels"
            if min(*sizes.channels, *sizes.strides, sizes.hidden) < 1:
                return f"{name} has a size below 1"
            if max(sizes.strides) > 5:
                return f"{name} has a stride above 5, which is all that its convolutions cover"
        for name, stream in self.streams.items():
            if stream.book.dim % stream.book.groups:
                return f"{name}: dim {stream.book.dim} is no multiple of {stream.book.groups}"
        if self.pitch and not self.decoder.source:
            return "pitch is for a decoder with source: true"
        book, patterns = self.residual_stream.book, 2 * self.fold
        if self.pitch and (book.codes % patterns or book.codes < 2 * patterns):
            return f"with pitch, residual needs a multiple of {patterns} codes"
        if self.pitch and (book.groups < 2 or book.dim // book.groups < self.fold + 2):
            return f"with pitch, residual needs two groups of {self.fold + 2} numbers or more"
        if self.transformer.width % (2 * self.transformer.heads):
            return "the transformer's width must be a multiple of twice its heads"
        return None


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return list(value) if isinstance(value, tuple) else value


def _filled(start: Any, values: Any, where: str) -> Any:
    """`start` with the fields that `values` names, each of the type that it had."""
    known = {f.name: getattr(start, f.name) for f in fields(start)}
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} must be a mapping, not {values!r}.")
    unknown = sorted(map(str, set(values) - set(known)))
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(unknown)}; it has {', '.join(known)}.")
    return replace(start, **{k: _value(known[k], v, f"{where}: {k}") for k, v in values.items()})


def _value(before: Any, value: Any, where: str) -> Any:
    if is_dataclass(before):
        return _filled(before, value, where)
    if isinstance(before, tuple):
        if not isinstance(value, list | tuple) or not all(type(v) is int for v in value):
            raise ConfigError(f"{where} must be a list of whole numbers, not {value!r}.")
        return tuple(value)
    if isinstance(before, float) and type(value) is int:
        return float(value)
    if type(value) is not type(before):
        raise ConfigError(f"{where} must be of type {type(before).__name__}, not {value!r}.")
    return value
