"""Fields of a SAP told from tokens by a small network: who speaks, and what else is heard (ours).

Where there is little to train on, writing a SAP letter by letter is far harder than choosing each
field's value; a model may come with either, or with both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from unisono.synthesis.convolution import TokenConvolutions

if TYPE_CHECKING:
    from unisono.sap.told import HeardSound

SPEECH = "speech"
"""Whether anybody speaks: values of this field are NO and YES."""
NO, YES = "no", "yes"
EVENTS = "events"
"""Labels of all sounds that are not speech; NOTHING where there is none."""
NOTHING = ""
VOCAL = ("gender", "age", "emotion", "accent", "prosody", "timbre")
"""The fields of `SAP.paralinguistics`."""
LIKELY = 0.4
AUDIBLE = 0.25


class FieldReader(nn.Module):
    """Code vectors `[B, T, dim]` to the log-odds of each field's values.

    Convolutions see a token with its neighbours; every value has its own score there, and its own
    weights over the tokens with which the scores are averaged, so that a short sound counts as
    much as a long one (attention pooling as in audio tagging).

    With `whole` a linear layer on `ClipStatistics` answers instead, and the convolutions only say
    where: with a thousand labelled clips it is right far more often.

    Args:
        dim: width of the code vectors. fields: the values of each field, in order.
        width, layers: sizes of the convolutions.
        whole: whether statistics of the clip answer.
    """

    def __init__(
        self,
        dim: int,
        fields: Mapping[str, Sequence[str]],
        width: int = 256,
        layers: int = 2,
        whole: bool = False,
    ) -> None:
        super().__init__()
        self.fields = {name: tuple(values) for name, values in fields.items()}
        values = sum(map(len, self.fields.values()))
        self.body = TokenConvolutions(dim, 2 * values, width, layers)
        self.whole = ClipStatistics(dim, values) if whole else None

    def forward(self, vectors: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Log-odds `[B, values]` by field of `vectors [B, T, dim]`, `mask [B, T]`."""
        if self.whole is not None:
            return self._by_field(self.whole(vectors, mask))
        return added(self.places(vectors, mask))

    def places(self, vectors: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """How much each token says for each value, `[B, T, values]` by field; sums over T are
        log-odds, those of `forward` where statistics do not answer."""
        scores, shares = self._frames(vectors, mask)
        return self._by_field(scores * shares)

    def _frames(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        scores, weights = self.body(vectors, mask.to(vectors.dtype)).chunk(2, -1)
        hidden = ~mask.bool()[..., None]
        shares = weights.masked_fill(hidden, torch.finfo(weights.dtype).min).softmax(1)
        return scores, shares.masked_fill(hidden, 0.0)

    def _by_field(self, values: Tensor) -> dict[str, Tensor]:
        sizes = [len(known) for known in self.fields.values()]
        return dict(zip(self.fields, values.split(sizes, -1), strict=True))


def added(places: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Log-odds `[B, values]` by field of what each token says, `[B, T, values]`."""
    return {name: said.sum(1) for name, said in places.items()}


class ClipStatistics(nn.Module):
    """Mean, deviation and maximum of a clip's code vectors, standardised, and a linear layer."""

    center: Tensor
    scale: Tensor

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.outward = nn.Linear(3 * dim, out)
        self.register_buffer("center", torch.zeros(3 * dim))
        self.register_buffer("scale", torch.ones(3 * dim))

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """`vectors [B, T, dim]`, `mask [B, T]` → `[B, out]`."""
        found = clip_statistics(vectors, mask)
        return self.outward((found - self.center) / self.scale)

    @torch.no_grad()
    def standardise(self, seen: Tensor) -> None:
        """Take center and scale from statistics `[N, 3 * dim]` of some clips."""
        self.center.copy_(seen.mean(0))
        self.scale.copy_(seen.std(0, unbiased=False).clamp(min=1e-4))


def clip_statistics(vectors: Tensor, mask: Tensor) -> Tensor:
    """Mean, deviation and maximum `[B, 3 * dim]` of `vectors [B, T, dim]` where `mask [B, T]`."""
    real = mask.to(vectors.dtype)[..., None]
    count = real.sum(1).clamp(min=1)
    mean = (vectors * real).sum(1) / count
    spread = ((vectors - mean[:, None]).square() * real).sum(1) / count
    most = vectors.masked_fill(real == 0, torch.finfo(vectors.dtype).min).amax(1)
    return torch.cat([mean, spread.sqrt(), most], dim=-1)


@dataclass(frozen=True)
class Told:
    """What a `FieldReader` tells of one clip.

    speech: whether anybody speaks; None where it was not trained to tell. vocal: values of VOCAL.
    sounds: in the order of their likelihood.
    """

    speech: bool | None
    vocal: dict[str, str]
    sounds: tuple[HeardSound, ...]


@torch.inference_mode()
def tell(reader: FieldReader, vectors: Tensor, mask: Tensor, step: float) -> list[Told]:
    """What is told of each row of `vectors [B, T, dim]`, `mask [B, T]`; `step`: seconds a token.

    A voice's field is told where its likeliest value has LIKELY or more; a sound where it has
    AUDIBLE or more, and the likeliest one always where nobody speaks.
    """
    where = reader.places(vectors, mask)
    odds = added(where) if reader.whole is None else reader(vectors, mask)
    return [
        _told(
            reader,
            {name: row[n].float().softmax(-1) for name, row in odds.items()},
            {name: row[n, : int(mask[n].sum())].float() for name, row in where.items()},
            step,
        )
        for n in range(len(vectors))
    ]


def _told(
    reader: FieldReader, shares: Mapping[str, Tensor], where: Mapping[str, Tensor], step: float
) -> Told:
    def likely(name: str) -> dict[str, float]:
        values = zip(reader.fields.get(name, ()), shares[name].tolist(), strict=True)
        return dict(sorted(values, key=lambda pair: -pair[1]))

    speech = None
    if SPEECH in shares:
        told = likely(SPEECH)
        speech = told.get(YES, 0.0) >= told.get(NO, 0.0)
    vocal: dict[str, str] = {}
    for name in VOCAL:
        values = likely(name) if name in shares else {}
        fitting = {v: p for v, p in values.items() if _fits(v, vocal.get("gender"))}
        best = next(iter(fitting), None)
        if best is not None and fitting[best] >= LIKELY:
            vocal[name] = best
    sounds = {v: p for v, p in likely(EVENTS).items() if v} if EVENTS in shares else {}
    heard = [label for label, share in sounds.items() if share >= AUDIBLE]
    heard = heard or (list(sounds)[:1] if speech is False else [])
    places = [
        _sound(label, where[EVENTS][:, reader.fields[EVENTS].index(label)], step) for label in heard
    ]
    return Told(speech, vocal, tuple(places))


def _fits(value: str, gender: str | None) -> bool:
    """Whether a text about a voice does not contradict its gender."""
    other = {"Male": "female voice", "Female": " male voice"}.get(gender or "")
    return other is None or other not in f" {value.lower()}"


def _sound(label: str, said: Tensor, step: float) -> HeardSound:
    """From where to where the tokens say nine tenths of what speaks for a sound."""
    from unisono.sap.told import HeardSound

    mass = said.clamp(min=0)
    if not float(mass.sum()):
        mass = torch.ones_like(said)
    passed = mass.cumsum(0) / mass.sum()
    first = int((passed < 0.05).sum())
    last = int((passed < 0.95).sum())
    return HeardSound(label, first * step, (last + 1 - first) * step)
