import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from unisono.errors import DataError
from unisono.sap.schema import SAP, Event, NonLinguisticEvents, Paralinguistics, SapError
from unisono.sap.values import AGES, EMOTIONS, GENDERS, is_unknown

SPEECH = (
    '{"transcription":"Grüß dich!","paralinguistics":{"age":"Adult","gender":"Female",'
    '"emotion":"Happiness","accent":"Bavarian","prosody":"fast and loud","timbre":"bright"},'
    '"nonLinguisticEvents":{"description":"A woman greets; a dog barks in the rain.",'
    '"discreteEvents":[{"label":"dog bark","characteristic":"twice, near"}],'
    '"continuousEvents":[{"label":"rain","characteristic":"steady"}]}}'
)


def texts(keep=lambda text: bool(text.strip())):
    return st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(keep)


def known(text):
    return not is_unknown(text)


voices = st.builds(
    Paralinguistics,
    age=st.none() | st.sampled_from(AGES),
    gender=st.none() | st.sampled_from(GENDERS),
    emotion=st.none() | st.sampled_from(EMOTIONS),
    accent=st.none() | texts(known),
    prosody=st.none() | texts(known),
    timbre=st.none() | texts(known),
)
events = st.lists(st.builds(Event, label=texts(known), characteristic=texts()), max_size=3)
saps = st.builds(
    SAP,
    transcription=st.none() | texts(lambda text: text.strip().casefold() not in ("", "n/a")),
    paralinguistics=voices,
    nonLinguisticEvents=st.builds(
        NonLinguisticEvents, description=texts(), discreteEvents=events, continuousEvents=events
    ),
)


def test_the_reference_form_is_read_and_written_letter_by_letter():
    sap = SAP.parse(SPEECH)
    assert sap.paralinguistics.emotion == "Happiness"
    assert sap.nonLinguisticEvents.continuousEvents == [
        Event(label="rain", characteristic="steady")
    ]
    assert sap.canonical() == SPEECH


def test_canonical_text_has_the_schema_s_order_whatever_the_order_read():
    text = (
        '{"nonLinguisticEvents": {"continuousEvents": [], "discreteEvents": [], '
        '"description": "\\u00c4pfel fallen"}, "paralinguistics": {"timbre": null, "prosody": null,'
        ' "accent": null, "emotion": null, "gender": null, "age": null}, "transcription": null}'
    )
    assert SAP.parse(text).canonical() == (
        '{"transcription":null,"paralinguistics":{"age":null,"gender":null,"emotion":null,'
        '"accent":null,"prosody":null,"timbre":null},"nonLinguisticEvents":{"description":'
        '"Äpfel fallen","discreteEvents":[],"continuousEvents":[]}}'
    )


@settings(max_examples=40, deadline=None)
@given(saps)
def test_canonical_text_and_json_for_people_both_give_the_sap_back(sap):
    assert SAP.parse(sap.canonical()) == sap
    assert SAP.parse(sap.canonical()).canonical() == sap.canonical()
    assert SAP.parse(sap.to_json()) == sap


@settings(max_examples=40, deadline=None)
@given(saps)
def test_lenient_reading_of_strict_text_makes_no_repair(sap):
    assert SAP.parse_lenient(sap.canonical()) == (sap, [])
    assert SAP.parse_lenient(sap.to_json()) == (sap, [])


@settings(max_examples=40, deadline=None)
@given(saps)
def test_canonical_text_is_one_line_that_utf8_can_hold(sap):
    assert "\n" not in sap.canonical()
    assert sap.canonical().encode().decode() == sap.canonical()


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200) | st.text("{}[]\":,\\'truenfalsNo 1.-/*", max_size=200))
def test_no_text_makes_the_parsers_fail_otherwise_than_with_their_own_error(text):
    for lenient in (False, True):
        try:
            SAP.parse(text, lenient=lenient)
        except SapError as error:
            assert str(error)


def test_a_sap_cannot_be_changed_and_is_checked_when_built():
    sap = SAP.parse(SPEECH)
    with pytest.raises(ValidationError):
        sap.transcription = "other"
    with pytest.raises(ValidationError):
        Paralinguistics(
            age="Young", gender=None, emotion=None, accent=None, prosody=None, timbre=None
        )
    assert set(Paralinguistics.unknown().model_dump().values()) == {None}


def test_the_error_is_a_data_error_of_the_package():
    with pytest.raises(DataError):
        SAP.parse("")


VOICE = "paralinguistics"
SCENE = "nonLinguisticEvents"
EMOTION = "Anger, Disgust, Fear, Happiness, Neutral, Sadness, Surprise or null"

