"""Sounds inside archives: Qt resources (`.rcc`), Quake packages (`.pk3`), Clonk groups (`.ocg`)."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from unisono.errors import DataError

_COMPRESSED, _FOLDER = 1, 2
_ZSTD = 4
_GROUP_HEAD, _GROUP_ENTRY, _GROUP_NAME = 204, 316, 260


def read_pk3(path: Path, endings: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the files of a ZIP file, as a `.pk3` is, with these endings, by name."""
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


def read_c4group(data: bytes, endings: tuple[str, ...], name: str) -> Iterator[tuple[str, bytes]]:
    """Path, with `name` first, and bytes of the files of a Clonk group with these endings.

    Layout (little endian), after gunzip with the magic bytes 1e 8c for 1f 8b: 204 bytes of head,
    in which every byte is XORed with 237 and then the first and third of every three swapped: 28
    bytes of title, i32 version, i32 version, i32 count. Then as many entries of 316 bytes: 260
    bytes of name, i32 packed, i32 is a group, i32 size, i32, i32 offset. Then the contents, to
    which the offsets refer; groups in a group are the same without gzip. Endings are lower case
    and match any case. Raises `DataError` for anything else.
    """
    if data[:2] != b"\x1e\x8c":
        raise DataError(f"{name} is not a Clonk group")

    def walk(begin: int, parent: str) -> Iterator[tuple[str, bytes]]:
        head = bytearray(byte ^ 237 for byte in group[begin : begin + _GROUP_HEAD])
        head[0::3], head[2::3] = head[2::3], head[0::3]
        if not head.startswith(b"RedWolf Design GrpFolder"):
            raise DataError(f"{parent} in {name} is damaged: it has no head of a group")
        (count,) = struct.unpack_from("<i", head, 36)
        entries = begin + _GROUP_HEAD
        store = entries + _GROUP_ENTRY * count
        for entry in range(entries, store, _GROUP_ENTRY):
            title = group[entry : entry + _GROUP_NAME].split(b"\0")[0].decode("latin-1")
            _, child, size, _, offset = struct.unpack_from("<5i", group, entry + _GROUP_NAME)
            path = f"{parent}/{title}"
            if child:
                yield from walk(store + offset, path)
            elif path.lower().endswith(endings):
                content = group[store + offset : store + offset + size]
                if len(content) < size:
                    raise DataError(f"{name} ends within {path}")
                yield path, content

    try:
        group = gzip.decompress(b"\x1f\x8b" + data[2:])
        yield from walk(0, name)
    except (struct.error, zlib.error, OSError, EOFError) as error:
        raise DataError(f"{name} is damaged: {error}") from error
