"""The automaton of canonical SAPs, and what it lets a decoder write."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from text_models import SOUND, SPEECH, text_tokens
from unisono.sap.schema import SAP
from unisono.uniaudio.grammar import NO_REPEAT, STRING_TOKENS, SapAutomaton, SapGrammar, SapWriter

AUTOMATON = SapAutomaton()
START, _, END = SPEECH.partition("Grüß dich, wie geht es?")


def takes(text: str | bytes) -> bool:
    data = text if isinstance(text, bytes) else text.encode()
    return AUTOMATON.follow(data) == AUTOMATON.END


def spoken(inside: bytes) -> bytes:
    return START.encode() + inside + END.encode()


def with_events(count: int) -> str:
    sap = json.loads(SPEECH)
    sap["nonLinguisticEvents"]["discreteEvents"] = [
        {"label": f"sound {n}", "characteristic": "near"} for n in range(count)
    ]
    return json.dumps(sap, ensure_ascii=False, separators=(",", ":"))


@pytest.fixture(scope="module", params=[True, False], ids=["sap pieces", "plain"])
def vocabulary(request):
    return text_tokens(request.param)


@pytest.fixture(scope="module")
def grammar(vocabulary):
    pieces = [vocabulary.bytes_of(token) for token in range(vocabulary.size)]
    return SapGrammar(pieces, vocabulary.end)


@pytest.mark.parametrize("text", [SPEECH, SOUND, " " + SPEECH, with_events(8)])
def test_canonical_saps_are_taken(text):
    assert takes(text) and SAP.parse(text).canonical() == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "  " + SPEECH,
        SPEECH + " ",
        SPEECH[:-1],
        SPEECH.replace('":"', '": "', 1),
        SPEECH.replace("Adult", "adult"),
        SPEECH.replace('"Female"', '"Neutral"'),
        SPEECH.replace('"age":"Adult",', ""),
        SPEECH.replace('"bright"', "7"),
        SOUND.replace('"discreteEvents":[]', '"discreteEvents":null'),
        SOUND.replace('"No distinct sounds."', "null"),
        with_events(9),
        SPEECH.replace("},{", "},"),
    ],
)
def test_other_texts_are_not(text):
    assert not takes(text)


@pytest.mark.parametrize(
    ("inside", "good"),
    [
        (rb"\" \\ \/ \b \f \n \r \t", True),
        (rb"\u0041", False),
        (rb"\x", False),
        (b"\n", False),
        (b"\x7f", False),
        ("é 雨 🌧 ¿ \xa0 ퟿ \ue000".encode(), True),
        (b"\xc2\x85", False),
        (b"\xc0\xaf", False),
        (b"\xe0\x80\xaf", False),
        (b"\xed\xa0\x80", False),
        (b"\xf4\x90\x80\x80", False),
        (b"\xf5\x80\x80\x80", False),
        (b"\x80", False),
        (b"\xe9\x9b", False),
    ],
)
def test_strings_are_unicode_text(inside, good):
    text = spoken(inside)
    assert takes(text) is good
    if good:
        assert json.loads(text)["transcription"]


def test_every_beginning_is_completed_to_a_sap_by_the_fewest_bytes():
    data = with_events(8).encode()
    for cut in range(0, len(data) + 1, 3):
        whole = AUTOMATON.complete(data[:cut])
        assert whole.startswith(data[:cut]) and takes(whole)
        assert len(whole) - cut == AUTOMATON.left[AUTOMATON.follow(data[:cut])]
        json.loads(whole)


def test_the_training_target_is_allowed_token_by_token(vocabulary, grammar):
    for text in (SPEECH, SOUND, with_events(8)):
        ids = vocabulary.other("<|startofsap|>", text)[1:]
        state = grammar.automaton.start
        for token in ids[:-1]:
            moves = grammar.moves(state)
            assert moves.allowed[token] and not moves.allowed[vocabulary.end]
            state = int(moves.after[token])
        assert grammar.moves(state).allowed.nonzero().flatten().tolist() == [ids[-1]]
        assert grammar.text(ids) == text


def test_moves_over_the_vocabulary_are_those_of_single_bytes(grammar):
    for prefix in ("", START, SPEECH[:-60], SPEECH[: SPEECH.index("Female") + 3], START + "\\"):
        state = AUTOMATON.follow(prefix.encode())
        moves = grammar.moves(state)
        for token, piece in enumerate(grammar.pieces):
            after = AUTOMATON.follow(piece, state) if piece else AUTOMATON.DEAD
            assert moves.after[token] == after
            assert bool(moves.allowed[token]) == (after != AUTOMATON.DEAD)


def write(grammar, seed, spoken, total, favour=()):
    """Ids of a text of random scores, without its end; `favour` names the likeliest tokens."""
    rng = torch.Generator().manual_seed(seed)
    writer = SapWriter(grammar, [spoken], total)
    ids = torch.zeros(1, 1, dtype=torch.int64)
    for _ in range(total):
        scores = torch.randn(1, len(grammar.pieces) + 5, generator=rng)
        for place, choice in enumerate(reversed(favour)):
            scores[:, choice] += 100 * (place + 1)
        token = writer(ids, scores).argmax(-1)
        ids = torch.cat([ids, token[:, None]], dim=1)
        if token == grammar.end:
            return ids[0, 1:-1].tolist()
    raise AssertionError(f"no end of text within {total} tokens")


@pytest.mark.parametrize("seed", range(8))
def test_random_scores_write_valid_saps_within_the_limits(grammar, seed):
    ids = write(grammar, seed, spoken=30, total=900)
    text = b"".join(grammar.pieces[i] for i in ids).decode()
    assert takes(text)
    sap = SAP.parse_lenient(text)[0]
    assert SAP.parse(sap.canonical()) == sap


@pytest.mark.parametrize("total", [1, 60, 260, 300, 500])
def test_short_room_closes_everything(grammar, total):
    """Where even the shortest SAP has no room, what was begun is completed."""
    writer = SapWriter(grammar, [10_000], total)
    ids = torch.zeros(1, 1, dtype=torch.int64)
    letter = grammar.pieces.index(b"a")
    for _ in range(total):
        scores = torch.zeros(1, len(grammar.pieces))
        scores[:, letter] = 5
        ids = torch.cat([ids, writer(ids, scores).argmax(-1)[:, None]], dim=1)
    text = grammar.text(ids[0, 1:].tolist())
    assert takes(text)
    assert (grammar.end in ids[0, 1:]) or total < 300


def test_strings_end_after_their_tokens(grammar):
    quote = grammar.pieces.index(b'"')
    alphabet = "abcdefghijklmopqrstu"  # an n would begin null
    letters = [grammar.pieces.index(letter.encode()) for letter in alphabet]
    ids = write(grammar, 0, spoken=20, total=2000, favour=[*letters, quote])
    sap = json.loads(grammar.text(ids))
    texts = sap["transcription"], sap["nonLinguisticEvents"]["description"]
    for text, length in zip(texts, (20, STRING_TOKENS), strict=True):
        assert len(text) == length and set(text) <= set(alphabet)
        fours = [text[n : n + NO_REPEAT] for n in range(length - NO_REPEAT + 1)]
        assert len(set(fours)) == len(fours)
    # A quote ends every string at once, and blank ones are no SAP's.
    blank = grammar.text(write(grammar, 0, spoken=20, total=2000, favour=[quote]))
    assert json.loads(blank)["nonLinguisticEvents"]["description"] == ""
    assert SAP.parse_lenient(blank)[0].nonLinguisticEvents.description == "No distinct sounds."


def test_a_string_that_runs_in_circles_ends(grammar):
    favour = [grammar.pieces.index(b"a"), grammar.pieces.index(b'"')]
    sap = json.loads(grammar.text(write(grammar, 0, spoken=20, total=2000, favour=favour)))
    assert sap["transcription"] == sap["nonLinguisticEvents"]["description"] == "a" * NO_REPEAT


def test_lists_end_after_eight_events(grammar):
    favour = [grammar.pieces.index(letter) for letter in (b'"', b"{", b",", b":", b"[", b"}")]
    scene = json.loads(grammar.text(write(grammar, 3, 5, 6000, favour)))["nonLinguisticEvents"]
    assert len(scene["discreteEvents"]) == len(scene["continuousEvents"]) == 8


def test_rows_of_a_batch_are_apart(grammar):
    """Each row of a batch is held to what it would be held to alone."""
    vocabulary = len(grammar.pieces)
    rng = torch.Generator().manual_seed(5)
    scores = torch.randn(150, 3, vocabulary, generator=rng)
    together, alone = [], []
    writer = SapWriter(grammar, [5, 40, 90], 150)
    ids = torch.zeros(3, 1, dtype=torch.int64)
    for step in range(150):
        ids = torch.cat([ids, writer(ids, scores[step]).argmax(-1)[:, None]], dim=1)
    together = ids[:, 1:].tolist()
    for row, limit in enumerate((5, 40, 90)):
        writer, ids = SapWriter(grammar, [limit], 150), torch.zeros(1, 1, dtype=torch.int64)
        for step in range(150):
            token = writer(ids, scores[step, row : row + 1]).argmax(-1)
            ids = torch.cat([ids, token[:, None]], dim=1)
        alone.append(ids[0, 1:].tolist())
    assert together == alone


def test_masks_are_computed_once(grammar):
    first = grammar.moves(grammar.automaton.start)
    assert grammar.moves(grammar.automaton.start) is first
    assert np.array_equal(first.allowed.numpy(), first.after != SapAutomaton.DEAD)
