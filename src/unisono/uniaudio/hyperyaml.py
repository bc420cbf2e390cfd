"""HyperPyYAML as data: `!new:`, `!name:`, `!apply:`, `!ref` become plain nodes; nothing is built.

Released decoder configs are written in HyperPyYAML, whose own loader imports and calls whatever
the file names. This one only reads: a tag outside these four (`!!python/object` and the like) is
an error, and so is a class that is not on the caller's list.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from unisono.errors import ConfigError

_REFERENCE = re.compile(r"<([^<>]+)>")
_SUM = re.compile(r"\s*(\S+)\s+(\*|//|/|\+|-)\s+(\S+)\s*")
_MAX_BYTES, _MAX_NODES = 1_000_000, 20_000


@dataclass(frozen=True)
class Node:
    """What a tag says: kind ("new", "name", "apply"), dotted target, arguments as data."""

    kind: str
    target: str
    arguments: Any

    @property
    def name(self) -> str:
        """Last part of the dotted target."""
        return self.target.rpartition(".")[2]


@dataclass(frozen=True)
class _Reference:
    text: str


def read_hyperyaml(path: Path) -> dict[str, Any]:
    """The mapping in `path`, references resolved, tags as `Node`; `ConfigError` for the rest."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text ({error}).") from error
    if len(text) > _MAX_BYTES:
        raise ConfigError(f"{path} is too large for a config ({len(text)} characters).")
    try:
        raw = yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, RecursionError) as error:
        reason = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise ConfigError(
            f"{path} was refused: {reason}; only plain data and the tags !new, !name, !apply and "
            "!ref are read."
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} is not a mapping of names to values.")
    return _Resolver(path, raw).all()


def plain(value: Any, allowed: Collection[str], path: Path) -> Any:
    """`value` with every node of an allowed class replaced by its arguments; others are refused."""
    if isinstance(value, Node):
        if value.kind != "new" or value.name not in allowed:
            raise ConfigError(
                f"{path} asks for '{value.target}', which unisono does not know; known classes: "
                f"{', '.join(sorted(allowed))}."
            )
        return plain(value.arguments, allowed, path)
    if isinstance(value, dict):
        return {key: plain(entry, allowed, path) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry, allowed, path) for entry in value]
    return value


def nodes(value: Any) -> list[Node]:
    """Every node inside `value`, outermost first."""
    if isinstance(value, Node):
        return [value, *nodes(value.arguments)]
    if isinstance(value, dict):
        return [node for entry in value.values() for node in nodes(entry)]
    if isinstance(value, list):
        return [node for entry in value for node in nodes(entry)]
    return []


def _loader() -> type[yaml.SafeLoader]:
    """SafeLoader plus the four tags and floats such as 1e-06, without changing anything global."""

    class Loader(yaml.SafeLoader):
        pass

    for kind in ("new", "name", "apply"):
        Loader.add_multi_constructor(f"!{kind}:", _tagged(kind))
    Loader.add_constructor("!ref", _reference)
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )
    return Loader


def _tagged(kind: str) -> Any:
    def construct(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Node:
        return Node(kind, suffix, _content(loader, node))

    return construct


def _reference(loader: yaml.SafeLoader, node: yaml.Node) -> _Reference:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "!ref takes one line", node.start_mark)
    return _Reference(str(loader.construct_scalar(node)))


def _content(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return {}


class _Resolver:
    """Replaces references; bounded in depth and in number of values."""

    def __init__(self, path: Path, raw: dict[str, Any]) -> None:
        self._path, self._raw, self._count = path, raw, 0

    def all(self) -> dict[str, Any]:
        return {str(key): self._value(value, ()) for key, value in self._raw.items()}

    def _value(self, value: Any, trail: tuple[str, ...]) -> Any:
        self._count += 1
        if self._count > _MAX_NODES:
            raise ConfigError(f"{self._path} unfolds to too many values to be a config.")
        if isinstance(value, _Reference):
            return self._referred(value.text, trail)
        if isinstance(value, Node):
            return Node(value.kind, value.target, self._value(value.arguments, trail))
        if isinstance(value, dict):
            return {str(key): self._value(entry, trail) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value(entry, trail) for entry in value]
        return value

    def _referred(self, text: str, trail: tuple[str, ...]) -> Any:
        whole = _REFERENCE.fullmatch(text.strip())
        if whole:
            return self._lookup(whole.group(1), trail)
        if sums := _SUM.fullmatch(text):
            left, right = (self._operand(sums.group(i), trail) for i in (1, 3))
            if isinstance(left, (int, float)) and isinstance(right, (int, float)):
                return _calculate(left, sums.group(2), right, self._path)
        return _REFERENCE.sub(lambda m: str(self._lookup(m.group(1), trail)), text)

    def _operand(self, text: str, trail: tuple[str, ...]) -> Any:
        whole = _REFERENCE.fullmatch(text)
        return self._lookup(whole.group(1), trail) if whole else yaml.safe_load(text)

    def _lookup(self, name: str, trail: tuple[str, ...]) -> Any:
        if name in trail or len(trail) > 20:
            raise ConfigError(f"{self._path}: the reference <{name}> leads back to itself.")
        value: Any = self._raw
        for key in filter(None, re.split(r"[.\[\]]", name)):
            if isinstance(value, Node):
                value = value.arguments
            if isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, dict) and key in value:
                value = value[key]
            else:
                raise ConfigError(f"{self._path}: the reference <{name}> names nothing.")
        return self._value(value, (*trail, name))


def _calculate(left: float, operator: str, right: float, path: Path) -> float:
    try:
        match operator:
            case "*":
                return left * right
            case "//":
                return left // right
            case "/":
                return left / right
            case "+":
                return left + right
            case _:
                return left - right
    except ZeroDivisionError as error:
        raise ConfigError(f"{path} divides by zero in a reference.") from error
