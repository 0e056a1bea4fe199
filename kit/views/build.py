"""Pages of kit's data: what is said of a project, a run, a replayed step."""

from __future__ import annotations

from collections.abc import Sequence

from kit.model import OWN_ARTIFACTS, ArtifactInfo, FlowRuns, RunInfo, StepInfo
from kit.views.page import Cell, Page, Table, age, count, duration, mark_of, size

__all__ = ["dependency_page", "project_page", "run_page"]

MAX_VALUES = 6
RECORDED_CHARACTERS = 30  # of a foreach value, in what Metaflow records (metaflow.flowspec)


def project_page(root: str, flows: Sequence[FlowRuns]) -> Page:
    """Describe the flows of a project and their recent runs.

    Args:
        root: The project's root.
        flows: The flows, with the runs to show of each.
    """
    tables = tuple(
        Table(
            heading=(Cell(flow.name, code=True), Cell(flow.file or "not in this project any more")),
            columns=("run", "status", "started", "took", "by", "tags"),
            rows=tuple(
                (
                    Cell(str(run.pathspec), code=True),
                    mark_of(run.status),
                    Cell(age(run.created)),
                    Cell(duration(run.seconds)),
                    Cell(run.user),
                    Cell(", ".join(run.tags)),
                )
                for run in flow.runs
            ),
            tail=() if flow.runs else ("no runs yet",),
        )
        for flow in flows
    )
    notes = () if flows else ("There are no flows in this project yet.",)
    return Page(title=(Cell(f"{count(len(flows), 'flow')} in"), Cell(root, code=True)), tables=tables, notes=notes)


def run_page(run: RunInfo, steps: Sequence[StepInfo], only: frozenset[str] | None, notes: Sequence[str]) -> Page:
    """Describe a run and what its steps produced.

    An artifact that a step only passed on is counted with the inherited ones.

    Args:
        run: The run.
        steps: The steps to show, in the graph's order.
        only: The names of the artifacts to show; None for all.
        notes: Lines to add.
    """
    seen: set[tuple[str, str]] = set()
    tables = []
    for step in steps:
        tables.append(_step_table(step, seen, only, folded=len(steps) > 1))
        seen |= {(a.name, a.sha) for task in step.tasks for a in task.artifacts}
    title = [
        Cell(str(run.pathspec), code=True),
        mark_of(run.status),
        Cell(f"{age(run.created)}{' by ' + run.user if run.user else ''}"),
    ]
    if run.seconds is not None:
        title.append(Cell(f"took {duration(run.seconds)}"))
    if run.tags:
        title.append(Cell(f"tags {', '.join(run.tags)}"))
    return Page(tuple(title), tuple(tables), tuple(notes))


def dependency_page(rows: Sequence[tuple[str, str, str | None, str | None, str]]) -> Page:
    """Describe what became of requirements.

    Args:
        rows: A row a requirement: what it is, the version wanted, had, and there now, and what was done.
    """
    cells = tuple(
        (Cell(label, code=True), Cell(wanted), Cell(had or "none"), Cell(now or "none"), Cell(action))
        for label, wanted, had, now, action in rows
    )
    changed = sum(action not in ("keep", "skip") for *_, action in rows)
    title = f"{count(len(rows), 'requirement')}, {changed} changed" if changed else "every requirement is met"
    return Page((Cell(title),), (Table((), ("requirement", "wanted", "had", "now", "action"), cells),))


def _step_table(step: StepInfo, seen: set[tuple[str, str]], only: frozenset[str] | None, folded: bool) -> Table:
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
    heading = [Cell(step.name, code=True), mark_of(step.status)]
    if len(step.tasks) > 1:
        failed = sum(task.status == "failed" for task in step.tasks)
        heading.append(Cell(count(len(step.tasks), "task") + (f", {failed} failed" if failed else "")))
    heading.append(Cell(count(len(by_name), "artifact")))
    tail = _foreach_values(step)
    if inherited:
        tail.append(f"inherited: {', '.join(sorted(inherited))}")
    return Table(
        heading=tuple(heading),
        columns=(),
        rows=tuple(_artifact_row(name, infos) for name, infos in sorted(by_name.items())),
        folded=folded and not by_name,
        tail=tuple(tail),
    )


def _artifact_row(name: str, infos: Sequence[ArtifactInfo]) -> tuple[Cell, ...]:
    types = ", ".join(dict.fromkeys(info.type for info in infos))
    total = size(sum(info.size for info in infos))
    return Cell(name, code=True), Cell(types), Cell(f"{total} in {len(infos)} tasks" if len(infos) > 1 else total)


def _foreach_values(step: StepInfo) -> list[str]:
    """Say what the tasks of a foreach were given, as Metaflow recorded it: cut off after its first characters."""
    values = ["/".join(_short(value) for value in task.values) for task in step.tasks if any(task.values)]
    if len(step.tasks) < 2 or not values:
        return []
    more = [f"and {len(values) - MAX_VALUES} more"] if len(values) > MAX_VALUES else []
    return [f"foreach: {' · '.join([*values[:MAX_VALUES], *more])}"]


def _short(value: str | None) -> str:
    text = str(value)
    return f"{text}…" if len(text) >= RECORDED_CHARACTERS else text
