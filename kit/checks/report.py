"""What `kit check` prints: text grouped by file, JSON, and the annotations that GitHub shows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from kit.annotations import annotation
from kit.checks.run import Checked

__all__ = ["as_json", "as_text", "github_annotations"]

Style = Callable[..., str]


def as_text(checked: Checked, style: Style) -> Iterator[str]:
    """Give the lines of the report.

    Args:
        checked: What came of the check.
        style: Puts colour into a text, as `click.style` does.
    """
    for file, findings in groupby(checked.findings, key=lambda one: one.file):
        shown = _relative(Path(file), Path.cwd())
        for finding in findings:
            where = f"{shown}:{finding.line}:" + (f" cell {finding.cell}:" if finding.cell is not None else "")
            yield f"{style(where, bold=True)} {style(finding.rule, fg='yellow')} {finding.message}"
            yield f"    {finding.mend}"
        yield ""
    count, files = len(checked.findings), len({finding.file for finding in checked.findings})
    read = f"{checked.files} file{'s' * (checked.files != 1)} checked"
    left = f", {checked.ignored} ignored" if checked.ignored else ""
    if not count:
        yield f"{style('✓', fg='green')} nothing found: {read}{left}"
        return
    where = f"in {files} file{'s' * (files != 1)}"
    yield f"{count} finding{'s' * (count != 1)} {where}: {read}{left}. kit check --explain RULE says more."


def as_json(checked: Checked) -> str:
    """Write the findings as a JSON list, in the order of files and lines.

    Each is a table of `rule`, `file` (as seen from the project's root, or whole where it lies outside), `line` (counted
    from 1; of the .ipynb file where it is a notebook), `cell` (the notebook's, counted from 1, or null), `message` and
    `mend`.
    """
    return json.dumps(
        [
            {
                "rule": one.rule,
                "file": _relative(Path(one.file), checked.root),
                "line": one.line,
                "cell": one.cell,
                "message": one.message,
                "mend": one.mend,
            }
            for one in checked.findings
        ],
        indent=2,
        ensure_ascii=False,
    )


def github_annotations(checked: Checked) -> Iterator[str]:
    """Give GitHub's workflow commands: an error on the line of each finding."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE", checked.root)).resolve()
    for one in checked.findings:
        yield annotation(
            "error",
            {"file": _relative(Path(one.file), workspace), "line": str(one.line), "title": f"kit check: {one.rule}"},
            f"{one.message}\n{one.mend}",
        )


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix() if root in path.parents else path.as_posix()
