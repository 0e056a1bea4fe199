"""`kit test --update`: the suite run twice, and the notebooks' references made of what both runs put out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kit.errors import KitError
from kit.model import Verdict
from kit.project import Project
from kit.regression.compared import NotebookVerdict, Recorded
from kit.regression.judge import cell_name, read_executed
from kit.regression.outputs.rules import Rules
from kit.regression.outputs.text import VARIES
from kit.regression.reference import compare_with, make_reference
from kit.regression.reference_file import Reference, load, reference_path, save
from kit.regression.settings import comparison_rules
from kit.regression.suite import Options, Outcome, Watch, run_suite

__all__ = ["FIRST_OF_TWO", "update_references"]

FIRST_OF_TWO = " (1 of 2)"  # follows the names of verdicts that are not final


def update_references(
    project: Project, options: Options, tell: Callable[[Verdict], None], watch: Watch | None = None
) -> Outcome:
    """Run the flows and the notebooks twice, mask what differs by itself, and write the references.

    The flows too run twice: what differs from one run of a flow to the next would differ in the next test. A notebook
    that fails keeps the reference that it has.

    Args:
        project: The project.
        options: What to run, and how.
        tell: Is called with each verdict when it is there.
        watch: Is told how far it is, in both runs.

    Raises:
        KitError: It cannot start.
    """
    rules = comparison_rules(project)
    options = replace(options, compare=False)
    first: dict[str, Verdict] = {}

    def note(verdict: Verdict) -> None:
        first[verdict.name] = verdict
        tell(replace(verdict, name=f"{verdict.name}{FIRST_OF_TWO}"))

    once = run_suite(project, options, note, watch)
    if once.interrupted:
        return once
    verdicts: list[Verdict] = []

    def take(verdict: Verdict) -> None:
        before = first.get(verdict.name)
        if before is not None and before.status == "failed":
            verdict = before
        elif isinstance(verdict, NotebookVerdict) and isinstance(before, NotebookVerdict):
            verdict = _updated(before, verdict, rules)
        verdicts.append(verdict)
        tell(verdict)

    again = run_suite(project, options, take, watch)
    return replace(again, verdicts=tuple(verdicts))


def _updated(first: NotebookVerdict, again: NotebookVerdict, rules: Rules) -> NotebookVerdict:
    """Write the reference of one notebook that ran twice."""
    if again.status != "passed" or first.executed is None or again.executed is None or again.path is None:
        return again
    path = reference_path(again.path)
    try:
        before = _loaded(path)
        executed, other = read_executed(first.executed), read_executed(again.executed)
        text = again.path.read_text(encoding="utf-8")
        changes = compare_with(executed, before, path, rules, text)
        made = make_reference(executed, other, rules, before)
        comparison = compare_with(other, made, path, rules, text)
    except KitError as error:
        return replace(again, status="failed", detail=error.message, report=error.hint)
    if before is not None and made == before:
        return replace(again, detail="reference kept as it was", comparison=comparison)
    save(path, made)
    rewrote = [line for cell in changes.differing for line in (cell_name(cell), *(f"  {each}" for each in cell.lines))]
    rewrote += [f"{cell_name(cell)}\n  new" for cell in changes.cells if before and cell.status == "no reference"]
    rewrote += _masked(made)
    outputs = sum(len(cell.outputs) for cell in made.cells)
    new = sum(cell.status == "no reference" for cell in changes.cells)
    changed = len(changes.differing) + new
    what = f"{outputs} output{'s'[: outputs != 1]} recorded"
    if before is not None:
        what = f"{changed} cell{'s'[: changed != 1]} rewritten"
    return replace(again, detail=f"reference: {what}", comparison=comparison, rewrote=tuple(rewrote))


def _loaded(path: Path) -> Reference | None:
    try:
        return load(path)
    except KitError:
        return None  # a broken one is what --update is to mend


def _masked(reference: Reference) -> list[str]:
    """Say which cells put out something that differs by itself, and is not compared."""
    return [
        f"{cell.source}: differs by itself, masked"
        for cell in reference.cells
        if cell.varies or any(_has_masks(output) for output in cell.outputs)
    ]


def _has_masks(output: Recorded) -> bool:
    pending = [output.value]
    while pending:
        value = pending.pop()
        if isinstance(value, str) and VARIES in value:
            return True
        pending += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return False
