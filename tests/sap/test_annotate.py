"""Annotation runs against a real server: what is stored, put aside, left undone, and taken up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from openai_server import BASE_SAMPLES, Reply, chat, failure, sap_of, serving, well

from unisono.data.manifest import ManifestItem, audio_path, read_manifest, write_manifest
from unisono.data.sources import Opener
from unisono.errors import DataError
from unisono.sap.annotate import AnnotateOptions, Summary, annotate
from unisono.sap.annotate_input import ClipStream
from unisono.sap.annotate_models import ServerCaptioner, ServerSapWriter
from unisono.sap.annotate_output import ParquetSink, open_sink
from unisono.sap.client import AccessError, ChatOptions, ChatServer, ServerError
from unisono.sap.schema import SAP


def write_clips(folder: Path, count: int, **facts: str) -> Path:
    """Clips of telling lengths, and their manifest."""
    (folder / "audio").mkdir(parents=True)
    items = []
    for n in range(count):
        samples = BASE_SAMPLES + 16 * n
        path = folder / "audio" / f"{n}.wav"
        soundfile.write(path, 0.1 * np.sin(np.arange(samples) * 0.05 * (n + 1)), 16000)
        items.append(ManifestItem(path=f"audio/{n}.wav", duration=samples / 16000, **facts))
    write_manifest(folder / "clips.jsonl", items)
    return folder / "clips.jsonl"


def run(url: str, inputs, out: Path, *, hears: bool = True, retry=False, tries=2, structured="none",
        progress=None, **options) -> Summary:  # fmt: skip
    async def work() -> Summary:
        patient = {"first_wait": 0.01, "attempts": 2, "timeout": 30.0}
        async with ChatServer(ChatOptions(url, "small", **patient)) as server:
            with open_sink(out, retry) as sink:
                clips = ClipStream(inputs, sink.folder, sink.settled)
                writer = ServerSapWriter(server, tries, structured)
                captioner = ServerCaptioner(server) if hears else None
                settings = AnnotateOptions(**({"concurrency": 4} | options))
                return await annotate(clips, writer, sink, captioner, settings, progress)

    return asyncio.run(work())


def names(path: Path) -> dict[str, str]:
    """File name → transcription of a labelled manifest; each file once."""
    items = read_manifest(path, check_files=True)
    found = {Path(i.path).name: SAP.parse(i.sap).transcription or "" for i in items}
    assert len(found) == len(items)
    return found


def rejects(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def expected(count: int) -> dict[str, str]:
    return {f"{n}.wav": f"clip {n}" for n in range(count)}


def test_manifest_to_manifest(tmp_path):
    manifest = write_clips(tmp_path / "in", 12, speaker="anna")
    out = tmp_path / "out" / "labels.jsonl"

    def slowly(call):
        return Reply(well(call).body, delay=0.05)

    with serving(slowly) as http:
        summary = run(http.url, [manifest], out)
        assert 1 < http.most_at_once <= 4
        assert len(http.calls) == 24
        again = run(http.url, [manifest], out)
        assert len(http.calls) == 24, "a finished run asks nothing"
    assert (summary.labelled, summary.rejected, summary.skipped) == (12, 0, 0)
    assert (again.labelled, again.skipped) == (0, 12)
    assert names(out) == expected(12)
    first = next(item for item in read_manifest(out) if item.path.endswith("/3.wav"))
    assert first.caption == "A voice says clip 3." and first.speaker == "anna"
    assert audio_path(out, first).resolve() == tmp_path / "in" / "audio" / "3.wav"


def test_parquet_from_a_manifest_and_from_parquet(tmp_path):
    manifest = write_clips(tmp_path / "in", 7, language="cs")
    with serving() as http:
        assert run(http.url, [manifest], tmp_path / "one").labelled == 7
        # What was written is input of another run, and its captions are not asked for again.
        calls = len(http.calls)
        assert run(http.url, [tmp_path / "one"], tmp_path / "two", hears=False).kept == 7
        assert len(http.calls) == calls
    for folder in ("one", "two"):
        (source,) = [s for s, _ in Opener(tmp_path / "index").open(tmp_path / folder)]
        assert len(source.items) == 7 and not source.failures
        for number, item in enumerate(source.items):
            assert item.language == "cs"
            (n,) = SAP.parse(item.sap).transcription.split()[1:]
            samples = source.read(number, 0.0, item.duration, 16000)
            true, _ = soundfile.read(tmp_path / "in" / "audio" / f"{n}.wav", dtype="float32")
            np.testing.assert_array_equal(samples, true)


def test_shards_are_cut_and_their_row_groups_passed_over(tmp_path):
    manifest = write_clips(tmp_path / "in", 5)
    ParquetSink(tmp_path / "probe").close()

    async def work(url: str) -> Summary:
        async with ChatServer(ChatOptions(url, "small")) as server:
            with ParquetSink(tmp_path / "out", shard_clips=2) as sink:
                clips = ClipStream([manifest], sink.folder, sink.settled)
                return await annotate(clips, ServerSapWriter(server), sink, ServerCaptioner(server))

    with serving() as http:
        asyncio.run(work(http.url))
        shards = sorted(path.name for path in (tmp_path / "out").glob("*.parquet"))
        assert shards == ["sap-00000.parquet", "sap-00001.parquet", "sap-00002.parquet"]
        assert (tmp_path / "out" / ".answers.jsonl").read_bytes() == b""
        calls = len(http.calls)
        assert asyncio.run(work(http.url)).skipped == 5
        again = run(http.url, [tmp_path / "out"], tmp_path / "copy")
        assert (again.kept, len(http.calls)) == (5, calls)
        assert run(http.url, [tmp_path / "out"], tmp_path / "copy").skipped == 5


def test_what_is_known_is_not_asked_or_overruled(tmp_path):
    write_clips(tmp_path, 3)
    sap = json.dumps(sap_of("old"))
    items = [
        ManifestItem(path="audio/0.wav", duration=0.1, caption="I hear clip 9.", text="true words"),
        ManifestItem(path="audio/1.wav", duration=0.1, caption="x", sap=sap),
        ManifestItem(path="audio/2.wav", duration=0.1, caption="clip 2", sap='{"a": 1}'),
    ]
    write_manifest(tmp_path / "known.jsonl", items)
    out = tmp_path / "out.jsonl"
    with serving() as http:
        summary = run(http.url, [tmp_path / "known.jsonl"], out, hears=False)
    assert (summary.labelled, summary.kept, len(http.calls)) == (3, 1, 2)
    assert not any(call.hears for call in http.calls)
    asked = [call.body["messages"][1]["content"] for call in http.calls]
    assert any("what is said: true words" in text for text in asked)
    assert names(out) == {"0.wav": "true words", "1.wav": "old", "2.wav": "clip 2"}


def test_without_captioner_a_clip_without_caption_stops_the_run(tmp_path):
    manifest = write_clips(tmp_path, 2)
    with serving() as http, pytest.raises(DataError, match="has no caption; name a captioner"):
        run(http.url, [manifest], tmp_path / "out.jsonl", hears=False)


def test_bad_answers_lie_aside_with_the_reason(tmp_path):
    manifest = write_clips(tmp_path / "in", 8)
    wrong = json.dumps({**sap_of("x"), "nonLinguisticEvents": 3})
    bad = {
        "clip 1": chat("I am sorry, I can't do that."),
        "clip 2": chat(wrong),
        "clip 3": chat(None, refusal="not allowed"),
        "clip 4": chat('{"transcription": "clip', finish="length"),
        "clip 5": chat("```json\n" + json.dumps(sap_of("clip 5")) + "\n```"),
        "clip 6": chat("<think>{no</think>\n" + json.dumps(sap_of("clip 6"))),
    }

    def reply(call):
        return well(call) if call.hears else bad.get(call.clip, well(call))

    out = tmp_path / "out.jsonl"
    with serving(reply) as http:
        summary = run(http.url, [manifest], out)
        asked = Counter(call.clip for call in http.calls if not call.hears)
        assert asked["clip 1"] == asked["clip 2"] == 2, "told what is wrong, asked once more"
        assert asked["clip 3"] == asked["clip 4"] == asked["clip 5"] == 1
        told = next(c for c in http.calls if c.clip == "clip 2" and len(c.body["messages"]) == 4)
        assert told.body["messages"][2] == {"role": "assistant", "content": wrong}
        assert "nonLinguisticEvents" in told.body["messages"][3]["content"]
        calls = len(http.calls)
        assert run(http.url, [manifest], out).skipped == 8 and len(http.calls) == calls
        assert (summary.labelled, summary.rejected, summary.repaired) == (4, 4, 1)
        assert names(out) == {f"{n}.wav": f"clip {n}" for n in (0, 5, 6, 7)}
        found = rejects(tmp_path / "out.rejected.jsonl")
        aside = {one["caption"].split()[-1]: one for one in found}
        assert set(aside) == {"1.", "2.", "3.", "4."}
        assert aside["1."]["answer"].startswith("I am sorry") and aside["1."]["reason"]
        assert "nonLinguisticEvents" in aside["2."]["reason"] and aside["2."]["answer"] == wrong
        assert "not allowed" in aside["3."]["reason"] and "cut off" in aside["4."]["reason"]

        http.reply = well
        summary = run(http.url, [manifest], out, retry=True)
    assert (summary.labelled, summary.skipped) == (4, 4)
    assert names(out) == expected(8) and rejects(tmp_path / "out.rejected.jsonl") == []


def test_the_second_answer_may_be_right(tmp_path):
    manifest = write_clips(tmp_path, 1)

    def reply(call):
        return well(call) if call.hears or len(call.body["messages"]) > 2 else chat("Sure!")

    with serving(reply) as http:
        run(http.url, [manifest], tmp_path / "out.jsonl", structured="json_schema")
    assert names(tmp_path / "out.jsonl") == expected(1)
    form = http.calls[1].body["response_format"]
    assert form["json_schema"]["schema"]["required"] == list(sap_of("x"))
    assert "response_format" not in http.calls[0].body


@pytest.mark.parametrize("out", ["out.jsonl", "shards"])
def test_broken_audio_lies_aside_and_the_rest_goes_on(tmp_path, out):
    manifest = write_clips(tmp_path / "in", 4)
    (tmp_path / "in" / "audio" / "1.wav").write_bytes(b"RIFF nothing")
    (tmp_path / "in" / "audio" / "2.wav").unlink()
    with serving() as http:
        summary = run(http.url, [manifest], tmp_path / out)
        long = run(http.url, [manifest], tmp_path / f"long-{out}", max_seconds=0.1)
    assert (summary.labelled, summary.rejected) == (2, 2)
    aside = tmp_path / ("out.rejected.jsonl" if out == "out.jsonl" else "shards/rejected.jsonl")
    assert all(Path(one["where"]).name in one["reason"] for one in rejects(aside))
    assert (long.labelled, long.rejected) == (1, 3)


def test_a_server_that_dies_stops_the_run_and_loses_nothing(tmp_path):
    manifest = write_clips(tmp_path / "in", 20)
    out = tmp_path / "out.jsonl"
    answered = threading.Semaphore(14)

    def reply(call):
        return well(call) if answered.acquire(blocking=False) else Reply(b"", cut=-1)

    with serving(reply) as http:
        with pytest.raises(ServerError, match=r"4 clips in a row got no answer.*run again"):
            run(http.url, [manifest], out)
        done = names(out)
        assert 0 < len(done) < 20
        http.reply = well
        before = len(http.calls)
        summary = run(http.url, [manifest], out)
        assert summary.labelled == 20 - len(done)
        # The first run's last calls may still arrive: of clips that have no answer yet.
        asked = {call.clip for call in http.calls[before:]}
        assert asked.isdisjoint(done.values()), "nothing is asked again"
        assert len(asked) == summary.labelled
    assert names(out) == expected(20) and rejects(tmp_path / "out.rejected.jsonl") == []


def test_single_failures_are_left_for_the_next_run(tmp_path):
    manifest = write_clips(tmp_path / "in", 9)
    out = tmp_path / "out.jsonl"

    def reply(call):
        return failure(500, "crash") if call.clip == "clip 4" else well(call)

    with serving(reply) as http:
        summary = run(http.url, [manifest], out)
        ((where, reason),) = summary.reasons.items()
        assert (summary.labelled, summary.unanswered) == (8, 1)
        assert where.endswith("4.wav") and "crash" in reason
        http.reply = well
        assert run(http.url, [manifest], out).labelled == 1
    assert names(out) == expected(9)


def test_requests_that_the_server_does_not_take(tmp_path):
    manifest = write_clips(tmp_path / "in", 9)
    one, every = tmp_path / "one.jsonl", tmp_path / "every.jsonl"

    def reply(call):
        return failure(400, "odd") if call.clip == "clip 4" else well(call)

    with serving(reply) as http:
        summary = run(http.url, [manifest], one)
        http.reply = lambda call: failure(400, "no audio here")
        with pytest.raises(ServerError, match=r"no audio here.*4 clips in a row"):
            run(http.url, [manifest], every)
        http.reply = lambda call: failure(401, "who are you")
        with pytest.raises(AccessError, match="who are you"):
            run(http.url, [manifest], every)
        http.reply = well
        run(http.url, [manifest], every)
    assert (summary.labelled, summary.rejected) == (8, 1)
    assert "odd" in rejects(tmp_path / "one.rejected.jsonl")[0]["reason"]
    assert names(every) == expected(9) and rejects(tmp_path / "every.rejected.jsonl") == []


def test_only_clips_in_work_are_taken_from_the_input(tmp_path):
    manifest = write_clips(tmp_path / "in", 30)
    taken: list[str] = []
    ahead: list[int] = []

    class Watched(ClipStream):
        def __iter__(self):
            for clip in super().__iter__():
                taken.append(clip.key)
                yield clip

    async def work(url: str) -> None:
        async with ChatServer(ChatOptions(url, "small")) as server:
            with open_sink(tmp_path / "out.jsonl") as sink:
                clips = Watched([manifest], sink.folder, sink.settled)
                await annotate(
                    clips, ServerSapWriter(server), sink, ServerCaptioner(server),
                    AnnotateOptions(concurrency=3),
                    lambda summary: ahead.append(len(taken) - summary.labelled),
                )  # fmt: skip

    with serving() as http:
        asyncio.run(work(http.url))
    assert len(ahead) == 30 and max(ahead) <= 3


def test_clips_listed_twice_are_labelled_once(tmp_path):
    manifest = write_clips(tmp_path / "in", 3)
    with serving() as http:
        summary = run(http.url, [manifest, manifest], tmp_path / "out.jsonl")
    assert (summary.labelled, summary.skipped) == (3, 3)
    assert names(tmp_path / "out.jsonl") == expected(3)
