"""A tokenizer that reads by the book, and its book for the clips of `wide_corpus`."""

from unisono.sap.schema import SAP, Paralinguistics
from unisono.sap.speakers import Voice


def sap(words=None, gender=None, discrete=(), continuous=()):
    def events(labels):
        return [{"label": label, "characteristic": "clear"} for label in labels]

    voice = Paralinguistics.unknown().model_dump() | {"gender": gender}
    scene = {"description": "A sound.", "discreteEvents": events(discrete),
             "continuousEvents": events(continuous)}  # fmt: skip
    return SAP.from_object(
        {"transcription": words, "paralinguistics": voice, "nonLinguisticEvents": scene}
    )


class Reader:
    """A tokenizer that reads by the length of a clip: what `book` says of its seconds."""

    reads_text = True

    def __init__(self, tokenizer, book):
        self.tokenizer, self.book, self.calls = tokenizer, book, []

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def transcribe(self, tokens, language=None):
        self.calls.append(("transcribe", len(tokens), language))
        return [self._of(one)[0] for one in tokens]

    def describe(self, tokens):
        self.calls.append(("describe", len(tokens), None))
        return [self._of(one)[1] for one in tokens]

    def read_sap_text(self, tokens):
        return [self._of(one)[2] for one in tokens]

    def _of(self, tokens):
        return self.book(round(tokens.duration, 1))


LABELS = ["water"] * 3 + ["fire"] * 4 + ["rare", ""]


def book(seconds):
    """Of the clips of `wide_corpus`: English 3.0 s, German 2.6, music 4.0, sounds from 0.5 s."""
    if seconds == 3.0:
        return "one two three", sap("One two.", "Female"), sap().canonical()
    if seconds == 2.6:
        return "eins", sap("Eins.", "Female"), "{"
    if seconds == 4.0:
        return "la la", sap("La la.", continuous=["music"]), "```json\n" + sap().canonical() + "```"
    label = LABELS[round(10 * (seconds - 0.5))]
    known = {"water": sap(discrete=["water"]), "fire": sap(discrete=["dog"], continuous=["a fire"])}
    return "", known.get(label, sap()), "no idea"


VOICES = {
    "e": Voice(speaker="e", gender="Female", age="Adult"),
    "d": Voice(speaker="d", gender="Male", age="Adult", method="pitch"),
}


class ASR:
    name = "fake"

    def __call__(self, wave, language):
        assert wave.ndim == 1 and language == "en"
        return "One, two, three, four!"
