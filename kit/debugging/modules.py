"""A project's code as it was when a task ran: its modules for a notebook to import, its flow for a replay."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from kit.debugging.recorded import source_now, source_then
from kit.debugging.source import Source
from kit.errors import NotFoundError
from kit.flowscan import FlowScan, scan
from kit.model import FlowInfo
from kit.project import Project, own_folder
from kit.resolve import pick_task
from kit.runs import Runs
from kit.session import Session, session

__all__ = ["recorded_code"]


class _Then:
    """Finds the modules of a folder before all others."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [self._folder], target) if path is None else None


@dataclass(frozen=True)
class _ProjectThen(Project):
    """A project whose flows are those of a folder; its runs and all else are where they are."""

    code: Path = Path()

    def scan(self) -> FlowScan:
        return scan(self.code, recursive=True)

    def draft(self, name: str) -> FlowInfo | None:
        return None  # a notebook's flow is that of its run


@contextmanager
def recorded_code(pathspec: str, within: Session | None = None) -> Iterator[None]:
    """Let imports and replays find the project's code as it was when a task ran; afterwards they find today's again.

    What is imported within stays as it was: `with recorded_code("TrainFlow/12/fit/3"): import common`. Data files that
    were packed beside the modules lie beside them here too.

    Args:
        pathspec: `Flow/run/step/task`.
        within: The session; by default that of the project that is loaded.

    Raises:
        NotFoundError: There is no such task, or its code was not recorded.
    """
    here = within or session()
    target = here.resolve(pathspec)
    task = pick_task(here.runs, target)[0].pathspec
    script = here.runs.metadata(task, target.run.store).get("script-name", "")
    now, _ = source_now(here.runs, target.run, script)
    then, why = source_then(here.runs, target.run, task, now.home / now.file)
    if then is None:
        raise NotFoundError(f"The code of {task} is not to be had. {why}", "Use today's code.")
    folder = own_folder(here.project.root) / "code" / then.flow / then.key[:12]
    top_level = _unpack(then, folder)
    before, runs, finder = _taken_out(top_level), here.runs, _Then(folder)
    sys.meta_path.insert(0, finder)
    known = {each.name: getattr(here.project, each.name) for each in fields(Project)}
    here.runs = Runs(_ProjectThen(**known, code=folder))
    try:
        yield
    finally:
        here.runs = runs
        sys.meta_path.remove(finder)
        _taken_out(top_level)
        sys.modules.update(before)


def _unpack(then: Source, folder: Path) -> set[str]:
    """Write what was recorded to a folder, in one go; gives the names that its modules have at the top level."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        for path, content in then.everything():
            place = beside / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        try:
            beside.rename(folder)
        except OSError:  # another kernel has done it meanwhile
            shutil.rmtree(beside)
    return {each.stem if each.is_file() else each.name for each in folder.iterdir() if _may_be_module(each)}


def _may_be_module(path: Path) -> bool:
    return path.suffix == ".py" if path.is_file() else path.name.isidentifier() and any(path.rglob("*.py"))


def _taken_out(names: set[str]) -> dict[str, ModuleType]:
    """Take modules, and what is below them, out of sys.modules; gives them by their names."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}
