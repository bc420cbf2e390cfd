"""Crops of one length, and two of one voice."""

import numpy as np
import pytest

from unisono.data.dataset import ClipSet
from unisono.training.voice_crops import Part, VoiceCrops

FRAME = 640


@pytest.fixture(scope="module")
def crops(corpus):
    return VoiceCrops(ClipSet([corpus]), FRAME)


def speakers(crops, parts):
    return {crops.clips.items[part.clip].speaker for part in parts}


@pytest.mark.parametrize("frames", [1, 10, 15, 40])
def test_crops_have_their_length_and_one_voice(crops, frames):
    rng = np.random.default_rng(0)
    for _ in range(30):
        parts = crops.draw(rng, frames)
        assert sum(part.frames for part in parts) == frames
        assert len(speakers(crops, parts)) == 1
        wave = crops.read(parts)
        assert wave.shape == (frames * FRAME,) and wave.dtype == np.float32
        other = crops.draw_like(parts[0].clip, rng, frames)
        assert sum(part.frames for part in other) == frames
        assert speakers(crops, other) == speakers(crops, parts)


def test_a_crop_is_what_lies_there(crops):
    parts = [Part(0, 2, 3), Part(4, 0, 5)]
    first, second = crops.clips.read(0), crops.clips.read(4)
    wanted = np.concatenate([first[2 * FRAME : 5 * FRAME], second[: 5 * FRAME]])
    np.testing.assert_allclose(crops.read(parts), wanted, atol=1e-6)


def test_long_clips_are_drawn_more_often_and_anywhere(crops):
    rng = np.random.default_rng(0)
    drawn = [crops.draw(rng, 5)[0] for _ in range(3000)]
    counts = np.bincount([part.clip for part in drawn], minlength=7)
    frames = np.array([int(item.duration * 16_000) // FRAME for item in crops.clips.items])
    np.testing.assert_allclose(counts / 3000, frames / frames.sum(), atol=0.03)
    longest = int(frames.argmax())
    firsts = {part.first for part in drawn if part.clip == longest}
    assert firsts == set(range(frames[longest] - 5 + 1))


def test_equal_seeds_give_equal_crops(crops):
    a, b, c = (crops.draw(np.random.default_rng(seed), 40) for seed in (1, 1, 2))
    assert a == b != c
