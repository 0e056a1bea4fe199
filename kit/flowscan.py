"""Flows as their source says, read with `ast`: nothing is imported, so nothing of the user's runs."""

from __future__ import annotations

import ast
import gc
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.model import FlowInfo

__all__ = ["FlowScan", "flow_names", "has_flow", "scan", "source_files"]

SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
PARAMETER_CLASSES = {"Parameter", "IncludeFile"}
FLOW_CLASS = r"(?m)^class\s+(\w+)\s*\(.*FlowSpec"


@dataclass(frozen=True)
class FlowScan:
    """What a folder's source files define.

    Args:
        flows: The flows, by name.
        broken: Files that do not parse: path to "line N: what is wrong".
        lost: Flow names that stand in files that do not parse: name to path.
        flow_files: The paths of all files that define a flow.
        doubled: Names that several files define: name to paths, the one that counts first.
    """

    flows: dict[str, FlowInfo]
    broken: dict[str, str]
    lost: dict[str, str]
    flow_files: frozenset[str]
    doubled: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Class:
    """A class statement: its bases by their last name, its steps and Parameters."""

    name: str
    file: str
    line: int
    bases: tuple[str, ...]
    steps: tuple[str, ...]
    parameters: tuple[str, ...]
    after: tuple[str, ...]


# Classes by file and name; under "" as the file, the first class of a name in any file.
_Classes = dict[tuple[str, str], _Class]


@dataclass(frozen=True)
class _Source:
    """What a file defines, or why it does not parse."""

    classes: tuple[_Class, ...] = ()
    error: str = ""
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Reads:
    """What a file may read of other flows: the modules it imports, its calls of Metaflow's client, its strings."""

    imports: tuple[str, ...] = ()
    flow_calls: tuple[str, ...] = ()
    strings: frozenset[str] = frozenset()


# A file, and what changes when it is written: its times, its size, its inode.
_State = tuple[str, tuple[int, ...]]


def scan(folder: Path, recursive: bool = True) -> FlowScan:
    """Read the flows that a folder's files define.

    Args:
        folder: The folder to read.
        recursive: Whether to go into its subfolders.

    Returns:
        The flows, and the files that could not be parsed. As long as no file changes, it is the same object.
    """
    return _scan(tuple(map(_state, source_files(folder, recursive))))


def flow_names(folder: Path, recursive: bool = True) -> tuple[str, ...]:
    """Name the flows that a folder's files define, as `scan` does, in a fraction of the time at the first call."""
    classes = _classes(_sources(map(_state, source_files(folder, recursive))))
    return tuple(dict.fromkeys(cls.name for cls in _flow_classes(classes) if _inherited(cls, classes, "steps")))


def has_flow(folder: Path) -> bool:
    """Whether a file of a folder, not of its subfolders, defines a flow."""
    return any(
        "FlowSpec" in cls.bases
        for file in source_files(folder, recursive=False)
        if _mentions_flows(file)
        for cls in _parse(*_state(file)).classes
    )


def source_files(folder: str | Path, recursive: bool = True) -> list[str]:
    """List the paths of a folder's Python files, without those that lie in environments and hidden folders."""
    return list(_files(str(folder), recursive, set()))


