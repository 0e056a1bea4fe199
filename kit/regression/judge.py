"""The verdict on an executed notebook: whether its cells ran, and whether its outputs are the reference's."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat

from kit.errors import KitError
from kit.model import Verdict
from kit.regression.compared import CellComparison, NotebookComparison, NotebookVerdict
from kit.regression.discover import Notebook
from kit.regression.execute import Executed
from kit.regression.lines import cell_lines
from kit.regression.outputs.rules import Rules
from kit.regression.reference import compare, own_cells
from kit.regression.reference_file import reference_path

__all__ = ["cell_name", "judge", "own_failure", "read_executed"]

MAX_LINES = 12  # of a cell's differences in the terminal; the HTML report has them all
RAISES = "raises-exception"


def judge(notebook: Notebook, executed: Path, result: Executed, rules: Rules | None) -> NotebookVerdict:
    """Give the verdict on an executed notebook.

    Args:
        notebook: The notebook.
        executed: The executed copy.
        result: What became of its execution.
        rules: How strictly its outputs are compared; None not to compare them.
    """
    text = _text(notebook.path)
    comparison = None
    error, report, line = result.error, result.report, 0
    if error:
        line = _failing_line(executed, text)
    if rules is not None and (not error or (result.cell is not None and result.notebook is not None)):
        try:
            node = read_executed(executed)
            comparison = compare(node, reference_path(notebook.path), rules, text)
            if error:  # what came before it may say why
                comparison = _before(comparison, node, result.cell or 0)
        except KitError as wrong:
            error, report = error or wrong.message, report or wrong.hint
        except (OSError, ValueError):  # the copy was not written: that is said already
            pass
    if comparison is not None and comparison.differing and error:
        report = f"{report}\n\nBefore that, {comparison.summary}:\n{describe(comparison)}"
    elif comparison is not None and comparison.differing:
        error, report = comparison.summary, describe(comparison)
        line = next((cell.line for cell in comparison.differing if cell.line), 1)
    return NotebookVerdict(
        name=notebook.name,
        kind="notebook",
        status="failed" if error else "passed",
        seconds=result.seconds,
        detail=error or (comparison.summary if comparison is not None else ""),
        report=report,
        path=notebook.path,
        executed=executed if executed.is_file() else None,
        comparison=comparison,
        line=line or 1,
        notes=tuple(f"{notebook.name}: {note}" for note in result.notes),
    )


def own_failure(verdict: Verdict) -> bool:
    """Whether a notebook failed by itself: not, or not only, because outputs differ from the reference's."""
    comparison = verdict.comparison if isinstance(verdict, NotebookVerdict) else None
    return verdict.status == "failed" and (comparison is None or verdict.detail != comparison.summary)


def _before(comparison: NotebookComparison, node: Any, failing: int) -> NotebookComparison:
    """Leave out of a comparison the cell that failed and what would have come after it."""
    own = len(own_cells(nbformat.from_dict({"cells": node.cells[:failing]})))
    return replace(comparison, cells=tuple(cell for cell in comparison.cells if 0 <= cell.index < own))


def describe(comparison: NotebookComparison) -> str:
    """Say what differs, cell by cell, in lines of plain text."""
    lines = []
    for cell in comparison.differing:
        messages = list(cell.lines)
        lines += [cell_name(cell), *(f"  {message}" for message in messages[:MAX_LINES])]
        lines += [f"  … and {len(messages) - MAX_LINES} more"] if len(messages) > MAX_LINES else []
    lines += comparison.notes
    return "\n".join([*lines, "Where that is as it should be: kit test --update"])


def cell_name(cell: CellComparison) -> str:
    """Name a cell by its number, as its traceback has it, its line in the file, and the first line of its source."""
    first = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    place = f"cell [{cell.number}]" if cell.number else "cell"
    return f"{place}{f', line {cell.line}' if cell.line else ''}: {first[:80]}"


def read_executed(path: Path) -> Any:
    """Read an executed copy as nbformat does, without its warnings about ids."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)


def _failing_line(executed: Path, text: str) -> int:
    """Find the line of the .ipynb file that holds the cell that failed."""
    lines = cell_lines(text)
    try:
        cells = own_cells(read_executed(executed))
    except (OSError, ValueError):  # it was never written, or not whole
        return 0
    for index, cell in enumerate(cells[: len(lines)]):
        failed = any(output["output_type"] == "error" for output in cell.get("outputs", ()))
        if failed and RAISES not in cell.metadata.get("tags", ()):
            return lines[index].line()
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # a notebook may delete its own file
        return ""
