"""Which tasks a task takes its inputs from, in the order in which Metaflow gives them to it."""

from __future__ import annotations

from typing import Any

from kit.runs import PARAMETERS_STEP, plain

__all__ = ["parents"]


def parents(
    datastore: Any,
    run_id: str,
    node: Any,
    index: tuple[int, ...],
    iteration: int | None,
    split_parent: str | None,
) -> list[Any]:
    """Find the tasks that feed one task of a recorded run.

    Metaflow's client has `Task.parent_tasks`, which gives them in no order and, where a switch or a recursion is
    above, too many; so they are found as the scheduler finds them (metaflow.runtime, _queue_task_join): the tasks of
    the steps before, that did transition here, with the foreach frames that lead here.

    Args:
        datastore: Metaflow's FlowDataStore of the run.
        run_id: The run's id.
        node: The step's node in the flow's graph.
        index: The task's indices in the foreachs around it, outermost first.
        iteration: For a step that leads to itself, how often the task had been there before; else None.
        split_parent: For a join, the type of the split that it closes ("foreach", "split" ...), else None.

    Returns:
        Metaflow's TaskDataStores of the parents, in the order of the inputs.
    """
    if not node.in_funcs:
        return list(datastore.get_task_datastores(run_id, steps=[PARAMETERS_STEP]))
    before = {*node.in_funcs, node.name} if iteration is not None else set(node.in_funcs)
    order = {step: position for position, step in enumerate(sorted(before))}
    found = []
    for ds in datastore.get_task_datastores(run_id, steps=list(order)):
        transition = plain(ds, "_transition")
        if not transition or node.name not in transition[0]:
            continue
        if iteration is not None and not _precedes(ds, node.name, iteration):
            continue
        theirs = tuple(frame.index for frame in plain(ds, "_foreach_stack") or ())
        if split_parent == "foreach":
            fits = theirs[:-1] == index
        elif split_parent is None and plain(ds, "_foreach_var") is not None:
            fits = theirs == index[:-1]
        else:
            fits = theirs == index
        if fits:
            found.append((order[ds.step_name], theirs, ds))
    found.sort(key=lambda row: row[:2])
    return [ds for _, _, ds in found]


def _precedes(ds: Any, step: str, iteration: int) -> bool:
    """Whether a task leads to an iteration of a step that leads to itself: the one before it, or the way in."""
    if ds.step_name != step:
        return iteration == 0
    stack = plain(ds, "_iteration_stack")
    return bool(stack) and stack[-1] == iteration - 1
