"""Range-coded `.utok` files: round trips, sizes, the format itself, every refusal."""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.storage.coded_tokens import LAYOUT, golden_statistics, golden_tokens

from unisono.errors import MissingExtraError, TokenError
from unisono.storage.entropy import PRECISION, CodeStatistics
from unisono.storage.range_coder import range_decode, range_encode
from unisono.storage.utok import read_facts
from unisono.tokens import AudioTokens, TokenLayout, TokenStream

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

STREAMS = st.builds(
    lambda rate, groups, size: (rate, groups, size),
    st.sampled_from([None, 12.5, 25, 50]),
    st.integers(1, 3),
    st.one_of(st.integers(2, 20), st.integers(21, 3000)),
)


def skewed(layout: TokenLayout, samples: int, seed: int, skew: float = 6.0) -> AudioTokens:
    numbers = np.random.default_rng(seed)
    codes = {
        s.name: (s.codebook_size * numbers.random((s.groups, s.frames(samples, 16_000))) ** skew)
        for s in layout.streams
    }
    return AudioTokens({n: c.astype(int) for n, c in codes.items()}, samples, 16_000, layout, "m")


def in_contexts(layout: TokenLayout, seed: int, number: int) -> CodeStatistics:
    """Made-up counts in made-up contexts, for the streams that have time."""
    numbers = np.random.default_rng(seed)
    counts, contexts = {}, {}
    for stream in layout.streams:
        rows = 1 if stream.rate is None else number + 1
        shape = (stream.groups, rows, stream.codebook_size)
        counts[stream.name] = numbers.integers(0, 50, shape).astype(np.uint32) ** 3
        if rows > 1:
            of_codes = numbers.integers(0, number, (stream.groups, stream.codebook_size))
            contexts[stream.name] = of_codes.astype(np.uint16)
    return CodeStatistics(layout, counts, contexts)


@FILES
@given(
    st.lists(STREAMS, min_size=1, max_size=3),
    st.integers(1, 100_000),
    st.integers(0, 4),
    st.integers(0, 2**32),
)
def test_file_and_back(tmp_path: Path, streams, samples: int, contexts: int, seed: int) -> None:
    layout = TokenLayout(tuple(TokenStream(f"s{i}", *one) for i, one in enumerate(streams)))
    tokens = skewed(layout, samples, seed)
    statistics = in_contexts(layout, seed, contexts) if contexts else CodeStatistics.of([tokens])
    tokens.save(tmp_path / "a.utok", statistics)
    assert AudioTokens.load(tmp_path / "a.utok", statistics) == tokens


def test_an_hour_and_back(tmp_path: Path) -> None:
    layout = TokenLayout((TokenStream("audio", 25, 1, 8192),))
    tokens = skewed(layout, 16_000 * 3600, 1)
    statistics = in_contexts(layout, 1, 5)
    tokens.save(tmp_path / "a.utok", statistics)
    assert AudioTokens.load(tmp_path / "a.utok", statistics) == tokens


def test_the_size_is_the_entropy(tmp_path: Path) -> None:
    layout = TokenLayout((TokenStream("once", None, 4, 1024), TokenStream("audio", 25, 2, 1024)))
    statistics = CodeStatistics.of([skewed(layout, 160_000, seed) for seed in range(60)])
    tokens = skewed(layout, 960_000, 1000)
    bits = 0.0
    for name, rows in tokens.codes.items():
        for group, codes in enumerate(rows):
            bits += (PRECISION - np.log2(statistics.frequencies(name, group)[codes])).sum()
    payload = range_encode(tokens, statistics)
    assert bits <= 8 * len(payload) <= bits + 64
    expected = statistics.bits_once + 60 * statistics.bits_per_second
    assert 8 * len(payload) < 1.05 * expected + 64
    tokens.save(tmp_path / "packed.utok")
    tokens.save(tmp_path / "coded.utok", statistics)
    packed, coded = (tmp_path / f"{kind}.utok" for kind in ("packed", "coded"))
    assert coded.stat().st_size < 0.8 * packed.stat().st_size


