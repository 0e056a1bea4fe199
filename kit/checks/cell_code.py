"""The Python of a notebook's cell, without its magics, and the commands that its lines give to a shell."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache

from kit.checks.syntax import DEEPEST, flow_nodes, nesting

__all__ = ["code_of", "commands", "tree_of"]

PYTHON_CELLS = {"time", "timeit", "capture", "prun", "debug", "mf_run_step", "mf_step", "memit", "heat"}
SHELL_CELLS = {"bash", "sh", "script", "zsh", "system", "!", "sx"}
CELL_MAGIC = re.compile(r"^\s*%%(?P<name>!|\w+)")
LINE_MAGIC = re.compile(r"^(?P<indent>\s*)(?P<target>[\w., ]+=\s*)?[!%]{1,2}(?P<rest>[^=\s].*|\s\S.*|$)$")
HELP = re.compile(r"^(\s*)[%\w.]+\?{1,2}\s*$|^(\s*)\?{1,2}[%\w.]+\s*$")
SHELL_LINE = re.compile(r"^\s*(?:[\w., ]+=\s*)?!{1,2}(?P<command>.*)$")
INSTALLING = re.compile(r"^\s*%?(?P<command>(?:pip3?|conda|mamba|micromamba|uv)\s.*)$")


@lru_cache(maxsize=256)
def tree_of(source: str) -> ast.Module:
    """Parse a cell's Python; magics are passed over, and what does not parse is empty."""
    empty = ast.Module(body=[], type_ignores=[])
    lines = source.splitlines()
    first = CELL_MAGIC.match(source.lstrip("\n"))
    if first:
        if first["name"] not in PYTHON_CELLS:
            return empty
        lines = ["pass" if CELL_MAGIC.match(line) else line for line in lines]
    replaced = [HELP.sub(r"\1\2pass", LINE_MAGIC.sub(_nothing, line)) for line in lines]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse("\n".join(replaced))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return empty
    return tree if nesting(tree) <= DEEPEST else empty


def code_of(source: str, comments: bool = False) -> str:
    """Give a cell's source with blanks for its texts of several lines, and its comments unless they are wanted."""
    lines = source.splitlines()
    for number in _in_texts(source):
        lines[number - 1] = ""
    return "\n".join("" if line.lstrip().startswith("#") and not comments else line for line in lines)


def commands(source: str) -> Iterator[tuple[int, str]]:
    """Give the commands for a shell, each with its line: `!`, `%pip` and the like, and cells of a shell."""
    first = CELL_MAGIC.match(source.lstrip("\n"))
    shell = first is not None and first["name"] in SHELL_CELLS
    if first and not shell and first["name"] not in PYTHON_CELLS:
        return
    texts = set() if shell else _in_texts(source)
    number, whole = 0, ""
    for at, line in enumerate(source.splitlines(), start=1):
        number = number if whole else at
        whole += line
        if whole.endswith("\\"):
            whole = whole[:-1] + " "
            continue
        found = SHELL_LINE.match(whole) or INSTALLING.match(whole)
        if number not in texts and (shell or found):
            yield number, whole if shell or found is None else found["command"]
        whole = ""


def _nothing(found: re.Match[str]) -> str:
    target = found["target"]
    return f"{found['indent']}{target}None" if target else f"{found['indent']}pass"


def _in_texts(source: str) -> set[int]:
    """Give the lines of a cell that lie inside of a text of several lines."""
    texts = [node for node in flow_nodes(tree_of(source)) if isinstance(node, ast.Constant)]
    return {
        line
        for node in texts
        if isinstance(node.value, str) and node.end_lineno is not None
        for line in range(node.lineno + 1, node.end_lineno + 1)
    }
