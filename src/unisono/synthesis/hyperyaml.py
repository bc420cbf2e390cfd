"""HyperPyYAML read as data: tags become plain nodes, nothing is ever imported or called.

The release's `decoder/config.yaml` names Python classes to build. Here a tag only records the
name, and a name outside the short list of what unisono implements (or what is harmless to skip)
is refused.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from unisono.errors import ConfigError

MAX_BYTES = 1_000_000
_MAX_NODES = 100_000
_MAX_DEPTH = 60

# Last components of dotted names: what `!new:` may ask for, and what other tags may mention
# (seeding and data loading of the training code, which plays no part in decoding).
_CLASSES = frozenset(
    {
        "MaskedDiffWithXvec",
        "ConformerEncoder",
        "BlockConformerEncoder",
        "InterpolateRegulator",
        "ConditionalCFM",
        "ConditionalDecoder",
        "HiFTGenerator",
        "ConvRNNF0Predictor",
        "DictConfig",
    }
)
_SEEDS = frozenset(
    {
        "random.seed",
        "numpy.random.seed",
        "torch.manual_seed",
        "torch.cuda.manual_seed",
        "torch.cuda.manual_seed_all",
    }
)
_FUNCTIONS = frozenset({"mel_spectrogram"})


@dataclass
class Node:
    """A tagged value: `kind` is "new", "apply" or "name"; `target` the dotted name it mentions."""

    kind: str
    target: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Last component of the dotted name."""
        return self.target.rpartition(".")[2]


@dataclass(frozen=True)
class _Ref:
    expression: str


def load_hyperyaml(path: str | Path) -> dict[str, Any]:
    """Read a HyperPyYAML file as a tree of dicts, lists, scalars and `Node`s, `!ref` resolved."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is larger than a config can be; is it the right file?")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text: {error}.") from error
    return parse_hyperyaml(text, str(path))


def parse_hyperyaml(text: str, source: str = "The config") -> dict[str, Any]:
    """Like `load_hyperyaml`, from text; `source` is named in errors."""
    try:
        tree = yaml.load(text, _Loader)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{source} is not a YAML that can be read as data: {reason}.") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{source} must hold named values, not {type(tree).__name__}.")
    try:
        return _Resolver(tree).tree()
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def decoder_configs(tree: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (flow config, vocoder config) for `FlowDecoder` and `HiFTVocoder`.from_reference.

    `tree` is a release's `decoder/config.yaml` as `load_hyperyaml` gives it.
    """
    flow = dict(_expect(tree, "flow", "MaskedDiffWithXvec"))
    hift = dict(_expect(tree, "hift", "HiFTGenerator"))
    encoder_node = flow.get("encoder")
    encoder = _expect(flow, "encoder", "ConformerEncoder", "BlockConformerEncoder")
    assert isinstance(encoder_node, Node)
    decoder = dict(_expect(flow, "decoder", "ConditionalCFM"))
    if isinstance(decoder.get("cfm_params"), Node):
        content = _expect(decoder, "cfm_params", "DictConfig").get("content", {})
        decoder["cfm_params"] = _plain(content, "cfm_params")
    decoder["estimator"] = _plain(_expect(decoder, "estimator", "ConditionalDecoder"), "estimator")
    # Left over from the reference's constructor; the nodes above hold what they say.
    for unused in ("decoder_conf", "mel_feat_conf"):
        flow.pop(unused, None)
    flow |= {
        "encoder_kind": "block" if encoder_node.name == "BlockConformerEncoder" else "conformer",
        "encoder": _plain(encoder, "encoder"),
        "length_regulator": _plain(
            _expect(flow, "length_regulator", "InterpolateRegulator"), "length_regulator"
        ),
        "decoder": decoder,
    }
    rate = hift.get("sampling_rate", 22050)
    flow["mel"] = {"rate": rate, "hop": _mel_hop(tree, hift)}
    hift["f0_predictor"] = _plain(
        _expect(hift, "f0_predictor", "ConvRNNF0Predictor"), "f0_predictor"
    )
    return _plain(flow, "flow"), _plain(hift, "hift")


def _mel_hop(tree: Mapping[str, Any], hift: Mapping[str, Any]) -> int:
    """Samples per mel frame: from the vocoder's upsampling, the only hop it can run at."""
    hop = dict(hift.get("istft_params", {"hop_len": 4})).get("hop_len", 4)
    for rate in hift.get("upsample_rates", (8, 8)):
        hop *= rate
    for value in tree.values():
        if isinstance(value, Node) and value.name == "mel_spectrogram":
            stated = value.kwargs.get("hop_size", hop)
            if stated != hop:
                raise ConfigError(f"The mel's hop_size {stated} is not the vocoder's hop {hop}.")
    return int(hop)


def _expect(tree: Mapping[str, Any], key: str, *names: str) -> dict[str, Any]:
    """Keyword arguments of the node `tree[key]`, which must be one of the classes `names`."""
    node = tree.get(key)
    if not isinstance(node, Node) or node.kind != "new" or node.name not in names:
        found = node.target if isinstance(node, Node) else type(node).__name__
        raise ConfigError(f"'{key}' must be a !new:…{' or '.join(names)}; it is {found}.")
    if node.args:
        raise ConfigError(f"'{key}' has arguments without names; write them as 'name: value'.")
    return node.kwargs


