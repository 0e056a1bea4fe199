"""Where the user is and what they looked at last; and the functions that `import kit` offers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kit.artifact_table import ArtifactTable
from kit.flowfile import forget_strangers
from kit.model import Pathspec, StepResult
from kit.project import Project, find_project, user_environment
from kit.resolve import Target, resolve
from kit.runs import Runs

__all__ = ["Session", "artifacts", "run_step", "session"]


@dataclass
class Session:
    """A project, its runs, and the run that was named last.

    Args:
        project: The project.
        current: The run, step or task named last; a bare step is meant relative to it.
    """

    project: Project
    current: Pathspec | None = None
    runs: Runs = field(init=False)

    def __post_init__(self) -> None:
        self.runs = Runs(self.project)
        forget_strangers(self.project.flows_folder)

    def resolve(self, pathspec: str, successful: bool = False) -> Target:
        """Find what a pathspec means, and remember its run as the current one."""
        target = resolve(self.runs, pathspec, self.current, successful)
        self.current = Pathspec(target.run.flow, target.run.id)
        return target


# The extension's own session, while it is loaded.
loaded: Session | None = None


def session() -> Session:
    """Give the loaded extension's session, or a new one for the project of the working directory.

    Raises:
        ProjectError: There is no project here.
    """
    if loaded is not None:
        return loaded
    os.environ.update(user_environment())
    return Session(find_project())


def artifacts(pathspec: str, *, successful: bool = False) -> ArtifactTable:
    """List what a run, a step or a task produced. Nothing is unpickled until it is asked for.

    Args:
        pathspec: `Flow[/run[/step[/task]]]`; without the run, the latest one.
        successful: Whether a run that is left out is the latest that succeeded.

    Returns:
        A table: `table["fit"]["model"]` loads one value, `table.infos()` lists them all.

    Raises:
        NotFoundError: There is no such flow, run, step or task.
    """
    here = session()
    return ArtifactTable(here.runs, here.resolve(pathspec, successful))


def run_step(
    pathspec: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    index: int | Sequence[int] | None = None,
    foreach: object = None,
    successful: bool = False,
) -> StepResult:
    """Replay a recorded task of a flow in this process, on its recorded inputs, and compare what comes out.

    Nothing is written to the datastore, and the process is left as it was.

    Args:
        pathspec: `Flow[/run]/step[/task]`; without the run, the latest one.
        overrides: Values that stand in for recorded input artifacts or Parameters, by name.
        index: Which task of a foreach: its index, or its indices from the outermost foreach on.
        foreach: Which task of a foreach: its value.
        successful: Whether a run that is left out is the latest that succeeded.

    Returns:
        The artifacts after the step, and which of them are the same as the recorded ones, changed, added or missing.

    Raises:
        NotFoundError: There is no such flow, run, step, task or input.
        ReplayError: The step cannot be replayed.
        Exception: Whatever the step itself raises.
    """
    __tracebackhide__ = True
    from kit import replay

    here = session()
    target = here.resolve(pathspec, successful)
    indices = (index,) if isinstance(index, int) else tuple(index) if index is not None else None
    value = None if foreach is None else str(foreach)
    return replay.run_step(here.runs, target, overrides, indices, value).result
