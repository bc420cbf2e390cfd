"""What text supervision is made of: a reduced vocabulary, a smaller decoder, texts by task."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch
from debug_runs import CONFIGS, overrides
from safetensors.torch import load_file
from tiny_whisper import write_tiny_whisper

import unisono
from unisono.data.dataset import plan_sequences
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.errors import ConfigError
from unisono.sap.schema import SAP
from unisono.training.config import load_config
from unisono.training.encoder_options import EncoderOptions
from unisono.training.export import assemble
from unisono.training.loop import train
from unisono.training.state import load_checkpoint
from unisono.training.tasks import build_task
from unisono.training.text_start import reader_config, start_decoder, whisper_config
from unisono.training.text_targets import told
from unisono.uniaudio.text_decoder import TextDecoder
from unisono.uniaudio.text_tokens import SAP_PIECES, TextTokens

RAIN = SAP.parse(
    '{"transcription":"hi","paralinguistics":{"age":"Adult","gender":"Male","emotion":"Neutral",'
    '"accent":null,"prosody":null,"timbre":null},"nonLinguisticEvents":{"description":"Rain.",'
    '"discreteEvents":[],"continuousEvents":[{"label":"rain","characteristic":"Loud"}]}}'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def whole(folder):
    return TextTokens.from_whisper(folder)


@pytest.fixture(scope="module")
def merged(folder, tmp_path_factory):
    """A tokenizer that knows " hi", " his" and " ox" as pieces, in this order."""
    state = json.loads((folder / "tokenizer.json").read_text())
    merges = [["h", "i"], ["Ġ", "hi"], ["Ġhi", "s"], ["Ġ", "o"], ["Ġo", "x"]]
    vocabulary = state["model"]["vocab"]
    vocabulary |= {"".join(pair): len(vocabulary) + n for n, pair in enumerate(merges)}
    for token in state["added_tokens"]:
        token["id"] += len(merges)
    state["model"]["merges"] = merges
    place = tmp_path_factory.mktemp("merged")
    (place / "tokenizer.json").write_text(json.dumps(state))
    return TextTokens.from_whisper(place)


def test_a_reduced_vocabulary_keeps_what_comes_often_and_spells_the_rest(merged):
    assert len(merged.encode("his ox")) == 2
    small = merged.reduced(["his", "his", "ox"], least=2)
    assert len(small.encode("his")) == 1 and len(small.encode("hi")) == 1  # his is merged from it
    assert small.encode("ox") == [small.pieces.token_to_id(letter) for letter in "Ġox"]
    for text in ("his ox", "čeština 中文 🙂", RAIN.canonical()):
        assert small.text(small.encode(text)) == text
    assert small.language_code(small.language("fr")) == "fr"
    first = merged.reduced([], first=merged.size)
    assert len(first.encode("ox")) == 1


def test_sap_pieces_stand_for_the_fixed_parts(merged):
    small, text = merged.reduced(["hi"]), RAIN.canonical()
    pieces = [small.bytes_of(token).decode() for token in small.other("<|startofsap|>", text)[1:-1]]
    assert "".join(pieces) == " " + text
    assert {*SAP_PIECES} >= {piece for piece in pieces if len(piece) > 8}
    assert pieces.count(',"gender":') == pieces.count('"Male"') == pieces.count("}]}}") == 1
    assert len(pieces) < len(merged.encode(text)) / 2


def test_fewer_layers_and_tokens_start_as_whispers(folder, merged):
    config, given = whisper_config(folder)
    small = given.reduced([])
    decoder = TextDecoder(reader_config(config, small, [1], 2))
    start_decoder(decoder, load_file(folder / "model.safetensors"), [1], small, given)
    weights = load_file(folder / "model.safetensors")
    table = weights["model.decoder.embed_tokens.weight"]
    own = decoder.embed_tokens.weight
    assert torch.equal(own[small.end], table[given.end])
    assert torch.equal(own[small.tasks["<|startofsap|>"]], table[given.start])
    piece = small.pieces.token_to_id('"Male"')
    spelt = given.pieces.encode('"Male"').ids
    torch.testing.assert_close(own[piece], table[spelt].mean(0))
    layer = weights["model.decoder.layers.0.fc1.weight"]
    assert torch.equal(decoder.layers[0].fc1.weight, layer)
    positions = weights["model.decoder.embed_positions.weight"]
    assert torch.equal(decoder.embed_positions.weight[: len(positions)], positions)
    assert decoder.embed_positions.weight.shape[0] == 2048
    with pytest.raises(ConfigError, match=r"layers 1 to 1, not \[2\]"):
        reader_config(config, small, [1, 2], 2)


def test_a_sap_tells_the_other_tasks_too():
    item = ManifestItem(path="a", duration=1, sap=RAIN.canonical())
    assert told(item) == {
        "asr": "hi", "caption": "Rain.", "emotion": "neutral", "sap": RAIN.canonical()
    }  # fmt: skip
    both = told(item.model_copy(update={"text": "ho", "caption": "Pouring."}))
    assert "asr" not in both and both["caption"] == "Pouring."


def test_what_is_told_of_a_clip_as_a_whole_is_not_joined():
    items = [ManifestItem(path="a", duration=1, speaker="a") for _ in range(4)]
    items[1] = items[1].model_copy(update={"sap": RAIN.canonical()})
    assert sorted(map(sorted, plan_sequences(items, (60, 61), 0))) == [[0, 2, 3], [1]]


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="tasks: sing"):
        EncoderOptions(encoder={}, tasks={"sing": 1})


@pytest.fixture(scope="module")
def sap_run(folder, tmp_path_factory):
    """A few steps of a tiny encoder on clips with a SAP, through a reduced text decoder."""
    place = tmp_path_factory.mktemp("sap")
    rng = np.random.default_rng(0)
    items = []
    for n in range(6):
        soundfile.write(place / f"{n}.wav", 0.1 * rng.standard_normal(12000), 16000)
        split = "valid" if n == 5 else "train"
        items.append(
            ManifestItem(path=f"{n}.wav", duration=0.75, language="en", split=split,
                         sap=RAIN.canonical())
        )  # fmt: skip
    write_manifest(place / "sap.jsonl", items)
    changed = {
        "options.whisper": folder, "options.distill_weight": 0, "options.text_layers": "[1]",
        "options.text_vocabulary": "{least: 1, first: 0}", "options.tasks": "{sap: 3, asr: 1}",
        "data.workers": 0,
    }  # fmt: skip
    corpus, out = place / "sap.jsonl", place / "run"
    config = load_config(CONFIGS / "debug-encoder-text.yaml", overrides(corpus, out, **changed))
    return config, train(config, build_task(config), terminal=False)


def test_tasks_are_drawn_by_their_shares(sap_run):
    config, _ = sap_run
    task = build_task(config)
    texts = task.texts["train"][0]
    assert set(texts) == {"asr", "caption", "emotion", "sap"}
    rng = np.random.default_rng(0)
    drawn = [task.text.draw(texts, rng).ids[0] for _ in range(400)]
    tokens = task.text.tokens
    assert {*drawn} == {tokens.start, tokens.tasks["<|startofsap|>"]}
    assert drawn.count(tokens.start) == pytest.approx(100, abs=30)
    # A run goes on with the vocabulary that it began with.
    assert task.text.tokens.size == TextTokens.from_file(config.out / "tokenizer.json").size


def test_a_trained_text_decoder_becomes_a_model_that_reads(sap_run, tmp_path):
    config, run = sap_run
    folder = assemble(run, tmp_path / "model", "tiny", int8=False)
    tokenizer = unisono.load(folder)
    wave = (np.random.default_rng(1).standard_normal(8000).astype("float32") * 0.1, 16000)
    assert tokenizer.reads_text
    sap = tokenizer.describe(wave)
    assert SAP.parse(sap.canonical()) == sap
    # The model says what the training's own modules say, of the same code vectors.
    weights = load_checkpoint(run)["modules"]
    task = build_task(config)
    for name, module in task.modules.items():
        module.load_state_dict(weights[name])
        module.eval()
    vectors = torch.randn(1, 9, task.encoder.config.d_model)
    mask = torch.ones(1, 9, dtype=torch.int64)
    ids = torch.tensor([task.texts["train"][0]["sap"].ids[:-1]])
    expected = task.text.reader(ids, task.text.top(vectors, mask), mask, torch.ones_like(ids) > 0)
    reader = tokenizer.describer.reader
    with torch.no_grad():
        said = reader(encoder_outputs=reader.heard(vectors, mask), decoder_input_ids=ids).logits
    torch.testing.assert_close(said[0], expected.detach(), atol=1e-4, rtol=1e-4)


def test_only_the_languages_that_are_named_are_transcribed(sap_run):
    config, _ = sap_run
    french = config.model_copy(update={"options": {**config.options, "text_languages": ["fr"]}})
    assert {task for texts in build_task(french).texts["train"] for task in texts} == {
        "sap", "caption", "emotion"
    }  # fmt: skip


def test_a_text_decoder_in_four_bits_still_reads(sap_run, tmp_path):
    _, run = sap_run
    small = assemble(run, tmp_path / "small", "tiny", int4=True)
    whole = assemble(run, tmp_path / "whole", "tiny", int8=False)
    sizes = [(folder / "text.safetensors").stat().st_size for folder in (small, whole)]
    assert sizes[0] < 0.35 * sizes[1]
    wave = (np.random.default_rng(1).standard_normal(8000).astype("float32") * 0.1, 16000)
    said = unisono.load(small).describe(wave)
    assert SAP.parse(said.canonical()) == said
    given = unisono.load(small).describer.reader.state_dict()
    for name, tensor in unisono.load(whole).describer.reader.state_dict().items():
        assert (given[name] - tensor).norm() <= 0.15 * tensor.norm() + 1e-6, name


def reading(sap_run, **options):
    """The run's stage again, with other options, before any step."""
    config, _ = sap_run
    changed = {**config.options, "cache": None, "unfreeze_from": None, **options}
    return build_task(config.model_copy(update={"options": changed}))


