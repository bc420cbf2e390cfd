"""The closed sets of SAP, and the member nearest to a word outside them.

Sets and the first six emotions of the mapping: reference page section 3; the other words: ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeVar, get_args

__all__ = [
    "AGES",
    "EMOTIONS",
    "GENDERS",
    "Age",
    "Emotion",
    "Gender",
    "is_unknown",
    "nearest_age",
    "nearest_emotion",
    "nearest_gender",
]

Age = Literal["Child", "Adult", "Elderly"]
Gender = Literal["Male", "Female"]
Emotion = Literal["Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"]

AGES: tuple[Age, ...] = get_args(Age)
GENDERS: tuple[Gender, ...] = get_args(Gender)
EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)

_Member = TypeVar("_Member", bound=str)

_UNKNOWN = {
    "", "-", "?", "n/a", "na", "none", "nil", "null", "unknown", "unspecified", "unclear",
    "undetermined", "indeterminate", "not applicable", "not available", "not specified",
    "cannot be determined",
}  # fmt: skip

_EMOTION_WORDS: dict[Emotion, str] = {
    "Anger": """anger angry exasperated exasperation irritated irritation irritable annoyed
        annoyance furious fury rage enraged outraged outrage mad hostile hostility aggressive
        aggression indignant indignation resentful resentment impatient impatience heated
        confrontational""",
    "Disgust": """disgust disgusted sarcasm sarcastic contempt contemptuous disdain disdainful
        scorn scornful revulsion repulsed repulsion aversion mocking mockery cynical cynicism
        loathing""",
    "Fear": """fear fearful afraid scared frightened terror terrified panic panicked panicky
        horror horrified dread alarmed alarm threatened""",
    "Happiness": """happiness happy affectionate affection joy joyful joyous cheerful cheer
        excited excitement amused amusement delighted delight pleased pleasure content contentment
        contented love loving tender tenderness warm warmth friendly enthusiastic enthusiasm
        playful elated elation euphoric proud pride grateful gratitude hopeful hope optimistic
        relieved relief humorous laughing upbeat lively satisfied satisfaction admiration
        flirtatious""",
    "Neutral": """neutral anxiety anxious calm calmness relaxed serious formal informative
        indifferent indifference bored boredom nervous nervousness tense tension worried worry
        concerned concern uneasy thoughtful contemplative pensive matter-of-fact professional
        composed serene focused determined confident flat""",
    "Sadness": """sadness sad frustration frustrated sorrow sorrowful grief grieving melancholy
        melancholic depressed depression disappointed disappointment lonely loneliness despair
        desperate hopeless regret regretful remorse remorseful guilt guilty ashamed shame unhappy
        gloomy heartbroken hurt crying tearful mournful nostalgic nostalgia pain anguish
        distressed distress weary resigned apologetic""",
    "Surprise": """surprise surprised confusion confused astonished astonishment amazed amazement
        shock shocked startled curious curiosity puzzled bewildered bewilderment perplexed
        disbelief incredulous awe wonder unexpected""",
}
_AGE_WORDS: dict[Age, str] = {
    "Child": "child childlike childish kid kids boy girl baby infant toddler teen teenage teenager "
    "adolescent youth minor",
    "Adult": "adult young middle-aged man woman mature grown-up twenties thirties forties fifties",
    "Elderly": "elderly elder old aged senior pensioner grandmother grandfather sixties seventies "
    "eighties nineties",
}
_GENDER_WORDS: dict[Gender, str] = {
    "Male": "male man boy m masculine gentleman guy men",
    "Female": "female woman girl f feminine lady women",
}


def is_unknown(text: str) -> bool:
    """Whether a text only says that nothing is known: 'none', 'N/A', 'unknown', white space."""
    return text.strip().strip("()[]<>.").strip().casefold() in _UNKNOWN


def nearest_emotion(text: str) -> Emotion:
    """The emotion that a text names first ('mildly annoyed' → Anger), else Neutral.

    A word after 'not', 'no' or 'without' does not count.
    """
    named = _named(text, _EMOTION_WORDS)
    return named[0] if named else "Neutral"


def nearest_age(text: str) -> Age | None:
    """The age group that a text names first; a number of years under 18 is Child, from 60 Elderly.

    None when the text names none.
    """
    years = re.search(r"\d+", text)
    if years:
        number = int(years[0][:4])
        return "Child" if number < 18 else "Adult" if number < 60 else "Elderly"
    named = _named(text, _AGE_WORDS)
    return named[0] if named else None


def nearest_gender(text: str) -> Gender | None:
    """The gender that a text names; None when it names none or both."""
    named = set(_named(text, _GENDER_WORDS))
    return named.pop() if len(named) == 1 else None


def _named(text: str, table: Mapping[_Member, str]) -> list[_Member]:
    """Members of the set that the words of `text` stand for, in order."""
    members = {word: member for member, words in table.items() for word in words.split()}
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", text.casefold())
    denied = {"not", "no", "without", "non"}
    return [
        members[word]
        for before, word in zip(["", *words], words, strict=False)
        if word in members and before not in denied
    ]
