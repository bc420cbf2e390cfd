"""A bulk encode killed with SIGKILL at any moment goes on without loss or repetition."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unisono import AudioTokens
from unisono.cli.app import run
from unisono.cli.inputs import Item
from unisono.cli.outputs import JsonlSink, ParquetSink, repair_jsonl
from unisono.errors import DataError
from unisono.tokens import TokenLayout, TokenStream

LAYOUT = TokenLayout((TokenStream("audio", 25.0, 1, 64),))


def tokens_of(number: int) -> AudioTokens:
    codes = {"audio": np.full((1, 5), number % 64)}
    return AudioTokens(codes, samples=3200, rate=16000, layout=LAYOUT, model="m")


def item(number: int) -> Item:
    return Item(Path(f"{number}.wav"), f"{number}.wav")


@pytest.mark.parametrize("kind", ["utok", "jsonl", "parquet"])
def test_kill_and_run_again(tmp_path, uat_folder, voice, kind):
    count = 160
    source = tmp_path / "in"
    source.mkdir()
    for i in range(count):
        soundfile.write(source / f"{i:04d}.wav", voice(0.8, 16000, i), 16000)
    out = tmp_path / ("t.jsonl" if kind == "jsonl" else "out")
    arguments = ["encode", str(source), "-o", str(out), "-f", kind, "-m", str(uat_folder), "-q"]
    # Small batches: results come one window at a time.
    arguments += ["--batch-seconds", "2"]
    code = (
        "import sys, unisono.cli.outputs as o; from unisono.cli.app import run;"
        # Shards of 20, so that some are whole when the kill comes.
        "o.ParquetSink.__init__.__defaults__ = (20, 60.0);"
        "o.JsonlSink.__init__.__defaults__ = (0.0,); run(sys.argv[1:])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, *arguments])
    try:
        deadline = time.monotonic() + 600
        while not _begun(out, kind) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    if kind == "jsonl":
        # The worst place to be killed: in the middle of a line.
        with out.open("ab") as file:
            file.write(b'{"id":"0159.wav","path":"x","mod')
    before = _ids(out, kind, torn=True)
    assert len(before) > 0
    with pytest.raises(SystemExit) as leaving:
        run(arguments)
    assert leaving.value.code == 0
    after = _ids(out, kind)
    assert sorted(after) == [f"{i:04d}" for i in range(count)]
    assert before <= set(after)
    parts = [p for p in tmp_path.rglob("*") if p.name.endswith(".unisono-part")]
    assert not [p for p in parts if not p.name.startswith(".")]


def _begun(out: Path, kind: str) -> bool:
    if kind == "jsonl":
        return out.is_file() and out.stat().st_size > 0
    return any(out.rglob(f"*.{kind}"))


def _ids(out: Path, kind: str, torn: bool = False) -> list[str] | set[str]:
    """Ids of whole items; a list, so that repetition shows (a set while a line is torn)."""
    if kind == "utok":
        found = [(p.stem, AudioTokens.load(p)) for p in out.rglob("*.utok")]
        ids = [stem for stem, _ in found]
    elif kind == "parquet":
        import pyarrow.parquet as pq

        names = [
            n for p in sorted(out.glob("*.parquet")) for n in pq.read_table(p)["id"].to_pylist()
        ]
        ids = [n.removesuffix(".wav") for n in names]
    else:
        lines = out.read_bytes().split(b"\n")
        lines = lines[:-1]
        ids = [json.loads(line)["id"].removesuffix(".wav") for line in lines]
    return set(ids) if torn else ids


def test_a_line_torn_at_any_byte_is_cut_off_and_nothing_else(tmp_path):
    path = tmp_path / "t.jsonl"
    with JsonlSink(path, overwrite=False) as sink:
        for i in range(3):
            sink.put(item(i), tokens_of(i))
    whole = path.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        assert repair_jsonl(path) == {"0.wav", "1.wav"}
        assert path.read_bytes() == whole[:last]
    path.write_bytes(whole)
    assert repair_jsonl(path) == {"0.wav", "1.wav", "2.wav"}
    assert path.read_bytes() == whole


def test_zero_bytes_after_a_power_cut_are_cut_off(tmp_path):
    path = tmp_path / "t.jsonl"
    with JsonlSink(path, overwrite=False) as sink:
        sink.put(item(0), tokens_of(0))
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 512)
    assert repair_jsonl(path) == {"0.wav"} and path.read_bytes() == whole


@pytest.mark.parametrize(
    "content", [b"my notes\nmore notes\n", b"my notes", b'{"a": 1}\n', b'{"audio": "x.wav"}\n{}\n']
)
def test_a_foreign_file_is_never_changed(tmp_path, content):
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"t\.jsonl"):
        JsonlSink(path, overwrite=False)
    assert path.read_bytes() == content


def test_a_damaged_shard_is_named(tmp_path):
    (tmp_path / "tokens-00000.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(DataError, match="tokens-00000"):
        ParquetSink(tmp_path, overwrite=False)


def test_shards_go_on_numbering(tmp_path):
    for start in (0, 5):
        with ParquetSink(tmp_path, overwrite=False, shard_items=2) as sink:
            for i in range(start, start + 5):
                assert not sink.done(item(i))
                sink.put(item(i), tokens_of(i))
    assert len(list(tmp_path.glob("tokens-*.parquet"))) == 6
    sink = ParquetSink(tmp_path, overwrite=False)
    assert all(sink.done(item(i)) for i in range(10)) and not sink.done(item(10))
    sink = ParquetSink(tmp_path, overwrite=True)
    assert not sink.done(item(0))
