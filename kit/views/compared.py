"""The pages of what differs between two runs, and of a foreach's artifacts side by side."""

from __future__ import annotations

from collections.abc import Sequence

from kit.model import ArtifactInfo, Pathspec
from kit.views.details import ArtifactChange
from kit.views.page import Cell, Page, Table, count, mark_of, size

__all__ = ["difference_page", "gathered_page"]

MAX_CHANGES = 300
MAX_VALUE = 80  # characters


def difference_page(
    new: Pathspec, old: Pathspec, changes: Sequence[ArtifactChange], same: int, notes: Sequence[str]
) -> Page:
    """Describe what differs between two runs, steps or tasks.

    Args:
        new: What was compared.
        old: What it was compared with.
        changes: What differs.
        same: How many artifacts are the same.
        notes: Lines to add.
    """
    by_step: dict[str, list[ArtifactChange]] = {}
    for change in changes[:MAX_CHANGES]:
        by_step.setdefault(change.step, []).append(change)
    tables = tuple(
        Table((Cell(_cut(step), code=True), Cell(_number(len(rows)))), (), tuple(map(_row, rows)))
        for step, rows in by_step.items()
    )
    title = (Cell(str(new), code=True), Cell("compared with"), Cell(str(old), code=True))
    rest = [f"and {len(changes) - MAX_CHANGES:,} more differ"] if len(changes) > MAX_CHANGES else []
    said = f"{count(same, 'artifact')} the same, by content hash" + ("" if changes else ": nothing differs")
    return Page(title, tables, (*rest, said, *notes))


def gathered_page(pathspec: str, columns: Sequence[str], rows: Sequence[Sequence[str]], tasks: int) -> Page:
    """Describe rows of values.

    Args:
        pathspec: The step that they are of; "" where that is not known.
        columns: The names of the columns.
        rows: The values of the first tasks, as text.
        tasks: How many tasks there are.
    """
    shown = tuple(tuple(Cell(_cut(value), code=True) for value in row) for row in rows)
    tail = (f"and {tasks - len(rows):,} more",) if tasks > len(rows) else ()
    title = (*((Cell(pathspec, code=True),) if pathspec else ()), Cell(count(tasks, "task")))
    return Page(title, (Table((), tuple(map(_cut, columns)), shown, tail=tail),))


def _number(changes: int) -> str:
    return f"{count(changes, 'artifact')} {'differs' if changes == 1 else 'differ'}"


def _row(change: ArtifactChange) -> tuple[Cell, ...]:
    some = f"in {change.tasks:,} of {change.total:,} tasks" if change.total > 1 else ""
    sides = [_side(change.old), _side(change.new)]
    said = " → ".join(dict.fromkeys(side for side in sides if side))
    return mark_of(change.status), Cell(_cut(change.name), code=True), Cell(said), Cell(some)


def _side(info: ArtifactInfo | None) -> str:
    return f"{_cut(info.type)}, {size(info.size)}" if info else ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"
