"""A vocabulary without the pieces of other letters than ASCII's."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from text_models import text_tokens
from unisono.uniaudio.text_tokens import SAP_PIECES, TASKS, TextTokens


def pieces_of(tokens: TextTokens, text: str) -> list[str]:
    return [tokens.pieces.id_to_token(number) for number in tokens.encode(text)]


def test_english_is_cut_as_before_and_the_rest_is_spelt_in_bytes():
    whole = text_tokens(sap_pieces=True)
    whole.pieces.add_special_tokens(["<|0.00|>", "<|0.02|>"])
    small = TextTokens(whole.pieces).ascii()
    english = "the cat sat on the mat; a dog barks"
    assert pieces_of(small, english) == pieces_of(whole, english)
    assert small.size < whole.size
    assert len(small.encode("Grüß dich 雨")) > len(whole.encode("Grüß dich 雨"))
    assert small.text(small.encode("Grüß dich 雨")) == "Grüß dich 雨"
    assert all(small.pieces.token_to_id(task) is not None for task in TASKS)
    assert small.pieces.token_to_id("<|0.02|>") is None
    added = {token.content for token in small.pieces.get_added_tokens_decoder().values()}
    assert not added & set(SAP_PIECES)
    assert small.language("it") is not None and len(small.languages) == 2


def test_all_pieces_but_single_bytes_are_ascii():
    small = text_tokens(sap_pieces=False).ascii()
    for number in range(small.size):
        spelt = small.bytes_of(number)
        assert spelt is None or len(spelt) == 1 or spelt.isascii()
    again = small.ascii()
    assert again.pieces.get_vocab() == small.pieces.get_vocab()
