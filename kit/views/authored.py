"""Pages of a flow that grows in a notebook: one of its steps, just run, and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kit.model import Graph
from kit.views.page import Cell, Page, Table, count, duration

__all__ = ["AuthoredFlow", "AuthoredStep", "SetArtifact", "flow_page", "step_page"]

MAX_ARTIFACTS = 20


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
class AuthoredStep:
    """A step that has just been run.

    Args:
        flow: The name of the flow.
        step: The name of the step.
        seconds: How long it took.
        tasks: How many tasks it had.
        artifacts: What its first task set.
        before: The steps that lead to it.
        notes: What there is to say, a line each.
    """

    flow: str
    step: str
    seconds: float
    tasks: int
    artifacts: Sequence[SetArtifact]
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
    rows = tuple(
        (
            Cell(each.mark or "set", mark=each.mark),
            Cell(each.name, code=True),
            Cell(each.type),
            Cell(each.preview, code=True),
        )
        for each in step.artifacts[:MAX_ARTIFACTS]
    )
    rest = len(step.artifacts) - MAX_ARTIFACTS
    tail = (f"and {count(rest, 'artifact')} more",) if rest > 0 else ()
    heading = (Cell("its first task"),) if step.tasks > 1 and rows else ()
    tables = (Table(heading, (), rows, tail=tail),) if rows else ()
    return Page(tuple(title), tables, step.notes)


def flow_page(flow: AuthoredFlow) -> Page:
    """Describe a notebook's flow."""
    title = (Cell(flow.name, code=True), Cell(f"{count(flow.steps, 'step')} in this notebook"))
    rows = tuple((Cell("Parameter"), Cell(name, code=True), Cell(value, code=True)) for name, value in flow.parameters)
    return Page(title, (Table((), (), rows),) if rows else (), flow.notes, graph=flow.graph)
