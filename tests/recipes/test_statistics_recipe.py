"""Code statistics from manifests: training clips only."""

import soundfile
from recipes.statistics import main

from unisono.data.manifest import ManifestItem, write_manifest
from unisono.storage.entropy import CodeStatistics


def clips(folder, voice, splits):
    items = []
    for number, split in enumerate(splits):
        name = f"{number}.wav"
        soundfile.write(folder / name, voice(1.0, 16_000, number), 16_000, "FLOAT")
        items.append(ManifestItem(path=name, duration=1.0, split=split))
    write_manifest(folder / "clips.jsonl", items)
    return folder / "clips.jsonl"


def test_training_clips_are_counted(tmp_path, voice, uat_folder, uat, capsys) -> None:
    manifest = clips(tmp_path, voice, ["train", "eval", "train", "valid"])
    out = tmp_path / "codes.safetensors"
    assert main([str(uat_folder), str(manifest), "--out", str(out), "--contexts", "1"]) == 0
    expected = CodeStatistics.of(uat.encode([tmp_path / "0.wav", tmp_path / "2.wav"]))
    assert CodeStatistics.load(out).digest == expected.digest
    assert (
        f"{expected.bits_per_second:.0f} bit/s by entropy, 150 nominal" in capsys.readouterr().out
    )


def test_clips_and_contexts_are_settings(tmp_path, voice, uat_folder) -> None:
    manifest = str(clips(tmp_path, voice, ["train"] * 3))
    out = tmp_path / "codes.safetensors"
    assert main([str(uat_folder), manifest, "--out", str(out), "--clips", "2"]) == 0
    assert CodeStatistics.load(out).counts["audio"].sum() == 50
    assert main([str(uat_folder), manifest, "--out", str(out), "--contexts", "4"]) == 0
    assert "audio" in CodeStatistics.load(out).contexts


def test_a_manifest_without_training_clips(tmp_path, voice, uat_folder, capsys) -> None:
    manifest = clips(tmp_path, voice, ["eval"])
    out = tmp_path / "codes.safetensors"
    assert main([str(uat_folder), str(manifest), "--out", str(out)]) == 1
    assert "lists no clip of the split 'train'" in capsys.readouterr().err
    assert not out.exists()
