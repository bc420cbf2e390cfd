"""Text to JSON object: strictly by the standard, or leniently as language models write it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from unisono.sap.errors import SapError
from unisono.sap.repair import Repair, plain
from unisono.sap.tolerant import NotJson, TolerantReader

__all__ = ["kind", "read_object", "search_object"]

_TRIES = 64
"""Opening braces of a text that are tried as the start of an object."""

_PASSES = 4
"""How often a text may be gone over in all: nonsense takes time linear in its length."""


def read_object(text: str) -> dict[str, Any]:
    """The JSON object that `text` is: no duplicate keys, no NaN, nothing around it."""
    if not text.strip():
        raise SapError("the text is empty, not a JSON object")
    if text.startswith("\ufeff"):
        raise SapError("the text starts with a byte order mark, not with a JSON object")
    if text.lstrip().startswith("```"):
        raise SapError("the text starts with a code fence, not with a JSON object")
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        reason = error.msg.removesuffix(" at").removesuffix(" starting")
        reason = reason[:1].lower() + reason[1:]
        raise SapError(f"the text is not JSON at {place}: {reason}") from None
    except RecursionError:
        raise SapError("the JSON is nested too deeply to be a SAP") from None
    except ValueError:  # an integer of thousands of digits
        raise SapError("the JSON holds a number too long to be read") from None
    if not isinstance(value, dict):
        raise SapError(f"the JSON is {kind(value)}, not an object")
    return value


def search_object(text: str, keys: Collection[str]) -> tuple[dict[str, Any], list[Repair]]:
    """The last object in `text` that has one of `keys` (as `plain` writes them), and the repairs.

    Raises `SapError` when there is none, or when it breaks off before its end: what is missing
    must not be taken for "nothing there".
    """
    try:
        value = read_object(text)
        if any(plain(key) in keys for key in value):
            return value, []
        strict = SapError(f"the JSON object has none of the keys of a SAP, but {_list(value)}")
    except SapError as error:
        strict = error
    found: tuple[int, TolerantReader, dict[str, Any]] | None = None
    fault: NotJson | None = None
    objects, spent, start = 0, 0, text.find("{")
    if start < 0 and text.strip():
        raise SapError("there is no JSON object in the text")
    for _ in range(_TRIES):
        if start < 0 or spent > _PASSES * len(text):
            break
        reader = TolerantReader(text, start)
        after = start + 1
        try:
            value = reader.read()
        except NotJson as error:
            fault = fault or error
        else:
            # An object without our keys may be a wrapper: look inside.
            if any(plain(key) in keys for key in value):
                found, objects, after = (start, reader, value), objects + 1, reader.position
        spent += reader.position - start
        start = text.find("{", after)
    if found is None:
        raise SapError(str(fault)) if fault else strict
    first, reader, value = found
    around = list(_around(text[:first], text[reader.position :], objects))
    return value, around + reader.repairs()


def kind(value: object) -> str:
    """What a JSON value is, in words for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {_short(value)!r}" if value.strip() else "an empty text"
    names = {int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), f"of type {type(value).__name__}")


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _list(names: Collection[str]) -> str:
    shown = ", ".join(repr(_short(name)) for name in list(names)[:5])
    return shown + ("" if len(names) <= 5 else ", ...") if names else "no key"


def _around(before: str, behind: str, objects: int) -> Iterator[Repair]:
    if objects > 1:
        yield Repair("", f"{objects} SAP objects in the text: the last one counts")
    if "```" in before or "```" in behind:
        yield Repair("", "code fence removed")
    fence = "`\ufeff \t\r\n"
    if before.strip(fence).removesuffix("json").removesuffix("JSON").strip(fence):
        yield Repair("", "text before the JSON removed")
    if "\ufeff" in before:
        yield Repair("", "byte order mark removed")
    if behind.strip(fence):
        yield Repair("", "text behind the JSON removed")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a key that stands twice is refused, where `json` would keep the last."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SapError(f"the key {_short(twice)!r} stands twice in one object")
    return members


def _no_constant(name: str) -> Any:
    raise SapError(f"the JSON holds {name}, which the standard does not know")
