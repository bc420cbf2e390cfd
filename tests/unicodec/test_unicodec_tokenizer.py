"""UniCodec behind the contract of every tokenizer, and its model folder."""

import json

import numpy as np
import pytest
import torch

import unisono
from unisono.audio import Audio
from unisono.errors import ConfigError, ModelError, TokenError
from unisono.hub import save
from unisono.unicodec import tokenizer as module
from unisono.unicodec.tokenizer import UniCodecTokenizer


@pytest.fixture(scope="module")
def folder(tok, tmp_path_factory):
    return save(tok, tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.parametrize("count", [1, 639, 640, 641, 1280, 16_001])
def test_frames_and_decoded_length_of_every_length(tok, speech, count):
    tokens = tok.encode((speech[:count], 16_000))
    frames = -(-count // 640)
    assert tokens["global"].shape == (2, 1)
    assert tokens["semantic"].shape == (2, frames) and tokens["residual"].shape == (4, frames)
    assert tok.decode(tokens).length == count


def test_other_rates_and_lists(tok, speech):
    clips = [(speech[:20_000], 22_050), (speech[:7000], 8000), (speech[:1], 44_100)]
    together = tok.encode(clips)
    assert together == [tok.encode(clip) for clip in clips]
    assert [audio.length for audio in tok.decode(together)] == [14_512, 14_000, 1]


def test_items_of_a_batch_on_an_accelerator_equal_those_alone(tok, speech):
    """What runs where the device is no CPU: all in one padded batch."""
    clips = [speech[:9_999], speech[9_000:11_000], speech[:1]]
    together = tok._codes(clips)
    for clip, codes in zip(clips, together, strict=True):
        (alone,) = tok._codes([clip])
        assert all(np.array_equal(alone[name], codes[name]) for name in alone)


def test_decoding_in_pieces_leaves_no_mark(tok, speech, monkeypatch):
    tokens = tok.encode((speech, 16_000))
    whole = tok.decode(tokens).samples
    monkeypatch.setattr(module, "PIECE_SECONDS", 0.28)
    np.testing.assert_allclose(tok.decode(tokens).samples, whole, atol=1e-5)
    pieces = list(tok.decode_stream(tokens))
    assert len(pieces) > 5 and sum(map(len, pieces)) == len(speech)


def test_residual_may_be_left_out(tok, speech):
    tokens = tok.encode((speech, 16_000))
    codes = {name: tok._tensor(name, tokens[name]) for name in ("global", "semantic")}
    with torch.no_grad():
        wanted = tok.model.decode(codes)[0, : len(speech)]
    made = tok.decode(tokens.only("global", "semantic"))
    np.testing.assert_allclose(made.samples[0], wanted, atol=1e-5)


def test_a_voice_replaces_global(tok, speech, tmp_path):
    tokens = tok.encode((speech[:20_000], 16_000))
    reference = 0.2 * np.sin(np.arange(30_000) ** 1.2).astype(np.float32)
    other = tok.encode((reference, 16_000))
    assert not np.array_equal(tokens["global"], other["global"])
    swapped = unisono.AudioTokens(
        {**tokens.codes, "global": other["global"]}, 20_000, 16_000, tok.layout, "tiny"
    )
    wanted = tok.decode(swapped).samples
    path = tmp_path / "reference.wav"
    Audio(reference, 16_000).write(path)
    for voice in (Audio(reference, 16_000), (reference, 16_000), other):
        np.testing.assert_array_equal(tok.decode(swapped, voice=voice).samples, wanted)
    beyond = [tok.decode(tokens, voice=voice).samples for voice in (other, (reference, 16_000))]
    np.testing.assert_array_equal(*beyond)
    assert not np.array_equal(beyond[0], wanted)  # away from the own voice
    for voice in (path, str(path)):  # rounded to 16 bits
        assert tok.decode(tokens, voice=voice).length == 20_000
    alone = tok.decode(tokens.only("semantic"), voice=(reference, 16_000)).samples
    both = tok.decode(swapped.only("global", "semantic")).samples
    np.testing.assert_array_equal(alone, both)


def test_tokens_without_a_voice_say_so(tok, speech):
    tokens = tok.encode((speech[:5000], 16_000))
    with pytest.raises(ConfigError, match="decode them with voice="):
        tok.decode(tokens.only("semantic"))
    with pytest.raises(ConfigError, match="takes recordings only"):
        tok.decode(tokens, voice="anna")
    with pytest.raises(TokenError, match="another layout"):
        tok.decode(tokens.only("global", "residual"))
    with pytest.raises(TokenError, match="have no global stream"):
        tok.decode(tokens, voice=tokens.only("semantic"))
    with pytest.raises(TokenError, match="have no global stream"):
        tok.revoiced(tokens, tokens.only("semantic"))


def test_tokens_of_another_order_of_streams_are_refused(tok):
    layout = tok.layout
    turned = type(layout)(layout.streams[::-1])
    assert tok.accepts(layout) and not tok.accepts(turned)


def test_a_folder_gives_the_same_tokens_and_waves(tok, folder, speech):
    again = unisono.load(folder)
    assert isinstance(again, UniCodecTokenizer) and again.parameters == tok.parameters
    tokens = tok.encode((speech, 16_000))
    assert again.encode((speech, 16_000)) == tokens
    np.testing.assert_allclose(again.decode(tokens).samples, tok.decode(tokens).samples, atol=1e-5)
    assert again.statistics is None


def test_int8_keeps_codebooks_as_they_are(tok, tmp_path):
    again = unisono.load(save(tok, tmp_path / "small", int8=True))
    for name, tensor in tok.model.state_dict().items():
        if name.endswith("codebook"):
            assert torch.equal(again.model.state_dict()[name], tensor)


def test_a_model_that_is_not_causal_takes_thirty_seconds_at_once(both_ways, speech):
    tok = UniCodecTokenizer(both_ways, "both-ways")
    assert tok.segment_seconds == 30
    tokens = tok.encode((np.resize(speech, 31 * 16_000), 16_000))
    assert tokens["semantic"].shape == (2, 31 * 25)
    assert tok.decode(tokens).length == 31 * 16_000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"more": 1}, "unknown: more"),
        ({"model": {"hops": 1}}, "unknown hops"),
        ({"model": {}}, "does not belong to its config"),
    ],
)
def test_a_folder_that_does_not_fit_says_so(tok, tmp_path, change, said):
    folder = save(tok, tmp_path / "bad")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError, match=said):
        unisono.load(folder)
