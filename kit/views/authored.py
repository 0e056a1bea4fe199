"""Pages of a flow that grows in a notebook: one of its steps, just run, and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kit.model import Graph
from kit.views.page import Cell, Page, Table, count, duration

__all__ = ["MAX_TASKS", "AuthoredFlow", "AuthoredStep", "SetArtifact", "SetTask", "flow_page", "step_page"]

MAX_ARTIFACTS = 20
MAX_TASKS = 8
MAX_COLUMNS = 5  # of artifacts, where a row is a task
WIDTH = 90  # characters of such a row


@dataclass(frozen=True)
class SetArtifact:
    """An artifact that a step set.

    Args:
        name: Its name.
        type: The name of its type.
        preview: Its value in a few words.
        mark: "changed" or "added" beside what the step left before; "" for neither.
    """

    name: str
    type: str
    preview: str
    mark: str = ""


@dataclass(frozen=True)
class SetTask:
    """A task of a step, and what it set.

    Args:
        item: The items of the foreachs that it is for, in a few words.
        artifacts: The artifacts.
    """

    item: str
    artifacts: Sequence[SetArtifact]


@dataclass(frozen=True)
class AuthoredStep:
    """A step that has just been run.

    Args:
        flow: The name of the flow.
        step: The name of the step.
        seconds: How long it took.
        tasks: How many tasks it had.
        shown: Its first tasks, and what they set.
        before: The steps that lead to it.
        notes: What there is to say, a line each.
    """

    flow: str
    step: str
    seconds: float
    tasks: int
    shown: Sequence[SetTask]
    before: Sequence[str] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuthoredFlow:
    """A notebook's flow.

    Args:
        name: Its name.
        graph: Its steps, with what became of them.
        steps: How many there are.
        parameters: Its Parameters and their values in a few words.
        notes: What there is to say, a line each.
    """

    name: str
    graph: Graph
    steps: int
    parameters: Sequence[tuple[str, str]] = ()
    notes: tuple[str, ...] = ()


def step_page(step: AuthoredStep) -> Page:
    """Describe a step that has just been run."""
    title = [Cell(f"{step.flow}/{step.step}", code=True), Cell(f"ran in {duration(step.seconds)}")]
    if step.tasks > 1:
        title.append(Cell(count(step.tasks, "task")))
    if step.before:
        title.append(Cell(f"after {', '.join(step.before)}"))
    made = _tasks(step) if step.tasks > 1 else _artifacts(step.shown[0].artifacts if step.shown else ())
    return Page(tuple(title), (made,) if made.rows else (), step.notes)


def _artifacts(artifacts: Sequence[SetArtifact]) -> Table:
    """Give a row an artifact."""
    rows = tuple(
        (
            Cell(each.mark or "set", mark=each.mark),
            Cell(each.name, code=True),
            Cell(each.type),
            Cell(each.preview, code=True),
        )
        for each in artifacts[:MAX_ARTIFACTS]
    )
    rest = len(artifacts) - MAX_ARTIFACTS
    return Table((), (), rows, tail=(f"and {count(rest, 'artifact')} more",) if rest > 0 else ())


def _tasks(step: AuthoredStep) -> Table:
    """Give a row a task, with a column an artifact."""
    names = list(dict.fromkeys(each.name for task in step.shown for each in task.artifacts))
    columns, others = names[:MAX_COLUMNS], names[MAX_COLUMNS:]
    if not columns:
        return Table((), (), ())
    width = WIDTH // len(columns)
    rows = []
    for task in step.shown:
        found = {each.name: each for each in task.artifacts}
        cells = [_value(found[name], width) if name in found else Cell("") for name in columns]
        rows.append((Cell(task.item, code=True), *cells))
    rest = step.tasks - len(step.shown)
    tail = [f"{rest:,} more"] if rest > 0 else []
    tail += [f"also set: {', '.join(others[:MAX_ARTIFACTS])}"] if others else []
    return Table((), ("input", *columns), tuple(rows), tail=tuple(tail))


def _value(artifact: SetArtifact, width: int) -> Cell:
    text = artifact.preview if len(artifact.preview) <= width else f"{artifact.preview[: width - 1]}…"
    return Cell(text, mark=artifact.mark, code=True)


def flow_page(flow: AuthoredFlow) -> Page:
    """Describe a notebook's flow."""
    title = (Cell(flow.name, code=True), Cell(f"{count(flow.steps, 'step')} in this notebook"))
    rows = tuple((Cell("Parameter"), Cell(name, code=True), Cell(value, code=True)) for name, value in flow.parameters)
    return Page(title, (Table((), (), rows),) if rows else (), flow.notes, graph=flow.graph)
