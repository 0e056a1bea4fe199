"""One task of a step that is a cell, once it is done: what is shown of it, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from kit.model import OWN_ARTIFACTS, LazyArtifacts
from kit.previews import preview, type_name
from kit.replay import Replay
from kit.replay.stores import ReplayFlowStore
from kit.views.authored import MAX_TASKS, SetArtifact

__all__ = ["CellTask", "artifacts_of", "kept_of"]

ITEM_WIDTH = 24


@dataclass(frozen=True)
class CellTask(Replay):
    """A task of a step that is a cell.

    Args:
        item: The items of the foreachs that it is for, in a few words; "" where there are none.
        shown: The artifacts that it set, where they are shown.
    """

    item: str = ""
    shown: tuple[SetArtifact, ...] = ()


def artifacts_of(store: Any) -> LazyArtifacts:
    """Give the public artifacts of a task, each read when it is asked for.

    Args:
        store: Metaflow's TaskDataStore of the task.
    """
    return LazyArtifacts(tuple(sorted(name for name in store if not name.startswith("_"))), lambda name: store[name])


def kept_of(done: Replay, store: ReplayFlowStore, number: int) -> CellTask:
    """Let go of what a task holds in memory beside the pickles of what it left: all but the first's flow object.

    Args:
        done: The task.
        store: Where what it left is kept.
        number: Its place among the tasks of the step, counted from 0.
    """
    output = store.inputs(done.output, {})
    result, flow = replace(done.result, artifacts=artifacts_of(output)), done.flow if number == 0 else None
    if number >= MAX_TASKS:
        return CellTask(result, flow, done.assigned, output)
    names = [name for name in done.assigned if name not in OWN_ARTIFACTS]
    values = [(name, getattr(done.flow, name)) for name in names]
    shown = tuple(SetArtifact(name, type_name(type(value), full=True), preview(value)) for name, value in values)
    return CellTask(result, flow, done.assigned, output, ", ".join(_items(done.flow)), shown)


def _items(flow: Any) -> Iterator[str]:
    for index, _, value in flow.foreach_stack() or ():
        yield f"[{index}]" if value is None else preview(value, ITEM_WIDTH)  # after a join the items may be gone
