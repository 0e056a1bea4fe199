"""What a source file says of the classes in it, read with `ast`: nothing is imported, so nothing of the user's runs."""

from __future__ import annotations

import ast
import gc
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["ClassSource", "Reads", "Source", "State", "imported", "parsed", "reads_of", "state_of"]

PARAMETER_CLASSES = {"Parameter", "IncludeFile"}
MAX_IMPORTS = 5  # one module that has a name from another, and so on

FLOW_CLASS = r"(?m)^class\s+(\w+)\s*\(.*FlowSpec"

# Where a file has a name from: a module, written with its dots where it is a relative one, and the name there.
Origin = tuple[str, str]


@dataclass(frozen=True)
class ClassSource:
    """A class statement: its bases and decorators by their last name, its steps, Parameters and Configs.

    The Parameters of a mutator are those that it adds to a flow; `origins` tells where bases and decorators are from.
    """

    name: str
    file: str
    line: int
    bases: tuple[str, ...]
    steps: tuple[str, ...]
    parameters: tuple[str, ...]
    after: tuple[str, ...]
    configs: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    origins: tuple[tuple[str, Origin], ...] = ()


@dataclass(frozen=True)
class Source:
    """What a file defines, or why it does not parse."""

    classes: tuple[ClassSource, ...] = ()
    imports: tuple[tuple[str, Origin], ...] = ()
    error: str = ""
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reads:
    """What a file may read of other flows: the modules it imports, its calls of Metaflow's client, its strings."""

    imports: tuple[str, ...] = ()
    flow_calls: tuple[str, ...] = ()
    strings: frozenset[str] = frozenset()


# A file, and what changes when it is written: its times, its size, its inode.
State = tuple[str, tuple[int, ...]]


def state_of(file: str) -> State:
    """Look at what changes when a file is written."""
    try:
        stat = os.stat(file)
    except OSError:  # gone since it was listed: reading it says so
        return file, ()
    return file, (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=512)
def parsed(file: str, state: tuple[int, ...]) -> Source:
    """Parse one file; its state is the cache's key (a file may be replaced by one of the same size and time)."""
    tree = _tree(file, state)
    if isinstance(tree, Source):
        return tree
    statements = list(_statements(tree.body))
    aliases, imports = _aliases(statements), dict(_imports(statements))
    classes = (_class(node, file, aliases, imports) for node in tree.body if isinstance(node, ast.ClassDef))
    return Source(tuple(classes), tuple(imports.items()))


def imported(cls: ClassSource, name: str) -> ClassSource | None:
    """Find a base or a decorator of a class where its file has it from, without importing that; None for none.

    Args:
        cls: The class.
        name: The last part of the name.
    """
    origin = dict(cls.origins).get(name)
    if origin is None:  # of the same file, which may not be the project's
        return next((each for each in parsed(*state_of(cls.file)).classes if each.name == name), None)
    file: str | None = cls.file
    for _ in range(MAX_IMPORTS):
        module, name = origin
        if module.partition(".")[0] in ("metaflow", *sys.stdlib_module_names):
            return None
        file = _file_of(module, os.path.dirname(file or ""), tuple(sys.path))
        if file is None:
            return None
        source = parsed(*state_of(file))
        found = next((each for each in source.classes if each.name == name), None)
        origin = dict(source.imports).get(name)
        if found is not None or origin is None:
            return found
    return None


@lru_cache(maxsize=512)
def _file_of(module: str, folder: str, path: tuple[str, ...]) -> str | None:
    """Find the file of a module, as it is written in a file of a folder."""
    name = module.lstrip(".")
    above = len(module) - len(name)
    if above:
        path = (os.path.join(folder, *[os.pardir] * (above - 1)),)
    parts = [part for part in name.split(".") if part]
    for root in path if above else (folder, *path):
        found = os.path.join(root, *parts)
        for file in (os.path.join(found, "__init__.py"), f"{found}.py"):
            if os.path.isfile(file):
                return file
    return None


@lru_cache(maxsize=512)
def reads_of(file: str, state: tuple[int, ...]) -> Reads:
    """Find what a file reads of other flows; in a file that does not parse, nothing."""
    tree = _tree(file, state)
    if isinstance(tree, Source):
        return Reads()
    nodes = list(_nodes(tree))
    aliases = _aliases(nodes)
    strings = (node.value for node in nodes if isinstance(node, ast.Constant))
    return Reads(
        imports=tuple(_imported_modules(nodes)),
        flow_calls=tuple(_flow_calls(nodes, aliases)),
        strings=frozenset(value for value in strings if isinstance(value, str) and len(value) < 200),
    )


