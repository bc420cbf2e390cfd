"""Sounds inside archives: Qt resource files (`.rcc`) and Quake packages (`.pk3`)."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from unisono.errors import DataError

_COMPRESSED, _FOLDER = 1, 2
_ZSTD = 4


def read_pk3(path: Path, endings: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the files of a `.pk3` (a ZIP file) with these endings, sorted by name."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(endings):
                    yield name, archive.read(name)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a ZIP file: {error}") from error


def read_rcc(data: bytes, endings: tuple[str, ...], name: str) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of the files of a Qt resource file with these endings, formats 1 to 3.

    `name` stands in messages.

    Layout (big endian): `qres`, u32 version, then u32 offsets of the tree, the data and the names,
    in format 3 also u32 flags. A node of the tree has u32 name and u16 flags, then either u32
    count and u32 first child (a folder) or u16 country, u16 language and u32 data; format 2 adds a
    u64 time. A name is u16 length, u32 hash, UTF-16; data are u32 length and the bytes, for
    compressed ones (zlib) after another u32. Raises `DataError` for anything else.
    """
    if len(data) < 20 or data[:4] != b"qres":
        raise DataError(f"{name} is not a Qt resource file")
    version, tree, store, names = struct.unpack_from(">4I", data, 4)
    size = 14 if version == 1 else 22
    if not 1 <= version <= 3:
        raise DataError(f"{name} has the format {version}; known are 1, 2 and 3")

    def title(offset: int) -> str:
        (length,) = struct.unpack_from(">H", data, names + offset)
        begin = names + offset + 6
        if begin + 2 * length > len(data):
            raise DataError(f"{name} ends within its list of names")
        return data[begin : begin + 2 * length].decode("utf-16-be")

    def walk(node: int, parent: str) -> Iterator[tuple[str, bytes]]:
        offset, flags, first, second = struct.unpack_from(">IHII", data, tree + size * node)
        path = f"{parent}/{title(offset)}" if node else ""
        if flags & _FOLDER:
            for child in range(second, second + first):
                yield from walk(child, path)
            return
        if not path.endswith(endings):
            return
        if flags & _ZSTD:
            raise DataError(f"{path} in {name} is compressed with Zstandard, which is not read")
        (length,) = struct.unpack_from(">I", data, store + second)
        begin = store + second + 4
        content = data[begin : begin + length]
        if len(content) < length:
            raise DataError(f"{name} ends within {path}")
        yield path.lstrip("/"), zlib.decompress(content[4:]) if flags & _COMPRESSED else content

    try:
        yield from walk(0, "")
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{name} is damaged: {error}") from error
