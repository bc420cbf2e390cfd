import random
import re

import pytest
from recipes.corpus.fillets import dialog_texts
from recipes.corpus.hedgewars import phrase
from recipes.corpus.pocketsphinx import transcripts
from recipes.corpus.sentences import clean_sentences
from recipes.corpus.templates import compose
from recipes.corpus.text import english_number, plain
from recipes.corpus.tuxpaint import stamp_texts


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (105, "one hundred five"),
        (1984, "one thousand nine hundred eighty four"),
        (700_000, "seven hundred thousand"),
    ],
)
def test_numbers_in_words(value, words):
    assert english_number(value) == words


def test_plain_text():
    assert plain("«Un  dólar»  ($1.00) .") == "Un dólar."
    assert plain("It’s “fine”…") == "It's fine."


def test_sentences_are_short_spoken_and_spelled_out():
    texts = [
        "The price was 1,250 dollars in 1984. Nobody paid it!",
        "Too short.",
        "See http://example.org/x for more of this.",
        "THE WHOLE SENTENCE IS SHOUTED AT US.",
        "Mr. Smith went to town.",
        " ".join(["word"] * 30) + ".",
    ]
    assert list(clean_sentences(texts)) == [
        "The price was one thousand two hundred fifty dollars in one thousand nine hundred eighty "
        "four.",
        "Nobody paid it!",
        "Mister Smith went to town.",
    ]


def test_templates_are_filled_from_chance_alone():
    words = ["apple", "river", "o'clock", "Xylophone", "stone"]
    first = list(compose(random.Random(1), words, 300))
    assert first == list(compose(random.Random(1), words, 300))
    assert len(set(first)) > 250
    assert not any(re.search(r"[{}\d_]|\ba [aeiou]", sentence) for sentence in first)


def test_dialogue_of_a_lua_script():
    script = """
    dialogId("lod-m-a", "font_small", "Don't go (there)!")
    dialogStr("Nechoď \\"tam\\"!")

    dialogId("lod-v-b", "font_big", "No text follows.")
    """
    assert dialog_texts(script) == {"lod-m-a": 'Nechoď "tam"!'}


def test_stamp_text_by_language(tmp_path):
    path = tmp_path / "cat.txt"
    path.write_text("A cat.\nro.utf8=O pisică.\nnonsense\n", encoding="utf-8")
    assert stamp_texts(path) == {"en": "A cat.", "ro": "O pisică."}
    assert stamp_texts(tmp_path / "none.txt") == {}


def test_sphinx_transcripts():
    listing = "<s> ten of clubs  </s> (001)\nplain words (a-b)\n\n"
    assert transcripts(listing) == {"001": "ten of clubs", "a-b": "plain words"}


def test_phrases_of_file_names():
    assert phrase("Youllregretthat") == "you'll regret that"
    assert phrase("Hello") == "hello"
    assert phrase("Ooff3") == ""
