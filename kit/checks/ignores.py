"""`# kit: ignore[rule]`: findings that a line, or a notebook's cell, says are meant so."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping
from pathlib import Path

from kit.checks.cell_code import code_of
from kit.checks.findings import Finding
from kit.checks.notebooks import CheckedNotebook
from kit.checks.subject import Module, Subject

__all__ = ["ignored", "unknown_names"]

COMMENT = re.compile(r"#\s*kit:\s*ignore(?:\[(?P<rules>[^\]]*)\])?")
EVERY = "*"

_Lines = Mapping[int, frozenset[str]]


def ignored(subject: Subject, finding: Finding) -> bool:
    """Whether a comment says that a finding is to be left out.

    In a Python file and a requirements file the comment stands on the finding's line, on another line of the same
    statement, or alone on the line above it; in a notebook anywhere in the cell. A comment without rules means all.
    """
    notebook = next((one for one in subject.notebooks if str(one.path) == finding.file), None)
    if notebook is not None:
        return _means(_of_cell(notebook, finding.cell), finding.rule)
    module = subject.modules.get(finding.file)
    lines = _with_next(module.text, _of_module(module)) if module is not None else _of_text(Path(finding.file))
    return any(_means(lines.get(line, frozenset()), finding.rule) for line in {finding.line, *finding.lines})


def unknown_names(subject: Subject, known: frozenset[str]) -> list[tuple[str, int, int | None, str]]:
    """List the rules that comments name and that do not exist: file, line, cell, name."""
    found: list[tuple[str, int, int | None, str]] = []
    for module in subject.modules.values():
        for line, names in _of_module(module).items():
            found += [(module.path, line, None, name) for name in sorted(names - known - {EVERY})]
    for notebook in subject.notebooks:
        for cell in notebook.code:
            for number, line_text in enumerate(code_of(cell.source, comments=True).splitlines(), start=1):
                names = _names(line_text) - known - {EVERY} if _names(line_text) else frozenset()
                found += [(str(notebook.path), cell.lines.line(number), cell.number, name) for name in sorted(names)]
    return found


def _means(names: frozenset[str], rule: str) -> bool:
    return rule in names or EVERY in names


def _names(comment: str) -> frozenset[str]:
    found = COMMENT.search(comment)
    if found is None:
        return frozenset()
    if found["rules"] is None:
        return frozenset({EVERY})
    return frozenset(name.strip() for name in found["rules"].split(",") if name.strip()) or frozenset({""})


def _with_next(text: str, comments: _Lines) -> _Lines:
    """Let a comment that stands alone on its line count for the next line of code too."""
    lines = text.split("\n")
    found = dict(comments)
    for number, names in comments.items():
        if lines[number - 1].lstrip().startswith("#"):
            following = (at for at in range(number, len(lines)) if lines[at].strip() and lines[at].lstrip()[0] != "#")
            at = next(following, None)
            if at is not None:
                found[at + 1] = found.get(at + 1, frozenset()) | names
    return found


def _of_module(module: Module) -> _Lines:
    """Read the comments of a Python file; a text that looks like one is none."""
    if "kit:" not in module.text:
        return {}
    lines = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type == tokenize.COMMENT:
                names = _names(token.string)
                if names:
                    lines[token.start[0]] = names
    except (tokenize.TokenError, SyntaxError):  # a file that does not parse
        return {number: names for number, line in enumerate(module.text.splitlines(), 1) if (names := _names(line))}
    return lines


def _of_cell(notebook: CheckedNotebook, number: int | None) -> frozenset[str]:
    cells = [cell for cell in notebook.cells if number is None or cell.number == number]
    return frozenset().union(*(_names(line) for cell in cells if cell.code for line in cell.source.splitlines()))


def _of_text(path: Path) -> _Lines:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {number: _names(line) for number, line in enumerate(lines, start=1)}
