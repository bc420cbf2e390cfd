"""Voices of other languages: their sentences, and what is said when a synthesizer is missing."""

import sys

import pytest
from recipes.corpus import tongues
from recipes.packages import Packages

from unisono.errors import DataError

FORTUNES = """Chi dorme non piglia pesci. Breve.
\t\t-- Anonimo
%
La somma dei 3 angoli è nota. Tutti sanno (o quasi) che la vita è bella!
%
Chi dorme non piglia pesci. TUTTO con www.esempio.it qui dentro.
%
Non è vero che l'acqua
bolle sempre a cento gradi?
"""


@pytest.fixture
def packages(tmp_path):
    folder = tmp_path / "unpacked/fortunes-it/usr/share/games/fortunes/it"
    (folder / "off").mkdir(parents=True)
    (folder / "proverbi").write_text(FORTUNES, encoding="utf-8")
    (folder / "proverbi.dat").write_bytes(b"\0Questa frase non si legge mai.")
    (folder / "off/peggio").write_text("Questa frase non si dice mai.")
    stamp = tmp_path / "unpacked/tuxpaint-stamps-default/usr/share/tuxpaint/stamps/cat.txt"
    stamp.parent.mkdir(parents=True)
    stamp.write_text("A black cat.\nfr.utf8=Un beau chat noir\nde.utf8=Eine schwarze Katze.\n")
    return Packages(tmp_path / "cache", tmp_path / "unpacked")


def test_sentences_of_a_language_once_each(packages):
    assert sorted(tongues.foreign_sentences(packages, "it")) == [
        "Chi dorme non piglia pesci.",
        "Non è vero che l'acqua bolle sempre a cento gradi?",
        "Tutti sanno che la vita è bella!",
    ]
    assert tongues.foreign_sentences(packages, "fr") == ["Un beau chat noir."]


def test_a_missing_synthesizer_is_named(packages, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ttspico", None)
    with pytest.raises(DataError, match="pip install ttspico"):
        next(tongues.pico(packages))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="apt-get install festival"):
        next(tongues.festival(packages))


def test_no_sentence_is_read_by_two_voices_of_a_language():
    voices = tongues.PICO + tongues.FESTIVAL
    for language in {voice.language for voice in voices}:
        mine = [voice for voice in voices if voice.language == language]
        assert {voice.shares for voice in mine} == {len(mine)}
        assert sorted(voice.share for voice in mine) == list(range(len(mine)))
