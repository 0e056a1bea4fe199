"""The page of a run that is under way: its graph with counts, how long it has taken, what its tasks say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kit.model import Graph, Pathspec
from kit.views.graph import JOINED, ordered
from kit.views.page import Cell, Page, Table, count, duration, mark_of

__all__ = ["ENDED", "RunProgress", "StepProgress", "TaskLines", "progress_page"]

ENDED = ("succeeded", "failed", "stopped")  # how a run may have ended
MAX_TASKS = 4  # whose last lines are shown
MAX_LINES = 3  # of each
MAX_LINE = 160  # characters
MAX_BARE_STEPS = 20  # listed where there is no graph to draw


@dataclass(frozen=True)
class StepProgress:
    """How far a step has come.

    Args:
        running: How many of its tasks run.
        succeeded: How many have succeeded.
        failed: How many have failed.
        stopped: How many were ended, by an interrupt or since another failed.
        retried: How many have begun more than once.
        cloned: How many were taken from the run that is resumed; they are among those that succeeded.
        splits: How many tasks it leads to where it is split by a foreach; None as long as that is not known.
        seconds: Since its first task started, until its last one ended.
    """

    running: int = 0
    succeeded: int = 0
    failed: int = 0
    stopped: int = 0
    retried: int = 0
    cloned: int = 0
    splits: int | None = None
    seconds: float | None = None

    @property
    def begun(self) -> int:
        """How many of its tasks have begun."""
        return self.running + self.succeeded + self.failed + self.stopped


@dataclass(frozen=True)
class TaskLines:
    """The last lines that a task printed.

    Args:
        task: Its address.
        lines: The lines.
    """

    task: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class RunProgress:
    """How far a run has come.

    Args:
        flow: The name of the flow.
        run: The run's id; None before it has one.
        status: "starting", "running", "succeeded", "failed" or "stopped".
        seconds: How long it has taken.
        graph: The flow's graph; None where it is not known.
        steps: How far each step has come, by name, in the order in which they began.
        tasks: What the running tasks say.
        notes: What kit did that the user should know.
    """

    flow: str
    run: str | None
    status: str
    seconds: float
    graph: Graph | None = None
    steps: Mapping[str, StepProgress] | None = None
    tasks: Sequence[TaskLines] = ()
    notes: tuple[str, ...] = ()


def progress_page(progress: RunProgress) -> Page:
    """Describe a run that is under way, or that has just ended."""
    title = (
        Cell(str(Pathspec(progress.flow, progress.run)), code=True),
        mark_of(progress.status),
        Cell(duration(progress.seconds) if progress.status != "running" else f"{progress.seconds:.0f} s so far"),
    )
    steps = progress.steps or {}
    tables = [_said(each) for each in progress.tasks[:MAX_TASKS]]
    more = len(progress.tasks) - len(tables)
    if more > 0:
        tables.append(Table((), (), (), tail=(f"and {count(more, 'task')} more",)))
    if progress.graph is None:
        return Page(title, (*_bare(steps), *tables), progress.notes)
    ended = progress.status in ENDED
    return Page(title, tuple(tables), progress.notes, graph=_with_counts(progress.graph, steps, ended))


def _with_counts(graph: Graph, steps: Mapping[str, StepProgress], ended: bool) -> Graph:
    nodes, expected = [], _expected(graph, steps)
    for node in graph.nodes:
        step, whole = steps.get(node.name), expected[node.name]
        nodes.append(replace(node, status=_status(step, whole, ended), note=_note(step, whole)))
    return Graph(tuple(nodes))


def _expected(graph: Graph, steps: Mapping[str, StepProgress]) -> dict[str, int | None]:
    """Say how many tasks each step will have, as far as the foreachs above it have said."""
    splits: dict[str, tuple[str, ...]] = {}
    found: dict[str, int | None] = {}
    for node in ordered(graph):
        around = splits.setdefault(node.name, ())
        own = found.setdefault(node.name, 1)
        if node.type == "join" and around:
            own = found[node.name] = found[around[-1]]  # as many as the step that split
            around = around[:-1]
        each = own
        if node.type in ("foreach", "parallel", "switch"):  # a switch takes one of its targets
            step = steps.get(node.name)
            each = step.splits if step is not None and step.succeeded == own else None
        for target in node.next:
            splits.setdefault(target, (*around, node.name) if node.type in JOINED else around)
            found.setdefault(target, each)
    return found


def _status(step: StepProgress | None, expected: int | None, ended: bool = False) -> str:
    if step is None or not step.begun:
        return "pending"
    if step.failed:
        return "failed"
    if step.running or step.stopped or (expected is not None and step.begun < expected):
        return "stopped" if ended else "running"
    return "succeeded"


def _note(step: StepProgress | None, whole: int | None) -> str:
    if step is None or not step.begun:
        return count(whole, "task") if whole is not None and whole > 1 else ""
    parts = []
    if step.begun > 1 or (whole or 0) > 1:
        done = step.succeeded + step.failed
        parts.append(f"{done:,} of {whole:,}" if whole and done < whole else count(done, "task"))
    if step.failed and step.begun > 1:
        parts.append(f"{step.failed:,} failed")
    if step.retried:
        parts.append(f"{step.retried:,} retried")
    if step.cloned == step.begun:
        parts.append("cloned")
    elif step.seconds is not None:
        parts.append(duration(step.seconds))
    return ", ".join(parts)


def _bare(steps: Mapping[str, StepProgress]) -> tuple[Table, ...]:
    rows = tuple(
        (Cell(name, code=True), mark_of(_status(step, None)), Cell(_note(step, None)))
        for name, step in list(steps.items())[:MAX_BARE_STEPS]
    )
    return (Table((), (), rows),) if rows else ()


def _said(each: TaskLines) -> Table:
    lines = tuple(line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…" for line in each.lines[-MAX_LINES:])
    rows = ((Cell("its last lines", block=lines),),) if lines else ()
    return Table((Cell(each.task, code=True), mark_of("running")), (), rows)
