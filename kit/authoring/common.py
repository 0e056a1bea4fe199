"""The project's common.py: what it has already is imported from it, and what several flows use can be moved to it."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from kit.authoring.bindings import BUILTINS, Binding, Cell, bindings
from kit.authoring.names import used_by

__all__ = ["Module", "closure", "read_module", "statements", "with_added"]


@dataclass(frozen=True)
class Module:
    """A module of the project, as far as its own top level says.

    Args:
        name: Its name.
        statements: The statements that bind and change each of its names.
    """

    name: str
    statements: Mapping[str, str] = field(default_factory=dict)

    def has(self, name: str, notebook: Mapping[str, str]) -> set[str]:
        """Whether a function or class is the notebook's one, and so is all that it uses.

        Args:
            name: The name.
            notebook: The statements that bind and change the names of the notebook.

        Returns:
            The name and what it uses, imports aside; nothing where it is another one.
        """
        pending, seen, own = [name], set[str](), set[str]()
        while pending:
            each = pending.pop()
            if each in seen or (each in BUILTINS and each not in self.statements and each not in notebook):
                continue
            seen.add(each)
            mine, theirs = self.statements.get(each), notebook.get(each)
            if mine is None or theirs is None or _content(mine) != _content(theirs):
                return set()
            if not mine.startswith(("import ", "from ")):
                own.add(each)
                pending += used_by(theirs).names - {each}
        return own


def read_module(name: str, text: str) -> Module:
    """Read a module, without importing it.

    Args:
        name: Its name.
        text: Its source; one that does not parse has no names.
    """
    return Module(name, statements(bindings([Cell(name, text)])))


def statements(found: Iterable[Binding]) -> dict[str, str]:
    """Give for each name the statements that bind and change it, one below the other; of imports, the last.

    Args:
        found: The statements, in order.
    """
    texts: dict[str, str] = {}
    for each in found:
        for name in (*each.names, *each.changes):
            before = texts.get(name, "") if each.kind != "import" else ""
            texts[name] = f"{before}\n{each.source}".lstrip("\n")
    return texts


def closure(taken: Iterable[Binding], imports: Container[str]) -> list[Binding]:
    """Give the functions and classes among statements, with all that these need of the others.

    Args:
        taken: The statements.
        imports: What is imported: what is set in it stays in the flow file.
    """
    every = [each for each in taken if each.names or not all(name in imports for name in each.changes)]
    by_name: dict[str, list[Binding]] = {}
    for each in every:
        for name in {*each.names, *each.changes}:
            by_name.setdefault(name, []).append(each)
    pending = [each for each in every if each.kind == "definition"]
    found: dict[int, Binding] = {}
    while pending:
        each = pending.pop()
        if each.order not in found:
            found[each.order] = each
            names = {*used_by(each.source).names, *each.names, *each.changes}
            pending += [one for name in names for one in by_name.get(name, ())]
    return [found[order] for order in sorted(found)]


def with_added(text: str, imports: str, code: str) -> str:
    """Add to a module's text: imports below its own, code at its end.

    Args:
        text: The text.
        imports: Import statements.
        code: Statements.
    """
    tree, lines = ast.parse(text), text.rstrip("\n").splitlines()
    known = {ast.unparse(node) for node in tree.body}
    new = [line for line in imports.splitlines() if line and ast.unparse(ast.parse(line)) not in known]
    heads = [node.end_lineno or 0 for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    if not heads and ast.get_docstring(tree) is not None:
        heads, new = [tree.body[0].end_lineno or 0], ["", *new] if new else []
    at = heads[-1] if heads else 0
    return "\n".join([*lines[:at], *new, *lines[at:], "", "", code.strip("\n"), ""]).lstrip("\n")


@lru_cache(maxsize=4096)
def _content(source: str) -> str:
    """Write what a statement does, without its docstring."""
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.dump(tree)
