"""Vector quantizer with one codebook, trained by moving averages or by gradient.

Source: reference page section 1, "Quantizer" (UniAudio-Token, arXiv 2605.31521; the moving
averages are those of VQ-VAE, arXiv 1711.00937). The k-means start and the exact handling of
near ties are ours.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SMOOTHING = 1e-5
_CHUNK_ELEMENTS = 1 << 24  # distances held at once (64 MB in float32), whatever the input's size


class Reducer(Protocol):
    """What a quantizer needs from a process group; passed in, so that models call no collective.

    `rank` is this process's number among `size`.
    """

    rank: int
    size: int

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum of `tensor` over all processes, without a gradient."""

    def broadcast(self, tensor: Tensor) -> Tensor:
        """The first process's `tensor`, on every process."""

    def mean(self, total: Tensor, count: Tensor | float) -> Tensor:
        """`total` over the joint count, times `size`; averaged gradients are then the joint's."""


class Quantized(NamedTuple):
    """Result of a quantizer.

    vectors: `[..., D]` code vectors, with the straight-through gradient while training;
    ids: `[...]` int64; loss: scalar, None outside training.
    """

    vectors: Tensor
    ids: Tensor
    loss: Tensor | None


class CodeTable(NamedTuple):
    """A codebook prepared for search, float32.

    book: `[V, D]`, shifted so that its mean is 0: distances do not change when states are shifted
    alike, but their expanded form loses fewer digits; center: that mean `[D]`; norms: `[V]`.
    """

    book: Tensor
    center: Tensor
    norms: Tensor


