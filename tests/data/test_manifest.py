import json

import pytest

from unisono.data.manifest import (
    ManifestItem,
    audio_path,
    read_manifest,
    rebase,
    summary_table,
    write_manifest,
)
from unisono.errors import DataError


def item(**changes):
    values = {
        "path": "audio/a.wav",
        "start": 1.5,
        "duration": 2.25,
        "text": "Dobrý den.",
        "phonemes": "dobriː dɛn",
        "language": "cs",
        "speaker": "anna",
        "source": "toy",
        "licence": "CC0-1.0",
    }
    return ManifestItem(**(values | changes))


def test_what_is_written_is_read_back(tmp_path):
    items = [item(), item(kind="sound", label="water", language="", split="eval", start=0.0)]
    path = tmp_path / "deep" / "all.jsonl"
    write_manifest(path, items)
    assert read_manifest(path) == items
    assert "Dobrý" in path.read_text(encoding="utf-8")
    assert [entry.name for entry in path.parent.iterdir()] == ["all.jsonl"]


def test_blank_lines_are_skipped(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('\n{"path": "a.wav", "duration": 1.0}\n\n')
    assert read_manifest(path) == [ManifestItem(path="a.wav", duration=1.0)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"path": "a.wav"}', "duration"),
        ('{"path": "a.wav", "duration": 0}', "duration"),
        ('{"path": "a.wav", "duration": -1.0}', "duration"),
        ('{"path": "a.wav", "duration": NaN}', "duration"),
        ('{"path": "a.wav", "duration": "1.0"}', "duration"),
        ('{"path": "a.wav", "duration": 1.0, "start": -0.1}', "start"),
        ('{"path": "/etc/a.wav", "duration": 1.0}', "path"),
        ('{"path": "", "duration": 1.0}', "path"),
        ('{"path": "a.wav", "duration": 1.0, "split": "test"}', "split"),
        ('{"path": "a.wav", "duration": 1.0, "kind": "noise"}', "kind"),
        ('{"path": "a.wav", "duration": 1.0, "durations": 2}', "durations"),
        ('{"path": "a.wav", "duration": 1.0', "JSON"),
        ("[1, 2]", "object"),
    ],
)
def test_a_bad_line_is_refused_with_file_and_line(tmp_path, line, problem):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"path": "a.wav", "duration": 1.0}\n' + line + "\n")
    with pytest.raises(DataError, match=r"bad\.jsonl, line 2") as caught:
        read_manifest(path)
    assert problem in str(caught.value)


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"path": "é.wav", "duration": 1.0}\n'.encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.jsonl, line 1"):
        read_manifest(path)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl"):
        read_manifest(tmp_path / "none.jsonl")


def test_missing_audio_is_found_on_request(tmp_path):
    path = tmp_path / "m.jsonl"
    write_manifest(path, [item()])
    assert len(read_manifest(path)) == 1
    with pytest.raises(DataError, match=r"line 1.*audio/a\.wav"):
        read_manifest(path, check_files=True)
    audio_path(path, item()).parent.mkdir()
    audio_path(path, item()).write_bytes(b"x")
    assert read_manifest(path, check_files=True) == [item()]


def test_a_failed_write_leaves_the_old_manifest(tmp_path):
    path = tmp_path / "m.jsonl"
    write_manifest(path, [item()])

    def broken():
        yield item(text="new")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_manifest(path, broken())
    assert read_manifest(path) == [item()]
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.jsonl"]


def test_rebasing_keeps_the_file_that_is_meant(tmp_path):
    inner = tmp_path / "manifests"
    items = [item(path="../audio/a.wav")]
    moved = rebase(items, inner, tmp_path)
    assert moved[0].path == "audio/a.wav"
    there = audio_path(inner / "x.jsonl", items[0]).resolve()
    assert audio_path(tmp_path / "x.jsonl", moved[0]).resolve() == there
    assert rebase(moved, tmp_path, inner) == items


def test_the_summary_adds_up():
    items = [item(duration=90.0), item(duration=30.0), item(duration=60.0, split="valid")]
    rows = [line.split() for line in summary_table(items).splitlines()]
    assert rows[0] == ["source", "kind", "language", "split", "clips", "minutes"]
    assert ["toy", "speech", "cs", "train", "2", "2.0"] in rows
    assert ["all", "train", "2", "2.0"] in rows
    assert ["all", "valid", "1", "1.0"] in rows


def test_stored_lines_are_plain_json_without_defaults(tmp_path):
    path = tmp_path / "m.jsonl"
    write_manifest(path, [ManifestItem(path="a.wav", duration=1.0)])
    assert json.loads(path.read_text()) == {"path": "a.wav", "duration": 1.0}
