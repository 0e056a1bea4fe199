"""The page of a replayed step: what it took, and what came out different."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kit.model import OWN_ARTIFACTS, Downstream, StepResult
from kit.views.page import Cell, Page, Table, count, duration

__all__ = ["step_page"]

MAX_ARTIFACTS = 12  # of a group, shown each in a row of its own
MAX_NAMES = 60
MAX_TASKS = 100  # of those on the way to a later step
MAX_OPEN_TASKS = 12
MAX_PARTS = 5  # of an object or an array; more are folded below their summary
MAX_OPEN = 36  # lines of differences that are open at first: about a screen


def step_page(result: StepResult) -> Page:
    """Describe a replayed step: what it took, and how its artifacts differ from the recorded ones."""
    title = [Cell(result.origin, code=True), Cell(f"replayed in {duration(result.seconds)}")]
    if result.next_steps:
        title.append(Cell(f"next: {', '.join(result.next_steps)}"))
    notes = list(result.notes)
    rows: list[tuple[Cell, ...]]
    if result.same is None:
        notes.append("Nothing was recorded for this task, so there is nothing to compare with.")
        rows = [(Cell("set"), Cell(str(len(result.artifacts))), Cell(_names(list(result.artifacts)), code=True))]
    else:
        rows = _changed_rows(result)
        rows += _typed_rows("added", "", _shown(result.added), result)
        rows += _typed_rows("missing", "was ", _shown(result.missing), result)
    if result.exception is not None:
        notes.append(f"A decorator handled {type(result.exception).__name__}: {result.exception}")
    if result.cards:
        notes.append(f"cards: {', '.join(_card(name, card) for name, card in result.cards.items())}: see .cards")
    tables = [Table(heading=(), columns=(), rows=tuple(rows))] if rows else []
    if same := _shown(result.same):
        heading = (Cell("same", mark="same"), Cell(count(len(same), "artifact")))
        tables.append(Table(heading, (), (), folded=True, tail=(_names(same),)))
    if result.downstream is None:
        return Page(tuple(title), tuple(tables), tuple(notes))
    return Page(tuple(title), (*tables, _way(result.downstream)), tuple(notes), graph=result.downstream.graph)


def _way(way: Downstream) -> Table:
    """Say what ran again on the way, what came out different, and what was left alone."""
    rows = []
    for origin, result in list(way.results.items())[:MAX_TASKS]:
        if result.same is None:
            status, names = "new", _names(_shown(frozenset(result.artifacts)))
        else:
            others = sorted({*_shown(result.changed), *_shown(result.added), *_shown(result.missing)})
            status, names = ("changed", _names(others)) if others else ("same", "")
        rows.append((Cell(status, mark=status), Cell(origin, code=True), Cell(names, code=True)))
    rest = len(way.results) - MAX_TASKS
    gone = f"{count(way.gone, 'recorded task')} gone" if way.gone else ""
    skipped = f"{count(len(way.skipped), 'task')} not run again" if way.skipped else ""
    tail = [f"and {rest} more" if rest > 0 else "", ", ".join(filter(None, (skipped, gone)))]
    heading = (Cell("on the way"), Cell(f"{count(len(way.results), 'task')} run"))
    return Table(heading, (), tuple(rows), folded=len(way.results) > MAX_OPEN_TASKS, tail=tuple(filter(None, tail)))


def _card(name: str, card: Sequence[Any]) -> str:
    """Name a card, by its type where it has no id."""
    kind = str(getattr(card, "type", ""))
    said = [kind] if name and kind else []
    return f"{name or kind or 'card'} ({', '.join([*said, count(len(card), 'component')])})"


def _changed_rows(result: StepResult) -> list[tuple[Cell, ...]]:
    names = _shown(result.changed)
    rows, lines = [], 0
    for name in names[:MAX_ARTIFACTS]:
        difference = result.differences.get(name)
        said = Cell("")
        if difference is not None:
            lines += len(difference.lines)
            is_long = len(difference.lines) > MAX_PARTS and difference.kind != "text"
            said = Cell(difference.summary, block=difference.lines, folded=is_long or lines > MAX_OPEN)
        rows.append((Cell("changed", mark="changed"), Cell(name, code=True), said))
    return rows + _rest("changed", names)


def _typed_rows(group: str, before: str, names: Sequence[str], result: StepResult) -> list[tuple[Cell, ...]]:
    types = result.types
    rows = [
        (Cell(group, mark=group), Cell(name, code=True), Cell(f"{before}{types[name]}" if name in types else ""))
        for name in names[:MAX_ARTIFACTS]
    ]
    return rows + _rest(group, names)


def _rest(group: str, names: Sequence[str]) -> list[tuple[Cell, ...]]:
    rest = names[MAX_ARTIFACTS:]
    return [(Cell(group, mark=group), Cell(f"and {len(rest)} more"), Cell(_names(rest), code=True))] if rest else []


def _shown(names: frozenset[str] | None) -> list[str]:
    return sorted((names or frozenset()) - OWN_ARTIFACTS)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
