"""What a run produced: listed without unpickling anything, loaded one value at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kit import details
from kit.errors import NotFoundError, did_you_mean
from kit.gather import gather
from kit.loading import load
from kit.model import ArtifactInfo, FlowRuns, Pathspec, StepInfo, TaskInfo
from kit.resolve import Target, choose, of_values
from kit.rundiff import RunDifference, compare
from kit.runs import MINE, Runs, Scope
from kit.views import Displayed
from kit.views.details import RunDetails

__all__ = ["ArtifactTable", "RunTable", "StepArtifacts"]


class RunTable(Displayed):
    """The flows of a project, and their recent runs.

    Args:
        runs: The project's runs.
        limit: How many runs of each flow to show.
        scope: Which runs.
        successful: Whether to show those that succeeded alone.
    """

    def __init__(self, runs: Runs, limit: int = 5, scope: Scope = MINE, successful: bool = False) -> None:
        self.root = str(runs.project.root)
        source = runs.project.scan().flows
        flows = []
        for name in dict.fromkeys([*source, *runs.flows()]):
            file = runs.project.relative(source[name].file) if name in source else None
            flows.append(FlowRuns(name, file, *runs.runs(name, scope, limit, successful)))
        self.flows = tuple(flows)

    def _page(self) -> Any:
        from kit.views import build

        return build.project_page(self.root, self.flows)


class ArtifactTable(Displayed, Mapping[str, "StepArtifacts"]):
    """The artifacts of a run, of one of its steps, or of one task.

    `table["fit"]["model"]` loads one value, and `table["fit[depth=3]"]` is the task of a foreach value; nothing else is
    read.

    Args:
        runs: The project's runs.
        target: What to list.
    """

    def __init__(self, runs: Runs, target: Target) -> None:
        self._runs, self.target = runs, target
        self._only: frozenset[str] | None = None
        self._notes = (target.note,) if target.note else ()
        self._also: frozenset[str] = frozenset()
        self._details: RunDetails | None = None
        self.steps = tuple(_narrowed(step, target) for step in runs.steps(target.run, target.step))

    def showing(self, names: Iterable[str], notes: Iterable[str]) -> ArtifactTable:
        """Give the same listing narrowed to some artifacts, with lines to show below; nothing is read again."""
        table = copy.copy(self)
        table._only, table._notes, table._details = frozenset(names), (*self._notes, *notes), None
        return table

    def also(self, *what: str) -> ArtifactTable:
        """Give the same listing with more to show: "previews" of small, plain values, "logs", "cards"."""
        table = copy.copy(self)
        table._also, table._details = self._also | frozenset(what), None
        return table

    def gather(self, *names: str) -> Any:
        """Load artifacts of every task of a foreach: one row a task, one column a foreach value and an artifact.

        Args:
            names: The artifacts' names.

        Returns:
            A pandas DataFrame where pandas is installed, else a table of kit's own.

        Raises:
            NotFoundError: No step has one of them.
        """
        for name in names:
            self.holder(name)
        steps = [step for step in self.steps if _has(step, names)]
        if not steps:
            raise NotFoundError(
                f"No step of {self.target.pathspec} has all of {', '.join(names)}.", "Gather those of one step."
            )
        return gather(self._runs, self.target.run, max(reversed(steps), key=lambda step: len(step.tasks)), names)

    def diff(self, other: ArtifactTable) -> RunDifference:
        """Compare with another run, step or task by content hash; nothing is loaded.

        Args:
            other: The listing to compare with: what it has and this one does not is missing.
        """
        return compare(self.target.pathspec, self.steps, other.target.pathspec, other.steps)

    def cards(self) -> tuple[details.RecordedCard, ...]:
        """List the cards of what is listed; a notebook shows each as its page."""
        return details.cards(self._runs, self.target.run, self.steps)

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
        step, bracket, given = step.partition("[")
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
        tasks: Sequence[TaskInfo] = found.tasks
        if bracket:
            tasks = of_values(self._runs, self.target.run, pathspec, found.tasks, given.removesuffix("]"))
        task, _ = choose(pathspec, tasks)
        return StepArtifacts(self._runs, self.target.run.store, task)

    def __iter__(self) -> Iterator[str]:
        return iter(step.name for step in self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def _pathspec(self, step: StepInfo) -> Pathspec:
        return Pathspec(self.target.run.flow, self.target.run.id, step.name)

    def _page(self) -> Any:
        from kit.views import build

        if self._details is None:
            self._details = self._look()
        return build.run_page(self.target.run, self.steps, self._only, self._notes, self._details)

    def _look(self) -> RunDetails:
        """Read what else is shown: graph and Parameters of a whole run, what failed, and the rest on request."""
        runs, run, steps = self._runs, self.target.run, self.steps
        if self._only is not None:
            return RunDetails()
        whole = self.target.step is None
        graph = runs.graph(run) if whole else None
        return RunDetails(
            graph=graph if graph and graph.nodes else None,
            parameters=details.parameters(runs, run) if whole else (),
            failures=details.failures(runs, run, steps),
            logs=details.logs(runs, run, steps) if "logs" in self._also else (),
            cards=tuple((str(c.task), c.name) for c in self.cards()) if "cards" in self._also else (),
            previews=details.previews(runs, run, steps) if "previews" in self._also else {},
        )


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
        return load(self._runs, self.task.pathspec, self._infos[name], self._store)

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def __repr__(self) -> str:
        return f"<{self.task.pathspec}: {', '.join(self._infos)}>"


def _has(step: StepInfo, names: Iterable[str]) -> bool:
    there = {artifact.name for task in step.tasks for artifact in task.artifacts}
    return there.issuperset(names)


def _narrowed(step: StepInfo, target: Target) -> StepInfo:
    if target.task is None and target.among is None:
        return step
    return StepInfo(step.name, step.status, target.narrowed(step.tasks))
