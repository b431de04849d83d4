"""Parses YAML as Pulumi's CLI does in a stack file, and rejects what the CLI rejects before the engine starts, with a clear message.

The CLI uses gopkg.in/yaml.v3. Tried with 3.259.0: a duplicate key, an anchor within itself, a list as a key, `.nan` and `.inf` are errors;
`yes`, `on` and `22:30` are strings; every key is a string.
"""

import math
from collections.abc import Callable, Hashable
from typing import Final, TypeVar, cast

import yaml

MAX_VALUES = 100_000
"""The most values with all aliases expanded; yaml.v3 rejects "excessive aliasing" in much the same way (decode.go)."""

MAX_DEPTH = 32
"""How deep objects and lists may be nested: far more than any setting needs."""

MAX_QUOTED = 60
"""The most characters of a rejected value that a message quotes."""

_TOO_DEEP = f"has objects or lists more than {MAX_DEPTH} deep in one another: no setting is like that"


class YamlError(Exception):
    """The text is not YAML or not valid in a stack file. The message begins with a verb: "is not YAML: …", "has the key … twice"."""


def parse(source: str | bytes) -> object:
    """Parses a YAML text; an empty one gives None. A time stays a string. Raises YamlError."""
    try:
        loader = _Loader(source)
        node = loader.get_single_node()
        if node is None:
            return None
        _count_values(node, {}, [])
        return cast("object", loader.construct_document(node))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError(f"is not YAML (a text with special characters stands in quotes): {error}") from None
    except RecursionError:
        raise YamlError(_TOO_DEEP) from None


def abbreviated(text: str) -> str:
    """Returns a text for use in a message: quoted, and shortened if long."""
    return repr(text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…")


def _count_values(node: yaml.Node, counted: dict[int, int], ancestors: list[int]) -> int:
    """Counts a node's values with aliases expanded; `ancestors` are above it. Raises YamlError for what a stack file cannot contain."""
    if id(node) in ancestors:
        raise YamlError(f"contains itself, by the anchor in {_line(node)}: write the value out")
    if id(node) in counted:
        return counted[id(node)]
    if len(ancestors) > MAX_DEPTH:
        raise YamlError(_TOO_DEEP)
    below: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
        _check_keys([key for key, _ in pairs])
        below = [value for _, value in pairs]
    elif isinstance(node, yaml.SequenceNode):
        below = cast("list[yaml.Node]", node.value)
    size = 1 + sum(_count_values(one, counted, [*ancestors, id(node)]) for one in below)
    if size > MAX_VALUES:
        raise YamlError(f"comes to more than {MAX_VALUES} values with its aliases: write out what is meant")
    counted[id(node)] = size
    return size


def _check_keys(keys: list[yaml.Node]) -> None:
    seen: dict[str, yaml.Node] = {}
    for key in keys:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(f"has a list or an object as a key in {_line(key)}: a key is a text")
        name = str(key.value)
        if name in seen:
            raise YamlError(f"has the key {abbreviated(name)} twice, in {_line(seen[name])} and {_line(key)}: keep one of them")
        seen[name] = key


def _line(node: yaml.Node) -> str:
    return f"line {cast('yaml.Mark', node.start_mark).line + 1}"


class _Loader(yaml.SafeLoader):
    """Constructs only JSON's types: the engine and the program support no others."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        self.flatten_mapping(node)
        pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
        return {str(key.value): cast("object", self.construct_object(value, deep=deep)) for key, value in pairs}


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


def _bool(loader: _Loader, node: yaml.ScalarNode) -> bool | str:
    text = _text(loader, node)
    return text.lower() == "true" if text.lower() in ("true", "false") else text


def _int(loader: _Loader, node: yaml.ScalarNode) -> int | str:
    return _number(loader, node, loader.construct_yaml_int, lambda number: -(2**63) <= number < 2**64, _NOT_INT)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float | str:
    return _number(loader, node, loader.construct_yaml_float, math.isfinite, _NOT_FLOAT)


_NOT_INT: Final = "that is no whole number of 64 bits: quote it if it is a text"
_NOT_FLOAT: Final = "that is no finite number: write one, or quote it if it is a text"
_Number = TypeVar("_Number", int, float)


def _number(
    loader: _Loader, node: yaml.ScalarNode, read: Callable[[yaml.ScalarNode], _Number], is_valid: Callable[[_Number], bool], fault: str
) -> _Number | str:
    """Returns a number, or the string if it is a YAML 1.1 time (`22:30`). Raises YamlError if it is neither."""
    text = _text(loader, node)
    if ":" in text:
        return text
    try:
        number = read(node)
    except (ValueError, IndexError):
        number = None
    if number is None or not is_valid(number):
        raise YamlError(f"has {abbreviated(text)} in {_line(node)}, and {fault}")
    return number


def _unknown(loader: _Loader, node: yaml.Node) -> None:
    loader.construct_undefined(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)
_Loader.add_constructor("tag:yaml.org,2002:bool", _bool)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
for _tag in ("binary", "omap", "pairs", "set"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _unknown)
