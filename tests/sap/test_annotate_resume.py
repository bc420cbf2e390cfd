"""Annotation after kills, torn files and mistakes: nothing is lost, asked twice or overwritten."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from openai_server import BASE_SAMPLES, Reply, failure, serving, well
from typer.testing import CliRunner

from unisono.cli.annotate import annotate
from unisono.data.manifest import ManifestItem, read_manifest, write_manifest
from unisono.errors import DataError
from unisono.sap.annotate_output import open_sink
from unisono.sap.schema import SAP

KILLED = "import typer; from unisono.cli.annotate import annotate; typer.run(annotate)"
COUNT = 24


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    items = []
    for n in range(COUNT):
        samples = BASE_SAMPLES + 16 * n
        soundfile.write(tmp_path / f"{n}.wav", 0.1 * np.sin(np.arange(samples) * 0.05), 16000)
        items.append(ManifestItem(path=f"{n}.wav", duration=samples / 16000))
    write_manifest(tmp_path / "clips.jsonl", items)
    return tmp_path / "clips.jsonl"


def command(manifest: Path, out: Path, url: str) -> list[str]:
    return [str(manifest), "-o", str(out), "--base-url", url, "-m", "small", "--caption-model",
            "ears", "--concurrency", "3", "--attempts", "2"]  # fmt: skip


def call(*arguments: str, **environment: str):
    app = typer.Typer()
    app.command()(annotate)
    return CliRunner().invoke(app, arguments, env=environment)


def labels(out: Path) -> Counter[str]:
    if out.suffix == ".jsonl":
        return Counter(SAP.parse(item.sap).transcription for item in read_manifest(out))
    import pyarrow.parquet as pq

    shards = [pq.read_table(shard).to_pylist() for shard in sorted(out.glob("*.parquet"))]
    return Counter(SAP.parse(row["sap"]).transcription for shard in shards for row in shard)


@pytest.mark.parametrize("name", ["out.jsonl", "shards"])
def test_a_killed_run_goes_on_where_it_was(tmp_path, manifest, name):
    out = tmp_path / "made" / name

    with serving() as http:
        arguments = command(manifest, out, http.url)
        process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])

        def kill_at_some_point(call):
            if sum(not one.hears for one in http.calls) > COUNT // 2:
                process.send_signal(signal.SIGKILL)
            return Reply(well(call).body, delay=0.02)

        http.reply = kill_at_some_point
        assert process.wait(timeout=300) == -signal.SIGKILL
        lines = out if name == "out.jsonl" else out / ".answers.jsonl"
        whole = lines.read_bytes()
        stored = whole.count(b"\n")
        assert COUNT // 2 - 3 <= stored < COUNT
        # A kill may also fall into the middle of a write.
        lines.write_bytes(whole + b'{"path": "../9.w')

        http.reply, before = well, len(http.calls)
        done = call(*command(manifest, out, http.url), "--json")
        assert done.exit_code == 0, done.output
        result = json.loads(done.stdout)
        assert len(http.calls) - before == 2 * (COUNT - stored), "no answer is asked for twice"
    assert labels(out) == Counter(f"clip {n}" for n in range(COUNT))
    if name == "out.jsonl":
        assert (result["labelled"], result["skipped"]) == (COUNT - stored, stored)
    else:
        assert (result["labelled"], result["reused"]) == (COUNT, stored)


def test_interrupted_parquet_run_closes_its_shard(tmp_path, manifest):
    out = tmp_path / "shards"

    def reply(call):
        return failure(403, "quota") if call.clip == "clip 9" else well(call)

    with serving(reply) as http:
        stopped = call(*command(manifest, out, http.url))
        assert "quota" in str(stopped.exception) and stopped.exit_code == 1
        stored = labels(out)
        assert 0 < sum(stored.values()) < COUNT and (out / ".answers.jsonl").read_bytes() == b""
        http.reply = well
        assert call(*command(manifest, out, http.url)).exit_code == 0
    assert labels(out) == Counter(f"clip {n}" for n in range(COUNT))


@pytest.mark.parametrize(
    "content", [b"notes\n", b'{"a": 1}\n', b"no end", b'{"path": "a.wav", "duration": 1.0}\n']
)
def test_a_foreign_file_is_refused_and_left_as_it_was(tmp_path, content):
    out = tmp_path / "mine.jsonl"
    out.write_bytes(content)
    with pytest.raises(DataError, match="line 1: not written by annotation"):
        open_sink(out)
    assert out.read_bytes() == content
    out.unlink()
    open_sink(out).__exit__()


def test_one_run_at_a_time(tmp_path):
    for out in (tmp_path / "out.jsonl", tmp_path / "shards"):
        with open_sink(out), pytest.raises(DataError, match="another run"):
            open_sink(out)
        open_sink(out).__exit__()


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file" / "out.jsonl", tmp_path / "file", tmp_path / "file" / "shards"):
        with pytest.raises(DataError, match="cannot write"):
            open_sink(out)


def test_key_and_model_come_from_the_environment_and_stay_with_their_server(tmp_path, manifest):
    with serving() as ears, serving() as text:
        done = call(
            str(manifest), "-o", str(tmp_path / "out.jsonl"), "--body", '{"seed": 1}',
            OPENAI_BASE_URL=text.url, OPENAI_API_KEY="sk-text", UNISONO_SAP_MODEL="pen",
            UNISONO_CAPTION_MODEL="ears", UNISONO_CAPTION_URL=ears.url,
        )  # fmt: skip
    assert done.exit_code == 0 and f"{COUNT} labelled" in " ".join(done.output.split())
    assert len(ears.calls) == len(text.calls) == COUNT
    assert {one.headers["authorization"] for one in text.calls} == {"Bearer sk-text"}
    assert not any("authorization" in one.headers for one in ears.calls)
    assert {one.body["model"] for one in ears.calls} == {"ears"}
    assert {one.body["model"] for one in text.calls} == {"pen"}
    assert all(one.body["seed"] == 1 for one in [*ears.calls, *text.calls])


def test_clips_without_an_answer_show_in_the_exit_status(tmp_path, manifest):
    def reply(call):
        return failure(500, "crash") if call.clip == "clip 7" else well(call)

    with serving(reply) as http:
        done = call(*command(manifest, tmp_path / "out.jsonl", http.url))
    assert done.exit_code == 1
    assert "1 without an answer" in done.output and "7.wav" in done.output


def test_mistakes_are_told(tmp_path, manifest):
    out = str(tmp_path / "out.jsonl")
    server = ("--base-url", "http://127.0.0.1:9/v1", "-m", "small")
    for arguments, said in [
        ((str(manifest), "-o", out, "--base-url", "nowhere", "-m", "a"), "localhost:8000"),
        ((str(manifest), "-o", out, *server, "--body", "[1]"), "no JSON object"),
        ((str(manifest), "-o", out, *server, "--structured", "yaml"), "json_schema"),
        ((str(tmp_path / "x.parquet"), "-o", out, *server), "give a folder"),
        ((str(tmp_path / "x.wav"), "-o", str(tmp_path / "o"), *server), "Parquet files"),
        ((str(tmp_path / "no.jsonl"), "-o", out, *server), "cannot read the manifest"),
        ((str(tmp_path / "no.parquet"), "-o", str(tmp_path / "o"), *server), "not a whole"),
    ]:
        assert said in str(call(*arguments).exception), arguments
