"""Tasks of a foreach by the values that they were given: by Metaflow's record of them, and by content hash."""

from __future__ import annotations

import ast
import reprlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from kit.model import ArtifactInfo, TaskInfo
from kit.records import sha_of
from kit.views.recorded import RECORDED_CHARACTERS

__all__ = ["matching", "recorded_as", "said"]

Read = Callable[[ArtifactInfo], Any]


def matching(tasks: Sequence[TaskInfo], given: str, read: Read) -> list[TaskInfo]:
    """Find the tasks that foreachs gave some values.

    Args:
        tasks: The tasks of a step.
        read: Reads an artifact where it is plain data, else gives None.
        given: Values, separated by commas: bare ones are those of the innermost foreachs, else of any; `depth=3` names
            the artifact that the foreach went over (`depths`), a key of its dicts, or an artifact of the task, which is
            compared by its hash.
    """
    once = cache(read)
    for anywhere in (False, True):
        for conditions in ([given], given.split(",")):
            if found := [task for task in tasks if _fits(task, conditions, anywhere, once)]:
                return found
    return []


def said(task: TaskInfo) -> str:
    """Write a task's foreach values as they are given to `matching`."""
    values = map(str, task.values)
    return ",".join(f"{name}={value}" for name, value in zip(task.variables, values, strict=False))


def _fits(task: TaskInfo, conditions: Sequence[str], anywhere: bool, read: Read) -> bool:
    bare = [each.strip() for each in conditions if "=" not in each]
    if len(bare) > len(task.values):
        return False
    innermost = task.values[len(task.values) - len(bare) :]
    at = (
        any(_same(t, v) for v in task.values) if anywhere else _same(t, i) for t, i in zip(bare, innermost, strict=True)
    )
    if not all(at):
        return False
    named = (each.partition("=") for each in conditions if "=" in each)
    return all(_named(task, name.strip(), text.strip(), read) for name, _, text in named)


def _named(task: TaskInfo, name: str, text: str, read: Read) -> bool:
    meant = _literal(text)
    for variable, index, value in zip(task.variables, task.index, task.values, strict=False):
        if name in (variable, variable.removesuffix("s"), variable.removesuffix("es")) and _same(text, value):
            return True
        if value is not None and value.startswith("{") and _item(task, variable, index, read).get(name, _item) == meant:
            return True
    return any(info.name == name and info.sha == sha_of(meant, info.encoding) for info in task.artifacts)


def _item(task: TaskInfo, variable: str, index: int, read: Read) -> dict[str, Any]:
    """Read the dict that a foreach gave a task: Metaflow's record of it is cut off."""
    info = next((info for info in task.artifacts if info.name == variable), None)
    items = read(info) if info is not None else None
    item = items[index] if isinstance(items, (list, tuple)) and index < len(items) else None
    return item if isinstance(item, dict) else {}


def recorded_as(item: object) -> str:
    """Write a foreach value as Metaflow records it (metaflow.flowspec)."""
    return str(item if isinstance(item, (str, int, float)) else reprlib.Repr().repr(item))[:RECORDED_CHARACTERS]


def _same(text: str, recorded: str | None) -> bool:
    if recorded is None:
        return False
    return recorded in (text[:RECORDED_CHARACTERS], recorded_as(_literal(text)))


def _literal(text: str) -> Any:
    """Read a value as Python writes it; anything else is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
