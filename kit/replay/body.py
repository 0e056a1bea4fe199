"""A step's body: taken out of the flow file, for a cell; and put in from a cell, for one replay."""

from __future__ import annotations

import ast
import io
import linecache
import re
import tokenize
from dataclasses import dataclass
from types import CodeType
from typing import Any

from kit.errors import ReplayError
from kit.flowfile import LoadedFlow
from kit.replay.cell_code import replace_code

__all__ = ["Body", "body_of", "definition", "names_of", "put", "statements"]


@dataclass(frozen=True)
class Body:
    """Source that stands in for the body of a step.

    Args:
        source: The statements.
        filename: What tracebacks and debuggers call the file that they are in.
        line: How many lines of that file lie before them.
    """

    source: str
    filename: str
    line: int = 0


def body_of(loaded: LoadedFlow, step: str) -> str:
    """Give the statements of a step, dedented, with their comments."""
    code = loaded.function(step).__code__
    source = "".join(linecache.getlines(code.co_filename))
    return statements(source, definition(source, code))[0]


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
    opened = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING:
            inside |= set(range(token.start[0] + 1, token.end[0] + 1))
        elif tokenize.tok_name[token.type] == "FSTRING_START":  # from Python 3.12 on, in parts
            opened.append(token.start[0])
        elif tokenize.tok_name[token.type] == "FSTRING_END":
            inside |= set(range(opened.pop() + 1, token.end[0] + 1))
    return inside


def names_of(loaded: LoadedFlow, step: str) -> dict[str, Any]:
    """Give what a step's body uses of the globals of the file that defines it, by name."""
    names: set[str] = set()
    function = loaded.function(step)
    pending: list[CodeType] = [function.__code__]
    while pending:
        code = pending.pop()
        names |= set(code.co_names)
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    names.discard("__doc__")  # a class statement in the body names it
    return {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}


def _name_head(body: Body, step: str, code: CodeType) -> None:
    """Let the line above a cell's statements, where tracebacks show a `def`, show the step's own."""
    known = linecache.cache.get(body.filename, ())
    lines = linecache.getlines(body.filename)
    if len(known) == 4 and 0 < body.line <= len(lines):
        head = f"def {step}({', '.join(code.co_varnames[: code.co_argcount])}):"
        changed = [*lines]
        changed[body.line - 1] = re.sub(r"^def \w+\([\w, ]*\):", head, lines[body.line - 1])
        linecache.cache[body.filename] = (known[0], known[1], changed, known[3])


def put(loaded: LoadedFlow, step: str, body: Body) -> None:
    """Let a step have another body; its decorators, its name and the graph stay.

    Raises:
        SyntaxError: The source does not parse, at its own line.
        ReplayError: It needs what only the flow file's class statement gives it.
    """
    _name_head(body, step, loaded.function(step).__code__)
    try:
        replace_code(loaded.function(step), body.source, body.filename, body.line)
    except ValueError as error:
        raise ReplayError(
            f"The cell cannot stand in for {step}: {error}.", "Leave out super(), or write super(Flow, self)."
        ) from error
