"""The names that a piece of Python takes from the module around it, found without running it."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from kit.source import indented

__all__ = ["Used", "attributes", "imported_roots", "used_by", "used_by_body"]

AT_ONCE = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr"})  # code of its own, run where it stands


@dataclass(frozen=True)
class Used:
    """Global names.

    Args:
        names: All that the code reads, or declares with `global`.
        at_once: Those among them that are read when the statement itself runs: decorators, bases, defaults.
        quoted: Names in annotations that are strings.
    """

    names: frozenset[str]
    at_once: frozenset[str] = frozenset()
    quoted: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def used_by(source: str) -> Used:
    """Name what statements of a module take from it; what they bind themselves does not count where only they use it.

    Args:
        source: The statements.
    """
    table = symtable.symtable(source, "<cell>", "exec")
    symbols = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    later: set[str] = set()
    for child in table.get_children():
        _read(child, symbols if _runs_at_once(child) else later, symbols, later)
    symbols |= _class_names(source)
    return Used(frozenset(symbols | later), frozenset(symbols), _quoted(source))


def used_by_body(body: str, arguments: str = "self") -> Used:
    """Name what the body of a step takes from its module.

    Args:
        body: The statements.
        arguments: The arguments of the step.
    """
    table = symtable.symtable(f"def step({arguments}):\n{indented(body, 4)}\n    pass\n", "<cell>", "exec")
    names: set[str] = set()
    for child in table.get_children():
        if child.get_name() == "step":
            _read(child, names, names, names)
    return Used(frozenset(names | _class_names(body)), quoted=_quoted(body))


def _read(table: symtable.SymbolTable, own: set[str], at_once: set[str], later: set[str]) -> None:
    """Gather the globals of a scope and of those inside it."""
    own |= {symbol.get_name() for symbol in table.get_symbols() if _is_global(symbol)}
    for child in table.get_children():
        inside = own if _runs_at_once(child) else later
        _read(child, inside, at_once, later)


def _is_global(symbol: symtable.Symbol) -> bool:
    if symbol.is_declared_global():
        return True  # what a function called "top" binds itself is global too, says symtable
    own = symbol.is_assigned() or symbol.is_parameter() or symbol.is_imported()
    return symbol.is_global() and not own


def _runs_at_once(table: symtable.SymbolTable) -> bool:
    kind = str(getattr(table.get_type(), "value", table.get_type()))
    return kind == "class" or table.get_name() in AT_ONCE or kind not in ("function", "module")


def _class_names(source: str) -> set[str]:
    """Name what class bodies read before they bind it: `x = x` takes the module's x."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            bound: set[str] = set()
            for statement in node.body:
                if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                    loads = {each.id for each in ast.walk(statement.value) if isinstance(each, ast.Name)}
                    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                    stored = {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
                    found |= (loads & stored) - bound
                    bound |= stored
    return found


def _quoted(source: str) -> frozenset[str]:
    """Name what annotations say in strings: `df: "pd.DataFrame"`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        for each in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            for text in ast.walk(each) if each is not None else ():
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    with suppress(SyntaxError, ValueError):
                        found |= {one.id for one in ast.walk(ast.parse(text.value)) if isinstance(one, ast.Name)}
    return frozenset(found)


@lru_cache(maxsize=4096)
def attributes(source: str) -> frozenset[str]:
    """Give the dotted names that a piece of Python reads: "a.b.c", and so "a.b"."""
    return frozenset(dotted for node in ast.walk(ast.parse(source)) for dotted in _dotted(node))


def _dotted(node: ast.AST) -> Iterator[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and parts:
        yield ".".join([node.id, *reversed(parts)])


def imported_roots(source: str) -> set[str]:
    """Name the packages that code imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found
