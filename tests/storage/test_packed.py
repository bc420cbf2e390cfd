"""Packed codes and packed `.utok` files: every size, every damaged byte."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unisono.errors import TokenError
from unisono.storage.packed import PIECE, pack_codes, unpack_codes
from unisono.tokens import AudioTokens, TokenLayout, TokenStream

EDGES = sorted({2**k + d for k in range(1, 17) for d in (-1, 0, 1)} & set(range(2, 65_537)))
LAYOUT = TokenLayout((TokenStream("once", None, 2, 1000), TokenStream("audio", 25, 1, 8192)))
FILES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make(samples: int, rate: int = 16_000, layout: TokenLayout = LAYOUT, seed: int = 0):
    numbers = np.random.default_rng(seed)
    codes = {
        s.name: numbers.integers(0, s.codebook_size, (s.groups, s.frames(samples, rate)))
        for s in layout.streams
    }
    return AudioTokens(codes, samples, rate, layout, "a model/ü")


def check_pack(size: int, codes: np.ndarray) -> None:
    packed = pack_codes(codes, size)
    assert len(packed) == -(-codes.size * (size - 1).bit_length() // 8)
    np.testing.assert_array_equal(unpack_codes(packed, codes.size, size), codes)


@pytest.mark.parametrize("size", EDGES)
def test_pack_and_back_at_the_edges(size: int) -> None:
    check_pack(size, np.array([0, size - 1, 0, size - 1, size // 2, 1, size - 1]))


@settings(deadline=None)
@given(st.integers(2, 65_536), st.integers(0, 300), st.integers(0, 2**32))
def test_pack_and_back(size: int, count: int, seed: int) -> None:
    check_pack(size, np.random.default_rng(seed).integers(0, size, count))


@pytest.mark.parametrize("count", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5])
def test_pieces_join(count: int) -> None:
    check_pack(8192, np.random.default_rng(count).integers(0, 8192, count))
    check_pack(3, np.random.default_rng(count).integers(0, 3, count))


def test_very_large_codebook() -> None:
    check_pack(2**31 - 1, np.array([0, 2**31 - 2, 12345]))


def test_bits_come_most_significant_first() -> None:
    assert pack_codes([1, 2, 7], 8) == bytes([0b00101011, 0b10000000])


@pytest.mark.parametrize("codes", [[8], [-1]])
def test_codes_outside_the_codebook_are_not_packed(codes) -> None:
    with pytest.raises(TokenError, match="outside 0 to 7"):
        pack_codes(codes, 8)


def test_wrong_number_of_bytes() -> None:
    with pytest.raises(TokenError, match="3 bytes are not 5 codes of 3 bits"):
        unpack_codes(b"abc", 5, 8)


@FILES
@given(st.integers(1, 100_000), st.sampled_from([8000, 44_100]), st.integers(0, 2**32))
def test_file_and_back(tmp_path: Path, samples: int, rate: int, seed: int) -> None:
    tokens = make(samples, rate, seed=seed)
    tokens.save(tmp_path / "a.utok")
    assert AudioTokens.load(tmp_path / "a.utok") == tokens


def test_file_is_small(tmp_path: Path) -> None:
    layout = TokenLayout((TokenStream("audio", 25, 1, 8192),))
    make(16_000 * 3600, layout=layout).save(tmp_path / "hour.utok")
    assert (tmp_path / "hour.utok").stat().st_size < 25 * 3600 * 13 / 8 + 300


def test_every_altered_missing_or_added_byte_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "a.utok"
    make(3000).save(path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            with pytest.raises(TokenError, match=r"a\.utok"):
                AudioTokens.load(path)
        for other in (whole[:at] + whole[at + 1 :], whole[:at], whole[:at] + b"\0" + whole[at:]):
            path.write_bytes(other)
            with pytest.raises(TokenError, match=r"a\.utok"):
                AudioTokens.load(path)


@FILES
@given(st.integers(20_000, 2_000_000), st.data())
def test_damage_in_larger_files_is_detected(tmp_path: Path, samples: int, data) -> None:
    path = tmp_path / "b.utok"
    make(samples).save(path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
    with pytest.raises(TokenError):
        AudioTokens.load(path)
    path.write_bytes(whole[:at] + whole[at + 1 :])
    with pytest.raises(TokenError):
        AudioTokens.load(path)


def signed(header: bytes, payload: bytes) -> bytes:
    body = struct.pack("<4sHI", b"UTOK", 1, len(header)) + header + payload
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize(
    "change",
    [
        {"samples": 10**30},
        {"samples": -5},
        {"samples": True},
        {"rate": 0},
        {"model": 3},
        {"extra": 1},
        {"layout": {"streams": [{"name": "a", "rate": None, "groups": 2**30, "codebook_size": 2}]}},
        {"layout": []},
        {"layout": {"streams": [1]}},
    ],
)
def test_a_forged_header_is_an_error_not_a_crash(tmp_path: Path, change: dict) -> None:
    header = {"layout": LAYOUT.to_dict(), "model": "", "rate": 16_000, "samples": 640}
    good = signed(json.dumps(header).encode(), bytes(3 + 2))
    (tmp_path / "f.utok").write_bytes(good)
    assert AudioTokens.load(tmp_path / "f.utok").samples == 640
    (tmp_path / "f.utok").write_bytes(signed(json.dumps(header | change).encode(), bytes(5)))
    with pytest.raises(TokenError, match=r"f\.utok is damaged"):
        AudioTokens.load(tmp_path / "f.utok")


@pytest.mark.parametrize("header", [b"", b"[" * 100_000, b"\xff\xfe", b"[]"])
def test_a_header_that_is_not_ours(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "f.utok").write_bytes(signed(header, b""))
    with pytest.raises(TokenError, match="header"):
        AudioTokens.load(tmp_path / "f.utok")


def test_codes_out_of_range_in_a_file(tmp_path: Path) -> None:
    header = {"layout": LAYOUT.to_dict(), "model": "", "rate": 16_000, "samples": 640}
    payload = b"\xff\xff\xff" + bytes(2)
    (tmp_path / "f.utok").write_bytes(signed(json.dumps(header).encode(), payload))
    with pytest.raises(TokenError, match=r"f\.utok.*code 1023 of stream 'once'.*0 to 999"):
        AudioTokens.load(tmp_path / "f.utok")


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="No such file"):
        AudioTokens.load(tmp_path / "none.utok")
    (tmp_path / "x.utok").write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(TokenError, match=r"x\.utok is not a \.utok file"):
        AudioTokens.load(tmp_path / "x.utok")


def test_newer_version_is_told(tmp_path: Path) -> None:
    make(640).save(tmp_path / "n.utok")
    data = bytearray((tmp_path / "n.utok").read_bytes())
    data[4] = 3
    (tmp_path / "n.utok").write_bytes(data)
    with pytest.raises(TokenError, match=r"version 3.*update unisono"):
        AudioTokens.load(tmp_path / "n.utok")
