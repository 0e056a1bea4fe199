"""What the user's words mean: a pathspec, in full or in part, to the run, step and task that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kit.errors import ArgumentError, NotFoundError, did_you_mean
from kit.foreach import matching, said
from kit.model import Pathspec, RunInfo, TaskInfo
from kit.runs import Runs
from kit.scope import MINE, Scope

__all__ = ["Target", "choose", "of_values", "pick_task", "resolve"]

MAX_HAVING = 3  # flows that have a step of a name, in a hint


@dataclass(frozen=True)
class Target:
    """What a pathspec means.

    Args:
        run: The run.
        step: The step, or None for the whole run.
        task: The task's id, or None for the whole step.
        note: What the user should know about the choice of the run; "" where there is nothing.
        among: The ids of the step's tasks that are meant, where they were named by their foreach values; else None.
    """

    run: RunInfo
    step: str | None = None
    task: str | None = None
    note: str = ""
    among: frozenset[str] | None = None

    @property
    def pathspec(self) -> Pathspec:
        """The address in full."""
        return Pathspec(self.run.flow, self.run.id, self.step, self.task)

    def narrowed(self, tasks: Sequence[TaskInfo]) -> tuple[TaskInfo, ...]:
        """Give those of a step's tasks that are meant."""
        ids = self.among if self.task is None else frozenset({self.task})
        return tuple(task for task in tasks if ids is None or task.pathspec.task in ids)


def resolve(
    runs: Runs, text: str, current: Pathspec | None = None, successful: bool = False, scope: Scope = MINE
) -> Target:
    """Find what a pathspec means.

    Args:
        runs: The project's runs.
        text: `Flow[/run[/step[/task]]]`; without the run, the latest one; a bare step, of the current run. In the place
            of a task, `step[depth=3]` or `step[3]` means those that a foreach gave this value.
        current: The run named last in this session.
        successful: Whether a run that is left out is the latest that succeeded.
        scope: Among which runs the one that is left out is looked for.

    Raises:
        NotFoundError: There is no such flow, run, step or task; the hint gives near names.
        ArgumentError: The text is not a pathspec.
    """
    text, bracket, given = text.strip().rstrip("/").partition("[")
    if bracket:
        if not given.endswith("]") or not given[:-1].strip():
            raise ArgumentError(f"{text}[{given} is not a pathspec.", "Write step[depth=3], or step[3].")
        return _of_values(runs, resolve(runs, text, current, successful, scope), given[:-1])
    parts = text.strip("/").split("/")
    if not text or not all(parts) or len(parts) > 4:
        raise ArgumentError(f"{text!r} is not a pathspec.", "Write Flow[/run[/step[/task]]], such as TrainFlow/fit.")
    source = runs.project.scan().flows.get(parts[0])
    if source is None and parts[0] not in (recorded := runs.flows()):
        known = dict.fromkeys([*runs.project.scan().flows, *recorded])
        if current is None or not current.run:
            return _unknown_flow(runs, parts[0], list(known))
        if parts[0] not in _steps(runs, run := runs.run(current.flow, current.run)):
            names = [*known, *_steps(runs, run)]
            raise NotFoundError(
                f"{parts[0]} is neither a flow of this project nor a step of {run.pathspec}.",
                did_you_mean(parts[0], names, f"flows, and the steps of {run.pathspec},"),
            )
        return _inside(runs, run, parts)
    flow, rest = parts[0], parts[1:]
    if not rest:
        run, note = runs.latest(flow, successful, scope)
        return Target(run, note=note)
    if rest[0] in (source.steps if source else ()):
        return _inside_latest(runs, flow, rest, successful, scope)
    if not rest[0].isdigit():  # ids of the metadata service and of schedulers are not always numbers
        try:
            return _inside(runs, runs.run(flow, rest[0]), rest[1:])
        except NotFoundError:
            return _inside_latest(runs, flow, rest, successful, scope)
    return _inside(runs, runs.run(flow, rest[0]), rest[1:])


def pick_task(
    runs: Runs, target: Target, index: tuple[int, ...] | None = None, value: str | None = None
) -> tuple[TaskInfo, str]:
    """Choose the one task that a step or a run with several is replayed or read by.

    Args:
        runs: The project's runs.
        target: The step, with its task or without.
        index: The indices of the foreach task, or only the innermost.
        value: The value of the foreach task, as Metaflow shows it.

    Returns:
        The task, and a sentence that says which was taken where there was a choice ("" where not).

    Raises:
        NotFoundError: No task fits.
    """
    if target.step is None:
        raise ArgumentError(f"{target.pathspec} is a whole run.", f"Name a step: {target.pathspec}/start.")
    tasks = target.narrowed(runs.tasks(target.run, target.step, target.task))
    if index is not None:
        tasks = tuple(task for task in tasks if index in (task.index, task.index[-len(index) :]))
    if value is not None:
        tasks = tuple(
            task for task in tasks if task.values and value in (task.values[-1], "/".join(map(str, task.values)))
        )
    if not tasks:
        return _no_task(runs, target, index, value)
    return choose(target.pathspec, tasks)