@lru_cache(maxsize=1)
def _tree(file: str, state: tuple[int, ...]) -> ast.Module | Source:
    """Parse a file; where that fails, give what is known of it all the same."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        return Source(error=str(error))
    collecting = gc.isenabled()
    gc.disable()  # a tree is thousands of objects, none of them garbage
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful escapes: they are for the one who runs the file
            return ast.parse(content, filename=file)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        text = content.decode("utf-8", errors="replace")
        return Source(error=_reason(error), lost=tuple(re.findall(FLOW_CLASS, text)))
    finally:
        if collecting:
            gc.enable()


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Give every node of a tree, from the top down; what `ast.walk` gives, in half the time."""
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                pending += [item for item in reversed(value) if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                pending.append(value)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements that run when a file is imported: not those of its functions and classes."""
    for node in body:
        yield node
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            for part in ("body", "orelse", "handlers", "finalbody"):
                yield from _statements(getattr(node, part, []))


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {error.msg}"
    return str(error) or "it is nested too deeply"


def _aliases(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Map the names that a file gives to what it imports back to the imported names."""
    return {
        alias.asname: alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }


def _name(node: ast.expr, aliases: dict[str, str]) -> str:
    """Give the last part of a dotted name, its import alias resolved; "" for anything else."""
    if isinstance(node, ast.Call):
        return _name(node.func, aliases)
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    return ""


def _imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, Origin]]:
    """Give the names that a file has from others, and where from; a module by its own name, without one there."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((alias.asname or alias.name, (module, alias.name)) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, (alias.name, "")) for alias in node.names)


def _origins(nodes: Iterable[ast.expr], imports: dict[str, Origin]) -> Iterator[tuple[str, Origin]]:
    for node in nodes:
        called = node.func if isinstance(node, ast.Call) else node
        if isinstance(called, ast.Name) and imports.get(called.id, ("", ""))[1]:
            yield imports[called.id][1], imports[called.id]
        elif isinstance(called, ast.Attribute):
            module, name = imports.get(ast.unparse(called.value), ("", ""))
            if module:
                below = "." if name and not module.endswith(".") else ""
                yield called.attr, (f"{module}{below}{name}", called.attr)


def _named(calls: Iterable[ast.AST | None], classes: set[str], aliases: dict[str, str]) -> tuple[str, ...]:
    """Name the Parameters or Configs among some values, as the command line takes them."""
    made = (call for call in calls if isinstance(call, ast.Call) and _name(call, aliases) in classes)
    return tuple(name for call in made for name in _first_string(call, "name"))


def _added(node: ast.ClassDef) -> Iterator[ast.AST | None]:
    """Give the Parameters that a mutator adds to a flow."""
    for call in _nodes(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "add_parameter":
            yield from (*call.args[1:2], *(each.value for each in call.keywords if each.arg == "value"))


def _class(node: ast.ClassDef, file: str, aliases: dict[str, str], imports: dict[str, Origin]) -> ClassSource:
    steps = [
        item.name
        for item in node.body
        if isinstance(item, ast.FunctionDef) and any(_name(d, aliases) == "step" for d in item.decorator_list)
    ]
    values = [item.value for item in node.body if isinstance(item, (ast.Assign, ast.AnnAssign))]
    after = [
        keyword.value.value
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and _name(decorator, aliases) == "trigger_on_finish"
        for keyword in decorator.keywords
        if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    ]
    return ClassSource(
        name=node.name,
        file=file,
        line=node.lineno,
        bases=tuple(_name(base, aliases) for base in node.bases),
        steps=tuple(steps),
        parameters=_named([*values, *_added(node)], PARAMETER_CLASSES, aliases),
        after=tuple(after),
        configs=_named(values, {"Config"}, aliases),
        decorators=tuple(_name(decorator, aliases) for decorator in node.decorator_list),
        origins=tuple(_origins((*node.bases, *node.decorator_list), imports)),
    )


def _first_string(call: ast.Call, keyword: str) -> list[str]:
    values = call.args[:1] or [k.value for k in call.keywords if k.arg == keyword]
    return [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]


def _imported_modules(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def _flow_calls(nodes: Iterable[ast.AST], aliases: dict[str, str]) -> Iterator[str]:
    """Names of flows that a file reads with Metaflow's client: Flow("X"), Run("X/12"), Task("X/12/fit/3")."""
    for node in nodes:
        if isinstance(node, ast.Call) and _name(node, aliases) in {"Flow", "Run", "Step", "Task"}:
            yield from (value.split("/")[0] for value in _first_string(node, "pathspec"))
