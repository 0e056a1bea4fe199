"""Flows as their source says, read with `ast`: nothing is imported, so nothing of the user's runs."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from kit.model import FlowInfo

__all__ = ["FlowScan", "scan"]

SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
PARAMETER_CLASSES = {"Parameter", "IncludeFile"}
FLOW_CLASS = re.compile(r"^class\s+(\w+)\s*\(.*FlowSpec", re.MULTILINE)


@dataclass(frozen=True)
class FlowScan:
    """What a folder's source files define.

    Args:
        flows: The flows, by name.
        broken: Files that do not parse: path to "line N: what is wrong".
        lost: Flow names that stand in files that do not parse: name to path.
        flow_files: The paths of all files that define a flow.
    """

    flows: dict[str, FlowInfo]
    broken: dict[str, str]
    lost: dict[str, str]
    flow_files: frozenset[str]


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
    classes: tuple[_Class, ...] = ()
    imports: tuple[str, ...] = ()
    flow_calls: tuple[str, ...] = ()
    strings: frozenset[str] = frozenset()
    error: str = ""
    lost: tuple[str, ...] = ()


def scan(folder: Path, recursive: bool = True) -> FlowScan:
    """Read the flows that a folder's files define.

    Args:
        folder: The folder to read.
        recursive: Whether to go into its subfolders.

    Returns:
        The flows, and the files that could not be parsed.
    """
    sources = {str(path): _read(path) for path in _files(folder, recursive, set())}
    classes: _Classes = {}
    for source in sources.values():
        for cls in source.classes:
            classes[cls.file, cls.name] = cls
            classes.setdefault(("", cls.name), cls)
    flow_classes = [cls for (file, _), cls in classes.items() if file and _is_flow(cls, classes)]
    flows: dict[str, FlowInfo] = {}
    for cls in flow_classes:
        if _inherited(cls, classes, "steps"):
            flows.setdefault(cls.name, _flow(cls, classes))
    modules = {Path(file).stem: source for file, source in sources.items()}
    return FlowScan(
        flows={
            name: replace(flow, after=_after(flow, flows, sources, modules, classes)) for name, flow in flows.items()
        },
        broken={file: source.error for file, source in sources.items() if source.error},
        lost={name: file for file, source in sources.items() for name in source.lost},
        flow_files=frozenset(cls.file for cls in flow_classes),
    )


def _files(folder: Path, recursive: bool, seen: set[Path]) -> Iterator[Path]:
    if not folder.is_dir() or folder.resolve() in seen:  # a link may lead back to where it is
        return
    seen.add(folder.resolve())
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_symlink(), path)):
        if path.name.startswith(".") or path.name in SKIPPED_FOLDERS:
            continue
        if path.suffix == ".py" and path.is_file():
            yield path
        elif recursive and path.is_dir() and not (path / "pyvenv.cfg").exists():
            yield from _files(path, recursive, seen)


def _read(path: Path) -> _Source:
    try:
        stat = path.stat()
    except OSError as error:
        return _Source(error=str(error))
    return _parse(str(path), (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=512)
def _parse(file: str, state: tuple[int, ...]) -> _Source:
    """Parse one file; its state is the cache's key (a file may be replaced by one of the same size and time)."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        return _Source(error=str(error))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful escapes: they are for the one who runs the file
            tree = ast.parse(content, filename=file)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        text = content.decode("utf-8", errors="replace")
        return _Source(error=_reason(error), lost=tuple(FLOW_CLASS.findall(text)))
    aliases = _aliases(tree)
    strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return _Source(
        classes=tuple(_class(node, file, aliases) for node in tree.body if isinstance(node, ast.ClassDef)),
        imports=tuple(_imported_modules(tree)),
        flow_calls=tuple(_flow_calls(tree, aliases)),
        strings=frozenset(value for value in strings if isinstance(value, str) and len(value) < 200),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {error.msg}"
    return str(error) or "it is nested too deeply"


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Map the names that a file gives to what it imports back to the imported names."""
    return {
        alias.asname: alias.name
        for node in ast.walk(tree)
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


def _imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def _flow_calls(tree: ast.Module, aliases: dict[str, str]) -> Iterator[str]:
    """Names of flows that a file reads with Metaflow's client: Flow("X"), Run("X/12"), Task("X/12/fit/3")."""
    for node in ast.walk(tree):
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


def _flow(cls: _Class, classes: _Classes) -> FlowInfo:
    return FlowInfo(
        name=cls.name,
        file=cls.file,
        line=cls.line,
        steps=_inherited(cls, classes, "steps"),
        parameters=_inherited(cls, classes, "parameters"),
    )


def _after(
    flow: FlowInfo,
    flows: Iterable[str],
    sources: dict[str, _Source],
    modules: dict[str, _Source],
    classes: _Classes,
) -> tuple[str, ...]:
    """Name the project's other flows whose runs this one reads.

    A flow's own file counts with every string that names a flow (a Parameter's default, `Flow("X")`); a module
    that it imports counts with its calls of Metaflow's client alone, since a shared module names many things.
    """
    own = sources[flow.file]
    cls = classes[flow.file, flow.name]
    named = {*(text.split("/")[0] for text in own.strings), *cls.after, *own.flow_calls}
    for module in own.imports:
        if module in modules:
            named |= set(modules[module].flow_calls)
    siblings = {sibling.name for sibling in own.classes}
    return tuple(name for name in flows if name in named and name != flow.name and name not in siblings)
