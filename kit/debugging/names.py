"""What a step's body used of its flow file when it ran, where today's files would give it something else."""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass

from kit.debugging.source import Definition, Source, imported, parsed

__all__ = ["Earlier", "earlier"]


@dataclass(frozen=True)
class Earlier:
    """What a step's body would not find in today's files.

    Args:
        imports: Import statements of its flow file whose modules have changed.
        statements: Other statements of its flow file, as they were.
        methods: Methods of its class, as they were, put back on the class of `self`.
    """

    imports: tuple[str, ...] = ()
    statements: str = ""
    methods: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.imports or self.statements or self.methods)


@dataclass(frozen=True)
class _Global:
    """A statement of a flow file outside its class, and the names that it defines and uses."""

    node: ast.stmt
    source: str
    defines: frozenset[str]
    uses: frozenset[str]

    @property
    def is_import(self) -> bool:
        return isinstance(self.node, (ast.Import, ast.ImportFrom))


def earlier(before: Definition, today: Definition, then: Source, now: Source) -> Earlier:
    """Find what a step's body used of its flow file and its modules that today's files would give it otherwise.

    Args:
        before: The step as it was.
        today: The step as it is.
        then: The flow's source as it was.
        now: The flow's source as it is.
    """
    methods = _changed_methods(before, today)
    used = _used(before.function).union(*map(_used, methods))
    there = {ast.dump(one.node) for one in _globals(today.text, then.flow)}
    needed = _needed(used, _globals(before.text, then.flow))
    moved = [one for one in needed if one.is_import and _has_changed(one.node, before.path, then, now)]
    bound = _used(today.function)  # `--bind` gives what today's body uses
    changed = [one for one in needed if ast.dump(one.node) not in there or one.defines & (used - bound) or one in moved]
    while more := [one for one in needed if one not in changed and _goes_with(one, changed, bound)]:
        changed += more
    imports = tuple(ast.unparse(one.node) for one in needed if one in moved)
    statements = "\n".join(one.source for one in needed if one in changed and one not in moved)
    return Earlier(imports, statements, tuple(_put_back(each, before.text) for each in methods))


def _goes_with(one: _Global, changed: list[_Global], bound: frozenset[str]) -> bool:
    """Whether a statement is to be had beside some others: it uses what they define, or they what it does."""
    return any(one.uses & each.defines or one.defines & (each.uses - bound) for each in changed)


def _changed_methods(before: Definition, today: Definition) -> list[ast.FunctionDef]:
    """Choose the methods of a step's class that it uses, itself or through others, and that are others today."""
    there = {ast.dump(one) for one in _methods(today)}
    found = {one.name: one for one in _methods(before) if one is not before.function}
    pending: list[ast.AST] = [before.function]
    used: set[str] = set()
    while pending:
        names = {node.attr for node in ast.walk(pending.pop()) if isinstance(node, ast.Attribute)}
        fresh = names & set(found) - used
        used |= fresh
        pending += [found[name] for name in fresh]
    of_class = ("super", "__class__")  # what only a class statement gives a function
    return [
        one
        for name, one in found.items()
        if name in used and ast.dump(one) not in there and not _used(one).intersection(of_class)
    ]


def _methods(of: Definition) -> list[ast.FunctionDef]:
    """List the functions of the class statement that defines a step, but for its steps."""
    line = of.function.lineno
    for node in ast.walk(parsed(of.text)):
        if isinstance(node, ast.ClassDef) and any(getattr(one, "lineno", 0) == line for one in node.body):
            functions = (one for one in node.body if isinstance(one, ast.FunctionDef))
            return [one for one in functions if "step" not in map(ast.unparse, one.decorator_list)]
    return []


def _put_back(method: ast.FunctionDef, text: str) -> str:
    first = min([method.lineno, *(one.lineno for one in method.decorator_list)])
    source = textwrap.dedent("\n".join(text.split("\n")[first - 1 : method.end_lineno]))
    if [ast.dump(one) for one in parsed(source).body] != [ast.dump(method)]:  # a string holds lines without indentation
        source = ast.unparse(method)
    return f"{source}\n\ntype(self).{method.name} = {method.name}"


def _needed(wanted: frozenset[str], found: list[_Global]) -> list[_Global]:
    """Choose the statements that define names, and those that these use, in the file's order."""
    needed: list[_Global] = []
    while fresh := [one for one in found if one not in needed and one.defines & wanted]:
        needed += fresh
        wanted = wanted.union(*(one.uses for one in fresh))
    return [one for one in found if one in needed]


def _has_changed(node: ast.stmt, path: str, then: Source, now: Source) -> bool:
    """Whether a module that a statement imports, or one that this imports, is another file today."""
    files = then.reach(imported(path, node))
    return any(now.read(each) != text for each, text in files.items())


def _globals(text: str, flow: str) -> list[_Global]:
    lines = text.split("\n")
    found = []
    for node in parsed(text).body:
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if future or (isinstance(node, ast.ClassDef) and node.name == flow):
            continue
        start = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        found.append(_Global(node, "\n".join(lines[start - 1 : node.end_lineno]), _defined(node), _used(node)))
    return found


def _defined(node: ast.stmt) -> frozenset[str]:
    names: set[str] = set()
    pending: list[ast.AST] = [node]
    while pending:
        one = pending.pop()
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(one.name)
            continue  # what it defines inside is its own
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name.split(".")[0] for alias in one.names}
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            names.add(one.id)
        pending += ast.iter_child_nodes(one)
    return frozenset(names)


def _used(node: ast.AST) -> frozenset[str]:
    return frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load))
