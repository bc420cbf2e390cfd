"""A small stage with everything that processes share; as a script, one process of several runs.

`joint` batches are put together into one, so that one process can see what several would.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from unisono.errors import DataError
from unisono.quantize import VectorQuantizer
from unisono.quantize.vector import Quantized
from unisono.training.config import TrainConfig, load_config
from unisono.training.loop import train
from unisono.training.parallel import close_world, open_world
from unisono.training.sharding import shard
from unisono.training.sizes import stage_modules
from unisono.training.world import World

DIM, CODES = 8, 32


@dataclass(frozen=True)
class Frames:
    states: torch.Tensor
    mask: torch.Tensor
    labelled: torch.Tensor
    seconds: float


@dataclass(frozen=True)
class Options:
    dropout: float = 0.0
    overflow: int = -1
    """Step at which the critic's loss is infinite."""
    even: bool = False
    """All frames real, all rows labelled, no quantizer: equal shares of the joint batch."""
    critic_every: int = 2
    late: int = 0
    """First step with the critic and the rare head."""
    fails_at: int = -1
    """Position whose data cannot be read."""


class Layer(GradientCheckpointingLayer):
    """What transformers' layers are made of."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(DIM, DIM)

    def forward(self, hidden):
        return hidden + self.inner(hidden).tanh()


class Coder(nn.Module):
    """Layers in a row, called by a method that is not forward; a quantizer at the end."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, DIM)
        self.layers = nn.ModuleList(Layer() for _ in range(2))
        self.quantizer = VectorQuantizer(CODES, DIM, decay=0.7, restart_interval=2, scale=3.0)
        self.quantizer.set_codebook(torch.randn(CODES, DIM) * torch.arange(CODES)[:, None])

    def run_layers(self, states, mask, world, quantize=True):
        hidden = self.inner(states)
        for layer in self.layers:
            hidden = layer(hidden)
        if not quantize:
            return Quantized(hidden, mask.long(), hidden.new_zeros(()))
        return self.quantizer(hidden, mask, world)


class JointTask:
    def __init__(self, config, world=None, joint=1):
        self.world = world or World()
        self.joint = joint
        self.options = Options(**config.options)
        torch.manual_seed(config.seed)
        self.modules = {
            "coder": Coder(),
            "head": nn.Linear(DIM, 4),
            "rare": nn.Linear(DIM, 1),
            "critic": nn.Linear(4, 1),
        }
        self.players = {"coder": ("coder", "head", "rare"), "critic": ("critic",)}

    def batch(self, step):
        first = self.world.position(step) * self.joint
        parts = [self._part(position) for position in range(first, first + self.joint)]
        return Frames(
            *(torch.cat([getattr(p, name) for p in parts]) for name in ("states", "mask")),
            torch.cat([p.labelled for p in parts]),
            sum(p.seconds for p in parts),
        )

    def _part(self, position):
        """Two rows of nine frames; how many are real, and which are labelled, varies."""
        if position == self.options.fails_at:
            raise DataError(f"position {position}: broken; mend it")
        even = self.options.even
        generator = torch.Generator().manual_seed(1000 + position)
        lengths = (
            torch.full((2, 1), 9) if even else torch.randint(1, 10, (2, 1), generator=generator)
        )
        return Frames(
            torch.randn(2, 9, 4, generator=generator),
            (torch.arange(9) < lengths).float(),
            torch.full((2,), float(even or position % 2 == 0)),
            float(lengths.sum()),
        )

    def losses(self, batch, step):
        coder, head, rare, critic = self.modules.values()
        coder.train()
        out = coder.run_layers(batch.states, batch.mask, self.world, not self.options.even)
        made = nn.functional.dropout(head(out.vectors), self.options.dropout)
        count = batch.mask.sum()

        def over_frames(values):
            return self.world.mean((values * batch.mask).sum(), count)

        late = self.options.late
        if step >= late and step % self.options.critic_every == 0:
            judged = critic(made.detach())[..., 0] - critic(batch.states)[..., 0]
            factor = float("inf") if step == self.options.overflow else 1.0
            yield "critic", over_frames(judged.square() + judged) * factor, {}
        loss = over_frames((made - batch.states).square().mean(-1))
        rows = batch.labelled.bool()
        if step < late:
            pass
        elif rows.any():
            scores = rare(out.vectors[rows])[..., 0]
            weight = batch.mask[rows]
            loss = loss + self.world.mean((scores.tanh() * weight).sum(), weight.sum())
        else:
            loss = loss + self.world.mean(loss.new_zeros(()), 0)
        figures = {"frames": count.item()}
        if rows.any():
            figures["labelled"] = rows.sum().item()
        yield "coder", loss + out.loss, figures

    @torch.no_grad()
    def evaluate(self):
        coder, head, *_ = self.modules.values()
        coder.eval()
        batch = self._part(10**6)
        out = coder.run_layers(batch.states, batch.mask, self.world)
        return {"error": (head(out.vectors) - batch.states).square().mean().item()}

    def extra_state(self):
        """How many numbers of the layers' weights lie in this process."""
        weights = [layer.inner.weight for layer in self.modules["coder"].layers]
        local = [w.to_local() if isinstance(w, DTensor) else w for w in weights]
        return {"held": sum(w.numel() for w in local)}

    def load_extra_state(self, state):
        pass


def make_config(out, **changes):
    optimizers = {
        "coder": {"lr": 1e-2, "rates": {"coder.layers": 3e-3}, "warmup": 2, "clip_norm": 0.5},
        "critic": {"lr": 1e-2, "warmup": 0},
    }
    tree = {
        "task": "joint",
        "out": str(out),
        "steps": 8,
        "device": "cpu",
        "log_every": 1,
        "evaluate_every": 4,
        "save_every": 4,
        "data": {"train": ["none"]},
        "optimizers": optimizers,
        **changes,
    }
    return TrainConfig.model_validate(tree)


def run(out, joint=1, **changes):
    config = make_config(out, **changes)
    world = open_world("cpu")
    return train(config, JointTask(config, world, joint), world, terminal=False)


def held_on_meta(out, config):
    """Write how many numbers of a stage's modules this process would hold, split by FSDP."""
    world = open_world("cpu")
    modules = stage_modules(load_config(config))
    shard(modules, world, "no")
    held = {}
    for name, module in modules.items():
        local = [p.to_local() if isinstance(p, DTensor) else p for p in module.parameters()]
        held[name] = sum(p.numel() for p in local)
    Path(f"{out}-{world.rank}.json").write_text(json.dumps(held))


if __name__ == "__main__":
    for out, changes in json.loads(sys.argv[1]):
        if "held_on_meta" in changes:
            held_on_meta(out, changes["held_on_meta"])
        else:
            run(out, **changes)
    close_world()
