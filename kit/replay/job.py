"""What a replayed task is told: who it is, and what it takes its inputs from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kit import internals
from kit.errors import KitError, ReplayError
from kit.lineage import Done, Key, Place, expected, finished, start_place
from kit.model import Pathspec, RunInfo, TaskInfo
from kit.records import plain
from kit.runs import Runs

__all__ = ["Identity", "Job", "Node", "new_ids", "place_of", "places_of", "recorded_job", "virtual_job"]


@dataclass(frozen=True)
class Identity:
    """What `metaflow.current` says of a task.

    Args:
        run: The run's id.
        task: The task's id.
        attempt: The number of the attempt, counted from 0.
        origin_run: The run that was resumed, or None.
        user: Who started the run; "" where that is not known.
        tags: The run's tags.
        system_tags: The run's system tags.
    """

    run: str
    task: str
    attempt: int
    origin_run: str | None
    user: str
    tags: tuple[str, ...]
    system_tags: tuple[str, ...]

    def system_tag(self, name: str) -> str | None:
        """Give the value of a system tag such as `project_branch:user.me`, or None."""
        prefix = f"{name}:"
        return next((tag[len(prefix) :] for tag in self.system_tags if tag.startswith(prefix)), None)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Let Metaflow take the process for one of the recorded run's; `preserved` puts the environment back."""
        config, before = internals.config, internals.config.USER
        config.USER = self.user or before
        token = self.system_tag("production")
        os.environ.update({"METAFLOW_RUN_ID": self.run} | ({"METAFLOW_PRODUCTION_TOKEN": token} if token else {}))
        try:
            yield
        finally:
            config.USER = before


@dataclass(frozen=True)
class Node:
    """A node of a @parallel step.

    Args:
        index: Its number, counted from 0; node 0 is the control task.
        tasks: The ids of the tasks of all nodes, in order.
    """

    index: int
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One task that is to be replayed.

    Args:
        run: The recorded run.
        step: The name of the step.
        identity: Who the task is.
        index: Its foreach indices, outermost first.
        inputs: Metaflow's TaskDataStores of the tasks that feed it, in the order of its inputs.
        split: Its index in the foreach that the task before it began, or None.
        node: Which node of a @parallel step it is, or None.
        unbounded: Whether it is one of an unbounded foreach.
        recorded: The recorded task, or None where the run has none.
    """

    run: RunInfo
    step: str
    identity: Identity
    index: tuple[int, ...]
    inputs: tuple[Any, ...]
    split: int | None = None
    node: Node | None = None
    unbounded: bool = False
    recorded: TaskInfo | None = field(default=None, compare=False)

    @property
    def origin(self) -> Pathspec:
        """The address of the task."""
        task = self.recorded.pathspec.task if self.recorded else self.identity.task
        return Pathspec(self.run.flow, self.run.id, self.step, task)


def recorded_job(runs: Runs, run: RunInfo, graph: Any, task: TaskInfo, place: Place | None = None) -> Job:
    """Say what a recorded task was told.

    Args:
        runs: The project's runs.
        run: The recorded run.
        graph: The flow's FlowGraph.
        task: The recorded task.
        place: Where its inputs come from; found out by default.

    Raises:
        ReplayError: The tasks that feed it did not finish.
    """
    step = task.pathspec.step or ""
    found = place or place_of(places_of(runs, run, graph, step), runs, run, task)
    if found is None or not found.inputs:
        raise ReplayError(
            f"{task.pathspec} has no recorded inputs.",
            f"The tasks before it did not finish: see %mf_artifacts {run.pathspec}.",
        )
    return _job(run, step, _identity(runs, run, task), found, task)


def virtual_job(run: RunInfo, step: str, place: Place, task: str) -> Job:
    """Say what a task would be told that the recorded run does not have.

    Args:
        run: The recorded run.
        step: The step.
        place: Its place, and where its inputs come from.
        task: The id to give it.
    """
    return _job(run, step, Identity(run.id, task, 0, None, run.user, run.tags, run.system_tags), place, None)


def new_ids(runs: Runs, run: RunInfo) -> Iterator[str]:
    """Number the tasks that a recorded run does not have, after those that it has; nothing is read before the first."""
    known = [int(task) for task in runs.task_ids(run) if task.isdigit()]
    yield from map(str, count(max(known, default=0) + 1))


def places_of(runs: Runs, run: RunInfo, graph: Any, step: str) -> dict[Key, Place]:
    """Find the tasks that a step of a recorded run has, or would have had."""
    node = graph[step]
    if not node.in_funcs:
        return start_place(runs, run)
    before = {*node.in_funcs, *([step] if step in node.out_funcs else ())}
    return expected(graph, step, {name: finished(runs, run, name) for name in before})


def place_of(places: Mapping[Key, Place], runs: Runs, run: RunInfo, task: TaskInfo) -> Place | None:
    """Find a recorded task's place among those of its step."""
    if any(iteration is not None for _, iteration in places):
        iterations = plain(runs.task_store(task.pathspec, run.store), "_iteration_stack")
        if iterations:
            return places.get((task.index, iterations[-1]))
    here = [place for (index, _), place in places.items() if index == task.index]
    return here[-1] if here else None  # of a task that was killed in a loop: the last round


def _job(run: RunInfo, step: str, identity: Identity, place: Place, recorded: TaskInfo | None) -> Job:
    before: Done = place.inputs[0]
    index = place.key[0]
    splits = before.splits is not None or before.unbounded
    return Job(
        run=run,
        step=step,
        identity=identity,
        index=index,
        inputs=tuple(task.store for task in place.inputs),
        split=index[-1] if splits and index and len(index) > len(before.index) else None,
        node=_node(index, identity.task, before.nodes) if before.nodes else None,
        unbounded=before.unbounded and len(index) > len(before.index),
        recorded=recorded,
    )


def _node(index: tuple[int, ...], task: str, nodes: int) -> Node:
    """Name the tasks of a @parallel step as its control task names them (metaflow.plugins.parallel_decorator)."""
    control = task.rpartition("_node_")[0] or task
    return Node(index[-1], (control, *(f"{control}_node_{i}" for i in range(1, nodes))))


def _identity(runs: Runs, run: RunInfo, task: TaskInfo) -> Identity:
    """Give the identity that a task had when it ran: that of the run that it was cloned from, where `resume` did so."""
    metadata = runs.metadata(task.pathspec, run.store)
    origin = metadata.get("origin-run-id")
    origin_run = None if origin in (None, "None") else origin
    cloned_from = metadata.get("origin-task-id")
    if cloned_from and origin_run:
        try:
            source = runs.run(run.flow, origin_run)
            (first,) = runs.tasks(source, task.pathspec.step, cloned_from)
            return _identity(runs, source, first)
        except (KitError, ValueError):  # the run that it was cloned from is gone
            return Identity(origin_run, cloned_from, task.attempt, None, run.user, run.tags, run.system_tags)
    return Identity(run.id, task.pathspec.task or "", task.attempt, origin_run, run.user, run.tags, run.system_tags)
