"""The `.utok` file: the tokens of one item.

All numbers little-endian:

    4 bytes   magic "UTOK"
    2 bytes   version: 1 packed, 2 coded
    4 bytes   length of the header
    header    JSON: layout, model, rate, samples; version 2 also coding ("range") and statistics
              (the digest of the code statistics)
    payload   version 1: streams in layout order, each its codes frame by frame, as in `packed`
              version 2: one range code of all streams, as in `range_coder`
    4 bytes   CRC-32 of everything before

The size of a packed payload follows from the header, so a missing or an added byte shows as well
as an altered one.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisono.errors import TokenError
from unisono.storage.atomic import write_bytes
from unisono.storage.entropy import FILE_NAME, CodeStatistics
from unisono.storage.packed import pack_codes, packed_size, unpack_codes
from unisono.storage.range_coder import range_decode, range_encode
from unisono.tokens import AudioTokens, TokenLayout

__all__ = ["UtokFacts", "read_facts", "read_utok", "write_utok"]

MAGIC = b"UTOK"
PACKED, CODED = 1, 2
# magic, version, header length
PREAMBLE = struct.Struct("<4sHI")


@dataclass(frozen=True)
class UtokFacts:
    """What the header says; `coding` is "packed" or "range", `statistics` a digest or empty."""

    layout: TokenLayout
    model: str
    rate: int
    samples: int
    coding: str = "packed"
    statistics: str = ""

    @property
    def frames(self) -> dict[str, int]:
        """Frames of each stream."""
        return {s.name: s.frames(self.samples, self.rate) for s in self.layout.streams}

    @property
    def tokens(self) -> int:
        """Number of tokens, all streams and groups."""
        return sum(self.frames[s.name] * s.groups for s in self.layout.streams)


def write_utok(
    path: str | os.PathLike[str], tokens: AudioTokens, statistics: CodeStatistics | None = None
) -> None:
    """Write tokens to a `.utok` file, whole or not at all; range-coded if there are statistics."""
    header = {
        "layout": tokens.layout.to_dict(),
        "model": tokens.model,
        "rate": tokens.rate,
        "samples": tokens.samples,
    }
    if statistics is None:
        streams = tokens.layout.streams
        payload = b"".join(pack_codes(tokens.codes[s.name].T, s.codebook_size) for s in streams)
    else:
        header |= {"coding": "range", "statistics": statistics.digest}
        payload = range_encode(tokens, statistics)
    text = json.dumps(header, separators=(",", ":")).encode()
    version = PACKED if statistics is None else CODED
    body = PREAMBLE.pack(MAGIC, version, len(text)) + text + payload
    write_bytes(path, body + struct.pack("<I", zlib.crc32(body)), TokenError)


def read_utok(
    path: str | os.PathLike[str], statistics: CodeStatistics | None = None
) -> AudioTokens:
    """Read a `.utok` file; `TokenError` for a missing, foreign, truncated or altered one.

    A range-coded file needs the `statistics` that it was written with; without them those of the
    embedded models are looked through. A packed file needs none.
    """
    path = Path(path)
    facts, payload = _read(path)
    if facts.coding == "range":
        statistics = _matching(path, facts, statistics)
    try:
        if facts.coding == "range":
            assert statistics is not None
            codes = range_decode(payload, facts.layout, facts.frames, statistics)
        else:
            codes = _unpacked(payload, facts)
        return AudioTokens(codes, facts.samples, facts.rate, facts.layout, facts.model)
    except TokenError as error:
        raise _damaged(path, str(error)) from error


def read_facts(path: str | os.PathLike[str]) -> UtokFacts:
    """The header of a `.utok` file whose checksum is right; needs no statistics."""
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[UtokFacts, bytes]:
    """Header and payload."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TokenError(f"cannot read {path}: {error.strerror}; check the path") from error
    if data[:4] != MAGIC:
        raise TokenError(f"{path} is not a .utok file; encode the audio with `unisono encode`")
    if len(data) < PREAMBLE.size + 4:
        raise _damaged(path, "it ends inside its header")
    _, version, header_size = PREAMBLE.unpack_from(data)
    if version not in (PACKED, CODED):
        raise TokenError(
            f"{path} has .utok version {version}, this unisono reads {PACKED} and {CODED}; update "
            "unisono, or encode the audio again if the file is damaged"
        )
    if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise _damaged(path, "its checksum does not match")
    try:
        return _parse(data, version, header_size)
    except TokenError as error:
        raise _damaged(path, str(error)) from error


def _parse(data: bytes, version: int, header_size: int) -> tuple[UtokFacts, bytes]:
    end = PREAMBLE.size + header_size
    if end > len(data) - 4:
        raise TokenError("it ends inside its header")
    try:
        header = json.loads(data[PREAMBLE.size : end])
    except (ValueError, RecursionError) as error:
        raise TokenError("its header is not JSON") from error
    return _facts(header, version), data[end:-4]


def _facts(header: Any, version: int) -> UtokFacts:
    keys = {"layout", "model", "rate", "samples"}
    keys |= {"coding", "statistics"} if version == CODED else set()
    if not isinstance(header, dict) or set(header) != keys:
        raise TokenError(f"its header does not hold {sorted(keys)}")
    for name in ("samples", "rate"):
        if type(header[name]) is not int or header[name] < 1:
            raise TokenError(f"its header states {name} {header[name]!r}")
    for name in keys & {"model", "statistics"}:
        if not isinstance(header[name], str):
            raise TokenError(f"its header states {name} {header[name]!r}")
    if header.get("coding", "range") != "range":
        raise TokenError(f"its header states coding {header['coding']!r}")
    return UtokFacts(**(header | {"layout": TokenLayout.from_dict(header["layout"])}))


def _unpacked(payload: bytes, facts: UtokFacts) -> dict[str, Any]:
    """Codes `[groups, frames]` of each stream of a packed payload."""
    codes, end = {}, 0
    for stream in facts.layout.streams:
        frames = stream.frames(facts.samples, facts.rate)
        start, end = end, end + packed_size(frames * stream.groups, stream.bits)
        if end > len(payload):
            raise TokenError(f"its stream {stream.name!r} is shorter than its header says")
        flat = unpack_codes(payload[start:end], frames * stream.groups, stream.codebook_size)
        codes[stream.name] = flat.reshape(frames, stream.groups).T
    if end != len(payload):
        raise TokenError("bytes follow its last stream")
    return codes


def _matching(path: Path, facts: UtokFacts, given: CodeStatistics | None) -> CodeStatistics:
    """The statistics that the file was written with."""
    wanted = f"{path} is range-coded with the code statistics {facts.statistics} of its model "
    wanted += f"'{facts.model}'" if facts.model else "(not named in the file)"
    if given is not None:
        if given.digest == facts.statistics:
            return given
        raise TokenError(
            f"{wanted}, not with those given ({given.digest} of '{given.model}'); load that "
            "model's tokenizer and pass its `statistics`"
        )
    for folder in _embedded_folders():
        if (folder / FILE_NAME).is_file():
            statistics = CodeStatistics.load(folder)
            if statistics.digest == facts.statistics:
                return statistics
    raise TokenError(
        f"{wanted}, which no embedded model has; pass statistics=tokenizer.statistics of that "
        f"model, or CodeStatistics.load of its {FILE_NAME} (unisono decode: --model FOLDER)"
    )


def _embedded_folders() -> list[Path]:
    from unisono.models import embedded_models

    return list(embedded_models().values())


def _damaged(path: Path, reason: str) -> TokenError:
    return TokenError(f"{path} is damaged ({reason}); copy it again or encode the audio again")
