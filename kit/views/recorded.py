"""The page of a recorded run: how it stands, its graph, its Parameters, what failed, and what each step produced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kit.model import OWN_ARTIFACTS, ArtifactInfo, RunInfo, StepInfo, TaskInfo
from kit.views.details import Failure, Log, RunDetails
from kit.views.graph import with_status
from kit.views.page import Cell, Page, Table, age, count, duration, mark_of, size

__all__ = ["NOTHING", "RECORDED_CHARACTERS", "run_page", "state_of"]

NOTHING = RunDetails()
MAX_VALUES = 6
MAX_NAMES = 40
MAX_ROWS = 600  # of artifacts, on a page: what is beyond is counted
MAX_ROWS_OF_STEP, MIN_ROWS_OF_STEP = 60, 6
MAX_NAME = 80  # characters of a name; a page keeps its size whatever was recorded
MAX_LINE = 400  # characters of a line of a log
RECORDED_CHARACTERS = 30  # of a foreach value, in what Metaflow records (metaflow.flowspec)


def run_page(
    run: RunInfo,
    steps: Sequence[StepInfo],
    only: frozenset[str] | None,
    notes: Sequence[str],
    details: RunDetails = NOTHING,
) -> Page:
    """Describe a run and what its steps produced.

    An artifact that a step only passed on is counted with the inherited ones.

    Args:
        run: The run.
        steps: The steps to show, in the graph's order.
        only: The names of the artifacts to show; None for all.
        notes: Lines to add.
        details: What else is shown.
    """
    seen = {(each.name, each.sha) for each in details.parameters}  # told once, above the steps
    tables = [*_parameters(details), *map(_failure, details.failures)]
    most = max(MIN_ROWS_OF_STEP, min(MAX_ROWS_OF_STEP, MAX_ROWS // max(1, len(steps))))
    for step in steps:
        tables.append(_step_table(step, seen, only, len(steps) > 1, most, details))
        seen |= {(a.name, a.sha) for task in step.tasks for a in task.artifacts}
    tables += [*_logs(details.logs), *_cards(details)]
    title = [Cell(str(run.pathspec), code=True), state_of(run)]
    if title[1].mark == "dead" and run.beat is not None:
        title.append(Cell(f"last sign of life {age(run.beat)}"))
    elif run.alive and run.status == "failed" and any(t.status == "running" for step in steps for t in step.tasks):
        title.append(Cell("its other tasks still run"))
    title.append(Cell(f"{age(run.created)}{' by ' + run.user if run.user else ''}"))
    if run.seconds is not None:
        title.append(Cell(f"took {duration(run.seconds)}"))
    if run.tags:
        title.append(Cell(f"tags {', '.join(run.tags)}"))
    graph = details.graph
    return Page(tuple(title), tuple(tables), tuple(notes), with_status(graph, steps) if graph else None)


def state_of(run: RunInfo) -> Cell:
    """Say how a run stands; one that has not ended and shows no sign of life is dead."""
    return mark_of("dead" if run.status == "running" and run.alive is False else run.status)


def _parameters(details: RunDetails) -> Iterable[Table]:
    if not details.parameters:
        return
    rows = tuple(
        (
            Cell(_cut(each.name), code=True),
            Cell(_cut(each.type) if each.value is None else each.value, code=each.value is not None),
            Cell(size(each.size) if each.value is None else ""),
        )
        for each in details.parameters[:MAX_ROWS_OF_STEP]
    )
    rest = len(details.parameters) - len(rows)
    heading = (Cell("Parameters"), Cell(str(len(details.parameters))))
    tail = (f"and {rest} more",) if rest else ()
    yield Table(heading, (), rows, folded=len(rows) > 8, tail=tail)


def _failure(failure: Failure) -> Table:
    said = _cut(failure.exception, MAX_LINE) or "it left no exception: it may have been killed"
    block = tuple(_cut(line, MAX_LINE) for line in failure.lines)
    rows = ((Cell("its last lines", block=block),),) if block else ()
    return Table((Cell(str(failure.task), code=True), mark_of("failed"), Cell(said)), (), rows)


def _logs(logs: Sequence[Log]) -> Iterable[Table]:
    for log in logs:
        block = tuple(_cut(line, MAX_LINE) for line in log.lines)
        said = count(len(log.lines), "line") + (f", after {log.left_out:,} more" if log.left_out else "")
        heading = (Cell(str(log.task), code=True), Cell(log.stream), Cell(said if block else "nothing"))
        yield Table(heading, (), ((Cell("", block=block),),) if block else ())


def _cards(details: RunDetails) -> Iterable[Table]:
    if details.cards:
        rows = tuple((Cell(task, code=True), Cell(name)) for task, name in details.cards[:MAX_ROWS_OF_STEP])
        more = len(details.cards) - len(rows)
        tail = (f"and {more} more",) if more else ()
        yield Table((Cell("cards"), Cell(str(len(details.cards)))), (), rows, tail=tail)


def _step_table(
    step: StepInfo,
    seen: set[tuple[str, str]],
    only: frozenset[str] | None,
    folded: bool,
    most: int,
    details: RunDetails,
) -> Table:
    by_name: dict[str, list[ArtifactInfo]] = {}
    inherited: set[str] = set()
    for task in step.tasks:
        for artifact in task.artifacts:
            if only is not None and artifact.name not in only:
                continue
            if only is None and ((artifact.name, artifact.sha) in seen or artifact.name in OWN_ARTIFACTS):
                inherited.add(artifact.name)
            else:
                by_name.setdefault(artifact.name, []).append(artifact)
    inherited -= {*by_name, *OWN_ARTIFACTS}
    heading = [Cell(_cut(step.name), code=True), mark_of(step.status)]
    if len(step.tasks) > 1:
        parts = [count(len(step.tasks), "task")]
        for status in ("failed", "running"):
            number = sum(task.status == status for task in step.tasks)
            parts += [f"{number:,} {status}"] if number else []
        heading.append(Cell(", ".join(parts)))
    if step.tasks or step.status != "pending":
        heading.append(Cell(count(len(by_name), "artifact")))
    tail = _foreach_values(step)
    names = sorted(by_name)
    if len(names) > most:
        tail.insert(0, f"and {count(len(names) - most, 'artifact')} more: {_names(names[most:])}")
    if inherited:
        tail.append(f"inherited: {_names(sorted(inherited))}")
    return Table(
        heading=tuple(heading),
        columns=(),
        rows=tuple(_artifact_row(name, by_name[name], details) for name in names[:most]),
        folded=folded and not by_name,
        tail=tuple(tail),
    )


def _artifact_row(name: str, infos: Sequence[ArtifactInfo], details: RunDetails) -> tuple[Cell, ...]:
    kinds = list(dict.fromkeys(_cut(info.type) for info in infos))
    types = ", ".join(kinds[:3]) + (f" and {len(kinds) - 3} more" if len(kinds) > 3 else "")
    total = size(sum(info.size for info in infos))
    said = f"{total} in {len(infos):,} tasks" if len(infos) > 1 else total
    row = (Cell(_cut(name), code=True), Cell(types), Cell(said))
    if not details.previews:
        return row
    return (*row, Cell(details.previews.get((infos[0].step, name), ""), code=True))


def _foreach_values(step: StepInfo) -> list[str]:
    """Say what the tasks of a foreach were given, as Metaflow recorded it: cut off after its first characters."""
    given = [task for task in step.tasks if any(value is not None for value in task.values)]
    if len(step.tasks) < 2 or not given:
        return []
    failed = [task for task in given if task.status == "failed"]
    lines = [f"foreach: {_values(given)}"]
    return [*lines, f"failed: {_values(failed)}"] if failed else lines


def _values(tasks: Sequence[TaskInfo]) -> str:
    shown = ["/".join(_short(value) for value in task.values) for task in tasks[:MAX_VALUES]]
    more = [f"and {len(tasks) - MAX_VALUES:,} more"] if len(tasks) > MAX_VALUES else []
    return " · ".join([*shown, *more])


def _short(value: str | None) -> str:
    text = str(value)
    return f"{text}…" if len(text) >= RECORDED_CHARACTERS else text


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(map(_cut, names[:MAX_NAMES])) + more


def _cut(text: str, width: int = MAX_NAME) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
