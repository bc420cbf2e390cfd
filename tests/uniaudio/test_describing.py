"""From tokens to text: the contract with small random readers, and model folders that have one."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from text_models import describer, text_tokens
from unisono import Audio, load
from unisono.errors import ConfigError, ModelError, TokenError
from unisono.sap.merge import merge
from unisono.sap.schema import SAP
from unisono.uniaudio.features import LogMelFeatures
from unisono.uniaudio.text_decoder import UniAudioForConditionalGeneration
from unisono.uniaudio.tokenizer import UniAudioTokenizer


def reading(uat, **options) -> UniAudioTokenizer:
    """The tokenizer `uat` (4 s windows) with a random text decoder."""
    text = describer(uat.encoder.config, **options)
    return UniAudioTokenizer(uat.encoder, uat.features, None, uat.model_id, text)


@pytest.fixture(scope="module")
def talker(uat):
    return reading(uat)


@pytest.fixture
def clips(voice):
    return [(voice(s, 16000, i), 16000) for i, s in enumerate((0.4, 2.3, 3.9, 1.1))]


@pytest.mark.parametrize("sap_pieces", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_random_weights_give_valid_saps(uat, clips, seed, sap_pieces):
    talker = reading(uat, seed=seed, sap_pieces=sap_pieces, positions=280)
    saps = talker.describe(clips)
    assert len(saps) == len(clips)
    for sap in saps:
        assert SAP.parse(sap.canonical()) == sap


def test_answers_come_from_tokens_and_not_from_the_batch(talker, clips):
    tokens = talker.encode(clips)
    saps, words = talker.describe(tokens), talker.transcribe(tokens)
    assert talker.describe([clips[0], *tokens[1:3], clips[3]]) == saps
    assert [talker.describe(one) for one in tokens] == saps
    assert talker.describe(list(reversed(tokens)), batch_seconds=0.1) == saps[::-1]
    assert [talker.transcribe(one) for one in clips] == words
    assert talker.transcribe(tokens, batch_seconds=4.0) == words
    raw = talker.read_sap_text(tokens)
    assert [talker.read_sap_text(one) for one in tokens] == raw
    # Different tokens are told apart: the reader listens.
    assert len({sap.canonical() for sap in saps}) > 1


def test_ids_of_a_language_model_are_read_alike(talker, clips):
    tokens = talker.encode(clips[2])
    written = talker.layout.from_ids(tokens.ids())
    assert talker.describe(written) == talker.describe(tokens)


def test_no_items(talker):
    assert talker.describe([]) == [] and talker.transcribe([]) == []


def test_long_audio_is_read_window_by_window(talker, voice):
    wave = voice(9.5, 44100, 3)
    tokens = talker.encode(Audio(wave, 44100))
    parts = talker.describe_parts(tokens)
    assert [(p.start, round(p.seconds, 3)) for p in parts] == [(0, 4), (4, 4), (8, 1.5)]
    firsts = [tokens["audio"][:, 100 * n : 100 * n + 100] for n in range(3)]
    for part, codes in zip(parts, firsts, strict=True):
        alone = talker.layout.from_ids(codes[0], round(part.seconds * 44100), 44100)
        assert talker.describe(alone) == part.sap
    assert talker.describe(tokens) == merge([part.sap for part in parts])
    words = [talker.transcribe(talker.layout.from_ids(codes[0])) for codes in firsts]
    assert talker.transcribe(tokens).split() == " ".join(words).split()
    assert len(talker.read_sap_text(tokens).splitlines()) >= 1
    assert [len(p) for p in talker.describe_parts([tokens, (wave[:4410], 44100)])] == [3, 1]


def test_transcripts_hold_plain_text_only_and_end_in_time(talker, clips):
    tokens = talker.encode(clips[0])
    reader, vocabulary = talker.describer.reader, talker.describer.tokens
    with torch.no_grad():
        table = reader.decoder.embed_tokens.weight
        before = table.clone()
        # A row that is the output layer's favourite everywhere.
        table[vocabulary.tasks["<|emotion|>"]] *= 100
    try:
        text = talker.transcribe(tokens)
    finally:
        with torch.no_grad():
            table.copy_(before)
    assert "<|" not in text
    assert len(vocabulary.encode(text)) <= 12 * 0.4 + 16 + 20


def test_the_language_is_the_given_one_or_the_likeliest(uat, clips, monkeypatch):
    talker = reading(uat)
    text = talker.describer
    prompts = []
    real = text._write

    def spy(heard, given, *rest, **options):
        prompts.extend(given)
        return real(heard, given, *rest, **options)

    monkeypatch.setattr(text, "_write", spy)
    tokens = talker.encode(clips[1])
    heard = talker._vectors([tokens])
    with torch.no_grad():
        logits = text.reader(
            encoder_outputs=text.reader.heard(*heard[:2]),
            decoder_input_ids=torch.tensor([[text.tokens.start]]),
        ).logits[0, 0]
    likeliest = max(text.tokens.languages, key=lambda token: float(logits[token]))
    talker.transcribe(tokens)
    talker.transcribe(tokens, language="it-IT")
    italian = text.tokens.language("it")
    assert prompts == [text.tokens.prompt(likeliest), text.tokens.prompt(italian)]
    with pytest.raises(ConfigError, match=r"'sv' is not one .* en, it"):
        talker.transcribe(tokens, language="sv")


def test_models_without_a_text_decoder_say_so(uat, clips):
    assert not uat.reads_text
    for call in (uat.transcribe, uat.describe, uat.describe_parts, uat.read_sap_text):
        with pytest.raises(ConfigError, match=rf"'{uat.model_id}' has no text decoder: the weig"):
            call(clips[0])


def test_foreign_tokens_and_bad_options_are_refused(talker, glm, clips):
    with pytest.raises(TokenError, match="another layout"):
        talker.describe(glm.encode(clips[0]))
    with pytest.raises(ConfigError, match="batch_seconds"):
        talker.describe(clips[0], batch_seconds=0)


def test_a_saved_model_reads_the_same_and_opens_its_text_when_asked(talker, tmp_path, clips):
    folder = talker.save_pretrained(tmp_path / "own")
    files = {"config.json", "model.safetensors", "text.safetensors", "tokenizer.json"}
    assert {path.name for path in folder.iterdir()} == files
    # The output layer is the embedding and is stored once; the encoder lies elsewhere.
    names = set(load_file(folder / "text.safetensors"))
    assert {name.partition(".")[0] for name in names} == {"top", "decoder"}
    tokens = talker.encode(clips)
    again = load(folder)
    assert again.reads_text and again.describe(tokens) == talker.describe(tokens)
    assert again.transcribe(tokens) == talker.transcribe(tokens)
    third = load(again.save_pretrained(tmp_path / "copy"))
    assert third.read_sap_text(tokens) == talker.read_sap_text(tokens)
    shutil.move(folder / "text.safetensors", tmp_path / "away")
    lazy = load(folder, dtype="bfloat16")
    lazy.encode(clips[0])
    with pytest.raises(ModelError, match=r"has no text\.safetensors"):
        lazy.describe(tokens)
    shutil.move(tmp_path / "away", folder / "text.safetensors")
    assert lazy.describer.reader.dtype == torch.bfloat16
    assert SAP.parse(lazy.describe(tokens)[0].canonical())
    lazy.to(dtype=torch.float32)
    assert lazy.describer.reader.dtype == torch.float32


def test_int8_storage_is_smaller_and_near(talker, tmp_path):
    plain, small = tmp_path / "plain", tmp_path / "small"
    talker.save_pretrained(plain)
    talker.save_pretrained(small, int8=True)
    sizes = [(f / "text.safetensors").stat().st_size for f in (plain, small)]
    assert sizes[1] < 0.6 * sizes[0]
    ours = talker.describer.reader.state_dict()
    for name, tensor in load(small).describer.reader.state_dict().items():
        step = ours[name].abs().amax() / 127
        assert (tensor - ours[name]).abs().max() <= 0.6 * step, name


def test_a_vocabulary_that_is_too_large_is_refused(talker, tmp_path):
    folder = talker.save_pretrained(tmp_path / "own")
    tokens = text_tokens(sap_pieces=True)
    tokens.pieces.add_tokens([f"extra {n}" for n in range(9)])
    tokens.pieces.save(str(folder / "tokenizer.json"))
    with pytest.raises(ModelError, match="do not belong together"):
        load(folder).describe((torch.zeros(16000).numpy(), 16000))
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer.json is no tokenizer.json"):
        load(folder).describe((torch.zeros(16000).numpy(), 16000))


# Full checkpoints in the published form ---------------------------------------------------------


@pytest.fixture(scope="module", params=["own tasks", "last rows"])
def full(request, tokenizer_maker, tmp_path_factory):
    """(folder, model): a whole random model, written as a release writes it."""
    folder = tokenizer_maker(
        tmp_path_factory.mktemp("full"), "encoder_uat_quantize_last_encoder_only"
    )
    config = json.loads((folder / "config.json").read_text())
    tasks = request.param == "own tasks"
    tokens = text_tokens(sap_pieces=False)
    config |= {
        "vocab_size": tokens.size,
        "encoder_layers": config["quantize_position"] + 2,
        "quantize_encoder_only": False,
        "decoder_layers": 1,
        "decoder_attention_heads": config["encoder_attention_heads"],
        "max_target_positions": 280,
        "init_std": 0.3,
        "decoder_start_token_id": tokens.start,
        "eos_token_id": tokens.end,
        "pad_token_id": tokens.end,
        "bos_token_id": tokens.end,
    }
    from unisono.uniaudio import UniAudioConfig
    from unisono.uniaudio.reference import reference_name

    torch.manual_seed(4)
    model = UniAudioForConditionalGeneration(UniAudioConfig.from_reference(config)).eval()
    trained = load_file(folder / "model.safetensors")
    prefix = "model.encoder."
    state = {}
    for name, tensor in model.state_dict().items():
        inner = name.removeprefix(prefix)
        theirs = prefix + reference_name(inner) if inner != name else name
        # The encoder up to the quantizer is the golden one, whose codes are many.
        known = trained.get(theirs.removeprefix(prefix), trained.get(theirs))
        state[theirs] = tensor.clone() if known is None else known
    state.pop("proj_out.weight")
    model.load_reference_state(state)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({n: t.contiguous() for n, t in state.items()}, folder / "model.safetensors")
    pieces = tokens.pieces if tasks else text_tokens(sap_pieces=False, tasks=False)
    (folder / "tokenizer.json").write_text(pieces.to_str())
    return folder, model


def test_a_full_checkpoint_says_what_the_whole_model_says(full, clips):
    folder, model = full
    tokenizer = load(folder)
    assert tokenizer.reads_text
    tokens = tokenizer.encode(clips[1])
    vectors, mask, seconds = tokenizer._vectors([tokens])
    assert seconds == [2.32]
    text = tokenizer.describer
    ids = torch.tensor([text.tokens.other("<|startofsap|>", "the cat")])
    features, real = LogMelFeatures()([clips[1][0]], multiple=model.config.frame_multiple)
    with torch.no_grad():
        whole = model(features, real, decoder_input_ids=ids).logits
        read = text.reader(
            encoder_outputs=text.reader.heard(vectors, mask), decoder_input_ids=ids
        ).logits
    assert torch.allclose(read, whole, atol=1e-4)
    assert SAP.parse(tokenizer.describe(tokens).canonical())
    assert text.tokens.size == model.config.vocab_size
    assert sorted(text.tokens.tasks.values())[-1] == model.config.vocab_size - 1


def test_a_full_checkpoint_can_be_saved_in_our_format(full, clips, tmp_path):
    tokenizer = load(full[0])
    again = load(tokenizer.save_pretrained(tmp_path / "own"))
    assert again.describe(clips[:2]) == tokenizer.describe(clips[:2])


def test_a_full_checkpoint_without_its_tokenizer_says_so(full, clips, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(full[0], folder)
    (folder / "tokenizer.json").unlink()
    tokenizer = load(folder)
    assert not tokenizer.reads_text
    with pytest.raises(ConfigError, match=r"has no tokenizer.json; put the one of its Whisper"):
        tokenizer.describe(clips[0])
