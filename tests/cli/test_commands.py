"""The command line: what each command writes, prints and returns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unisono import Audio, AudioTokens


@pytest.fixture
def clips(tmp_path, voice) -> Path:
    root = tmp_path / "in"
    for i, (name, rate) in enumerate(
        [("a/x.wav", 16000), ("b/x.wav", 44100), ("b/deep/y.flac", 48000)]
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice(0.6 + 0.3 * i, rate, i), rate)
    return root


def test_encode_a_folder_keeps_relative_paths_and_skips_what_is_there(cli, clips, uat_folder, uat):
    status, out, _ = cli("encode", clips, "-o", "out", "-m", uat_folder)
    assert status == 0 and "3 encoded" in out
    files = sorted(p.relative_to("out").as_posix() for p in Path("out").rglob("*") if p.is_file())
    assert files == ["a/x.utok", "b/deep/y.utok", "b/x.utok"]
    assert AudioTokens.load("out/b/x.utok") == uat.encode(clips / "b/x.wav")
    before = Path("out/a/x.utok").stat().st_mtime_ns
    status, out, _ = cli("encode", clips, "-o", "out", "-m", "no model is needed now")
    assert status == 0 and "0 encoded" in out and "3 already there" in out
    assert Path("out/a/x.utok").stat().st_mtime_ns == before
    cli("encode", clips, "-o", "out", "-m", uat_folder, "--overwrite", "--quiet")
    assert Path("out/a/x.utok").stat().st_mtime_ns > before


def test_bad_files_are_listed_and_the_rest_is_done(cli, clips, uat_folder):
    (clips / "text.wav").write_text("no audio")
    status, out, err = cli("encode", clips, "missing.wav", "-o", "out", "-m", uat_folder)
    assert status == 1
    assert "3 encoded" in out and "2 failed" in err
    assert "text.wav" in err and "missing.wav does not exist" in err and "Traceback" not in err
    assert len(list(Path("out").rglob("*.utok"))) == 3


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_bulk_formats_resume_and_decode(cli, clips, uat_folder, uat, kind):
    out = "tokens.jsonl" if kind == "jsonl" else "shards"
    first = cli("encode", clips / "a", "-o", out, "-f", kind, "-m", uat_folder, "--json")
    assert first[0] == 0 and json.loads(first[1])["encoded"] == 1
    second = cli("encode", clips / "a", clips / "b", "-o", out, "-f", kind, "-m", uat_folder,
                 "--json")  # fmt: skip
    # Both folders hold an x.wav, so those two now go by their whole paths.
    assert json.loads(second[1])["failures"] == []
    status, _, err = cli("decode", out, "-o", "wavs", "-m", uat_folder, "--steps", 1)
    assert status == 0, err
    wavs = sorted(p for p in Path("wavs").rglob("*.wav"))
    durations = sorted(round(Audio.read(p).duration, 3) for p in wavs)
    assert durations[-3:] == [0.6, 0.9, 1.2]


def test_jsonl_lines_hold_the_tokens(cli, clips, uat_folder, uat):
    cli("encode", clips, "-o", "t.jsonl", "-m", uat_folder)
    records = [json.loads(line) for line in Path("t.jsonl").read_text().splitlines()]
    assert {r["id"] for r in records} == {"a/x.wav", "b/x.wav", "b/deep/y.flac"}
    for record in records:
        tokens = uat.encode(clips / record["id"])
        assert record["codes"]["audio"] == tokens["audio"].tolist()
        assert (record["samples"], record["rate"]) == (tokens.samples, tokens.rate)


def test_globs_manifests_and_single_outputs(cli, clips, uat_folder):
    status, *_ = cli("encode", f"{clips}/**/*.wav", "-o", "g", "-m", uat_folder)
    assert status == 0
    assert sorted(p.as_posix() for p in Path("g").rglob("*.utok")) == ["g/a/x.utok", "g/b/x.utok"]
    lines = [{"audio": "in/a/x.wav", "id": "first"}, {"audio_filepath": "in/b/x.wav"}]
    Path("list.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    assert cli("encode", "list.jsonl", "-o", "m", "-m", uat_folder)[0] == 0
    assert sorted(p.as_posix() for p in Path("m").rglob("*.utok")) == [
        "m/first.utok",
        "m/in/b/x.utok",
    ]
    assert cli("encode", clips / "a/x.wav", "-o", "one.utok", "-m", uat_folder)[0] == 0
    assert AudioTokens.load("one.utok").duration == pytest.approx(0.6)
    status, *_ = cli("decode", "one.utok", "-o", "one.flac", "-m", uat_folder, "--steps", 1)
    assert status == 0 and Audio.read("one.flac").duration == pytest.approx(0.6, abs=1e-4)


def test_names_that_differ_in_suffix_only_stay_apart(cli, tmp_path, uat_folder, voice):
    for name in ("same.wav", "same.flac"):
        soundfile.write(tmp_path / name, voice(0.2, 16000), 16000)
    assert cli("encode", "same.wav", "same.flac", "-o", "out", "-m", uat_folder)[0] == 0
    assert sorted(p.name for p in Path("out").iterdir()) == ["same.flac.utok", "same.wav.utok"]


def test_roundtrip_says_what_it_did(cli, clips, uat_folder):
    source = clips / "b/x.wav"
    status, out, _ = cli("roundtrip", source, "-o", "r.wav", "-m", uat_folder, "--steps", 1)
    assert status == 0
    for word in ("bit/s", "real-time factor", "mel distance", "STOI", "r.wav", "r.png"):
        assert word in out
    assert Audio.read("r.wav").duration == pytest.approx(0.9, abs=1e-4)
    assert Path("r.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    status, out, _ = cli("roundtrip", source, "-m", uat_folder, "--steps", 1, "--json",
                         "--no-picture")  # fmt: skip
    report = json.loads(out)
    assert status == 0 and report["tokens"] == 23 and report["bits_per_second"] == 150
    assert report["output"] == "x.roundtrip.wav" and Path("x.roundtrip.wav").is_file()


def test_roundtrip_does_not_overwrite_its_input(cli, clips, uat_folder):
    source = clips / "a/x.wav"
    before = source.read_bytes()
    status, _, err = cli("roundtrip", source, "-o", source, "-m", uat_folder)
    assert status == 1 and "overwritten" in err and source.read_bytes() == before


def test_info(cli, clips, uat_folder):
    status, out, _ = cli("info", clips / "b/x.wav", "--json")
    facts = json.loads(out)
    assert status == 0 and facts["rate"] == 44100 and facts["seconds"] == pytest.approx(0.9)
    facts = json.loads(cli("info", uat_folder, "--json")[1])
    assert facts["tokens_per_second"] == 25 and facts["vocabulary"] == 64 and facts["decoder"]
    cli("encode", clips / "a/x.wav", "-o", "t.utok", "-m", uat_folder)
    status, out, _ = cli("info", "t.utok")
    assert status == 0 and "25 Hz x 1 x 64" in out


def test_models_and_version(cli):
    status, out, _ = cli("models", "--json")
    assert status == 0 and isinstance(json.loads(out)["models"], list)
    assert cli("--version")[1].strip()
    assert "roundtrip" in cli("--help")[1]


def test_errors_are_one_line_and_verbose_shows_where(cli, clips):
    status, _, err = cli("encode", clips, "-o", "out", "-m", "no-such-model")
    assert status == 1 and err.startswith("error: ") and err.count("\n") == 1
    status, _, err = cli("encode", clips, "-o", "out", "-m", "no-such-model", "-v")
    assert status == 1 and "Traceback" in err


def test_wrong_usage_and_unwritable_outputs(cli, clips, uat_folder):
    assert cli("encode", clips)[0] == 2
    assert "unknown" in cli("encode", clips, "-o", "x", "-f", "zip", "-m", uat_folder)[2]
    Path("file").write_text("")
    for arguments in (("-o", "file/below"), ("-o", "file", "-f", "parquet")):
        status, _, err = cli("encode", clips, *arguments, "-m", uat_folder)
        assert status == 1 and "cannot write" in err and err.count("\n") == 1
    Path("empty").mkdir()
    status, _, err = cli("encode", "empty", "-o", "out", "-m", uat_folder)
    assert status == 1 and "holds no files" in err
    status, _, err = cli("encode", "nothing*.wav", "-o", "out", "-m", uat_folder)
    assert status == 1 and "Nothing matches" in err


def test_decode_refuses_tokens_of_another_model_and_goes_on(cli, clips, uat_folder, uat):
    cli("encode", clips / "a", "-o", "t", "-m", uat_folder)
    tokens = AudioTokens.load("t/x.utok")
    AudioTokens(tokens.codes, tokens.samples, tokens.rate, tokens.layout, "other").save("t/o.utok")
    Path("t/broken.utok").write_bytes(Path("t/x.utok").read_bytes()[:-3])
    status, out, err = cli("decode", "t", "-o", "w", "-m", uat_folder, "--steps", 1)
    assert status == 1 and "1 decoded" in out and "'other'" in err and "broken.utok" in err
    assert [p.name for p in Path("w").iterdir()] == ["x.wav"]


def test_ids_cannot_leave_the_output_folder(cli, clips, uat_folder, tmp_path):
    cli("encode", clips / "a", "-o", "t.jsonl", "-m", uat_folder)
    record = json.loads(Path("t.jsonl").read_text())
    record["id"] = "../../escaped.wav"
    Path("t.jsonl").write_text(json.dumps(record) + "\n")
    assert cli("decode", "t.jsonl", "-o", "deep/w", "-m", uat_folder, "--steps", 1)[0] == 0
    assert [p.as_posix() for p in Path().rglob("escaped*")] == ["deep/w/escaped.wav"]
    assert not list(tmp_path.parent.glob("escaped*"))


def test_codes_out_of_range_in_a_bulk_file(cli, clips, uat_folder):
    cli("encode", clips / "a", "-o", "t.jsonl", "-m", uat_folder)
    record = json.loads(Path("t.jsonl").read_text())
    record["codes"]["audio"][0][2] = 64
    Path("t.jsonl").write_text(json.dumps(record) + "\n")
    status, _, err = cli("decode", "t.jsonl", "-o", "w", "-m", uat_folder)
    assert status == 1 and "64" in err and not list(Path("w").rglob("*.wav"))


def test_decoding_is_the_same_as_in_python(cli, clips, uat_folder, uat):
    cli("encode", clips / "a", "-o", "t", "-m", uat_folder)
    cli("decode", "t", "-o", "w", "-m", uat_folder, "--seed", 5, "--steps", 2)
    wanted = uat.decode(AudioTokens.load("t/x.utok"), seed=5, steps=2).samples
    assert np.abs(Audio.read("w/x.wav").samples - wanted).max() < 2**-14
