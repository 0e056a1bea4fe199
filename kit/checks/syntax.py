"""Small questions to a syntax tree that several rules ask."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

__all__ = [
    "Function",
    "argument",
    "body",
    "docstring",
    "dotted",
    "flow_nodes",
    "imported_names",
    "lines_of",
    "own_nodes",
    "self_attribute",
    "text",
]

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def body(node: Function | ast.ClassDef) -> list[ast.stmt]:
    """Give the statements of a function or class, without its docstring."""
    return node.body[1:] if docstring(node.body) else node.body


def docstring(statements: Sequence[ast.stmt]) -> bool:
    """Whether the first statement is a docstring."""
    first = statements[0] if statements else None
    return isinstance(first, ast.Expr) and text(first.value) is not None


def own_nodes(statements: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Give every node below these, in the order of the source, without the insides of functions and classes."""
    pending = list(reversed(statements))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _SCOPES):
            pending += reversed(list(ast.iter_child_nodes(node)))


def flow_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Give every node below one, in the order of the source."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending += reversed(list(ast.iter_child_nodes(current)))


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