def _plain(value: Any, where: str) -> Any:
    """Check that no tagged node is left below."""
    if isinstance(value, Node):
        raise ConfigError(f"'{where}' asks for {value.target} where a plain value is expected.")
    if isinstance(value, dict):
        return {k: _plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, where) for v in value]
    return value


class _Loader(yaml.SafeLoader):
    """SafeLoader plus HyperPyYAML's tags as data; every other tag stays an error."""


# YAML 1.1 as PyYAML reads it takes 1e-06 for text; released configs mean the number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def _tagged(kind: str, known: Callable[[str], bool]) -> Callable[..., Node]:
    def build(loader: yaml.SafeLoader, target: str, node: yaml.Node) -> Node:
        if not known(target):
            raise ConfigError(
                f"it asks for '{target}' (!{kind}), which is none of the parts unisono knows; "
                "only decoders of the CosyVoice-1 family can be read."
            )
        if isinstance(node, yaml.MappingNode):
            pairs = loader.construct_mapping(node, deep=True)
            return Node(kind, target, kwargs={str(name): value for name, value in pairs.items()})
        if isinstance(node, yaml.SequenceNode):
            return Node(kind, target, args=loader.construct_sequence(node, deep=True))
        text = loader.construct_scalar(node)  # type: ignore[arg-type]
        return Node(kind, target, args=[text] if text else [])

    return build


def _reference(loader: yaml.SafeLoader, node: yaml.Node) -> _Ref:
    return _Ref(str(loader.construct_scalar(node)))  # type: ignore[arg-type]


def _last(target: str) -> str:
    return target.rpartition(".")[2]


_Loader.add_multi_constructor("!new:", _tagged("new", lambda t: _last(t) in _CLASSES))
_Loader.add_multi_constructor("!apply:", _tagged("apply", lambda t: t in _SEEDS))
_Loader.add_multi_constructor(
    "!name:", _tagged("name", lambda t: _last(t) in _CLASSES | _FUNCTIONS)
)
_Loader.add_constructor("!ref", _reference)


class _Resolver:
    """Replaces references by what they point at; loops and endless growth are refused."""

    _PLACE = re.compile(r"<([^<>\[\]]+)((?:\[[^\[\]<>]+\])*)>")

    def __init__(self, root: dict[str, Any]):
        self.root = root
        self.open: list[str] = []
        self.count = 0
        self.depth = 0

    def tree(self) -> dict[str, Any]:
        """The whole tree, resolved."""
        return self._walk(self.root)

    def _walk(self, value: Any) -> Any:
        self.count += 1
        if self.count > _MAX_NODES or self.depth > _MAX_DEPTH:
            raise ConfigError("it refers to itself, or grows beyond what a config can be.")
        self.depth += 1
        try:
            return self._resolved(value)
        finally:
            self.depth -= 1

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, _Ref):
            return self._reference(value.expression)
        if isinstance(value, Node):
            return Node(
                value.kind, value.target, [self._walk(v) for v in value.args],
                {k: self._walk(v) for k, v in value.kwargs.items()},
            )  # fmt: skip
        if isinstance(value, dict):
            return {k: self._walk(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._walk(v) for v in value]
        return value

    def _reference(self, expression: str) -> Any:
        whole = self._PLACE.fullmatch(expression.strip())
        if whole:
            return self._look_up(whole)
        values = [self._look_up(found) for found in self._PLACE.finditer(expression)]
        if values and all(isinstance(v, int | float) for v in values):
            return _calculate(self._PLACE.sub(lambda m: repr(self._look_up(m)), expression))
        return self._PLACE.sub(lambda m: str(self._look_up(m)), expression)

    def _look_up(self, place: re.Match[str]) -> Any:
        keys = [place[1], *re.findall(r"\[([^\]]+)\]", place[2])]
        name = place[0]
        if name in self.open:
            raise ConfigError(f"the reference {name} leads back to itself.")
        value: Any = self.root
        self.open.append(name)
        try:
            for key in keys:
                value = value.kwargs if isinstance(value, Node) else value
                inside = isinstance(value, dict) and key in value
                if not inside and isinstance(value, list) and key.isdigit():
                    inside, key = int(key) < len(value), int(key)  # type: ignore[assignment]
                if not inside:
                    raise ConfigError(f"the reference {name} points at nothing.")
                value = value[key]
                value = self._reference(value.expression) if isinstance(value, _Ref) else value
            return self._walk(value)
        finally:
            self.open.pop()


_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def _calculate(text: str) -> float:
    """Value of a sum or product of numbers; anything else is refused."""

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise ConfigError(f"the reference '{text}' is not plain arithmetic.")

    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, OverflowError, RecursionError) as error:
        raise ConfigError(f"the reference '{text}' cannot be calculated: {error}.") from None
