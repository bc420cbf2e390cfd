"""`unisono convert`: whose voice comes out, where it goes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import tiny_unicodec

from unisono import Audio, load


@pytest.fixture(scope="module")
def folder(tmp_path_factory, voice):
    low = voice(1.2, 16_000, 1)
    return tiny_unicodec.write(tmp_path_factory.mktemp("m") / "tiny", low, noise())


@pytest.fixture
def sources(tmp_path, voice):
    for name, seconds, rate, seed in (("a/x.wav", 0.7, 16_000, 1), ("b/y.flac", 0.5, 44_100, 2)):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True)
        soundfile.write(path, voice(seconds, rate, seed), rate)
    soundfile.write(tmp_path / "ref.wav", noise(), 16_000)
    return tmp_path / "in"


def noise():
    return 0.3 * np.random.default_rng(3).standard_normal(19_200).astype(np.float32)


def samples(path):
    return Audio.read(path).samples


def test_one_source_takes_the_global_tokens_of_the_voice(cli, sources, folder):
    status, out, err = cli("convert", sources / "a/x.wav", "--voice", "ref.wav", "-m", folder)
    assert status == 0, err
    assert "1 converted (0.7 s of audio)" in out and "x.as-ref.wav" in out
    model = load(folder)
    tokens = model.encode(sources / "a/x.wav")
    wanted = model.decode(tokens, voice="ref.wav").samples
    made = samples("x.as-ref.wav")
    assert made.shape == wanted.shape == (1, 11_200)
    assert np.abs(made - wanted).max() < 2**-14
    assert np.abs(model.decode(tokens).samples - wanted).max() > 2**-10


def test_a_folder_keeps_relative_paths_and_skips_what_is_there(cli, sources, folder):
    arguments = ("convert", sources, "--voice", "ref.wav", "-m", folder, "-o", "out", "-f", "flac")
    status, out, _ = cli(*arguments, "--json")
    assert status == 0
    report = json.loads(out)
    assert (report["converted"], report["skipped"], report["voice"]) == (2, 0, "ref.wav")
    assert report["audio_seconds"] == pytest.approx(1.2)
    assert samples("out/b/y.flac").shape == (1, 8_000)
    before = Path("out/a/x.flac").stat().st_mtime_ns
    assert "2 already there" in cli(*arguments[:-6], "-m", "none", *arguments[-4:])[1]
    assert Path("out/a/x.flac").stat().st_mtime_ns == before
    assert cli(*arguments, "--overwrite", "--quiet")[0] == 0
    assert Path("out/a/x.flac").stat().st_mtime_ns > before


def test_a_named_file_is_made_anew(cli, sources, folder):
    Path("o.wav").write_bytes(b"old")
    arguments = ("convert", sources / "a/x.wav", "-m", folder, "-o", "o.wav")
    assert cli(*arguments, "--voice", "ref.wav")[0] == 0
    first = samples("o.wav")
    assert cli(*arguments, "--voice", sources / "b/y.flac")[0] == 0
    assert np.abs(samples("o.wav") - first).max() > 2**-10


def test_a_bad_source_is_listed_and_the_rest_is_done(cli, sources, folder):
    (sources / "a/text.wav").write_text("no audio")
    status, out, err = cli("convert", sources, "--voice", "ref.wav", "-m", folder, "-o", "out")
    assert status == 1 and "2 converted" in out
    assert "1 failed" in err and "text.wav" in err and "Traceback" not in err


def test_a_model_with_voices_of_its_own_uses_the_recording(cli, sources):
    arguments = ("convert", sources / "a/x.wav", "-m", "uniaudio-mini", "--steps", 1)
    status, _, err = cli(*arguments, "--voice", "ref.wav", "-o", "o.wav")
    assert status == 0, err
    model = load("uniaudio-mini")
    wanted = model.decode(model.encode(sources / "a/x.wav"), steps=1, voice="ref.wav").samples
    assert np.abs(samples("o.wav") - wanted).max() < 2**-13


def test_mistakes_are_one_sentence(cli, sources, folder, uat_folder):
    def refused(*arguments):
        status, _, err = cli("convert", *arguments)
        assert status == 1 and err.count("\n") == 1
        return err

    one, voice = sources / "a/x.wav", ("--voice", "ref.wav")
    assert "takes no voice" in refused(one, *voice, "-m", uat_folder)
    assert "nowhere.wav" in refused(one, "--voice", "nowhere.wav", "-m", folder)
    assert "give a folder" in refused(sources, *voice, "-o", "o.wav", "-m", folder)
    assert "give a folder" in refused(sources, *voice, "-m", folder)
    before = one.read_bytes()
    assert "overwritten" in refused(one, *voice, "-o", one, "-m", folder)
    assert "overwritten" in refused(one, *voice, "-o", "ref.wav", "-m", folder)
    assert one.read_bytes() == before
    assert "'zip' is unknown" in refused(one, *voice, "-f", "zip", "-m", folder)
    assert cli("convert", one)[0] == 2


def test_tokens_are_decoded_from_some_of_their_streams(cli, sources, folder):
    model = load(folder)
    tokens = model.encode(sources / "a/x.wav")
    tokens.save("x.utok")
    arguments = ("decode", "x.utok", "-m", folder, "-o")
    assert cli(*arguments, "gs.wav", "--streams", "global, semantic")[0] == 0
    wanted = model.decode(tokens.only("global", "semantic")).samples
    assert np.abs(samples("gs.wav") - wanted).max() < 2**-14
    groups = model.layout["residual"].groups
    assert cli(*arguments, "all.wav", "--streams", f"global,semantic,residual:{groups}")[0] == 0
    assert np.abs(samples("all.wav") - model.decode(tokens).samples).max() < 2**-14


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        ("global,semantic:x", "no NAME or NAME:GROUPS"),
        ("global,,semantic", "no NAME or NAME:GROUPS"),
        ("global,melody", "no stream 'melody'"),
        ("global,semantic:9", "9 of them cannot be kept"),
        ("global,residual", "another layout"),
    ],
)
def test_streams_that_cannot_be_decoded_are_refused(cli, sources, folder, streams, words):
    load(folder).encode(sources / "a/x.wav").save("x.utok")
    status, out, err = cli("decode", "x.utok", "-m", folder, "-o", "x.wav", "--streams", streams)
    assert status != 0 and words in " ".join((out + err).split())
    assert not Path("x.wav").exists()
