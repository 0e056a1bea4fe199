"""What a run produced: listed without unpickling anything, loaded one value at a time."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kit import flowfile
from kit.errors import ArtifactError, KitError, NotFoundError, did_you_mean
from kit.model import ArtifactInfo, FlowRuns, Pathspec, StepInfo, TaskInfo
from kit.resolve import Target, choose
from kit.runs import Runs, current_namespace
from kit.views import Displayed

__all__ = ["ArtifactTable", "RunTable", "StepArtifacts"]


class RunTable(Displayed):
    """The flows of a project, and their recent runs.

    Args:
        runs: The project's runs.
        limit: How many runs of each flow to show.
    """

    def __init__(self, runs: Runs, limit: int = 5) -> None:
        self.root = str(runs.project.root)
        source = runs.project.scan().flows
        namespace = current_namespace()
        self.flows = tuple(
            FlowRuns(
                name=name,
                file=runs.project.relative(source[name].file) if name in source else None,
                runs=runs.runs(name, namespace, limit) or runs.runs(name, None, limit),
            )
            for name in dict.fromkeys([*source, *runs.flows()])
        )

    def _page(self) -> Any:
        from kit.views import build

        return build.project_page(self.root, self.flows)


class ArtifactTable(Displayed, Mapping[str, "StepArtifacts"]):
    """The artifacts of a run, of one of its steps, or of one task.

    `table["fit"]["model"]` loads one value; nothing else is read.

    Args:
        runs: The project's runs.
        target: What to list.
    """

    def __init__(self, runs: Runs, target: Target) -> None:
        self._runs, self.target = runs, target
        self._only: frozenset[str] | None = None
        self._notes = (target.note,) if target.note else ()
        self.steps = tuple(_narrowed(step, target) for step in runs.steps(target.run, target.step))

    def showing(self, names: Iterable[str], notes: Iterable[str]) -> ArtifactTable:
        """Give the same listing narrowed to some artifacts, with lines to show below; nothing is read again."""
        table = copy.copy(self)
        table._only, table._notes = frozenset(names), (*self._notes, *notes)
        return table

    def infos(self) -> list[ArtifactInfo]:
        """List every artifact, in the order of steps, tasks and names."""
        return [
            artifact
            for step in self.steps
            for task in step.tasks
            for artifact in task.artifacts
            if self._only is None or artifact.name in self._only
        ]

    def task(self) -> tuple[TaskInfo, str]:
        """Choose the one task that a name without a task is read from, and say so where there was a choice."""
        step = self.steps[-1]
        return choose(self._pathspec(step), step.tasks)

    def holder(self, name: str) -> tuple[TaskInfo, str]:
        """Find the task to read an artifact from: for a whole run, one of the last step that has it.

        Raises:
            NotFoundError: No step has it.
        """
        for step in reversed(self.steps):
            tasks = [task for task in step.tasks if any(artifact.name == name for artifact in task.artifacts)]
            if tasks:
                return choose(self._pathspec(step), tasks)
        known = {artifact.name for artifact in self.infos()}
        raise NotFoundError(
            f"{self.target.pathspec} has no artifact {name}.",
            did_you_mean(name, sorted(known), f"artifacts of {self.target.pathspec}"),
        )

    def load(self, name: str) -> Any:
        """Load one artifact by name alone (see `holder`)."""
        task, _ = self.holder(name)
        return StepArtifacts(self._runs, self.target.run.store, task)[name]

    def __getitem__(self, step: str) -> StepArtifacts:
        found = next((candidate for candidate in self.steps if candidate.name == step), None)
        if found is None:
            names = [candidate.name for candidate in self.steps]
            raise NotFoundError(
                f"{self.target.pathspec} has no step {step}.",
                did_you_mean(step, names, f"steps of {self.target.pathspec}"),
            )
        pathspec = self._pathspec(found)
        if not found.tasks:
            raise NotFoundError(f"{pathspec} has no task: the run did not come that far.", "Name an earlier step.")
        task, _ = choose(pathspec, found.tasks)
        return StepArtifacts(self._runs, self.target.run.store, task)

    def __iter__(self) -> Iterator[str]:
        return iter(step.name for step in self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def _pathspec(self, step: StepInfo) -> Pathspec:
        return Pathspec(self.target.run.flow, self.target.run.id, step.name)

    def _page(self) -> Any:
        from kit.views import build

        return build.run_page(self.target.run, self.steps, self._only, self._notes)


class StepArtifacts(Mapping[str, Any]):
    """The public artifacts of one task; each is loaded when it is asked for.

    Args:
        runs: The project's runs.
        store: The root of the datastore that holds them.
        task: The task.
    """

    def __init__(self, runs: Runs, store: str, task: TaskInfo) -> None:
        self._runs, self._store, self.task = runs, store, task
        self._infos = {artifact.name: artifact for artifact in task.artifacts}

    def __getitem__(self, name: str) -> Any:
        if name not in self._infos:
            where = self.task.pathspec
            raise NotFoundError(
                f"{where} has no artifact {name}.", did_you_mean(name, self._infos, f"artifacts of {where}")
            )
        return _load(self._runs, self.task.pathspec, self._infos[name], self._store)

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def __repr__(self) -> str:
        return f"<{self.task.pathspec}: {', '.join(self._infos)}>"


class _FlowMain(ModuleType):
    """Stands in for `__main__` while an artifact is read: loads the flow file once a class of it is asked for."""

    def __init__(self, runs: Runs, flow: str) -> None:
        super().__init__("__main__")
        info = runs.project.scan().flows.get(flow)
        self.__file__ = info.file if info else str(runs.project.flows_folder / f"{flow}.py")
        self.__dict__["_load"] = lambda: flowfile.load_cached(runs.project.flow(flow)).module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._load(), name)


def _load(runs: Runs, pathspec: Pathspec, info: ArtifactInfo, store: str) -> Any:
    """Unpickle one artifact with the flow's modules in reach, and say what is missing where that fails."""
    try:
        with flowfile.as_script(_FlowMain(runs, pathspec.flow)):
            return runs.load(pathspec, [info.name], store)[info.name]
    except (KitError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        looked = ", ".join(path for path in [str(runs.project.flows_folder), *sys.path] if path and Path(path).is_dir())
        raise ArtifactError(
            f"{pathspec}: {info.name} is a {info.type}, and the module {error.name!r} that it needs is gone.",
            f"Put {error.name} back or install it; it was looked for in {looked}.",
        ) from error
    except AttributeError as error:
        raise ArtifactError(
            f"{pathspec}: {info.name} is a {info.type}, and that class is gone: {error}.",
            "Give the class its old name and module back, or run the step again.",
        ) from error
    except Exception as error:
        raise ArtifactError(
            f"{pathspec}: {info.name} is a {info.type} that does not unpickle: {type(error).__name__}: {error}",
            "It may have been written with other versions of its packages: compare them with the run's.",
        ) from error


def _narrowed(step: StepInfo, target: Target) -> StepInfo:
    if target.task is None:
        return step
    return StepInfo(step.name, step.status, tuple(task for task in step.tasks if task.pathspec.task == target.task))
