"""A step's body: taken out of the flow file, for a cell; and put in from a cell, for one replay."""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass
from types import CodeType
from typing import Any

from kit.errors import ReplayError
from kit.flowfile import LoadedFlow
from kit.replay.cell_code import replace_code
from kit.source import definition, statements

__all__ = ["Body", "body_of", "names_of", "put"]


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
