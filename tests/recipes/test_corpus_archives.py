import struct
import zipfile
import zlib

import pytest
from recipes.corpus.archives import read_pk3, read_rcc

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