def choose(pathspec: Pathspec, tasks: Sequence[TaskInfo]) -> tuple[TaskInfo, str]:
    """Choose one of a step's tasks: the first that failed, else the first by foreach index.

    Returns:
        The task, and a sentence that says which was taken where there was a choice ("" where not).
    """
    failed = [task for task in tasks if task.status == "failed"]
    task = (failed or list(tasks))[0]
    if len(tasks) == 1:
        return task, ""
    why = "the first that failed" if failed else "the first by foreach index"
    return task, f"{pathspec} has {len(tasks)} tasks: took {task.pathspec.task}, {why}."


def _inside_latest(runs: Runs, flow: str, rest: list[str], successful: bool, scope: Scope) -> Target:
    run, note = runs.latest(flow, successful, scope)
    return replace(_inside(runs, run, rest), note=note)


def _inside(runs: Runs, run: RunInfo, rest: list[str]) -> Target:
    """Follow what comes after the run: a step, and a task of it."""
    if not rest:
        return Target(run)
    steps = _steps(runs, run)
    if rest[0] not in steps:
        raise NotFoundError(
            f"{run.pathspec} has no step {rest[0]}.", did_you_mean(rest[0], steps, f"steps of {run.flow}")
        )
    if len(rest) == 1:
        return Target(run, rest[0])
    if len(rest) > 2:
        raise ArgumentError(
            f"{'/'.join(rest)} is not a step and a task of {run.pathspec}.", "Write Flow/run/step/task."
        )
    if not runs.tasks(run, rest[0], rest[1]):
        tasks = [task.pathspec.task or "" for task in runs.tasks(run, rest[0])]
        raise NotFoundError(
            f"{run.pathspec}/{rest[0]} has no task {rest[1]}.",
            did_you_mean(rest[1], tasks, f"tasks of {run.pathspec}/{rest[0]}"),
        )
    return Target(run, rest[0], rest[1])


def _of_values(runs: Runs, target: Target, given: str) -> Target:
    """Narrow a step to the tasks of some foreach values."""
    if target.step is None or target.task is not None:
        raise ArgumentError(
            f"{target.pathspec} is not a step.", "Foreach values follow a step: TrainFlow/fit[depth=3]."
        )
    found = of_values(runs, target.run, target.pathspec, runs.tasks(target.run, target.step), given)
    if len(found) == 1:
        return replace(target, task=found[0].pathspec.task)
    return replace(target, among=frozenset(task.pathspec.task or "" for task in found))


def of_values(
    runs: Runs, run: RunInfo, pathspec: Pathspec, tasks: Sequence[TaskInfo], given: str
) -> Sequence[TaskInfo]:
    """Find the tasks of a step that foreachs gave some values, as `depth=3` or `3` (see kit.foreach).

    Raises:
        NotFoundError: There is none; the hint gives the values that there are.
    """
    found = matching(tasks, given, lambda info: runs.plain(run, info))
    if found:
        return found
    values = dict.fromkeys(said(task) for task in tasks if task.values)
    hint = did_you_mean(given, values, f"foreach values of {pathspec}")
    raise NotFoundError(f"{pathspec} has no task with {given}.", hint)


def _steps(runs: Runs, run: RunInfo) -> list[str]:
    """Name the steps that a run had, and those that the flow has by now."""
    source = runs.project.scan().flows.get(run.flow)
    return list(dict.fromkeys([*runs.step_names(run), *(source.steps if source else ())]))


def _unknown_flow(runs: Runs, name: str, known: list[str]) -> Target:
    if name in runs.project.scan().lost:
        runs.project.flow(name)  # raises: its file does not parse
    having = [flow for flow, info in runs.project.scan().flows.items() if name in info.steps]
    if having:
        raise NotFoundError(
            f"{name} alone is a step of the run that was named last, and none was named yet.",
            f"Name its flow too: {', '.join(f'{flow}/{name}' for flow in having[:MAX_HAVING])}.",
        )
    raise NotFoundError(
        f"There is no flow {name} in {runs.project.root}.", did_you_mean(name, known, "flows of this project")
    )


def _no_task(runs: Runs, target: Target, index: tuple[int, ...] | None, value: str | None) -> tuple[TaskInfo, str]:
    step = Pathspec(target.run.flow, target.run.id, target.step)
    tasks = runs.tasks(target.run, target.step)
    if not tasks:
        raise NotFoundError(
            f"{step} has no task: the run did not come that far.", f"See %mf_artifacts {target.run.pathspec}."
        )
    if index is not None:
        indices = [",".join(map(str, task.index)) for task in tasks]
        wanted = ",".join(map(str, index))
        raise NotFoundError(
            f"{step} has no task with the foreach index {wanted}.",
            did_you_mean(wanted, indices, f"foreach indices of {step}"),
        )
    values = [str(task.values[-1]) for task in tasks if task.values]
    raise NotFoundError(
        f"{step} has no task with the foreach value {value!r}.",
        did_you_mean(value or "", values, f"foreach values of {step}"),
    )
