"""Small questions to a syntax tree that several rules ask."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

__all__ = [
    "DEEPEST",
    "Function",
    "argument",
    "body",
    "children",
    "docstring",
    "dotted",
    "flow_nodes",
    "imported_names",
    "lines_of",
    "nesting",
    "own_nodes",
    "self_attribute",
    "shape",
    "text",
]

DEEPEST = 400  # nodes; less than half of what the rules' own recursion may take
_NO_DIFFERENCE = {"ctx", "annotation", "returns", "simple", "type_comment", "kind"}
_NO_NODES = {"ctx", "id", "attr", "arg", "asname", "module", "level", "kind", "type_comment", "simple"}
_END = object()
Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def body(node: Function | ast.ClassDef) -> list[ast.stmt]:
    """Give the statements of a function or class, without its docstring."""
    return node.body[1:] if docstring(node.body) else node.body


def docstring(statements: Sequence[ast.stmt]) -> bool:
    """Whether the first statement is a docstring."""
    first = statements[0] if statements else None
    return isinstance(first, ast.Expr) and text(first.value) is not None


def children(node: ast.AST) -> list[ast.AST]:
    """Give the nodes right below one, as `ast.iter_child_nodes` does, without what says that a name is read or set."""
    found: list[ast.AST] = []
    for field in _holding(node._fields):
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
    return found


@cache
def _holding(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Name those of a node's fields that may hold nodes."""
    return tuple(field for field in fields if field not in _NO_NODES)


def own_nodes(statements: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Give every node below these, in the order of the source, without the insides of functions and classes."""
    pending = list(reversed(statements))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _SCOPES):
            pending += reversed(children(node))


@lru_cache(maxsize=4096)
def flow_nodes(node: ast.AST) -> tuple[ast.AST, ...]:
    """Give a node and every one below it, in the order of the source; several rules ask for the same."""
    found, pending = [], [node]
    while pending:
        current = pending.pop()
        found.append(current)
        below = children(current)
        below.reverse()
        pending += below
    return tuple(found)


def nesting(node: ast.AST) -> int:
    """Count how many nodes deep a tree is."""
    deepest, pending = 0, [(node, 1)]
    while pending:
        current, depth = pending.pop()
        deepest = max(deepest, depth)
        pending += [(child, depth + 1) for child in children(current)]
    return deepest


@cache
def _telling(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Name those of a node's fields that make a difference to what code does."""
    return tuple(field for field in fields if field not in _NO_DIFFERENCE)


def shape(node: ast.AST, names: Mapping[str, str] | None = None) -> str:
    """Write what code does, as `ast.dump`, without type hints and the docstrings of functions.

    Args:
        node: The code.
        names: What to write in place of some names.
    """
    names = names or {}
    words: list[str] = []
    pending: list[Any] = [node]
    while pending:
        one = pending.pop()
        if isinstance(one, ast.AST):
            typed = one.target if isinstance(one, ast.AnnAssign) and one.value is not None else None
            words.append("Assign" if typed else type(one).__name__)
            pending.append(_END)
            if isinstance(one, (ast.Name, ast.arg)):
                own = one.id if isinstance(one, ast.Name) else one.arg
                pending.append(names.get(own, own))
                continue
            values = [getattr(one, field, None) for field in _telling(one._fields)]
            if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
                values = [body(one) if value is one.body else value for value in values]
            elif typed:
                values = [[value] if value is typed else value for value in values]
            pending += reversed(values)
        elif isinstance(one, list):
            words.append("[")
            pending += [_END, *reversed(one)]
        else:
            words.append("]" if one is _END else repr(one))
    return " ".join(words)


def text(node: ast.AST | None) -> str | None:
    """Give the value of a text literal; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def self_attribute(node: ast.AST, owner: str = "self") -> str | None:
    """Give the name of X in `self.X`; None for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner:
        return node.attr
    return None


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """Give an argument of a call, by its name or its position."""
    named = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    if named is None and position is not None and len(call.args) > position:
        return call.args[position]
    return named


def imported_names(statements: Sequence[ast.AST]) -> dict[str, str]:
    """Map the names that imports bind to what they stand for, dotted: {"np": "numpy", "Lock": "threading.Lock"}."""
    names: dict[str, str] = {}
    for node in own_nodes(statements):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
                else:
                    names[alias.name.split(".")[0]] = alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """Write a name or an attribute of one as it was imported: `np.load` is "numpy.load"; "" for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def lines_of(node: ast.AST) -> tuple[int, ...]:
    """Give the lines of a statement, or of a function's and a class's head with its decorators."""
    first: int = getattr(node, "lineno", 1)
    last: int = getattr(node, "end_lineno", None) or first
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        first = min([first, *(decorator.lineno for decorator in node.decorator_list)])
        last = max(node.body[0].lineno - 1, node.lineno)
    return tuple(range(first, last + 1))
