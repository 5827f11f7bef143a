"""The configuration of a MONAI bundle read as data: references are resolved, and no expression is ever run.

A text that begins with "@" refers to another entry ("@network_def", "@image::pixdim", "@displayable#overlap"); one that begins with "$" is
Python. Of that only what bundles need to say plain values is read, on its syntax tree: references, numbers, texts, lists, sums and
products, and `a if b else c`. Everything else, calls above all, makes the entry one that cannot be read.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mednextseg.json_values import read_json_object, shown

_REFERENCE = re.compile(r"@(\w+(?:(?:::|#)\w+)*)")
# What changes where a network or a transform computes, and nothing else.
_MOVED = re.compile(r"^\$\s*@(\w+(?:(?:::|#)\w+)*)\.to\(\s*@\w+\s*\)$")
_DEPTH, _LONGEST = 30, 2000
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


class Unreadable(ValueError):  # noqa: N818  (a reason, which the caller turns into its sentence)
    """An entry that only a program could give."""


class BundleConfig:
    """The entries of a configuration file, with their references resolved when they are asked for.

    Args:
        path: JSON.
    Raises:
        ValueError: where the file is no JSON object.
    """

    def __init__(self, path: Path) -> None:
        self._entries = read_json_object(path)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def value(self, name: str, default: Any = None) -> Any:
        """An entry with everything in it resolved; what cannot be read stays the text it is.

        Raises:
            ValueError: where the entry refers to itself.
        """
        return self._kept(self._entries[name], 0) if name in self._entries else default

    def _resolved(self, value: Any, depth: int) -> Any:
        if depth > _DEPTH:
            raise ValueError("the bundle's configuration refers to itself without an end; download it again.")
        if isinstance(value, Mapping):
            return {key: self._kept(part, depth + 1) for key, part in value.items()}
        if isinstance(value, list):
            return [self._kept(part, depth + 1) for part in value]
        if not isinstance(value, str):
            return value
        if moved := _MOVED.match(value):
            value = f"@{moved[1]}"
        if value.startswith("@") and (match := _REFERENCE.fullmatch(value)):
            return self._resolved(self._entry(match[1]), depth + 1)
        return self._expression(value[1:], depth) if value.startswith("$") else value

    def _kept(self, value: Any, depth: int) -> Any:
        try:
            return self._resolved(value, depth)
        except Unreadable:
            return value

    def _entry(self, path: str) -> Any:
        value: Any = self._entries
        for part in re.split("::|#", path):
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                raise Unreadable(f"@{path} refers to nothing")
        return value

    def _expression(self, text: str, depth: int) -> Any:
        """The value of a plain expression, by its syntax tree."""
        references: list[str] = []

        def name_of(match: re.Match) -> str:
            references.append(match[1])
            return f" _{len(references) - 1} "

        if len(text) > _LONGEST:
            raise Unreadable("too long")
        try:
            tree = ast.parse(_REFERENCE.sub(name_of, text).strip(), mode="eval").body
            return self._plain(tree, references, depth + 1)
        except Unreadable:
            raise
        except (SyntaxError, TypeError, ValueError, ArithmeticError, MemoryError, RecursionError, IndexError) as error:
            raise Unreadable(str(error)) from error

    def _plain(self, node: ast.expr, references: list[str], depth: int) -> Any:
        def plain(part: ast.expr) -> Any:
            return self._plain(part, references, depth + 1)

        if depth > _DEPTH:
            raise Unreadable("too deep")
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool | int | float | str)):
            return node.value
        if isinstance(node, ast.Name) and node.id[:1] == "_" and node.id[1:].isdecimal():
            return self._resolved(self._entry(references[int(node.id[1:])]), depth + 1)
        if isinstance(node, ast.List | ast.Tuple):
            return [plain(part) for part in node.elts]
        if isinstance(node, ast.IfExp):
            return plain(node.body) if plain(node.test) else plain(node.orelse)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            return -plain(node.operand) if isinstance(node.op, ast.USub) else not plain(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            left, right = plain(node.left), plain(node.right)
            numbers = all(isinstance(side, int | float) for side in (left, right))
            texts = isinstance(node.op, ast.Add) and isinstance(left, str) and isinstance(right, str)
            if numbers or texts:
                return _OPERATORS[type(node.op)](left, right)
        raise Unreadable(f"{ast.unparse(node)} is no plain value")


def arguments_of(entry: object, name: str) -> dict[str, Any]:
    """The arguments of an entry with a `_target_`, that one included.

    Raises:
        ValueError: where it has none, or would be made otherwise than by calling its target.
    """
    if not isinstance(entry, Mapping) or not isinstance(entry.get("_target_"), str):
        raise ValueError(
            f"the bundle's {name} is {shown(entry)} where an object with a _target_ is needed; expressions are not evaluated."
        )
    if entry.get("_mode_", "default") not in ("default", None):
        raise ValueError(f"the bundle's {name} asks for the mode {shown(entry['_mode_'])}, which is not known.")
    return {key: value for key, value in entry.items() if not key.startswith("_") or key == "_target_"}


def is_unreadable(value: object) -> bool:
    """Whether a resolved value holds an expression or a reference still."""
    if isinstance(value, Mapping):
        return any(is_unreadable(part) for part in value.values())
    if isinstance(value, list | tuple):
        return any(is_unreadable(part) for part in value)
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


def transforms_of(entry: object, name: str) -> list[dict[str, Any]]:
    """The transforms of a Compose that are not disabled, in order.

    Raises:
        ValueError: where they cannot be listed.
    """
    listed = entry if isinstance(entry, list) else arguments_of(entry, name).get("transforms")
    if not isinstance(listed, list):
        raise ValueError(f"the bundle's {name} has no list of transforms ({shown(listed)}); expressions are not evaluated.")
    return [arguments_of(part, name) for part in listed if not _is_disabled(part, name)]


def _is_disabled(entry: object, name: str) -> bool:
    value = entry.get("_disabled_", False) if isinstance(entry, Mapping) else False
    if value in (True, "true", "True"):
        return True
    if value in (False, None, "false", "False"):
        return False
    raise ValueError(
        f"whether a transform of the bundle's {name} is disabled is {shown(value)}; expressions are not evaluated."
    )


def transform_name(arguments: Mapping[str, Any]) -> str:
    """The name of a transform without the forms that dictionaries get ("Spacingd", "SpacingDict"); others' code keeps its module."""
    module, _, name = arguments["_target_"].rpartition(".")
    if module and module != "monai.transforms" and not module.startswith("monai.transforms."):
        return arguments["_target_"]
    for ending in ("Dict", "d", "D"):
        if name.endswith(ending) and len(name) > len(ending) + 3:
            return name.removesuffix(ending)
    return name