def test_contexts_save_more() -> None:
    layout = TokenLayout((TokenStream("audio", 25, 1, 64),))

    def walk(seed: int) -> AudioTokens:
        steps = np.random.default_rng(seed).integers(-1, 2, 5000)
        return AudioTokens({"audio": np.cumsum(steps) % 64}, 5000 * 640, 16_000, layout)

    training, new = [walk(seed) for seed in range(5)], walk(99)
    plain = range_encode(new, CodeStatistics.of(training))
    better = range_encode(new, CodeStatistics.of(training, contexts=32))
    # A step has log2 3 bits, and two codes share a context.
    assert len(better) < 0.6 * len(plain)


# The format


def test_golden_files_are_written_and_read_as_ever(tmp_path: Path) -> None:
    for name, statistics in (("packed", None), ("range_coded", golden_statistics())):
        golden_tokens().save(tmp_path / "a.utok", statistics)
        assert (tmp_path / "a.utok").read_bytes() == (GOLDEN / f"{name}.utok").read_bytes()
        assert AudioTokens.load(GOLDEN / f"{name}.utok", statistics) == golden_tokens()


def test_the_payload_is_plain_whole_number_range_coding() -> None:
    """A decoder of whole numbers alone, written from the description of range coding, agrees."""
    statistics, tokens = golden_statistics(), golden_tokens()
    words = iter(np.frombuffer(range_encode(tokens, statistics), "<u4").tolist())
    bits64, low, span = (1 << 64) - 1, 0, (1 << 64) - 1
    point = next(words) << 32 | next(words)
    for name in ("once", "audio"):
        contexts = statistics.contexts.get(name)
        for group, expected in enumerate(tokens[name].tolist()):
            context, found = None, []
            for _ in expected:
                ends = np.cumsum(statistics.frequencies(name, group, context)).tolist()
                step = span >> PRECISION
                code = int(np.searchsorted(ends, (point - low & bits64) // step, side="right"))
                begin = ends[code - 1] if code else 0
                low, span = low + step * begin & bits64, step * (ends[code] - begin)
                if span < 1 << 32:
                    low, span = low << 32 & bits64, span << 32
                    point = (point << 32 & bits64) | next(words, 0)
                found.append(code)
                context = None if contexts is None else int(contexts[group][code])
            assert found == expected


def test_facts_need_no_statistics() -> None:
    for name, coding, digest in (
        ("packed", "packed", ""),
        ("range_coded", "range", golden_statistics().digest),
    ):
        facts = read_facts(GOLDEN / f"{name}.utok")
        assert (facts.layout, facts.model, facts.rate) == (LAYOUT, "golden", 16_000)
        assert (facts.samples, facts.tokens) == (64_000, len(golden_tokens()))
        assert (facts.coding, facts.statistics) == (coding, digest)


# Finding the statistics


def test_statistics_of_an_embedded_model_are_found(tmp_path: Path, monkeypatch) -> None:
    for name in ("none", "other", "right"):
        (tmp_path / name).mkdir()
    in_contexts(LAYOUT, 0, 2).save(tmp_path / "other" / "codes.safetensors")
    golden_statistics().save(tmp_path / "right" / "codes.safetensors")
    embedded = {name: tmp_path / name for name in ("none", "other", "right")}
    monkeypatch.setattr("unisono.models.embedded_models", lambda: embedded)
    assert AudioTokens.load(GOLDEN / "range_coded.utok") == golden_tokens()


def test_without_statistics_the_way_out_is_told(monkeypatch) -> None:
    monkeypatch.setattr("unisono.models.embedded_models", dict)
    with pytest.raises(TokenError) as caught:
        AudioTokens.load(GOLDEN / "range_coded.utok")
    for part in ("range_coded.utok", "model 'golden'", "pass statistics=", "codes.safetensors"):
        assert part in str(caught.value)


def test_foreign_statistics_are_refused(tmp_path: Path) -> None:
    other = in_contexts(LAYOUT, 0, 2)
    with pytest.raises(TokenError, match=rf"model 'golden', not with those given \({other.digest}"):
        AudioTokens.load(GOLDEN / "range_coded.utok", other)
    layout = TokenLayout((TokenStream("audio", 25, 1, 64),))
    with pytest.raises(TokenError, match="made for another layout"):
        golden_tokens().save(tmp_path / "a.utok", in_contexts(layout, 0, 2))
    assert not list(tmp_path.iterdir())


def test_without_the_extra(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unisono\[entropy\]'"):
        golden_tokens().save(tmp_path / "a.utok", golden_statistics())
    with pytest.raises(MissingExtraError, match=r"pip install 'unisono\[entropy\]'"):
        AudioTokens.load(GOLDEN / "range_coded.utok", golden_statistics())
    assert AudioTokens.load(GOLDEN / "packed.utok") == golden_tokens()


# Damage


def test_altered_missing_and_added_bytes_are_detected(tmp_path: Path) -> None:
    path, statistics = tmp_path / "a.utok", golden_statistics()
    whole = (GOLDEN / "range_coded.utok").read_bytes()
    damaged = [whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :] for at in range(len(whole))]
    for at in range(0, len(whole), 9):
        damaged += [whole[:at], whole[:at] + whole[at + 1 :], whole[:at] + b"\0" + whole[at:]]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(TokenError, match=r"a\.utok"):
            AudioTokens.load(path, statistics)


def signed(path: Path, change: dict, payload: bytes, version: int = 2) -> Path:
    """A file with a right checksum around a wrong content."""
    header = {
        "layout": LAYOUT.to_dict(),
        "model": "golden",
        "rate": 16_000,
        "samples": 64_000,
        "coding": "range",
        "statistics": golden_statistics().digest,
    }
    text = json.dumps(header | change).encode()
    body = struct.pack("<4sHI", b"UTOK", version, len(text)) + text + payload
    path.write_bytes(body + struct.pack("<I", zlib.crc32(body)))
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"coding": "huffman"}, "states coding 'huffman'"),
        ({"coding": []}, r"states coding \[\]"),
        ({"statistics": 5}, "states statistics 5"),
        ({"samples": 10**30}, "shorter than its header says"),
        ({"samples": int("9" * 400)}, "shorter than its header says"),
        ({"samples": 128_000}, "shorter than its header says|no range code"),
        ({"samples": 0}, "states samples 0"),
        ({"extra": 1}, "does not hold"),
    ],
)
def test_a_forged_header_is_an_error_not_a_crash(tmp_path: Path, change: dict, reason: str) -> None:
    statistics = golden_statistics()
    payload = range_encode(golden_tokens(), statistics)
    good = signed(tmp_path / "f.utok", {}, payload)
    assert AudioTokens.load(good, statistics) == golden_tokens()
    bad = signed(tmp_path / "f.utok", change, payload)
    with pytest.raises(TokenError, match=rf"f\.utok is damaged.*({reason})"):
        AudioTokens.load(bad, statistics)


