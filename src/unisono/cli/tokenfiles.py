"""Reading back what `unisono encode` wrote: `.utok` files, bulk JSONL, Parquet shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisono.cli.inputs import TOKEN_SUFFIXES, collect, safe_key
from unisono.errors import DataError, TokenError, require_extra
from unisono.storage.utok import read_facts
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import AudioTokens


@dataclass(frozen=True)
class TokenItem:
    """One item of tokens: key (relative path), and how to read it for a tokenizer."""

    key: str
    read: Callable[[AudioTokenizer], AudioTokens]


def token_items(inputs: list[str]) -> list[TokenItem]:
    """Items of `.utok` files, folders, globs, bulk `.jsonl` files and folders of shards."""
    items: list[TokenItem] = []
    for text in inputs:
        path = Path(text)
        if path.suffix == ".jsonl" and path.is_file():
            items.extend(_jsonl(path))
        elif path.suffix == ".parquet" and path.is_file():
            items.extend(_shard(path))
        elif path.is_dir() and any(path.glob("tokens-*.parquet")):
            for shard in sorted(path.glob("tokens-*.parquet")):
                items.extend(_shard(shard))
        else:
            for item in collect([text], TOKEN_SUFFIXES):
                items.append(TokenItem(item.key, _utok_reader(item.path)))
    return items


def peek_model(inputs: list[str]) -> str:
    """The model id that the first readable `.utok` input carries; "" if none does."""
    for text in inputs:
        path = Path(text)
        candidates = sorted(path.rglob("*.utok")) if path.is_dir() else [path]
        for candidate in candidates[:1]:
            if candidate.suffix == ".utok" and candidate.is_file():
                try:
                    return read_facts(candidate).model
                except TokenError:
                    continue
    return ""


def _utok_reader(path: Path) -> Callable[[AudioTokenizer], AudioTokens]:
    return lambda tokenizer: AudioTokens.load(path, tokenizer.statistics)


def _jsonl(path: Path) -> Iterator[TokenItem]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                key, _ = str(record["id"]), record["codes"]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path}, line {number}: not a line of tokens.") from error
            yield TokenItem(
                safe_key(key), _record_reader(record, record["codes"], f"{path}, {key}")
            )


def _shard(path: Path) -> Iterator[TokenItem]:
    parquet, arrow = (
        require_extra("pyarrow.parquet", "parquet"),
        require_extra("pyarrow", "parquet"),
    )
    try:
        rows = parquet.read_table(path).to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged or no Parquet file ({error}).") from error
    for row in rows:
        codes = {k.removeprefix("codes_"): v for k, v in row.items() if k.startswith("codes_")}
        if "id" not in row or not codes:
            raise DataError(f"{path} has no tokens (columns id and codes_...).")
        yield TokenItem(
            safe_key(str(row["id"])), _record_reader(row, codes, f"{path}, {row['id']}")
        )


def _record_reader(
    record: dict[str, Any], codes: dict[str, Any], where: str
) -> Callable[[AudioTokenizer], AudioTokens]:
    def read(tokenizer: AudioTokenizer) -> AudioTokens:
        try:
            return AudioTokens(
                codes=codes,
                samples=record["samples"],
                rate=record["rate"],
                layout=tokenizer.layout,
                model=str(record.get("model", "")),
            )
        except (TokenError, KeyError, TypeError, ValueError) as error:
            reason = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else error
            raise TokenError(f"{where}: {reason}") from error

    return read
