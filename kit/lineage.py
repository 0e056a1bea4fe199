"""Which tasks a step has, and where each takes its inputs from: Metaflow's scheduling rules, over what has finished.

Metaflow's client has `Task.parent_tasks`, which gives parents in no order and, where a switch or a recursion is above,
too many; so tasks are found as the scheduler finds them (metaflow.runtime, NativeRuntime._queue_tasks).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kit.model import RunInfo
from kit.records import plain, status_of
from kit.runs import PARAMETERS_STEP, Runs

__all__ = ["Done", "Key", "Place", "done", "expected", "finished", "start_place"]

# A task's place in its step: its foreach indices, and in a step that leads to itself, how often it had been there.
Key = tuple[tuple[int, ...], int | None]


@dataclass(frozen=True)
class Done:
    """A task that has finished, as the scheduler sees it.

    Args:
        store: Metaflow's TaskDataStore of the task.
        step: The step's name.
        index: Its foreach indices, outermost first.
        iteration: In a step that leads to itself, how often it had been there before; else None.
        next: The steps that it chose.
        splits: How many tasks each of these has; None where it does not split.
        nodes: How many nodes the @parallel step after it has; None where there is none.
        unbounded: Whether it splits without saying into how many.
    """

    store: Any
    step: str
    index: tuple[int, ...]
    iteration: int | None
    next: tuple[str, ...]
    splits: int | None
    nodes: int | None
    unbounded: bool

    @property
    def key(self) -> Key:
        """Its place in its step."""
        return self.index, self.iteration


@dataclass(frozen=True)
class Place:
    """A task that a step has, or is to have.

    Args:
        key: Its place in the step.
        inputs: The tasks that feed it, in the order of its inputs.
        complete: Whether all of those that it waits for are there.
    """

    key: Key
    inputs: tuple[Done, ...]
    complete: bool = True


def done(ds: Any) -> Done | None:
    """Read what the scheduler wants to know of a task; None where it did not finish.

    Args:
        ds: Metaflow's TaskDataStore of the task.
    """
    if status_of(ds) != "succeeded":
        return None
    transition = plain(ds, "_transition")
    iterations = plain(ds, "_iteration_stack")
    variable = plain(ds, "_foreach_var")
    splits = plain(ds, "_foreach_num_splits") if variable is not None else None
    unbounded = variable is not None and splits is None
    nodes = getattr(plain(ds, variable), "num_parallel", None) if unbounded else None
    return Done(
        store=ds,
        step=ds.step_name,
        index=tuple(frame.index if frame.index is not None else -1 for frame in plain(ds, "_foreach_stack") or ()),
        iteration=iterations[-1] if iterations else None,
        next=tuple(transition[0]) if transition else (),
        splits=nodes if unbounded else splits,
        nodes=nodes,
        unbounded=unbounded,
    )


def finished(runs: Runs, run: RunInfo, step: str) -> list[Done]:
    """List the tasks of a step that a recorded run has finished."""
    return [task for ds in runs.task_stores(run, step) if (task := done(ds)) is not None]


def start_place(runs: Runs, run: RunInfo) -> dict[Key, Place]:
    """Give the one task that a flow's first step has: fed by the task in which Metaflow records the Parameters."""
    parameters = tuple(
        Done(ds, PARAMETERS_STEP, (), None, (), None, None, False) for ds in runs.task_stores(run, PARAMETERS_STEP)
    )
    return {((), None): Place(((), None), parameters[:1])} if parameters else {}


def expected(graph: Any, step: str, before: Mapping[str, Iterable[Done]]) -> dict[Key, Place]:
    """Find the tasks that a step is to have, by what the tasks before it chose.

    Args:
        graph: Metaflow's FlowGraph.
        step: The step; not the first one.
        before: The finished tasks of the steps that lead to it; of the step itself too, where it leads to itself.

    Returns:
        Its tasks by their places, in order.
    """
    node = graph[step]
    recursive = step in node.out_funcs
    groups: dict[Key, list[Done]] = {}
    for previous in sorted({*node.in_funcs, *([step] if recursive else ())}):
        for task in before.get(previous, ()):
            if step in task.next:
                for key in _keys(graph, node, task, recursive):
                    groups.setdefault(key, []).append(task)
    places = {}
    for key in sorted(groups, key=lambda key: (key[0], -1 if key[1] is None else key[1])):
        inputs = sorted(groups[key], key=lambda task: task.index)  # stable: branches stay in the order of their names
        places[key] = Place(key, tuple(inputs), _complete(graph, node, inputs))
    return places


def _keys(graph: Any, node: Any, task: Done, recursive: bool) -> list[Key]:
    """Give the places that a finished task leads to."""
    if node.type == "join":
        closes_foreach = graph[node.split_parents[-1]].type == "foreach"
        return [(task.index[:-1] if closes_foreach else task.index, None)]
    iteration = None
    if recursive:
        iteration = 0 if task.step != node.name else (task.iteration or 0) + 1
    if task.splits is not None:
        return [((*task.index, index), iteration) for index in range(task.splits)]
    return [(task.index, iteration)]


def _complete(graph: Any, node: Any, inputs: list[Done]) -> bool:
    if node.type != "join":
        return True
    split = graph[node.split_parents[-1]]
    if split.type != "foreach":
        return len(inputs) == len(split.out_funcs)
    stack = plain(inputs[0].store, "_foreach_stack") or ()
    wanted = stack[-1].num_splits if stack else None
    return wanted is None or len(inputs) == wanted
