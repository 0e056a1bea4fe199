"""Modules of the project as they were when a task ran, for a notebook to import."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from kit.debugging.recorded import encoding_of, source_then
from kit.errors import NotFoundError
from kit.resolve import pick_task
from kit.session import session

__all__ = ["recorded_code"]

FOLDER = (".kit", "code")  # in the project's root


class _Then:
    """Finds the modules of a folder before all others."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [self._folder], target) if path is None else None


@contextmanager
def recorded_code(pathspec: str) -> Iterator[None]:
    """Let imports find the project's modules as they were when a task ran; afterwards they find today's again.

    What is imported within stays as it was: `with recorded_code("TrainFlow/12/fit/3"): import common`.

    Args:
        pathspec: `Flow/run/step/task`.

    Raises:
        NotFoundError: There is no such task, or its code was not recorded.
    """
    here = session()
    target = here.resolve(pathspec)
    task = pick_task(here.runs, target)[0].pathspec
    flow_file = Path(here.runs.flow_file(target.run).file)
    then, why = source_then(here.runs, target.run, task, flow_file)
    if then is None:
        raise NotFoundError(f"The code of {task} is not to be had. {why}", "Import today's modules.")
    folder = here.project.root.joinpath(*FOLDER, target.run.flow, str(target.run.id))
    for path, text in then.files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        content = text.encode("utf-8", "replace")
        place.write_bytes(text.encode(encoding_of(content), "replace"))
    (folder.parents[1] / ".gitignore").write_text("*\n", encoding="utf-8")
    own = {path.partition("/")[0].removesuffix(".py") for path in then.files}
    before = _taken_out(own)
    finder = _Then(folder)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _taken_out(own)
        sys.modules.update(before)


def _taken_out(names: set[str]) -> dict[str, ModuleType]:
    """Take modules, and what is below them, out of sys.modules; gives them by their names."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}
