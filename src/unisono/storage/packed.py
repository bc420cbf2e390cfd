"""Codes packed at the whole bits that hold one: ceil(log2 V) each, most significant bit first."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unisono.errors import TokenError

__all__ = ["pack_codes", "packed_size", "unpack_codes"]

# Codes handled at once; a multiple of 8, so that every piece ends at a whole byte.
PIECE = 1 << 16


def pack_codes(codes: ArrayLike, codebook_size: int) -> bytes:
    """Codes of any shape, in C order, at ceil(log2(codebook_size)) bits each."""
    bits = (codebook_size - 1).bit_length()
    flat = np.ascontiguousarray(codes).ravel()
    if flat.size and (flat.min() < 0 or flat.max() >= codebook_size):
        raise TokenError(f"codes to pack lie outside 0 to {codebook_size - 1}")
    width = _width(bits)
    pieces = []
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE].astype(f">u{width}")
        rows = np.unpackbits(piece.view(np.uint8).reshape(-1, width), axis=1)
        pieces.append(np.packbits(rows[:, 8 * width - bits :]).tobytes())
    return b"".join(pieces)


def unpack_codes(data: bytes, count: int, codebook_size: int) -> NDArray[np.int32]:
    """The `count` codes `[count]` of `pack_codes`; the data must have exactly their size."""
    bits = (codebook_size - 1).bit_length()
    if len(data) != packed_size(count, bits):
        raise TokenError(f"{len(data)} bytes are not {count} codes of {bits} bits")
    width = _width(bits)
    packed = np.frombuffer(data, dtype=np.uint8)
    codes = np.empty(count, dtype=np.int32)
    for start in range(0, count, PIECE):
        size = min(PIECE, count - start)
        first = start * bits // 8
        piece = packed[first : first + packed_size(size, bits)]
        rows = np.zeros((size, 8 * width), dtype=np.uint8)
        rows[:, 8 * width - bits :] = np.unpackbits(piece, count=size * bits).reshape(size, bits)
        codes[start : start + size] = np.packbits(rows, axis=1).view(f">u{width}")[:, 0]
    return codes


def packed_size(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take; the last is padded with zero bits."""
    return -(-count * bits // 8)


def _width(bits: int) -> int:
    """Bytes of the smallest unsigned type of 1, 2 or 4 bytes that holds `bits`."""
    return 1 if bits <= 8 else 2 if bits <= 16 else 4
