"""Every process its batches: none twice, none left out, whatever their number."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono.data.dataset import BatchPlan
from unisono.training.world import World


def processes(size):
    """The worlds of `size` processes, as each of them would see itself."""
    worlds = [World() for _ in range(size)]
    for rank, world in enumerate(worlds):
        world.rank, world.size = rank, size
    return worlds


def epoch_length(durations, limit, seed):
    plan, seen, batches = BatchPlan(durations, limit, seed), 0, 0
    while seen < len(durations):
        seen += len(plan(batches))
        batches += 1
    return batches


@settings(max_examples=40, deadline=None)
@given(
    durations=st.lists(st.floats(0.5, 9.0), min_size=1, max_size=40),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    steps=st.integers(1, 5),
)
def test_an_epoch_holds_every_sequence_once_for_any_number_of_processes(durations, sizes, steps):
    """Also when the number changes every few steps, as when a run resumes on other machines."""
    limit, seed = 12.0, 3
    length = epoch_length(durations, limit, seed)
    seen: Counter[int] = Counter()
    step = batches = turn = 0
    while batches < length:
        group = processes(sizes[turn % len(sizes)])
        plans = [BatchPlan(durations, limit, seed) for _ in group]
        for world in group:
            world.start_at(step, batches)
        for _ in range(steps):
            for world, plan in zip(group, plans, strict=True):
                if world.position(step) < length:  # the rest belongs to the next epoch
                    seen.update(plan(world.position(step)))
            step += 1
        batches = group[0].batches(step)
        turn += 1
    assert seen == Counter(range(len(durations)))


def test_alone_the_world_changes_nothing():
    world = World()
    assert [world.position(step) for step in (0, 5)] == [0, 5]
    total = torch.tensor(6.0, requires_grad=True)
    assert world.mean(total, 4).item() == 1.5
    assert world.mean(total * 0, 0).item() == 0.0
    assert world.sum(total) is total and world.broadcast(total) is total
    assert world.all(True) and not world.all(torch.tensor(False))
    assert world.any(True) and not world.any(False)
