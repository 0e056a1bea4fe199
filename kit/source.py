"""Python source as text: statements that are moved to the right or to the left without a change of what they mean."""

from __future__ import annotations

import ast
import io
import tokenize
from types import CodeType

from kit.errors import ReplayError

__all__ = ["definition", "indented", "statements"]


def indented(source: str, spaces: int) -> str:
    """Indent statements; lines that begin inside a string stay as they are."""
    inside = _inside_strings(source)
    lines = source.splitlines()
    indent = " " * spaces
    return "\n".join(
        line if number in inside or not line.strip() else indent + line for number, line in enumerate(lines, start=1)
    )


def statements(source: str, function: ast.FunctionDef) -> tuple[str, int]:
    """Take the statements of a function out of a file's source, dedented, with their comments.

    Args:
        source: The file's content.
        function: The function, as `ast` read it there.

    Returns:
        The statements, and the line of the file that their first line is; 0 where they begin within a line.
    """
    lines = list(io.StringIO(source))
    first, last = function.body[0], function.end_lineno or len(lines)
    start = first.lineno - 1
    if lines[start].encode()[: first.col_offset].strip():  # on the line of its `def`
        return lines[start].encode()[first.col_offset :].decode() + "".join(lines[start + 1 : last]), 0
    while not lines[start - 1].strip() or lines[start - 1].lstrip().startswith("#"):
        start -= 1
    while not lines[start].strip():
        start += 1
    inside = _inside_strings("".join(lines[:last]))
    indent = lines[first.lineno - 1].encode()[: first.col_offset].decode()  # of spaces, or of tabs
    body = [
        line if number in inside else line.removeprefix(indent) if line.strip() else "\n"
        for number, line in enumerate(lines[start:last], start=start + 1)
    ]
    return "".join(body).strip("\n") + "\n", start + 1


def definition(source: str, code: CodeType) -> ast.FunctionDef:
    """Find the `def` that a code object comes from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            lines = [node.lineno, *(decorator.lineno for decorator in node.decorator_list)]
            if min(lines) == code.co_firstlineno:
                return node
    raise ReplayError(f"The source of {code.co_name} is not to be found.", "Write it with `def` in the flow file.")


def _inside_strings(source: str) -> set[int]:
    """Number the lines that begin inside a string: their indentation is part of it."""
    inside: set[int] = set()
    opened: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING":
            inside |= set(range(token.start[0] + 1, token.end[0] + 1))
        elif kind in ("FSTRING_START", "TSTRING_START"):  # from Python 3.12 on, in parts
            opened.append(token.start[0])
        elif kind in ("FSTRING_END", "TSTRING_END"):
            inside |= set(range(opened.pop() + 1, token.end[0] + 1))
    return inside
