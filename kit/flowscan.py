"""Flows as their source says, read with `ast`: nothing is imported, so nothing of the user's runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kit.flowsource import ClassSource, Reads, Source, State, imported, parsed, reads_of, state_of

if TYPE_CHECKING:
    from kit.model import FlowInfo

__all__ = ["FlowScan", "flow_names", "has_flow", "scan", "source_files"]

SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages", "build", "dist"}


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


# Classes by file and name; under "" as the file, the first class of a name in any file.
_Classes = dict[tuple[str, str], ClassSource]


def scan(folder: Path, recursive: bool = True) -> FlowScan:
    """Read the flows that a folder's files define.

    Args:
        folder: The folder to read.
        recursive: Whether to go into its subfolders.

    Returns:
        The flows, and the files that could not be parsed. As long as no file changes, it is the same object.
    """
    return _scan(tuple(map(state_of, source_files(folder, recursive))))


def flow_names(folder: Path, recursive: bool = True) -> tuple[str, ...]:
    """Name the flows that a folder's files define, as `scan` does, in a fraction of the time at the first call."""
    classes = _classes(_sources(map(state_of, source_files(folder, recursive))))
    return tuple(dict.fromkeys(cls.name for cls in _flow_classes(classes) if _inherited(cls, classes, "steps")))


def has_flow(folder: Path) -> bool:
    """Whether a file of a folder, not of its subfolders, defines a flow."""
    return any(
        "FlowSpec" in cls.bases
        for file in source_files(folder, recursive=False)
        if _mentions_flows(file)
        for cls in parsed(*state_of(file)).classes
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


def _mentions_flows(file: str) -> bool:
    try:
        return b"FlowSpec" in Path(file).read_bytes()
    except OSError:
        return False


@lru_cache(maxsize=8)
def _scan(states: tuple[State, ...]) -> FlowScan:
    sources: dict[str, Source] = {}
    reads: dict[str, Reads] = {}
    for file, state in states:  # one after the other for each file: both ask for its tree
        sources[file], reads[file] = parsed(file, state), reads_of(file, state)
    classes = _classes(sources)
    flow_classes = _flow_classes(classes)
    flows: dict[str, ClassSource] = {}
    files: dict[str, list[str]] = {}
    for cls in flow_classes:
        if _inherited(cls, classes, "steps"):
            flows.setdefault(cls.name, cls)
            files.setdefault(cls.name, []).append(cls.file)
    modules = {Path(file).stem: read for file, read in reads.items()}
    return FlowScan(
        flows={name: _flow(cls, classes, _after(cls, flows, sources, reads, modules)) for name, cls in flows.items()},
        broken={file: source.error for file, source in sources.items() if source.error},
        lost={name: file for file, source in sources.items() for name in source.lost},
        flow_files=frozenset(cls.file for cls in flow_classes),
        doubled={name: tuple(paths) for name, paths in files.items() if len(set(paths)) > 1},
    )


def _sources(states: Iterable[State]) -> dict[str, Source]:
    return {file: parsed(file, state) for file, state in states}


def _classes(sources: dict[str, Source]) -> _Classes:
    classes: _Classes = {}
    for source in sources.values():
        for cls in source.classes:
            classes[cls.file, cls.name] = cls
            classes.setdefault(("", cls.name), cls)
    return classes


def _flow_classes(classes: _Classes) -> list[ClassSource]:
    return [cls for (file, _), cls in classes.items() if file and _is_flow(cls, classes)]


def _bases(cls: ClassSource, classes: _Classes, what: str = "steps") -> Iterator[ClassSource]:
    """Give the base classes: the file's own, before another's of the same name, before those of other modules.

    Parameters and Configs come from mutators too. Other modules are read for what may be a flow alone: of all classes
    whose bases are from elsewhere, they would be many.
    """
    may_be_flow = bool(cls.steps or cls.parameters or cls.configs or cls.name.endswith("Flow"))
    for name in (*cls.bases, *(() if what == "steps" else cls.decorators)):
        base = (
            classes.get((cls.file, name)) or classes.get(("", name)) or (imported(cls, name) if may_be_flow else None)
        )
        if base is not None:
            yield base


def _is_flow(cls: ClassSource, classes: _Classes, seen: tuple[ClassSource, ...] = ()) -> bool:
    if "FlowSpec" in cls.bases:
        return True
    return any(_is_flow(base, classes, (*seen, cls)) for base in _bases(cls, classes) if base not in (*seen, cls))


def _inherited(cls: ClassSource, classes: _Classes, what: str, seen: tuple[ClassSource, ...] = ()) -> tuple[str, ...]:
    """Gather steps, Parameters or Configs of a class and of its bases, the bases' first, each once."""
    names: list[str] = []
    for base in _bases(cls, classes, what):
        if base not in (*seen, cls):
            names += _inherited(base, classes, what, (*seen, cls))
    names += getattr(cls, what)
    return tuple(dict.fromkeys(names))


def _flow(cls: ClassSource, classes: _Classes, after: tuple[str, ...]) -> FlowInfo:
    from kit.model import FlowInfo  # not imported with the module: `%load_ext kit` asks for names alone

    return FlowInfo(
        name=cls.name,
        file=cls.file,
        line=cls.line,
        steps=_inherited(cls, classes, "steps"),
        parameters=_inherited(cls, classes, "parameters"),
        configs=_inherited(cls, classes, "configs"),
        after=after,
    )


def _after(
    cls: ClassSource,
    flows: Iterable[str],
    sources: dict[str, Source],
    reads: dict[str, Reads],
    modules: dict[str, Reads],
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
