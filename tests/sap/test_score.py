import pytest

from unisono.sap.lexical import matches, same_sound, token_f1, words
from unisono.sap.schema import SAP
from unisono.sap.score import SapScores, score_clip, score_clips, score_texts


def sap(said="the cat sat", scene="A dog barks.", discrete=("dog",), lasting=(), **voice):
    known = dict.fromkeys(("age", "gender", "emotion", "accent", "prosody", "timbre"))
    return SAP.from_object(
        {
            "transcription": said,
            "paralinguistics": known | voice,
            "nonLinguisticEvents": {
                "description": scene,
                "discreteEvents": [{"label": name, "characteristic": "x"} for name in discrete],
                "continuousEvents": [{"label": name, "characteristic": "x"} for name in lasting],
            },
        }
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It's a well-known fact!", ["its", "a", "well", "known", "fact"]),
        ("你好, World", ["你", "好", "world"]),
        ("かな ok", ["か", "な", "ok"]),
        ("ＡＢＣ １２", ["abc", "12"]),
        ("…?!", []),
    ],
)
def test_words_without_case_and_punctuation_and_chinese_by_character(text, found):
    assert words(text) == found


@pytest.mark.parametrize(
    ("one", "other", "f1"),
    [
        ("a dog", "the dog", 1.0),
        ("dog", "dog barking", 2 / 3),
        ("fast and loud", "slow and loud", 2 / 3),
        ("rain rain", "rain", 2 / 3),
        ("car", "vehicle", 0.0),
        ("dripping", "drips", 1.0),
        ("barked", "barks", 1.0),
        ("glass", "glasses", 1.0),
        ("raking", "rake", 1.0),
        ("the", "a", 0.0),
        ("!", "?", 1.0),
        ("!", "dog", 0.0),
    ],
)
def test_token_f1_by_hand(one, other, f1):
    assert token_f1(one, other) == pytest.approx(f1)
    assert token_f1(other, one) == pytest.approx(f1)


def test_labels_are_matched_one_to_one_and_as_many_as_possible():
    assert same_sound("dog", "dog barking") and not same_sound("dog", "small dog barking loudly")
    # 'dog bark' fits both; taken first by 'dog', it must give way to 'bark'.
    assert matches(["dog bark", "dog"], ["dog", "tree bark"]) == 2
    assert matches(["dog", "dogs"], ["dog"]) == 1
    assert matches([], ["dog"]) == matches(["dog"], []) == 0


def test_an_equal_sap_has_every_point():
    true = sap(age="Adult", accent="Scottish", lasting=("rain",))
    figures = score_clip(true, true).to_dict()
    nothing = {"value": None, "count": 0}
    for name in ("gender", "emotion"):
        assert figures.pop(f"{name} (known)") == figures.pop(f"{name} (balanced)") == nothing
    for name in ("prosody", "timbre"):
        assert figures.pop(f"{name} f1 (known)") == nothing
    assert figures.pop("wer") == {"value": 0.0, "count": 3}
    assert len(figures) == 23
    assert {name for name, figure in figures.items() if figure["value"] != 1.0} == set()