class VectorQuantizer(nn.Module):
    """Nearest code by squared Euclidean distance.

    Args: codes and dim give the codebook `[codes, dim]`; decay of the moving averages (None: the
    codebook is a parameter trained by gradient); restart_interval in steps (None: no restart, and
    it needs a decay); commit and scale weight the loss; use_commit_loss False leaves the
    commitment term out.

    Buffers with a decay: `ema_count [codes]`, `ema_weight [codes, dim]`, `steps` (training steps
    done, for the restart interval).
    """

    def __init__(
        self,
        codes: int,
        dim: int,
        *,
        decay: float | None = None,
        restart_interval: int | None = None,
        commit: float = 0.25,
        scale: float = 1.0,
        use_commit_loss: bool = True,
    ) -> None:
        super().__init__()
        assert restart_interval is None or decay is not None
        self.decay = decay
        self.restart_interval = restart_interval
        self.commit = commit
        self.scale = scale
        self.use_commit_loss = use_commit_loss
        self.codebook = nn.Embedding(codes, dim)
        self.ema_count: Tensor
        self.ema_weight: Tensor
        self.steps: Tensor
        if decay is not None:
            self.codebook.weight.requires_grad_(False)
            self.register_buffer("ema_count", torch.ones(codes))
            self.register_buffer("ema_weight", self.codebook.weight.detach().clone())
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._table: tuple[object, CodeTable] | None = None

    @property
    def codes(self) -> int:
        """Number of codes."""
        return self.codebook.num_embeddings

    def forward(
        self,
        states: Tensor,
        mask: Tensor | None = None,
        reducer: Reducer | None = None,
        generator: torch.Generator | None = None,
    ) -> Quantized:
        """Quantize `states [..., D]`; `mask [...]` is 1 on real frames (None: all are real).

        In training mode gives the loss and, with a decay, updates the codebook once after using
        it. `reducer` joins the processes: loss, averages and restarts are then those of the joint
        batch, and every process must call it equally often. `generator` draws the states that
        restart dead codes; the first process's draw counts.
        """
        weight = self.codebook.weight
        ids = nearest_codes(states.detach(), self._codes_table())
        # A copy, so that the update below cannot touch what the backward pass still needs.
        vectors = F.embedding(ids, weight)
        if not self.training:
            return Quantized(vectors.to(states.dtype), ids, None)
        real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
        loss = self._loss(states, vectors, real, reducer)
        if self.decay is not None:
            self._update(states.detach()[real], ids[real], reducer, generator)
        vectors = states + (vectors - states).detach()
        return Quantized(vectors.to(states.dtype), ids, loss)

    def _codes_table(self) -> CodeTable:
        """The codebook prepared for search; kept until the codebook changes."""
        weight = self.codebook.weight
        if weight.is_inference():  # such tensors do not count their changes
            return code_table(weight)
        key = (weight._version, weight.data_ptr(), weight.dtype, weight.device)
        if self._table is None or self._table[0] != key:
            self._table = (key, code_table(weight))
        return self._table[1]

    def _loss(
        self, states: Tensor, vectors: Tensor, real: Tensor, reducer: Reducer | None
    ) -> Tensor:
        """Commitment loss, plus the codebook's own without moving averages; over real frames."""
        frames = real.sum()

        def error(a: Tensor, b: Tensor) -> Tensor:
            # float() before the difference: half precision loses it.
            errors = (a.float() - b.float()).square().mean(-1)
            if reducer is None:
                return (errors * (real / frames.clamp(min=1))).sum()
            return reducer.mean((errors * real).sum(), frames)

        loss = states.new_zeros((), dtype=torch.float32)
        if self.use_commit_loss:
            loss = loss + self.commit * error(states, vectors.detach())
        if self.decay is None:
            loss = loss + error(vectors, states.detach())
        return self.scale * loss

    @torch.no_grad()
    def _update(
        self,
        states: Tensor,
        ids: Tensor,
        reducer: Reducer | None,
        generator: torch.Generator | None,
    ) -> None:
        """Moving averages over the real `states [N, D]` of this step, then the restart."""
        assert self.decay is not None
        states = states.to(self.ema_weight.dtype)
        counts = torch.zeros_like(self.ema_count).index_add_(
            0, ids, torch.ones_like(ids, dtype=self.ema_count.dtype)
        )
        sums = torch.zeros_like(self.ema_weight).index_add_(0, ids, states)
        if reducer is not None:
            counts, sums = reducer.sum(counts), reducer.sum(sums)
        self.ema_count.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        total = self.ema_count.sum()
        smoothed = (self.ema_count + _SMOOTHING) / (total + self.codes * _SMOOTHING) * total
        self.ema_count.copy_(smoothed)
        self.ema_weight.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        self.codebook.weight.copy_(self.ema_weight / self.ema_count[:, None])
        self.steps.add_(1)
        if self.restart_interval and int(self.steps) % self.restart_interval == 0:
            self._restart(states, reducer, generator)

    def _restart(
        self, states: Tensor, reducer: Reducer | None, generator: torch.Generator | None
    ) -> None:
        """Give every rarely used code a real state of any process; distinct ones if it can.

        The states `[N, D]` of all processes count as one row, in order of rank, so the draw is the
        one that a single process would make.
        """
        assert self.decay is not None and self.restart_interval is not None
        dead = (self.ema_count < self.decay**self.restart_interval).nonzero().flatten()
        before, total = _joint_count(len(states), states.device, reducer)
        if total == 0:  # a step without a real frame
            return
        drawn = _draw(total, len(dead), generator).to(states.device)
        if reducer is not None:
            drawn = reducer.broadcast(drawn)
        if len(dead) == 0:
            return
        # Every process gives the states that it has; the others' places stay zero for the sum.
        candidates = states.new_zeros(len(dead), states.shape[-1])
        own = (drawn >= before) & (drawn < before + len(states))
        candidates[own] = states[drawn[own] - before]
        if reducer is not None:
            candidates = reducer.sum(candidates)
        self.codebook.weight[dead] = candidates.to(self.codebook.weight.dtype)
        self.ema_weight[dead] = candidates
        self.ema_count[dead] = 1.0

    @torch.no_grad()
    def set_codebook(self, centers: Tensor) -> None:
        """Replace the codebook by `centers [codes, D]` and start the averages from it."""
        self.codebook.weight.copy_(centers)
        if self.decay is not None:
            self.ema_count.fill_(1.0)
            self.ema_weight.copy_(self.codebook.weight)

    @torch.no_grad()
    def init_from(
        self,
        states: Tensor,
        iterations: int = 10,
        generator: torch.Generator | None = None,
        reducer: Reducer | None = None,
    ) -> float:
        """Start the codebook from k-means (Lloyd) on `states [N, D]`, N >= 1.

        Starts from randomly drawn states; a center left empty takes another random state. With a
        `reducer` every process takes the first one's centers. Gives the share of the states'
        variance that the codebook leaves unexplained (ours).
        """
        states = states.reshape(-1, states.shape[-1]).to(self.codebook.weight)
        centers = states[_draw(len(states), self.codes, generator).to(states.device)].clone()
        for _ in range(iterations):
            ids = nearest_codes(states, centers)
            counts = torch.bincount(ids, minlength=self.codes)
            sums = torch.zeros_like(centers).index_add_(0, ids, states)
            centers = sums / counts.clamp(min=1)[:, None]
            empty = (counts == 0).nonzero().flatten()
            if len(empty):
                centers[empty] = states[_draw(len(states), len(empty), generator).to(empty.device)]
        if reducer is not None:
            centers = reducer.broadcast(centers)
        self.set_codebook(centers)
        error = (states - centers[nearest_codes(states, centers)]).square().sum()
        spread = (states - states.mean(0)).square().sum()
        return (error / spread.clamp(min=torch.finfo(states.dtype).tiny)).item()