def test_a_header_of_the_other_version(tmp_path: Path) -> None:
    payload = range_encode(golden_tokens(), golden_statistics())
    path = signed(tmp_path / "f.utok", {}, payload, version=1)
    with pytest.raises(TokenError, match="its header does not hold"):
        AudioTokens.load(path, golden_statistics())


def test_payloads_that_are_none(tmp_path: Path) -> None:
    statistics = golden_statistics()
    payload = range_encode(golden_tokens(), statistics)
    for wrong, reason in (
        (payload[:-1], "not a whole number of 32-bit words"),
        (payload + b"\x01\x02\x03\x04" * 3, "bytes follow its last code"),
        (payload[: len(payload) // 8 * 4], "shorter than its header says|no range code"),
        (b"", "shorter than its header says"),
    ):
        path = signed(tmp_path / "f.utok", {}, wrong)
        with pytest.raises(TokenError, match=rf"f\.utok is damaged.*({reason})"):
            AudioTokens.load(path, statistics)


@settings(deadline=None)
@given(st.binary(min_size=4, max_size=200))
def test_random_payloads_decode_or_are_refused(data: bytes) -> None:
    statistics = golden_statistics()
    try:
        codes = range_decode(data, LAYOUT, {"once": 1, "audio": 10}, statistics)
    except TokenError:
        return
    assert codes["once"].shape == (2, 1) and codes["audio"].shape == (2, 10)
    assert codes["audio"].min() >= 0 and codes["audio"].max() < 64
