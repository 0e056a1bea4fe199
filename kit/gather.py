"""The artifacts of a foreach side by side: one row a task."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from kit.errors import ArtifactError
from kit.foreach import recorded_as
from kit.loading import load_many
from kit.model import ArtifactInfo, Pathspec, RunInfo, StepInfo, TaskInfo
from kit.previews import preview
from kit.runs import Runs
from kit.views import Displayed
from kit.views.page import Page

__all__ = ["GatheredTable", "gather"]

MAX_ROWS = 50  # that are shown
MAX_VALUE = 80  # characters


class GatheredTable(Displayed, Sequence[dict[str, Any]]):
    """Rows by column, where there is no pandas.

    Args:
        pathspec: The step that they are of.
        columns: The names of the columns.
        rows: The values, a tuple a row.
    """

    def __init__(self, pathspec: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        self.pathspec, self.columns, self.rows = pathspec, tuple(columns), tuple(rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return GatheredTable(self.pathspec, self.columns, self.rows[index])
        return dict(zip(self.columns, self.rows[index], strict=True))

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[Any]:
        """Give the values of one column."""
        return [row[self.columns.index(name)] for row in self.rows]

    def _page(self) -> Page:
        from kit.views import compared

        shown = [[preview(value, MAX_VALUE) for value in row] for row in self.rows[:MAX_ROWS]]
        return compared.gathered_page(self.pathspec, self.columns, shown, len(self.rows))


def gather(runs: Runs, run: RunInfo, step: StepInfo, names: Sequence[str]) -> Any:
    """Load artifacts of every task of a step.

    Args:
        runs: The project's runs.
        run: The run.
        step: The step, with its tasks.
        names: The artifacts' names.

    Returns:
        One row a task: the values that the foreachs around it gave it, outermost first, then the artifacts; None where
        a task has not got one. A pandas DataFrame where pandas is installed, else a GatheredTable.
    """
    variables = max((task.variables for task in step.tasks), key=len, default=())
    columns = _distinct([*(variables or ("task",)), *names])
    loaded = iter(load_many(runs, run.flow, list(_wanted(step.tasks, names)), run.store))
    given = _given(runs, run, step.tasks, len(variables))
    rows = []
    for task, values in zip(step.tasks, given, strict=True):
        there = {info.name for info in task.artifacts}
        own = (next(loaded)[1] if name in there else None for name in names)
        rows.append((*(values if variables else (task.pathspec.task,)), *own))
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return GatheredTable(str(Pathspec(run.flow, run.id, step.name)), columns, rows)
    # Column by column: pandas would take a row of lists or arrays apart.
    data = {name: _series(pandas, [row[i] for row in rows]) for i, name in enumerate(columns)}
    if all(_writes_itself(value) for row in rows for value in row):
        return pandas.DataFrame(data, columns=columns)
    return _shown_safely(pandas)(data, columns=columns)


def _writes_itself(value: Any) -> bool:
    kind = type(value)
    known = kind.__module__.partition(".")[0] in (*sys.stdlib_module_names, "numpy", "pandas")
    return known and kind not in (list, tuple, dict, set, frozenset)  # these hold others


def _itself(frame: Any) -> Any:
    return frame


@cache
def _shown_safely(pandas: Any) -> Any:
    """Make a DataFrame that is shown even where a value cannot write itself; what is made of it is a plain one."""

    class Gathered(pandas.DataFrame):  # type: ignore[misc]
        @property
        def _constructor(self) -> Any:
            return pandas.DataFrame

        def __reduce_ex__(self, protocol: Any) -> Any:
            return _itself, (pandas.DataFrame(self),)

        def _rows(self) -> GatheredTable:
            return GatheredTable(
                "", [str(name) for name in self.columns], list(self.itertuples(index=False, name=None))
            )

        def __repr__(self) -> str:
            try:
                return str(super().__repr__())
            except Exception:  # the values are the user's: to write them may raise anything
                return repr(self._rows())

        def _repr_html_(self) -> Any:
            try:
                return super()._repr_html_()
            except Exception:
                return self._rows()._repr_html_()

    Gathered.__name__ = Gathered.__qualname__ = "DataFrame"
    return Gathered


def _series(pandas: Any, values: list[Any]) -> Any:
    if all(value is None or isinstance(value, (bool, int, float, str)) for value in values):
        with suppress(OverflowError):  # an int may be too long for a float
            return pandas.Series(values)
    return pandas.Series(values, dtype=object)


def _wanted(tasks: Sequence[TaskInfo], names: Sequence[str]) -> Iterator[tuple[Pathspec, ArtifactInfo]]:
    for task in tasks:
        infos = {info.name: info for info in task.artifacts}
        yield from ((task.pathspec, infos[name]) for name in names if name in infos)


def _distinct(names: Sequence[str]) -> list[str]:
    """Tell apart columns of the same name: an artifact may be called what a foreach goes over."""
    found: list[str] = []
    for name in names:
        number = sum(each == name for each in names[: len(found)])
        found.append(f"{name}_{number + 1}" if number else name)
    return found


def _given(runs: Runs, run: RunInfo, tasks: Sequence[TaskInfo], depth: int) -> Iterator[tuple[Any, ...]]:
    """Give the foreach values of each task: what the foreach went over has them; Metaflow's record is cut off."""
    lists: dict[str, Any] = {}
    for task in tasks:
        infos = {info.name: info for info in task.artifacts}
        values: list[Any] = []
        for variable, index, recorded in zip(task.variables, task.index, task.values, strict=False):
            info = infos.get(variable)
            if info is not None and info.sha not in lists:
                lists[info.sha] = _items(runs, run, task, info)
            items = lists.get(info.sha) if info is not None else None
            values.append(_item(items, index, recorded))
        yield (*values, *([None] * (depth - len(values))))


def _items(runs: Runs, run: RunInfo, task: TaskInfo, info: ArtifactInfo) -> Any:
    try:
        ((_, items),) = load_many(runs, run.flow, [(task.pathspec, info)], run.store)
    except ArtifactError:
        return None
    return items


def _item(items: Any, index: int, recorded: str | None) -> Any:
    """Take the item that the record is of; the record itself where the list has been changed since, or is no list."""
    try:
        item = items[index]
        if recorded_as(item) == recorded:
            return item
    except Exception:  # the items are the user's: asking may raise anything
        return recorded
    return recorded
