"""The HTML report of `kit test`: one page that needs nothing beside it."""

from __future__ import annotations

import base64
import difflib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kit.model import Verdict
from kit.regression.compared import CellComparison, NotebookVerdict, OutputComparison, Recorded
from kit.regression.judge import cell_name, own_failure
from kit.regression.suite import Outcome
from kit.views.page import GLYPHS, duration
from kit.views.template import template

__all__ = ["html_report"]

CONTEXT = 3  # lines that are shown around those that differ
MAX_LISTED = 40  # flows and notebooks; of those that passed, the others are folded
ORDER = ("failed", "not run", "passed")
MAX_LINES = 400  # of an output that is shown


@dataclass(frozen=True)
class _Output:
    """An output, old and new side by side.

    Args:
        name: What it is.
        messages: What differs.
        rows: Lines of both: the old one, the new one, and "differs", "left-out" or "".
        old_image: The old picture, as a data URI; empty where there is none.
        new_image: The new picture.
    """

    name: str
    messages: tuple[str, ...]
    rows: tuple[tuple[str, str, str], ...]
    old_image: str
    new_image: str


def html_report(outcome: Outcome, folder: Path, coverage: str = "") -> str:
    """Draw the report of a suite.

    Args:
        outcome: What came of it.
        folder: Where the report will be: links to the executed notebooks are relative to it.
        coverage: The report of what the flows covered; empty where it was not measured.

    Returns:
        A whole HTML page, without scripts.
    """
    counts = {status: sum(v.status == status for v in outcome.verdicts) for status in ("passed", "failed", "not run")}
    verdicts = sorted(outcome.verdicts, key=lambda verdict: ORDER.index(verdict.status))
    wrong = sum(verdict.status != "passed" for verdict in verdicts)
    return template("report.html.j2").render(
        passed=outcome.passed,
        counts={status: count for status, count in counts.items() if count},
        verdicts=[{"anchor": f"v{number}", **_entry(each, folder)} for number, each in enumerate(verdicts, 1)],
        shown=wrong if wrong > 0 and len(verdicts) > MAX_LISTED else len(verdicts),
        executed=str(outcome.executed),
        coverage=coverage.splitlines(),
        notes=outcome.notes,
        glyphs=GLYPHS,
    )


def _entry(verdict: Verdict, folder: Path) -> dict[str, Any]:
    own = verdict if isinstance(verdict, NotebookVerdict) else None
    comparison = own.comparison if own is not None else None
    link = os.path.relpath(own.executed, folder) if own is not None and own.executed is not None else ""
    cells = [(cell_name(cell), cell.messages, _outputs(cell)) for cell in comparison.differing] if comparison else []
    return {
        "name": verdict.name,
        "kind": verdict.kind,
        "status": verdict.status,
        "seconds": duration(verdict.seconds),
        "detail": verdict.detail,
        "report": [] if cells and not own_failure(verdict) else verdict.report.splitlines(),
        "notes": (*verdict.notes, *(comparison.notes if comparison is not None else ())),
        "rewrote": "\n".join(own.rewrote).splitlines() if own is not None else (),
        "link": Path(link).as_posix() if link else "",
        "count": len(comparison.cells) if comparison is not None else None,
        "cells": cells,
    }


def _outputs(cell: CellComparison) -> list[_Output]:
    return [_output(output) for output in cell.outputs if output.status == "differs"]


def _output(output: OutputComparison) -> _Output:
    old, new = output.old, output.new
    images = [_data_uri(each) for each in (old, new)]
    rows = () if any(images) and all(each is None or each.image for each in (old, new)) else _rows(old, new)
    return _Output(f"output {output.number}, {output.kind}", output.messages, tuple(rows), images[0], images[1])


def _rows(old: Recorded | None, new: Recorded | None) -> list[tuple[str, str, str]]:
    """Put the lines of two outputs beside each other; of those that are the same, the ones next to a difference."""
    before, after = _lines(old), _lines(new)
    rows: list[tuple[str, str, str]] = []
    matcher = difflib.SequenceMatcher(None, before, after, False)
    at = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        rows += _left_out(group[0][1] - at)
        for what, start, end, new_start, new_end in group:
            differs = "differs" if what != "equal" else ""
            pairs = zip_longest(before[start:end], after[new_start:new_end], fillvalue="")
            rows += [(left, right, differs) for left, right in pairs]
        at = group[-1][2]
    if not rows:  # the same lines: what differs is not in them
        return [(*pair, "") for pair in zip_longest(before, after, fillvalue="")]
    return rows + _left_out(len(before) - at)


def _left_out(count: int) -> list[tuple[str, str, str]]:
    note = f"… {count} line{'s'[: count != 1]} the same"
    return [(note, note, "left-out")] if count > 0 else []


def _lines(output: Recorded | None) -> Sequence[str]:
    """Write an output's value as lines of text."""
    if output is None:
        return ()
    value = output.value
    if output.kind == "html" and isinstance(value, dict):
        found = (rows for table in value["tables"] if isinstance(table, dict) for rows in table.values())
        tables = [" | ".join(row) for rows in found for row in rows]
        lines = [*value["text"], *tables]
    elif isinstance(value, list) and all(isinstance(line, str) for line in value):
        lines = value
    else:
        lines = json.dumps(value, indent=1, ensure_ascii=False).split("\n")
    more = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], *([f"… and {more} more lines"] if more > 0 else [])]


def _data_uri(output: Recorded | None) -> str:
    if output is None or not output.image:
        return ""
    return f"data:{output.mime or 'image/png'};base64,{base64.b64encode(output.image).decode()}"
