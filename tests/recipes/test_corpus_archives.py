import gzip
import struct
import zipfile
import zlib

import pytest
from recipes.corpus.archives import read_c4group, read_pk3, read_rcc

from unisono.errors import DataError


def rcc(version, files, squeeze=(), zstd=()):
    """A Qt resource file with the folder `sub`: {name: bytes}; `squeeze` is stored compressed."""
    titles = {"": 0}
    names = struct.pack(">HI", 0, 0)
    for title in ("sub", *files):
        titles[title] = len(names)
        names += struct.pack(">HI", len(title), 7) + title.encode("utf-16-be")
    store, places = b"", {}
    for title, content in files.items():
        places[title] = len(store)
        if title in squeeze:
            content = struct.pack(">I", len(content)) + zlib.compress(content)
        store += struct.pack(">I", len(content)) + content
    time = struct.pack(">Q", 12345) if version > 1 else b""
    tree = struct.pack(">IHII", 0, 2, 1, 1) + time
    tree += struct.pack(">IHII", titles["sub"], 2, len(files), 2) + time
    for title in files:
        flags = 1 if title in squeeze else 4 if title in zstd else 0
        tree += struct.pack(">IHHHI", titles[title], flags, 0, 1, places[title]) + time
    head = 24 if version == 3 else 20
    offsets = (head, head + len(tree), head + len(tree) + len(store))
    extra = struct.pack(">I", 0) if version == 3 else b""
    return b"qres" + struct.pack(">4I", version, *offsets) + extra + tree + store + names


FILES = {"cow.ogg": b"moo" * 50, "ünicode.wav": b"RIFF", "picture.png": b"x"}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_qt_resources_of_every_format(version):
    data = rcc(version, FILES, squeeze=("cow.ogg",))
    found = dict(read_rcc(data, (".ogg", ".wav"), "a.rcc"))
    assert found == {"sub/cow.ogg": b"moo" * 50, "sub/ünicode.wav": b"RIFF"}


def test_files_that_are_not_asked_for_are_not_decompressed():
    data = rcc(3, FILES, zstd=("picture.png",))
    assert len(list(read_rcc(data, (".ogg", ".wav"), "a.rcc"))) == 2
    with pytest.raises(DataError, match=r"picture\.png in a\.rcc is compressed with Zstandard"):
        list(read_rcc(data, (".png",), "a.rcc"))


def test_other_files_and_broken_ones_are_refused():
    with pytest.raises(DataError, match=r"a\.rcc is not a Qt resource file"):
        list(read_rcc(b"RIFF" + bytes(40), (".ogg",), "a.rcc"))
    with pytest.raises(DataError, match="the format 9"):
        list(read_rcc(b"qres" + struct.pack(">4I", 9, 20, 20, 20), (".ogg",), "a.rcc"))
    data = bytearray(rcc(2, {"a.ogg": b"sound"}))
    for size in (30, 60, len(data) - 2):
        with pytest.raises(DataError, match=r"a\.rcc"):
            list(read_rcc(bytes(data[:size]), (".ogg",), "a.rcc"))
    broken = rcc(2, {"a.ogg": b"sound" * 9}, squeeze=("a.ogg",)).replace(b"\x78\x9c", b"\x00\x00")
    with pytest.raises(DataError, match="is damaged"):
        list(read_rcc(broken, (".ogg",), "a.rcc"))


def test_pk3_files(tmp_path):
    path = tmp_path / "a.pk3"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sound/b.ogg", b"two")
        archive.writestr("sound/a.ogg", b"one")
        archive.writestr("maps/a.bsp", b"no")
    assert list(read_pk3(path, (".ogg",))) == [("sound/a.ogg", b"one"), ("sound/b.ogg", b"two")]
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a ZIP file"):
        list(read_pk3(path, (".ogg",)))


def c4group(entries):
    """A group of Clonk before gzip: [(name, bytes, is a group)]."""
    head = bytearray(204)
    head[:24] = b"RedWolf Design GrpFolder"
    struct.pack_into("<3i", head, 28, 1, 2, len(entries))
    for at in range(0, 202, 3):
        head[at], head[at + 2] = head[at + 2], head[at]
    table, store = b"", b""
    for name, content, child in entries:
        numbers = struct.pack("<5i", 0, child, len(content), 0, len(store))
        table += (name.ljust(260, b"\0") + numbers).ljust(316, b"\0")
        store += content
    return bytes(byte ^ 237 for byte in head) + table + store


def packed(group):
    return b"\x1e\x8c" + gzip.compress(group)[2:]


def test_clonk_groups_with_groups_inside():
    inner = c4group([(b"Chop1.wav", b"one", 0), (b"Title.png", b"x", 0), (b"Chop2.OGG", b"two", 0)])
    group = packed(c4group([(b"Tree.ocg", inner, 1), (b"Wind.ogg", b"three", 0)]))
    assert list(read_c4group(group, (".ogg", ".wav"), "Sound.ocg")) == [
        ("Sound.ocg/Tree.ocg/Chop1.wav", b"one"),
        ("Sound.ocg/Tree.ocg/Chop2.OGG", b"two"),
        ("Sound.ocg/Wind.ogg", b"three"),
    ]


def test_broken_clonk_groups_are_refused():
    plain = c4group([(b"a.ogg", b"sound", 0)])
    with pytest.raises(DataError, match=r"a\.ocg is not a Clonk group"):
        list(read_c4group(plain, (".ogg",), "a.ocg"))
    for broken, message in (
        (packed(plain)[:40], "is damaged"),
        (packed(plain[:300]), "is damaged"),
        (packed(plain[:-2]), r"ends within a\.ocg/a\.ogg"),
        (packed(bytes(600)), "has no head of a group"),
    ):
        with pytest.raises(DataError, match=message):
            list(read_c4group(broken, (".ogg",), "a.ocg"))