def test_scores_of_three_clips_by_hand():
    scores = score_clips(
        [
            # One of three words wrong; one of two events found, one invented.
            (
                sap("the cat sits", gender="Male", emotion="Neutral", discrete=("dog", "horn")),
                sap("the cat sat", gender="Male", emotion="Anger", discrete=("dog", "bell")),
            ),
            # No speech, none told; rain told as the wrong kind.
            (
                sap(None, discrete=("rain",), scene="rain"),
                sap(None, discrete=(), lasting=("rain",), scene="steady rain"),
            ),
            # Not readable: everything wrong, five words missed, one event missed.
            (None, sap("one two three four five", gender="Female", emotion="Neutral")),
        ]
    )
    assert (scores.clips, scores.valid, scores.readable) == (3, 2, 2)
    assert (scores.transcription.edits, scores.transcription.words) == (6, 8)
    assert scores.spoken.value == pytest.approx(2 / 3)
    assert scores.closed["gender"].value == pytest.approx(2 / 3)
    assert scores.closed["gender"].value_known == pytest.approx(1 / 2)
    assert scores.closed["emotion"].value == pytest.approx(1 / 3)
    assert scores.closed["age"].value == pytest.approx(2 / 3)
    assert scores.closed["age"].value_known is None
    assert scores.balanced("gender") == pytest.approx(1 / 2)
    assert scores.balanced("emotion") == 0.0
    assert scores.confusion["emotion"] == {
        ("Anger", "Neutral"): 1,
        (None, None): 1,
        ("Neutral", "(unreadable)"): 1,
    }
    assert scores.free["accent"].value == pytest.approx(2 / 3)
    # 1 for the equal text, 2/3 for one of two words, 0 for the unreadable answer.
    assert scores.free["description"].value == pytest.approx((1 + 2 / 3 + 0) / 3)
    events = scores.events
    assert (events["discrete"].matched, events["discrete"].predicted) == (1, 3)
    assert events["discrete"].true == 3
    assert (events["continuous"].precision, events["continuous"].recall) == (None, 0.0)
    assert (events["all"].matched, events["all"].predicted, events["all"].true) == (2, 3, 4)
    assert events["all"].f1 == pytest.approx(4 / 7)


def test_balanced_accuracy_sees_a_model_that_always_says_the_same():
    pairs = [(sap(emotion="Neutral"), sap(emotion="Neutral"))] * 9
    pairs.append((sap(emotion="Neutral"), sap(emotion="Fear")))
    scores = score_clips(pairs)
    assert scores.closed["emotion"].value == pytest.approx(0.9)
    assert scores.balanced("emotion") == pytest.approx(0.5)
    assert SapScores().balanced("emotion") is None


def test_words_invented_where_nobody_speaks_are_told_apart_from_errors():
    scores = score_clip(sap("hello there"), sap(None))
    assert scores.transcription.rate is None
    assert scores.spoken.value == 0.0


def test_a_silent_answer_misses_every_word():
    assert score_clip(sap(None), sap("one two")).transcription.rate == 1.0
    assert score_clip(sap("..."), sap("one two")).transcription.rate == 1.0
    assert score_clip(sap("你好吗"), sap("你 好 吧。")).transcription.rate == pytest.approx(1 / 3)


def test_a_null_for_free_text_is_right_only_where_the_truth_is_null():
    for predicted, true, points in ((None, None, 1), (None, "a", 0), ("a", None, 0)):
        scores = score_clip(sap(timbre=predicted), sap(timbre=true))
        assert scores.free["timbre"].value == points


def test_a_label_that_stands_twice_counts_once():
    events = score_clip(sap(discrete=("Dog", "dog!", "dog")), sap(discrete=("dog",))).events
    assert (events["discrete"].precision, events["discrete"].recall) == (1.0, 1.0)


def test_parts_add_up_to_the_whole():
    pairs = [(sap("a b"), sap("a c", age="Child")), (None, sap()), (sap(None), sap(None))]
    parts = score_clips(pairs[:1]) + score_clips(pairs[1:])
    assert parts == score_clips(pairs) == score_clips(reversed(pairs))


def test_texts_are_valid_only_when_strict_parsing_takes_them():
    true = sap()
    strict, fenced = true.canonical(), f"```json\n{true.canonical()}\n```"
    texts = [strict, fenced, "no idea"]
    scores = score_texts(texts, [true] * 3)
    assert (scores.clips, scores.valid, scores.readable) == (3, 1, 1)
    assert scores.transcription.rate == pytest.approx(2 / 3)
    lenient = score_texts(texts, [true] * 3, lenient=True)
    assert (lenient.clips, lenient.valid, lenient.readable) == (3, 1, 2)
    assert lenient.transcription.rate == pytest.approx(1 / 3)
    assert lenient.to_dict()["valid"] == {"value": pytest.approx(1 / 3), "count": 3}


def test_each_text_needs_its_truth():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        score_texts(["a", "b"], [sap()])


def test_no_clips_give_no_figures():
    assert SapScores().to_dict()["wer"] == {"value": None, "count": 0}
