"""Read the binary model file of CTranslate2 (`model.bin`, format version 6) with numpy alone.

Layout, little endian: u32 format version; string spec name; u32 spec revision; u32 number of
variables; for each: string name, u8 rank, u32 per dimension, u8 dtype, u32 bytes, data; u32
number of aliases; for each: string alias, string target. A string is u16 length with the closing
zero byte, then the bytes. Source: read from the file itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unisono.errors import ModelError

_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


@dataclass(frozen=True)
class CT2Model:
    """A CTranslate2 model: spec name, its revision, and the arrays by name (aliases resolved)."""

    spec: str
    revision: int
    variables: dict[str, np.ndarray]


def read_ct2(path: Path) -> CT2Model:
    """Read `model.bin`.

    Raises `ModelError` when the file is cut off, has left-over bytes, or stores a dtype that
    numpy does not have.
    """
    reader = _Reader(path.read_bytes(), path)
    version = reader.number("I")
    if version != 6:
        raise ModelError(f"{path}: CTranslate2 format version {version} is not supported, only 6")
    spec = reader.text()
    revision = reader.number("I")
    variables = {}
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = tuple(reader.number("I") for _ in range(reader.number("B")))
        dtype = reader.number("B")
        if dtype not in _DTYPES:
            raise ModelError(f"{path}: variable {name} has the unknown dtype number {dtype}")
        data = np.frombuffer(reader.take(reader.number("I")), dtype=_DTYPES[dtype])
        if data.size != int(np.prod(shape)):
            raise ModelError(f"{path}: variable {name} has {data.size} values, not shape {shape}")
        variables[name] = data.reshape(shape)
    for _ in range(reader.number("I")):
        alias, target = reader.text(), reader.text()
        if target not in variables:
            raise ModelError(f"{path}: alias {alias} names the missing variable {target}")
        variables[alias] = variables[target]
    if reader.offset != len(reader.data):
        raise ModelError(f"{path}: {len(reader.data) - reader.offset} bytes follow the model")
    return CT2Model(spec, revision, variables)


class _Reader:
    """A cursor over bytes that refuses to read past the end."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data = data
        self.path = path
        self.offset = 0

    def take(self, count: int) -> bytes:
        if self.offset + count > len(self.data):
            raise ModelError(f"{self.path} ends early, at byte {len(self.data)}: join all parts")
        part = self.data[self.offset : self.offset + count]
        self.offset += count
        return part

    def number(self, code: str) -> int:
        return int(struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0])

    def text(self) -> str:
        return self.take(self.number("H"))[:-1].decode()
