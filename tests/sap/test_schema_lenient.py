import pytest

from unisono.sap.schema import SAP, SapError
from unisono.sap.values import nearest_age, nearest_emotion, nearest_gender

PLAIN = (
    '{"transcription":"Come in","paralinguistics":{"age":"Adult","gender":"Male",'
    '"emotion":"Neutral","accent":null,"prosody":null,"timbre":null},'
    '"nonLinguisticEvents":{"description":"A door opens",'
    '"discreteEvents":[{"label":"door","characteristic":"creaks"}],"continuousEvents":[]}}'
)
DOOR = '{"label":"door","characteristic":"creaks"}'
LEAN = SAP.parse(PLAIN)

# Each: a text that means PLAIN, and every repair.
SAME = {
    "fence": (f"```json\n{PLAIN}\n```", ["code fence removed"]),
    "fence without a language": (f"```\n{PLAIN}\n```\n", ["code fence removed"]),
    "fence that never ends": (f"```json\n{PLAIN}", ["code fence removed"]),
    "byte order mark": ("\ufeff" + PLAIN, ["byte order mark removed"]),
    "text around": (
        f"Sure {{as asked}}:\n{PLAIN}\nAnything else?",
        ["text before the JSON removed", "text behind the JSON removed"],
    ),
    "text around a fence": (
        f"Here:\n```json\n{PLAIN}\n```\nDone.",
        ["code fence removed", "text before the JSON removed", "text behind the JSON removed"],
    ),
    "wrapped": (
        f'{{"sap": {PLAIN}}}',
        ["text before the JSON removed", "text behind the JSON removed"],
    ),
    "draft before": (
        PLAIN.replace("Come in", "Come") + "\n" + PLAIN,
        ["2 SAP objects in the text: the last one counts", "text before the JSON removed"],
    ),
    "trailing commas": (
        PLAIN.replace("}]", "},]").replace("null}", "null,}"),
        ["a trailing comma removed (2 times)"],
    ),
    "doubled comma": (PLAIN.replace(',"age', '"age').replace('"Male",', '"Male",,'),
                      ["a doubled comma removed"]),
    "missing comma": (PLAIN.replace('"Adult",', '"Adult"\n'), ["a missing comma added"]),
    "comments": (
        PLAIN.replace('"age"', '// voice\n"age"').replace('"timbre"', '/* no */"timbre"'),
        ["a comment removed (2 times)"],
    ),
    "single quotes": (
        PLAIN.replace('"', "'"),
        ["strings in ' put into double quotation marks (21 times)"],
    ),
    "typographic quotes": (
        PLAIN.replace('"Male"', "\u201cMale\u201d"),
        ["strings in \u201c put into double quotation marks"],
    ),
    "bare key": (PLAIN.replace('"age"', "age"), ["a key without quotation marks accepted"]),
    "bare word": (PLAIN.replace('"Male"', "Male"), ["a word without quotation marks read as text"]),
    "Python": (PLAIN.replace("null", "None"), ["None read as null (3 times)"]),
    "wrong escape": (
        PLAIN.replace("Come in", r"Come \in"),
        ["a wrong escape in a text read as the letter itself"],
    ),
    "half a character": (
        PLAIN.replace("Come in", r"Come in\ud83d").replace("null}", "null,}"),
        ["half a character in a text removed", "a trailing comma removed"],
    ),
    "key twice": (
        PLAIN.replace('"age"', '"age":"Child","age"'),
        ["the key 'age' stands twice: the last one counts"],
    ),
    "keys of another style": (
        PLAIN.replace("nonLinguisticEvents", "non_linguistic_events").replace("age", "Age"),
        [
            "nonLinguisticEvents: key 'non_linguistic_events' renamed",
            "paralinguistics.age: key 'Age' renamed",
        ],
    ),
    "unknown key": (
        PLAIN.replace('"age"', '"mood":"calm","age"'),
        ["paralinguistics.mood: unknown key removed"],
    ),
    "voice beside": (
        PLAIN.replace('"age":"Adult",', "").replace('{"transc', '{"age":"Adult","transc'),
        ["paralinguistics.age: moved into paralinguistics"],
    ),
    "voice missing": (
        PLAIN.replace(',"timbre":null', ""),
        ["paralinguistics.timbre: missing, null written"],
    ),
    "voice unknown": (
        PLAIN.replace('"timbre":null', '"timbre":"N/A"'),
        ["paralinguistics.timbre: 'N/A' replaced by null"],
    ),
    "transcription in pieces": (
        PLAIN.replace('"Come in"', '["Come","in"]'),
        ["transcription: list of texts joined"],
    ),
    "age in years": (
        PLAIN.replace("Adult", "about 35 years"),
        ["paralinguistics.age: 'about 35 years' replaced by Adult"],
    ),
    "gender": (
        PLAIN.replace("Male", "a man"),
        ["paralinguistics.gender: 'a man' replaced by Male"],
    ),
    "emotion": (
        PLAIN.replace("Neutral", "Anxiety"),
        ["paralinguistics.emotion: 'Anxiety' replaced by Neutral"],
    ),
    "events missing": (
        PLAIN.replace(',"continuousEvents":[]', ""),
        ["nonLinguisticEvents.continuousEvents: null or missing, empty list written"],
    ),
    "events none": (
        PLAIN.replace("[]", '"None"'),
        ["nonLinguisticEvents.continuousEvents: 'None' replaced by an empty list"],
    ),
    "event none": (
        PLAIN.replace("[]", '[{"label":"none","characteristic":""}]'),
        ["nonLinguisticEvents.continuousEvents.0: event without a label removed"],
    ),
    "one event": (
        PLAIN.replace(f"[{DOOR}]", DOOR),
        ["nonLinguisticEvents.discreteEvents: a single event put into a list"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_a_faulty_form_is_put_right_and_every_repair_is_told(case):
    text, repairs = SAME[case]
    sap, told = SAP.parse_lenient(text)
    assert sap == LEAN
    assert [str(repair) for repair in told] == repairs
    with pytest.raises(SapError):
        SAP.parse(text)


def test_bare_quotation_marks_and_line_breaks_stay_in_the_text():
    text = PLAIN.replace("Come in", 'He said "come in", "now", and\nleft')
    sap, told = SAP.parse_lenient(text)
    assert sap.transcription == 'He said "come in", "now", and\nleft'
    assert [str(repair) for repair in told] == [
        "a bare quotation mark inside a text kept (4 times)",
        "a raw line break or control character in a text escaped",
    ]


def test_apostrophes_stay_in_texts_of_single_quotes():
    sap, _ = SAP.parse_lenient(PLAIN.replace("Come in", "It's 5' tall").replace('"', "'"))
    assert sap.transcription == "It's 5' tall"


def test_escapes_are_read_as_in_json():
    text = PLAIN.replace("Come in", r"a\"b\\c\n\u00e4\ud83d\ude00").replace("null}", "null,}")
    assert SAP.parse_lenient(text)[0].transcription == 'a"b\\c\nä😀'


def test_what_is_missing_in_a_scene_is_filled_from_the_scene():
    text = '{"transcription": null, "paralinguistics": null, "nonLinguisticEvents": %s}'
    sap, told = SAP.parse_lenient(text % '{"discreteEvents": ["dog", "bell"]}')
    assert sap.nonLinguisticEvents.description == "dog, bell"
    assert [event.characteristic for event in sap.nonLinguisticEvents.discreteEvents] == [
        "unspecified"
    ] * 2
    assert "nonLinguisticEvents.description: missing, the labels written" in map(str, told)
    quiet, _ = SAP.parse_lenient(text % '{"description": "", "discreteEvents": []}')
    assert quiet.nonLinguisticEvents.description == "No distinct sounds."
    assert set(quiet.paralinguistics.model_dump().values()) == {None}


SCENE = PLAIN[: PLAIN.index(',"nonL')]
REFUSED = {
    "empty": ("", "the text is empty, not a JSON object"),
    "no object": ("A dog barks.", "there is no JSON object in the text"),
    "another object": (
        '{"a": 1, "b": 2}',
        "the JSON object has none of the keys of a SAP",
    ),
    "cut in a text": (PLAIN[:200], "the JSON breaks off inside a text"),
    "cut in a list": (PLAIN[: PLAIN.index("]")], "the JSON breaks off before its last bracket"),
    "cut before the scene": (SCENE, "the JSON breaks off before its last bracket"),
    "closed before the scene": (
        SCENE + "}",
        "nonLinguisticEvents is missing: it must be an object",
    ),
    "scene null": (
        SCENE + ',"nonLinguisticEvents":null}',
        "nonLinguisticEvents is missing: it must be an object",
    ),
    "scene a text": (
        SCENE + ',"nonLinguisticEvents":"a dog"}',
        "nonLinguisticEvents is the text 'a dog': it must be an object",
    ),
    "wrong bracket": (PLAIN.replace("]", "}", 1), "the text is not JSON at line 1, column "),
    "no colon": (PLAIN.replace('"age":', "age "), "the text is not JSON at line 1, column "),
    "transcription an object": (
        PLAIN.replace('"Come in"', '{"text":"Come in"}'),
        "transcription is an object: it must be text or null",
    ),
    "age true": (
        PLAIN.replace('"Adult"', "true"),
        "paralinguistics.age is true: it must be Child, Adult, Elderly or null",
    ),
    "label a number": (
        PLAIN.replace('"label":"door"', '"label":5'),
        "nonLinguisticEvents.discreteEvents.0.label is a number: it must be text",
    ),
    "events true": (
        PLAIN.replace("[]", "true"),
        "nonLinguisticEvents.continuousEvents is true: it must be a list of events",
    ),
    "too deep": ('{"transcription":[' * 50, "the text is not JSON at line 1, column "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_certain_repair_is_refused_by_name(case):
    text, message = REFUSED[case]
    with pytest.raises(SapError) as caught:
        SAP.parse_lenient(text)
    assert str(caught.value).startswith(message)
    with pytest.raises(SapError):
        SAP.parse(text, lenient=True)


def test_no_cut_text_is_ever_completed():
    for end in range(1, len(PLAIN)):
        with pytest.raises(SapError):
            SAP.parse_lenient(PLAIN[:end])


@pytest.mark.parametrize("piece", ["{", '{"a', "{'", '{"a":', '{"a":[', "{/*", '{"a":"x" ,'])
def test_long_nonsense_is_refused(piece):
    with pytest.raises(SapError):
        SAP.parse_lenient(piece * 5_000)


@pytest.mark.parametrize(
    ("said", "nearest"),
    [
        ("Frustration", "Sadness"),
        ("Anxiety", "Neutral"),
        ("Affectionate", "Happiness"),
        ("Exasperated", "Anger"),
        ("Sarcasm", "Disgust"),
        ("Confusion", "Surprise"),
        ("happy", "Happiness"),
        ("FEAR", "Fear"),
        ("mildly annoyed, then calm", "Anger"),
        ("not angry", "Neutral"),
        ("not happy but sad", "Sadness"),
        ("Wistful7", "Neutral"),
    ],
)
def test_an_emotion_outside_the_seven_goes_to_the_nearest(said, nearest):
    assert nearest_emotion(said) == nearest


def test_ages_and_genders_go_to_the_nearest_or_to_none():
    ages = {"teenager": "Child", "17": "Child", "18": "Adult", "59 years": "Adult", "60": "Elderly"}
    ages |= {"old man": "Elderly", "young woman": "Adult", "ADULT": "Adult", "alien": None}
    assert {said: nearest_age(said) for said in ages} == ages
    genders = {"M": "Male", "woman": "Female", "Male and female": None, "robot": None}
    assert {said: nearest_gender(said) for said in genders} == genders
