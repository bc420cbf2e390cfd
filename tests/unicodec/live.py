"""What the tests of live streams share: cutting, joining, and what offline gives."""

from __future__ import annotations

import math

import numpy as np

LATE = 480


def cuts(length, sizes):
    """Slices of `length`, their sizes taken in turn."""
    start, n = 0, 0
    while start < length:
        yield slice(start, start + sizes[n % len(sizes)])
        start += sizes[n % len(sizes)]
        n += 1


def joined(parts):
    """Codes of one item out of what pushes gave."""
    names = ("semantic", "residual")
    codes = {name: np.concatenate([part[name] for part in parts], axis=1) for name in names}
    globs = [part["global"] for part in parts if "global" in part]
    assert len(globs) <= 1  # told once
    return codes | ({"global": globs[0]} if globs else {})


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def offline(tok, wave):
    return dict(tok.encode((wave, 16_000)).codes)


def encode_in_pieces(tok, wave, sizes, lookahead=math.inf):
    with tok.encoder_stream(lookahead=lookahead) as stream:
        parts = [stream.push([wave[here]])[0] for here in cuts(len(wave), sizes)]
        return joined([*parts, *stream.push([wave[:0]], ends=True)])


def decode_in_pieces(tok, codes, sizes):
    frames = codes["semantic"].shape[1]
    with tok.decoder_stream() as stream:
        waves = []
        for n, here in enumerate(cuts(frames, sizes)):
            part = {name: codes[name][:, here] for name in codes if name != "global"}
            part |= {"global": codes["global"]} if n == 0 else {}
            waves += stream.push([part], ends=here.stop >= frames)
            given = min(here.stop, frames) * 640 - (LATE if here.stop < frames else 0)
            assert sum(map(len, waves)) == given
    return np.concatenate(waves)
