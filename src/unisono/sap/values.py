"""The closed sets of SAP: ages, genders, emotions (reference page section 3)."""

from __future__ import annotations

from typing import Literal, get_args

Age = Literal["Child", "Adult", "Elderly"]
Gender = Literal["Male", "Female"]
Emotion = Literal["Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"]

AGES: tuple[str, ...] = get_args(Age)
GENDERS: tuple[str, ...] = get_args(Gender)
EMOTIONS: tuple[str, ...] = get_args(Emotion)
