"""Sequences and batches: whole coverage, nothing twice, a function of seed and step alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from unisono.data.dataset import BatchPlan, ClipSet, plan_sequences, read_sequence
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.errors import DataError


def items(durations):
    return [
        ManifestItem(path=f"{n}.wav", duration=d, speaker=f"s{n % 3}")
        for n, d in enumerate(durations)
    ]


lengths = st.lists(st.floats(0.3, 12.0), min_size=1, max_size=60)


@given(lengths, st.integers(0, 5))
def test_every_clip_is_in_exactly_one_sequence_of_one_speaker(durations, seed):
    clips = items(durations)
    sequences = plan_sequences(clips, (2.0, 8.0), seed)
    assert sorted(i for s in sequences for i in s) == list(range(len(clips)))
    assert all(len({clips[i].speaker for i in s}) == 1 for s in sequences)
    long = [s for s in sequences if sum(clips[i].duration for i in s) > 8.0]
    assert all(len(s) == 1 for s in long)


@given(lengths, st.floats(1.0, 40.0), st.integers(0, 5))
def test_an_epoch_holds_every_sequence_once_within_the_limit(durations, limit, seed):
    plan = BatchPlan(durations, limit, seed)
    seen, step = [], 0
    while len(seen) < len(durations):
        batch = plan(step)
        assert len(batch) == 1 or max(durations[i] for i in batch) * len(batch) <= limit
        seen += batch
        step += 1
    assert sorted(seen) == list(range(len(durations)))


def test_a_step_does_not_depend_on_how_it_was_reached():
    durations = np.random.default_rng(0).uniform(1, 9, 50).tolist()
    straight = [BatchPlan(durations, 20, 3)(step) for step in (40, 0, 17)]
    walked = BatchPlan(durations, 20, 3)
    assert [walked(step) for step in (40, 0, 17)] == straight
    assert BatchPlan(durations, 20, 4)(0) != straight[1]


def test_threads_may_share_a_plan():
    durations = np.random.default_rng(0).uniform(1, 9, 30).tolist()
    steps = np.random.default_rng(1).integers(0, 60, 2000).tolist()
    alone = {step: BatchPlan(durations, 20, 3)(step) for step in set(steps)}
    plan = BatchPlan(durations, 20, 3)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(plan, steps)) == [alone[step] for step in steps]


def make_corpus(folder, seconds=(0.5, 1.0, 0.7), splits=("train", "train", "valid")):
    rng = np.random.default_rng(0)
    found = []
    for n, (duration, split) in enumerate(zip(seconds, splits, strict=True)):
        wave = (0.1 * rng.standard_normal(round(duration * 16000))).astype(np.float32)
        soundfile.write(folder / f"{n}.wav", wave, 16000)
        found.append(
            ManifestItem(path=f"{n}.wav", duration=duration, source=f"source{n}", split=split)
        )
    write_manifest(folder / "all.jsonl", found)
    return folder / "all.jsonl"


def test_splits_and_weights_choose_the_clips(tmp_path):
    manifest = make_corpus(tmp_path)
    assert [i.path for i in ClipSet([manifest]).items] == ["0.wav", "1.wav"]
    assert [i.path for i in ClipSet([manifest], split="valid").items] == ["2.wav"]
    weighted = ClipSet([manifest], weights={"source0": 0, "source1": 2})
    assert [i.path for i in weighted.items] == ["1.wav", "1.wav"]
    with pytest.raises(DataError, match="music"):
        ClipSet([manifest], kinds=["music"])


def test_a_sequence_is_its_clips_with_pauses(tmp_path):
    clips = ClipSet([make_corpus(tmp_path)])
    wave = read_sequence(clips, [0, 1])
    assert len(wave) == 8000 + round(0.15 * 16000) + 16000
    np.testing.assert_array_equal(wave[:8000], clips.read(0))
    assert not wave[8000:10400].any()
    np.testing.assert_array_equal(clips.read(1, 0.25, 0.5), clips.read(1)[4000:12000])


@given(
    durations=st.lists(st.floats(0.1, 12), min_size=1, max_size=60), most=st.integers(1, 9),
    seed=st.integers(0, 5),
)  # fmt: skip
def test_no_batch_has_more_sequences_than_asked_for(durations, most, seed):
    plan, seen, step = BatchPlan(durations, 20.0, seed, most), [], 0
    while len(seen) < len(durations):
        batch = plan(step)
        assert 1 <= len(batch) <= most
        seen += batch
        step += 1
    assert sorted(seen) == list(range(len(durations)))
