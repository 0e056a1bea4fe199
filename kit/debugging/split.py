"""A step's body in cells: a paragraph or a compound statement each, and the statement that failed on its own."""

from __future__ import annotations

import ast
from dataclasses import dataclass

__all__ = ["BodyCell", "in_one_piece", "split", "whole"]

COMPOUND = (ast.For, ast.While, ast.With, ast.Try, ast.If, ast.FunctionDef, ast.ClassDef, ast.Match)
LONG = 3  # lines from which a compound statement has a cell of its own


@dataclass(frozen=True)
class BodyCell:
    """A cell of a step's body.

    Args:
        source: Its statements, with their comments.
        line: The line of the body that its first line is, counted from 1.
        failed: Whether the task failed in it.
    """

    source: str
    line: int
    failed: bool = False


@dataclass(frozen=True)
class _Statement:
    """A statement, with the lines that it takes up, counted from 1; `end` includes comments of its block."""

    node: ast.stmt
    start: int
    end: int

    @property
    def stands_alone(self) -> bool:
        return isinstance(self.node, COMPOUND) and self.end - self.start + 1 >= LONG


def split(body: str, failed_line: int | None = None) -> tuple[BodyCell, ...]:
    """Split a step's body into cells; its docstring is left out.

    Args:
        body: The statements, dedented.
        failed_line: The line of the body in which the task failed, counted from 1.
    """
    lines = body.rstrip("\n").split("\n")
    statements = _statements(body, lines)
    groups: list[list[_Statement]] = []
    for one in statements:
        if groups and not _begins_a_cell(groups[-1][-1], one, lines, failed_line):
            groups[-1].append(one)
        else:
            groups.append([one])
    cells = []
    begin = _docstring_end(body)
    for number, group in enumerate(groups, start=1):
        end = group[-1].end if number < len(groups) else len(lines)
        while begin < end and not lines[begin].strip():
            begin += 1
        failed = any(_failed(one, failed_line) for one in group)
        cells.append(BodyCell("\n".join(lines[begin:end]).rstrip(), begin + 1, failed))
        begin = end
    return tuple(cells)


def whole(body: str, failed_line: int | None = None) -> BodyCell:
    """Give a step's body as one cell; its docstring is left out. Takes what `split` takes."""
    lines = body.rstrip("\n").split("\n")
    begin = _docstring_end(body)
    while begin < len(lines) - 1 and not lines[begin].strip():
        begin += 1
    return BodyCell("\n".join(lines[begin:]), begin + 1, failed_line is not None)


def in_one_piece(body: str) -> str:
    """Say what of a body cannot stand in a notebook's cells; "" where all of it can.

    Args:
        body: The statements, dedented.
    """
    pending: list[ast.AST] = list(ast.parse(body).body)
    while pending:
        node = pending.pop()
        found = _of_a_function(node)
        if found:
            return found
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending += [each for each in ast.walk(node) if not isinstance(each, ast.Return) and each is not node]
        elif not isinstance(node, ast.ClassDef):
            pending += ast.iter_child_nodes(node)
    try:
        compile(body, "body", "exec", dont_inherit=True)
    except SyntaxError:  # a function's `nonlocal` for the step's own variables
        return "a `nonlocal` variable"
    return ""


def _of_a_function(node: ast.AST) -> str:
    """Say what a node is that means something else outside the step's own function; "" for any other."""
    if isinstance(node, ast.Return):
        return "a `return`"
    if isinstance(node, ast.Global):
        return "a `global` statement"
    bare = ast.unparse(node) if isinstance(node, ast.Call) else ""
    if bare in ("super()", "locals()"):
        return f"a bare `{bare}`"
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    if name == "__class__" and isinstance(node, ast.Name):
        return "`__class__`"
    if name.startswith("__") and not name.endswith("__"):
        return f"the private name `{name}`"
    if isinstance(node, ast.Attribute) and (ast.unparse(node) == "asyncio.run" or name == "run_until_complete"):
        return f"`{ast.unparse(node)}`, where a notebook runs an event loop of its own"
    return ""


def _begins_a_cell(before: _Statement, one: _Statement, lines: list[str], failed_line: int | None) -> bool:
    if one.start <= before.end:  # on the same line, after a semicolon
        return False
    if any(not line.strip() for line in lines[before.end : one.start - 1]):
        return True
    return any(each.stands_alone or _failed(each, failed_line) for each in (before, one))


def _failed(one: _Statement, failed_line: int | None) -> bool:
    return failed_line is not None and one.start <= failed_line <= one.end


def _statements(body: str, lines: list[str]) -> list[_Statement]:
    found = []
    nodes = ast.parse(body).body
    for node in nodes[1:] if _docstring_end(body) else nodes:
        start = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        last = end = node.end_lineno or node.lineno
        for number in range(last, len(lines)):  # comments at the end of its block
            text = lines[number]
            if text.strip() and not (text[0].isspace() and text.lstrip().startswith("#")):
                break
            end = number + 1 if text.strip() else end
        found.append(_Statement(node, start, end))
    return found


def _docstring_end(body: str) -> int:
    """Give the line with which a body's docstring ends; 0 where it has none."""
    first = next(iter(ast.parse(body).body), None)
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return (first.end_lineno or 0) if first is not None and is_text else 0