def step(task, number=4):
    for module in task.modules.values():
        module.zero_grad()
    ((_, loss, figures),) = task.losses(task.batch(number), number)
    loss.backward()
    return figures


def test_the_untouched_whisper_is_what_states_are_held_against(sap_run):
    # Without codes and with Whisper's own layers nothing is missing from its states.
    task = reading(sap_run, states_weight=1.0, quantize_from=100)
    task.encoder.equilibrium = None
    below = task._below(task.batch(0).inputs)
    state = task._run(below, False)
    total, count = task.text._states(task.text._heard(task.encoder, state), below)
    assert count == below.mask.sum() and total / count < 1e-8
    spoilt = task.text._states(task.text._heard(task.encoder, state) + 1, below)[0]
    assert spoilt > total + count / 10


def test_a_reader_is_trained_alone(sap_run):
    task = reading(sap_run, states_weight=1.0, train="reader", ctc_weight=0, mel_weight=0,
                   quantize_from=0, text_top=[3, 3])  # fmt: skip
    assert len(task.text.top.layers) == 2
    assert torch.equal(task.text.top.layers[0].fc1.weight, task.text.top.layers[1].fc1.weight)
    task._start_codebook(0)
    before = {name: tensor.clone() for name, tensor in task.encoder.state_dict().items()}
    figures = step(task)
    assert figures["states"] > 0 and figures["text"] > 0 and "commit" not in figures
    after = task.encoder.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(p.grad is None for p in task.encoder.parameters())
    assert task.text.top.layers[0].fc1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states_weight": 1.0, "frozen": 0}, "states_weight needs frozen layers"),
        ({"text_top": [9]}, r"text_top: Whisper's encoder has layers 1 to 3, not \[9\]"),
    ],
)
def test_impossible_readers_are_told(sap_run, options, message):
    with pytest.raises(ConfigError, match=message):
        reading(sap_run, **options)
