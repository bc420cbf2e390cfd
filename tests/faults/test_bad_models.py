"""Bad model folders: one clear sentence each, and nothing that is loaded can run code."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from unisono import AudioTokens, load
from unisono.errors import ConfigError, ModelError, TokenError, UnisonoError

WITNESS = "unisono-code-has-run"


class Payload:
    """Unpickling this makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


@pytest.fixture
def release(uat_folder, tmp_path) -> Path:
    folder = tmp_path / "release"
    shutil.copytree(uat_folder, folder)
    return folder


@pytest.fixture
def own(uat, tmp_path) -> Path:
    return uat.save_pretrained(tmp_path / "own")


def refusal(folder: Path, kind: type[UnisonoError] = UnisonoError) -> str:
    """The message of the refusal: one line that does not show Python."""
    with pytest.raises(kind) as caught:
        load(folder)
    message = str(caught.value)
    assert "Traceback" not in message and len(message) < 1500
    return message


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer/config.json",
        "tokenizer/model.safetensors",
        "tokenizer/preprocessor_config.json",
        "decoder/config.yaml",
        "decoder/flow.pt",
        "decoder/hift.pt",
    ],
)
def test_a_missing_file_is_named(release, name):
    (release / name).unlink()
    assert Path(name).name in refusal(release, ModelError)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_of_our_format_is_named(own, name):
    (own / name).unlink()
    assert name in refusal(own, ModelError)


@pytest.mark.parametrize("name", ["decoder/flow.pt", "decoder/hift.pt"])
@pytest.mark.parametrize("form", ["pickle", "torch", "inside"])
def test_a_pickle_payload_is_refused_and_not_run(release, tmp_path, name, form):
    witness = tmp_path / WITNESS
    target = release / name
    if form == "pickle":
        target.write_bytes(pickle.dumps(Payload(witness)))
    elif form == "torch":
        torch.save(Payload(witness), target)
    else:
        state = torch.load(target, weights_only=True)
        torch.save({**state, "extra": Payload(witness)}, target)
    message = refusal(release, ModelError)
    assert target.name in message and "code" in message
    assert not witness.exists()


@pytest.mark.parametrize(
    "value", [[torch.zeros(2)], {"a": [1, 2]}, {"a": torch.zeros(1), "b": "text"}, {}, 5]
)
def test_a_pt_file_that_is_no_state_dict_is_refused(release, value):
    torch.save(value, release / "decoder/flow.pt")
    assert "flow.pt" in refusal(release, ModelError)


@pytest.mark.parametrize("size", [0, 10, 5000])
@pytest.mark.parametrize("name", ["decoder/flow.pt", "tokenizer/model.safetensors"])
def test_truncated_weights_are_refused(release, name, size):
    path = release / name
    path.write_bytes(path.read_bytes()[:size])
    assert path.name in refusal(release, ModelError)


@pytest.mark.parametrize(
    "line",
    [
        "evil: !!python/object:os.system {}",
        "evil: !!python/object/apply:os.system ['touch {witness}']",
        "evil: !!python/object/new:os.system ['touch {witness}']",
        "evil: !!python/name:os.system",
        "evil: !include:other.yaml",
    ],
)
def test_yaml_with_foreign_tags_is_refused(release, tmp_path, line):
    witness = tmp_path / WITNESS
    path = release / "decoder/config.yaml"
    path.write_text(path.read_text() + line.replace("{witness}", str(witness)) + "\n")
    assert "config.yaml" in refusal(release, ConfigError)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("cosyvoice.flow.flow.MaskedDiffWithXvec", "os.system", "os.system"),
        ("cosyvoice.flow.decoder.ConditionalDecoder", "subprocess.Popen", "subprocess.Popen"),
        ("sample_rate: 22050", "sample_rate: 22050\nx: !apply:os.system [ls]", "os.system"),
        (
            "sample_rate: 22050",
            "sample_rate: 22050\nx: !new:builtins.eval\n  a: 1",
            "builtins.eval",
        ),
        ("hift: !new:", "hift: !name:", "hift"),
        ("!ref <sample_rate>", "!ref <no_such_name>", "no_such_name"),
        ("sample_rate: 22050", "sample_rate: !ref <sample_rate>", "sample_rate"),
    ],
)
def test_a_config_that_asks_for_something_unknown_is_refused_by_name(release, old, new, named):
    path = release / "decoder/config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert named in refusal(release, ConfigError)


def test_a_config_that_unfolds_without_end_is_refused(release):
    lines = ["a0: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for i in range(1, 9):
        lines.append(f"a{i}: [{', '.join([f'!ref <a{i - 1}>'] * 10)}]")
    path = release / "decoder/config.yaml"
    path.write_text("\n".join(lines) + "\n" + path.read_text())
    assert "grows beyond" in refusal(release, ConfigError)


@pytest.mark.parametrize("text", ["{", "[]", "null", "\ufeff\x00", '"text"'])
@pytest.mark.parametrize("name", ["tokenizer/config.json", "tokenizer/preprocessor_config.json"])
def test_broken_json_is_refused(release, name, text):
    (release / name).write_text(text)
    assert Path(name).name in refusal(release)


def test_tensors_that_do_not_fit_the_config(release):
    path = release / "tokenizer/config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "d_model": 64}))
    assert "fit" in refusal(release, ModelError)
    path.write_text(json.dumps({**config, "quantize_positon": 3}))
    assert "quantize_positon" in refusal(release, ConfigError)
    path.write_text(json.dumps({**config, "quantize_vocab_size": None}))
    assert "no quantizer" in refusal(release, ModelError)


def test_a_decoder_of_other_tokens_is_refused(release, glm_folder):
    shutil.rmtree(release / "decoder")
    shutil.copytree(glm_folder / "decoder", release / "decoder")
    assert "belong together" in refusal(release, ModelError)


def test_our_format_refuses_unknown_sections_and_versions(own):
    path = own / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "version": 2}))
    assert "version" in refusal(own, ModelError)
    path.write_text(json.dumps({**config, "system": "other"}))
    assert "other" in refusal(own, ModelError)
    path.write_text(json.dumps({**config, "extra": 1}))
    assert "extra" in refusal(own, ModelError)
    path.write_text(json.dumps({k: v for k, v in config.items() if k != "encoder"}))
    assert "encoder" in refusal(own, ModelError)


def test_an_empty_folder_and_a_file_are_no_models(tmp_path):
    assert "model folder" in refusal(tmp_path, ModelError)
    (tmp_path / "file").write_text("")
    assert "is a file" in refusal(tmp_path / "file", ModelError)


def test_tokens_of_another_model_and_of_another_layout(uat, glm, voice):
    tokens = uat.encode((voice(0.5, 16000), 16000))
    with pytest.raises(TokenError, match="layout"):
        glm.decode(tokens)
    other = AudioTokens(tokens.codes, tokens.samples, tokens.rate, tokens.layout, "somebody-else")
    with pytest.raises(TokenError, match="somebody-else"):
        uat.decode(other)
