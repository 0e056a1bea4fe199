"""Tasks of a foreach by the values that they were given: by Metaflow's record of them, and by content hash."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from kit.model import TaskInfo
from kit.records import sha_of

__all__ = ["RECORDED_CHARACTERS", "matching", "said"]

RECORDED_CHARACTERS = 30  # of a value, in what Metaflow records (metaflow.flowspec)


def matching(tasks: Sequence[TaskInfo], given: str) -> list[TaskInfo]:
    """Find the tasks that foreachs gave some values.

    Args:
        tasks: The tasks of a step.
        given: Values, separated by commas: bare ones are those of the innermost foreachs, else of any; `depth=3` names
            the artifact that the foreach went over (`depths`), a key of its dicts, or an artifact of the task. Nothing
            is unpickled: an artifact is compared by its hash.
    """
    for anywhere in (False, True):
        for conditions in ([given], given.split(",")):
            if found := [task for task in tasks if _fits(task, conditions, anywhere)]:
                return found
    return []


def said(task: TaskInfo, given: str | None = None) -> str:
    """Write a task's foreach values as they are given to `matching`, or others in their place."""
    if given is not None:
        return given
    values = map(str, task.values)
    return ",".join(f"{name}={value}" for name, value in zip(task.variables, values, strict=False))


def _fits(task: TaskInfo, conditions: Sequence[str], anywhere: bool) -> bool:
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
    return all(_named(task, name.strip(), text.strip()) for name, _, text in named)


def _named(task: TaskInfo, name: str, text: str) -> bool:
    for variable, value in zip(task.variables, task.values, strict=False):
        if name in (variable, variable.removesuffix("s"), variable.removesuffix("es")) and _same(text, value):
            return True
        recorded = _literal(value or "")
        if isinstance(recorded, dict) and name in recorded and str(recorded[name]) == str(_literal(text)):
            return True
    meant = _literal(text)
    return any(info.name == name and info.sha == sha_of(meant, info.encoding) for info in task.artifacts)


def _same(text: str, recorded: str | None) -> bool:
    if recorded is None:
        return False
    return recorded in (text[:RECORDED_CHARACTERS], str(_literal(text))[:RECORDED_CHARACTERS])


def _literal(text: str) -> Any:
    """Read a value as Python writes it; anything else is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