@torch.no_grad()
def code_table(codebook: Tensor) -> CodeTable:
    """Prepare `codebook [V, D]` for `nearest_codes`."""
    book = codebook.detach().float()
    center = book.mean(0)
    book = book - center
    return CodeTable(book, center, book.square().sum(-1))


@torch.no_grad()
def nearest_codes(states: Tensor, codebook: Tensor | CodeTable) -> Tensor:
    """Index of the nearest row of `codebook [V, D]` for `states [..., D]`: int64 `[...]`.

    Distances are computed for a bounded number of frames at a time. Where rounding could decide
    between codes they are compared again in float64; equal distances give the lowest index.
    """
    table = codebook if isinstance(codebook, CodeTable) else code_table(codebook)
    flat = states.reshape(-1, states.shape[-1]).float() - table.center
    rows = max(1, _CHUNK_ELEMENTS // max(1, len(table.book)))
    parts = [_nearest_chunk(part, table.book, table.norms) for part in flat.split(rows)]
    return torch.cat(parts).view(states.shape[:-1]) if parts else flat.new_zeros(0).long()


def _nearest_chunk(states: Tensor, book: Tensor, norms: Tensor) -> Tensor:
    """Nearest code of `states [N, D]`, by |e|^2 - 2 x.e and a second look at near ties."""
    with torch.autocast(states.device.type, enabled=False):
        distances = torch.addmm(norms, states, book.T, alpha=-2.0)
    smallest, ids = distances.min(-1)
    # A bound on the rounding of the expanded form, generous: a second look only costs time.
    size = states.square().sum(-1) + norms.max()
    close = distances <= (smallest + 1e-6 * size)[:, None]
    rows = (close.sum(-1) > 1).nonzero().flatten()
    for part in rows.split(256) if len(rows) else ():
        ids[part] = _nearest_rival(states[part], book, close[part], ids[part])
    return ids


def _nearest_rival(states: Tensor, book: Tensor, close: Tensor, ids: Tensor) -> Tensor:
    """Nearest of the codes in `close [R, V]` for `states [R, D]`, in float64; lowest on a tie.

    At most 16 codes a state are compared, among them the float32 choice `ids [R]`: more only
    come close in a codebook that has collapsed.
    """
    wanted = min(16, int(close.sum(-1).max()))
    codes = close.shape[-1]
    order = torch.arange(codes, 0, -1, device=close.device)  # the lowest index is the largest
    rank, rivals = (close * order).topk(wanted, dim=-1)
    crowded = close.sum(-1) > wanted
    rivals[:, -1] = torch.where(crowded, ids, rivals[:, -1])
    exact = (book[rivals].double() - states[:, None].double()).square().sum(-1)
    exact = exact.masked_fill(rank == 0, torch.inf)
    return rivals.gather(-1, exact.argmin(-1, keepdim=True)).squeeze(-1)


def _joint_count(own: int, device: torch.device, reducer: Reducer | None) -> tuple[int, int]:
    """How many states the processes before this one have, and all together."""
    if reducer is None or reducer.size == 1:
        return 0, own
    counts = torch.zeros(reducer.size, dtype=torch.int64, device=device)
    counts[reducer.rank] = own
    counts = reducer.sum(counts)
    return int(counts[: reducer.rank].sum()), int(counts.sum())


def _draw(available: int, wanted: int, generator: torch.Generator | None) -> Tensor:
    """`wanted` random indices below `available`, without repetition as far as that goes."""
    device = generator.device if generator is not None else "cpu"
    if wanted <= available:
        return torch.randperm(available, generator=generator, device=device)[:wanted]
    return torch.randint(available, (wanted,), generator=generator, device=device)