# Each: what is wrong in the text, and the whole message.
MALFORMED = {
    "empty": ("", "the text is empty, not a JSON object"),
    "blank": (" \n ", "the text is empty, not a JSON object"),
    "fence": (f"```json\n{SPEECH}\n```", "the text starts with a code fence, not with a JSON"),
    "byte order mark": ("\ufeff" + SPEECH, "the text starts with a byte order mark, not with a"),
    "prose": ("A dog barks.", "the text is not JSON at line 1, column 1: "),
    "prose before": ("Here it is: " + SPEECH, "the text is not JSON at line 1, column 1: "),
    "prose behind": (
        SPEECH + " Done.",
        f"the text is not JSON at line 1, column {len(SPEECH) + 2}: extra",
    ),
    "two objects": (
        SPEECH + SPEECH,
        f"the text is not JSON at line 1, column {len(SPEECH) + 1}: extra",
    ),
    "single quotes": (SPEECH.replace('"', "'"), "the text is not JSON at line 1, column 2: "),
    "trailing comma": (SPEECH.replace("}}", "},}"), "the text is not JSON at line 1, column "),
    "cut off": (SPEECH[:200], "the text is not JSON at line 1, column 192: unterminated string"),
    "Python null": (SPEECH.replace('"Adult"', "None"), "the text is not JSON at line 1, column 56"),
    "comment": (SPEECH.replace('"age"', '/* c */"age"'), "the text is not JSON at line 1, column"),
    "NaN": (SPEECH.replace('"Adult"', "NaN"), "the JSON holds NaN, which the standard does not"),
    "list": (f"[{SPEECH}]", "the JSON is a list, not an object"),
    "number": ("42", "the JSON is a number, not an object"),
    "null": ("null", "the JSON is null, not an object"),
    "too deep": ('{"a":' * 100_000, "the JSON is nested too deeply to be a SAP"),
    "key twice": (
        SPEECH.replace('"age":"Adult"', '"age":"Adult","age":"Child"'),
        "the key 'age' stands twice in one object",
    ),
    "no keys": ("{}", "transcription is missing: it must be text or null (and 2 more)"),
    "no voice": (
        SPEECH.replace('"gender":"Female",', ""),
        f"{VOICE}.gender is missing: it must be Male, Female or null",
    ),
    "voice null": (
        SPEECH[: SPEECH.index('{"age"')] + "null" + SPEECH[SPEECH.index(',"nonL') :],
        f"{VOICE} is null: it must be an object",
    ),
    "unknown key": (
        SPEECH.replace('"age"', '"mood":"calm","age"'),
        f"{VOICE}.mood is no key of a SAP",
    ),
    "other case of a key": (
        SPEECH.replace('"transcription"', '"Transcription"'),
        "transcription is missing: it must be text or null (and 1 more)",
    ),
    "age": (
        SPEECH.replace("Adult", "Young adult"),
        f"{VOICE}.age is the text 'Young adult': it must be Child, Adult, Elderly or null",
    ),
    "case of a gender": (
        SPEECH.replace("Female", "female"),
        f"{VOICE}.gender is the text 'female': it must be Male, Female or null",
    ),
    "emotion": (
        SPEECH.replace("Happiness", "Frustration"),
        f"{VOICE}.emotion is the text 'Frustration': it must be {EMOTION}",
    ),
    "empty accent": (
        SPEECH.replace("Bavarian", " "),
        f"{VOICE}.accent is an empty text: it must be text or null",
    ),
    "unknown timbre": (
        SPEECH.replace("bright", "Unknown"),
        f"{VOICE}.timbre is the text 'Unknown': write null where nothing is known",
    ),
    "prosody a list": (
        SPEECH.replace('"fast and loud"', '["fast","loud"]'),
        f"{VOICE}.prosody is a list: it must be text or null",
    ),
    "transcription a number": (
        SPEECH.replace('"Grüß dich!"', "7"),
        "transcription is a number: it must be text or null",
    ),
    "transcription true": (
        SPEECH.replace('"Grüß dich!"', "true"),
        "transcription is true: it must be text or null",
    ),
    "no transcription": (
        SPEECH.replace("Grüß dich!", "N/A"),
        "transcription is the text 'N/A': write null where nothing is said",
    ),
    "half a character": (
        SPEECH.replace("Grüß dich!", "\\ud83d"),
        "transcription holds half a character (a lone surrogate)",
    ),
    "description null": (
        SPEECH.replace('"A woman greets; a dog barks in the rain."', "null"),
        f"{SCENE}.description is null: it must be text",
    ),
    "events null": (
        SPEECH.replace('[{"label":"rain","characteristic":"steady"}]', "null"),
        f"{SCENE}.continuousEvents is null: it must be a list of events",
    ),
    "event a text": (
        SPEECH.replace('{"label":"rain","characteristic":"steady"}', '"rain"'),
        f"{SCENE}.continuousEvents.0 is the text 'rain': it must be an object",
    ),
    "event without a characteristic": (
        SPEECH.replace('{"label":"rain","characteristic":"steady"}', '{"label":"rain"}'),
        f"{SCENE}.continuousEvents.0.characteristic is missing: it must be text",
    ),
    "event called none": (
        SPEECH.replace('"label":"dog bark"', '"label":"None"'),
        f"{SCENE}.discreteEvents.0.label is the text 'None': leave an event out that has no name",
    ),
    "characteristic empty": (
        SPEECH.replace("twice, near", ""),
        f"{SCENE}.discreteEvents.0.characteristic is an empty text: it must be text",
    ),
    "number without end": (
        '{"transcription":' + "1" * 6000 + "}",
        "the JSON holds a number too long to be read",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_text_is_refused_with_one_sentence_that_names_the_place(case):
    text, message = MALFORMED[case]
    with pytest.raises(SapError) as caught:
        SAP.parse(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 160
