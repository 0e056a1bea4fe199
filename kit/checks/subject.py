"""What is checked: a project's files, read and parsed once for all rules. Nothing is imported."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from kit.checks.notebooks import CheckedNotebook, read_notebook
from kit.checks.settings import CheckSettings
from kit.checks.syntax import DEEPEST, Function, dotted, imported_names, nesting
from kit.flowscan import scan, source_files
from kit.model import FlowInfo
from kit.project import Project

__all__ = ["Flow", "Module", "Subject", "read_subject"]


@dataclass(frozen=True, eq=False)
class Module:
    """A Python file.

    Args:
        path: Where it is.
        text: What it holds.
        tree: Its syntax tree; empty where it does not parse.
        error: Why it does not parse, and at which line; None where it does.
    """

    path: str
    text: str
    tree: ast.Module
    error: tuple[int, str] | None = None

    @cached_property
    def names(self) -> dict[str, str]:
        """What the file's imports bind, outside of functions and classes."""
        return imported_names(self.tree.body)

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The functions at the top of the file; of a name that is there twice, the first."""
        found = [node for node in self.tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        return {node.name: node for node in reversed(found)}

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The classes at the top of the file."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}


@dataclass(frozen=True, eq=False)
class Flow:
    """A flow: its class, and the classes that it inherits from in the project.

    Args:
        info: What kit.flowscan says of it.
        module: The file that defines it.
        classes: Its class and its bases, the derived first, each with the file that it is in.
    """

    info: FlowInfo
    module: Module
    classes: tuple[tuple[Module, ast.ClassDef], ...]

    @property
    def node(self) -> ast.ClassDef:
        """The statement of its class."""
        return self.classes[0][1]

    @cached_property
    def methods(self) -> dict[str, tuple[Module, Function]]:
        """Its functions by name, steps among them, each with the file that it is in."""
        found: dict[str, tuple[Module, Function]] = {}
        for module, cls in self.classes:
            for node in cls.body:
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.setdefault(node.name, (module, node))
        return found

    @cached_property
    def steps(self) -> dict[str, tuple[Module, Function]]:
        """Its steps by name."""
        return {name: self.methods[name] for name in self.info.steps if name in self.methods}


@dataclass(frozen=True, eq=False)
class Subject:
    """What the rules look at.

    Args:
        project: The project.
        settings: What [tool.kit.check] says.
        modules: Its Python files by path: those of the flows' folder, and those that were named.
        flows: Its flows.
        notebooks: Its notebooks, those outside its notebooks' folder too.
    """

    project: Project
    settings: CheckSettings
    modules: dict[str, Module]
    flows: tuple[Flow, ...]
    notebooks: tuple[CheckedNotebook, ...]

    @cached_property
    def by_name(self) -> dict[str, list[Module]]:
        """Its Python files, by their names without the suffix."""
        found: dict[str, list[Module]] = {}
        for path, module in self.modules.items():
            found.setdefault(Path(path).stem, []).append(module)
        return found

    @property
    def steps(self) -> Iterator[tuple[str, Module, Function]]:
        """The steps of all flows, each once, though several flows inherit it; under the name of its flow or base."""
        seen: set[int] = set()
        for flow in self.flows:
            for module, node in flow.steps.values():
                if id(node) not in seen:
                    seen.add(id(node))
                    yield flow.info.name, module, node


def read_subject(project: Project, settings: CheckSettings, places: Sequence[Path]) -> Subject:
    """Read the files of a project.

    Args:
        project: The project.
        settings: What [tool.kit.check] says.
        places: Files and folders that were named, which may lie outside its folders.
    """
    recursive = project.flows_folder != project.root
    found = dict.fromkeys(source_files(project.flows_folder, recursive))
    for place in places:
        found.update(dict.fromkeys(source_files(place) if place.is_dir() else [str(place)] * (place.suffix == ".py")))
    modules = {path: _module(path) for path in found if not _excluded(project, settings, path)}
    scans = [scan(project.flows_folder, recursive)]
    scans += [scan(place if place.is_dir() else place.parent, place.is_dir()) for place in places]
    named = {info.file for one in scans for info in one.flows.values()}
    hidden = {file for one in scans for file in one.flow_files} - named  # flows of the same name in several folders
    scans += [scan(folder, recursive=False) for folder in sorted({Path(file).parent for file in hidden})]
    flows: dict[tuple[str, str], Flow] = {}
    for one in scans:
        for info in one.flows.values():
            module = modules.get(info.file)
            if module and info.name in module.classes:
                flows.setdefault((info.file, info.name), _flow(info, module, modules))
    return Subject(project, settings, modules, tuple(flows.values()), tuple(_notebooks(project, settings, places)))


def _excluded(project: Project, settings: CheckSettings, path: str | Path) -> bool:
    name = project.relative(path)
    return any(fnmatch(name, pattern) for pattern in settings.exclude)


def _module(path: str) -> Module:
    empty = ast.Module(body=[], type_ignores=[])
    try:
        content = Path(path).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful escapes: they are for the one who runs the file
            tree = ast.parse(content, filename=path)
        if nesting(tree) > DEEPEST:
            return Module(path, "", empty, (1, "it is nested too deeply to be checked"))
    except OSError as error:
        return Module(path, "", empty, (1, error.strerror or "it cannot be read"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        reason = (error.msg if isinstance(error, SyntaxError) else str(error)) or "it is nested too deeply"
        return Module(path, content.decode("utf-8-sig", errors="replace"), empty, (line or 1, reason))
    return Module(path, content.decode("utf-8-sig", errors="replace"), tree)


def _flow(info: FlowInfo, module: Module, modules: dict[str, Module]) -> Flow:
    chain: list[tuple[Module, ast.ClassDef]] = []
    pending = [(module, module.classes[info.name])]
    while pending:
        where, node = pending.pop(0)
        if all(node is not known for _, known in chain):
            chain.append((where, node))
            pending += [base for name in node.bases if (base := _base(where, name, modules))]
    return Flow(info, module, tuple(chain))


def _base(module: Module, name: ast.expr, modules: dict[str, Module]) -> tuple[Module, ast.ClassDef] | None:
    last = dotted(name, module.names).rpartition(".")[2]
    for where in (module, *modules.values()):
        if last in where.classes:
            return where, where.classes[last]
    return None


def _notebooks(project: Project, settings: CheckSettings, places: Sequence[Path]) -> Iterator[CheckedNotebook]:
    found: dict[Path, bool] = {}
    for path in _inside(project.notebooks_folder, recursive=project.notebooks_folder != project.root):
        found[path] = True
    for folder in dict.fromkeys((project.root, project.flows_folder)):
        found.update((path, False) for path in _inside(folder, folder != project.root) if path not in found)
    for place in places:
        named = list(_inside(place, True)) if place.is_dir() else [place] * (place.suffix == ".ipynb")
        found.update((path, False) for path in named if path not in found)
    for path, tested in found.items():
        if not _excluded(project, settings, path):
            yield read_notebook(path, tested)


def _inside(folder: Path, recursive: bool) -> list[Path]:
    found = folder.rglob("*.ipynb") if recursive else folder.glob("*.ipynb")
    return sorted(p for p in found if p.is_file() and not any(s.startswith(".") for s in p.relative_to(folder).parts))