def _files(folder: str, recursive: bool, seen: set[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in seen or not os.path.isdir(real):  # a link may lead back to where it is
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError:  # a folder that may not be read
        return
    for entry in found:
        if entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS:
            continue
        if entry.name.endswith(".py") and entry.is_file():
            yield entry.path
        elif recursive and entry.is_dir() and not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
            yield from _files(entry.path, recursive, seen)


def _state(file: str) -> _State:
    try:
        stat = os.stat(file)
    except OSError:  # gone since it was listed: reading it says so
        return file, ()
    return file, (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


def _mentions_flows(file: str) -> bool:
    try:
        return b"FlowSpec" in Path(file).read_bytes()
    except OSError:
        return False


@lru_cache(maxsize=8)
def _scan(states: tuple[_State, ...]) -> FlowScan:
    sources = _sources(states)
    classes = _classes(sources)
    flow_classes = _flow_classes(classes)
    flows: dict[str, _Class] = {}
    files: dict[str, list[str]] = {}
    for cls in flow_classes:
        if _inherited(cls, classes, "steps"):
            flows.setdefault(cls.name, cls)
            files.setdefault(cls.name, []).append(cls.file)
    reads = {file: _reads(file, state) for file, state in states}
    modules = {Path(file).stem: read for file, read in reads.items()}
    return FlowScan(
        flows={name: _flow(cls, classes, _after(cls, flows, sources, reads, modules)) for name, cls in flows.items()},
        broken={file: source.error for file, source in sources.items() if source.error},
        lost={name: file for file, source in sources.items() for name in source.lost},
        flow_files=frozenset(cls.file for cls in flow_classes),
        doubled={name: tuple(paths) for name, paths in files.items() if len(set(paths)) > 1},
    )


def _sources(states: Iterable[_State]) -> dict[str, _Source]:
    return {file: _parse(file, state) for file, state in states}


def _classes(sources: dict[str, _Source]) -> _Classes:
    classes: _Classes = {}
    for source in sources.values():
        for cls in source.classes:
            classes[cls.file, cls.name] = cls
            classes.setdefault(("", cls.name), cls)
    return classes


def _flow_classes(classes: _Classes) -> list[_Class]:
    return [cls for (file, _), cls in classes.items() if file and _is_flow(cls, classes)]


@lru_cache(maxsize=512)
def _parse(file: str, state: tuple[int, ...]) -> _Source:
    """Parse one file; its state is the cache's key (a file may be replaced by one of the same size and time)."""
    tree = _tree(file)
    if isinstance(tree, _Source):
        return tree
    statements = list(_statements(tree.body))
    aliases = _aliases(statements)
    return _Source(tuple(_class(node, file, aliases) for node in tree.body if isinstance(node, ast.ClassDef)))


@lru_cache(maxsize=512)
def _reads(file: str, state: tuple[int, ...]) -> _Reads:
    """Find what a file reads of other flows; in a file that does not parse, nothing."""
    tree = _tree(file)
    if isinstance(tree, _Source):
        return _Reads()
    nodes = list(_nodes(tree))
    aliases = _aliases(nodes)
    strings = (node.value for node in nodes if isinstance(node, ast.Constant))
    return _Reads(
        imports=tuple(_imported_modules(nodes)),
        flow_calls=tuple(_flow_calls(nodes, aliases)),
        strings=frozenset(value for value in strings if isinstance(value, str) and len(value) < 200),
    )


def _tree(file: str) -> ast.Module | _Source:
    """Parse a file; where that fails, give what is known of it all the same."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        return _Source(error=str(error))
    collecting = gc.isenabled()
    gc.disable()  # a tree is thousands of objects, none of them garbage
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful escapes: they are for the one who runs the file
            return ast.parse(content, filename=file)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        text = content.decode("utf-8", errors="replace")
        return _Source(error=_reason(error), lost=tuple(re.findall(FLOW_CLASS, text)))
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


def _class(node: ast.ClassDef, file: str, aliases: dict[str, str]) -> _Class:
    steps = [
        item.name
        for item in node.body
        if isinstance(item, ast.FunctionDef) and any(_name(d, aliases) == "step" for d in item.decorator_list)
    ]
    parameters = [
        name
        for item in node.body
        if isinstance(item, (ast.Assign, ast.AnnAssign)) and isinstance(item.value, ast.Call)
        if _name(item.value, aliases) in PARAMETER_CLASSES
        for name in _first_string(item.value, "name")
    ]
    after = [
        keyword.value.value
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and _name(decorator, aliases) == "trigger_on_finish"
        for keyword in decorator.keywords
        if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    ]
    bases = tuple(_name(base, aliases) for base in node.bases)
    return _Class(node.name, file, node.lineno, bases, tuple(steps), tuple(parameters), tuple(after))


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


def _bases(cls: _Class, classes: _Classes) -> Iterator[_Class]:
    """Give the base classes that the folder's files define: the file's own, before another's of the same name."""
    for name in cls.bases:
        base = classes.get((cls.file, name)) or classes.get(("", name))
        if base is not None:
            yield base


def _is_flow(cls: _Class, classes: _Classes, seen: tuple[_Class, ...] = ()) -> bool:
    if "FlowSpec" in cls.bases:
        return True
    return any(_is_flow(base, classes, (*seen, cls)) for base in _bases(cls, classes) if base not in (*seen, cls))


def _inherited(cls: _Class, classes: _Classes, what: str, seen: tuple[_Class, ...] = ()) -> tuple[str, ...]:
    """Gather steps or Parameters of a class and of its bases, the bases' first, each once."""
    names: list[str] = []
    for base in _bases(cls, classes):
        if base not in (*seen, cls):
            names += _inherited(base, classes, what, (*seen, cls))
    names += getattr(cls, what)
    return tuple(dict.fromkeys(names))


def _flow(cls: _Class, classes: _Classes, after: tuple[str, ...]) -> FlowInfo:
    from kit.model import FlowInfo  # not imported with the module: `%load_ext kit` asks for names alone

    return FlowInfo(
        name=cls.name,
        file=cls.file,
        line=cls.line,
        steps=_inherited(cls, classes, "steps"),
        parameters=_inherited(cls, classes, "parameters"),
        after=after,
    )


def _after(
    cls: _Class,
    flows: Iterable[str],
    sources: dict[str, _Source],
    reads: dict[str, _Reads],
    modules: dict[str, _Reads],
) -> tuple[str, ...]:
    """Name the project's other flows whose runs this one reads.

    A flow's own file counts with every string that names a flow (a Parameter's default, `Flow("X")`); a module
    that it imports counts with its calls of Metaflow's client alone, since a shared module names many things.
    """
    own = reads[cls.file]
    named = {*(text.split("/")[0] for text in own.strings), *cls.after, *own.flow_calls}
    for module in own.imports:
        if module in modules:
            named |= set(modules[module].flow_calls)
    siblings = {sibling.name for sibling in sources[cls.file].classes}
    return tuple(name for name in flows if name in named and name != cls.name and name not in siblings)
