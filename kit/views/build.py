"""Pages of kit's data: what is said of a project, a run, a replayed step."""

from __future__ import annotations

from collections.abc import Sequence

from kit.model import FlowRuns
from kit.views.page import Cell, Page, Table, age, count, duration
from kit.views.recorded import run_page, state_of

__all__ = ["dependency_page", "project_page", "run_page"]


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
                    state_of(run),
                    Cell(age(run.created)),
                    Cell(duration(run.seconds)),
                    Cell(run.user),
                    Cell(", ".join(run.tags)),
                )
                for run in flow.runs
            ),
            tail=tuple(filter(None, ("" if flow.runs or flow.note else "no runs yet", flow.note))),
        )
        for flow in flows
    )
    notes = () if flows else ("There are no flows in this project yet.",)
    return Page(title=(Cell(f"{count(len(flows), 'flow')} in"), Cell(root, code=True)), tables=tables, notes=notes)


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
