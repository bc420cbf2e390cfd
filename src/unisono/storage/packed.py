"""Packed codes and the `.utok` file.

File, all numbers little-endian:

    4 bytes   magic "UTOK"
    2 bytes   version, 1
    4 bytes   length of the header
    header    JSON: layout, model, samples, rate
    payload   streams in layout order; each its codes frame by frame, ceil(log2 V) bits a code,
              most significant bit first, padded with zero bits to a whole byte
    4 bytes   CRC-32 of everything before

The size follows from the header, so a missing or an added byte shows as well as an altered one.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unisono.errors import TokenError
from unisono.storage.atomic import write_bytes
from unisono.tokens import AudioTokens, TokenLayout, TokenStream

__all__ = ["pack_codes", "read_utok", "unpack_codes", "write_utok"]

MAGIC = b"UTOK"
VERSION = 1
# magic, version, header length
PREAMBLE = struct.Struct("<4sHI")
# Codes handled at once; a multiple of 8, so that every piece ends at a whole byte.
PIECE = 1 << 16


def write_utok(path: str | os.PathLike[str], tokens: AudioTokens) -> None:
    """Write tokens to a `.utok` file, whole or not at all."""
    header = json.dumps(
        {
            "layout": tokens.layout.to_dict(),
            "model": tokens.model,
            "rate": tokens.rate,
            "samples": tokens.samples,
        },
        separators=(",", ":"),
    ).encode()
    parts = [PREAMBLE.pack(MAGIC, VERSION, len(header)), header]
    for stream in tokens.layout.streams:
        parts.append(pack_codes(tokens.codes[stream.name].T, stream.codebook_size))
    body = b"".join(parts)
    write_bytes(path, body + struct.pack("<I", zlib.crc32(body)), TokenError)


def read_utok(path: str | os.PathLike[str]) -> AudioTokens:
    """Read a `.utok` file; `TokenError` for a missing, foreign, truncated or altered one."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TokenError(f"cannot read {path}: {error.strerror}; check the path") from error
    if data[:4] != MAGIC:
        raise TokenError(f"{path} is not a .utok file; encode the audio with `unisono encode`")
    if len(data) < PREAMBLE.size + 4:
        raise _damaged(path, "it ends inside its header")
    _, version, header_size = PREAMBLE.unpack_from(data)
    if version != VERSION:
        raise TokenError(
            f"{path} has .utok version {version}, this unisono reads {VERSION}; update unisono, or "
            "encode the audio again if the file is damaged"
        )
    if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise _damaged(path, "its checksum does not match")
    try:
        return _parse(data, header_size)
    except TokenError as error:
        raise _damaged(path, str(error)) from error


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
    if len(data) != _packed_size(count, bits):
        raise TokenError(f"{len(data)} bytes are not {count} codes of {bits} bits")
    width = _width(bits)
    packed = np.frombuffer(data, dtype=np.uint8)
    codes = np.empty(count, dtype=np.int32)
    for start in range(0, count, PIECE):
        size = min(PIECE, count - start)
        first = start * bits // 8
        piece = packed[first : first + _packed_size(size, bits)]
        rows = np.zeros((size, 8 * width), dtype=np.uint8)
        rows[:, 8 * width - bits :] = np.unpackbits(piece, count=size * bits).reshape(size, bits)
        codes[start : start + size] = np.packbits(rows, axis=1).view(f">u{width}")[:, 0]
    return codes


def _parse(data: bytes, header_size: int) -> AudioTokens:
    end = PREAMBLE.size + header_size
    if end > len(data) - 4:
        raise TokenError("it ends inside its header")
    try:
        header = json.loads(data[PREAMBLE.size : end])
    except (ValueError, RecursionError) as error:
        raise TokenError("its header is not JSON") from error
    layout, samples, rate, model = _facts(header)
    codes = {}
    for stream in layout.streams:
        frames = stream.frames(samples, rate)
        size = _packed_size(frames * stream.groups, stream.bits)
        if end + size > len(data) - 4:
            raise TokenError(f"its stream {stream.name!r} is shorter than its header says")
        codes[stream.name] = _stream_codes(data[end : end + size], frames, stream)
        end += size
    if end != len(data) - 4:
        raise TokenError("bytes follow its last stream")
    return AudioTokens(codes, samples=samples, rate=rate, layout=layout, model=model)


def _stream_codes(data: bytes, frames: int, stream: TokenStream) -> NDArray[np.int32]:
    flat = unpack_codes(data, frames * stream.groups, stream.codebook_size)
    return flat.reshape(frames, stream.groups).T


def _facts(header: Any) -> tuple[TokenLayout, int, int, str]:
    keys = {"layout", "model", "rate", "samples"}
    if not isinstance(header, dict) or set(header) != keys:
        raise TokenError(f"its header does not hold {sorted(keys)}")
    samples, rate, model = header["samples"], header["rate"], header["model"]
    for name, value in (("samples", samples), ("rate", rate)):
        if type(value) is not int or value < 1:
            raise TokenError(f"its header states {name} {value!r}")
    if not isinstance(model, str):
        raise TokenError(f"its header states model {model!r}")
    return TokenLayout.from_dict(header["layout"]), samples, rate, model


def _width(bits: int) -> int:
    """Bytes of the smallest unsigned type of 1, 2 or 4 bytes that holds `bits`."""
    return 1 if bits <= 8 else 2 if bits <= 16 else 4


def _packed_size(count: int, bits: int) -> int:
    return -(-count * bits // 8)


def _damaged(path: Path, reason: str) -> TokenError:
    return TokenError(f"{path} is damaged ({reason}); copy it again or encode the audio again")
