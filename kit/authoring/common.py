"""The project's common.py: what it has already is imported from it, and what several flows use can be moved to it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from kit.authoring.bindings import BUILTINS
from kit.authoring.names import used_by

__all__ = ["Module", "read_module"]


@dataclass(frozen=True)
class Module:
    """A module of the project, as far as its own top level says.

    Args:
        name: Its name.
        statements: What binds each of its names; of a name that is bound twice, nothing.
    """

    name: str
    statements: Mapping[str, str] = field(default_factory=dict)

    def has(self, name: str, notebook: Mapping[str, str]) -> bool:
        """Whether a function or class is the notebook's one, and so is all that it uses.

        Args:
            name: The name.
            notebook: What binds the names of the notebook.
        """
        pending, seen = [name], set[str]()
        while pending:
            each = pending.pop()
            if each in seen or (each in BUILTINS and each not in self.statements and each not in notebook):
                continue
            seen.add(each)
            mine, theirs = self.statements.get(each), notebook.get(each)
            if mine is None or theirs is None or _content(mine) != _content(theirs):
                return False
            if not mine.startswith(("import ", "from ")):
                pending += used_by(theirs).names - {each}
        return True


def read_module(name: str, text: str) -> Module:
    """Read a module, without importing it.

    Args:
        name: Its name.
        text: Its source; one that does not parse has no names.
    """
    from kit.authoring.bindings import Cell, bindings

    found: dict[str, str] = {}
    twice: set[str] = set()
    for each in bindings([Cell(name, text)]):
        for one in (*each.names, *each.changes):
            twice |= {one} & found.keys() if each.kind != "import" else set()
            found[one] = each.source
    return Module(name, {one: source for one, source in found.items() if one not in twice})


@lru_cache(maxsize=4096)
def _content(source: str) -> str:
    """Write what a statement does, without its docstring."""
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.dump(tree)
