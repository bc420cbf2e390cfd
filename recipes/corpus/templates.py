"""Short everyday and telephone-like sentences from templates with a large vocabulary (ours)."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator, Sequence

from recipes.corpus.text import english_number

_LISTS = {
    "name": "Anna Brian Carla David Elena Frank Grace Henry Irene Jacob Karen Louis Maria Nathan "
    "Olivia Peter Quentin Rachel Simon Teresa Ursula Victor Wendy Xavier Yvonne Zachary Hannah "
    "Thomas Judith Edward Sophie Gordon Naomi Patrick Beatrice Oscar Felicity Hugo Martha Ivan",
    "place": "London Berlin Paris Boston Chicago Dublin Toronto Sydney Vienna Prague Warsaw "
    "Lisbon Madrid Oslo Helsinki Athens Cairo Nairobi Delhi Tokyo Montreal Denver Houston "
    "Portland Phoenix Geneva Zurich Bristol Oxford Cambridge Edinburgh Glasgow Melbourne",
    "noun": "table window garden kitchen bottle letter camera bicycle umbrella mirror blanket "
    "hammer ladder candle basket pencil notebook jacket sweater bucket kettle engine bridge "
    "river mountain forest island village market harbour station library museum theatre school "
    "hospital office account password package invoice receipt ticket contract calendar computer "
    "keyboard printer battery charger telephone speaker microphone picture painting guitar piano "
    "violin drum sandwich breakfast orange banana cheese butter bread pepper sugar coffee chicken "
    "horse squirrel rabbit spider butterfly elephant tiger dolphin penguin thunder weather shadow",
    "adjective": "small large heavy gentle narrow yellow purple ancient modern broken careful "
    "quiet noisy bright gloomy frozen wooden golden simple curious honest clever thirsty hungry "
    "dusty smooth rough expensive cheap famous foreign hollow icy jolly lonely muddy nervous "
    "ordinary polite rusty shallow sturdy tender useful vague weary young zealous enormous tiny",
    "verb": "open close repair paint carry measure borrow deliver examine forget gather hide "
    "ignore join kick lift mention notice order polish question remember sell throw unpack visit "
    "wash admire burn choose describe exchange finish guard heat inspect move push replace shake",
    "past": "opened closed repaired painted carried measured borrowed delivered examined forgot "
    "gathered hid ignored joined kicked lifted mentioned noticed ordered polished questioned "
    "remembered sold threw unpacked visited washed admired burned chose described exchanged",
    "adverb": "slowly quickly quietly carefully suddenly usually probably finally gladly rarely "
    "barely boldly calmly eagerly firmly generously happily justly kindly loudly neatly often",
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "month": "January February March April May June July August September October November "
    "December",
    "weather": "sunny cloudy rainy windy foggy stormy snowy warm chilly humid freezing mild",
    "ordinal": "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
    "team": "sales billing support repairs shipping marketing research security payroll travel",
}

_TEMPLATES = """
Please {verb} the {adjective} {noun} before {day}.
Could you {verb} my {noun} on {day} the {ordinal} of {month}?
{name} {past} the {noun} {adverb}.
The {noun} in {place} costs {number} dollars.
Thank you for calling the {team} desk in {place}.
{name} from {team} will call you back in {small} minutes.
Your {noun} should arrive on {day} at {small} thirty.
To reach the {team} office, say {word} now.
If you would rather {verb} a {noun}, stay on the line.
The weather in {place} is {weather} and {weather} today.
We could not find the {adjective} {noun} that you {past}.
My number is {digits}.
It is {small} o'clock and the {noun} is still {adjective}.
Why did {name} {verb} the {noun} so {adverb}?
The word {word} is spelled with the letter {letter}.
Nobody in {place} has ever {past} such a {adjective} {noun}.
Leave the {noun} beside the {noun} and {verb} it again tomorrow.
There are {number} people waiting for a {noun}.
{name} and {name} {past} a {adjective} {noun} near {place}.
Do not {verb} the {noun}; it is {adjective} and {adjective}.
Flight {digits} to {place} leaves from gate {small}.
Turn left at the {noun}, then {adverb} walk {number} metres.
Is the {noun} {adjective} or {adjective}?
The {team} meeting moved from {day} to {day}.
Say the words {word}, {word} and {word}.
She said {word}, but he heard {word}.
On {day} we {past} {small} {noun}s in {place}.
Wait a moment while {name} tries to {verb} your {noun}.
I would like to {verb} the {adjective} {noun}, please.
Enter the code {digits} and {verb} the {noun}.
A {adjective} {noun} is better than a {adjective} {noun}.
{word}, {word}, and finally {word}.
Tell {name} that the {noun} is ready.
What a {adjective} {noun}!
Call {name} at {digits}.
How many {noun}s did you {verb} in {month}?
"""


def compose(rng: random.Random, dictionary: Sequence[str], count: int) -> Iterator[str]:
    """`count` sentences; `{word}` is any plain lower-case word of 3 to 12 letters of the list."""
    words = [word for word in dictionary if re.fullmatch(r"[a-z]{3,12}", word)]
    templates = _TEMPLATES.strip().splitlines()
    lists = {name: text.split() for name, text in _LISTS.items()}

    def fill(match: re.Match[str]) -> str:
        kind = match[1]
        if kind == "word":
            return rng.choice(words)
        if kind == "number":
            return english_number(int(10 ** rng.uniform(0.5, 4.5)))
        if kind == "small":
            return english_number(rng.randint(2, 12))
        if kind == "digits":
            return " ".join(english_number(rng.randint(0, 9)) for _ in range(rng.randint(3, 7)))
        if kind == "letter":
            return rng.choice(string.ascii_uppercase)
        return rng.choice(lists[kind])

    for _ in range(count):
        sentence = re.sub(r"\{(\w+)\}", fill, rng.choice(templates))
        sentence = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", sentence)
        yield sentence[0].upper() + sentence[1:]
