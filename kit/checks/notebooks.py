"""Notebooks as the rules see them: their cells, with where each is in the file, and the text of their outputs."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.regression.left_out import is_left_out
from kit.regression.lines import CellLines, cell_lines

__all__ = ["Cell", "CheckedNotebook", "plain", "read_notebook"]

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
TEXTUAL = ("text/", "application/json", "application/javascript", "image/svg")


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook.

    Args:
        number: Its place, counted from 1.
        code: Whether it is a code cell.
        source: Its source.
        tags: Its tags.
        outputs: The texts of its outputs, without colours and pictures.
        metadata: Its own metadata and that of its outputs, as JSON.
        lines: Where it is in the file.
        end: The line of the file at which the next cell begins.
    """

    number: int
    code: bool
    source: str
    tags: frozenset[str]
    outputs: tuple[str, ...]
    metadata: str
    lines: CellLines
    end: int


@dataclass(frozen=True)
class CheckedNotebook:
    """A notebook.

    Args:
        path: Where it is.
        text: What the file holds.
        tested: Whether `kit test` runs it: it lies in the project's folder of notebooks, and is not left out.
        cells: Its cells.
        metadata: Its metadata.
        error: Why it is no notebook; empty where it is one.
    """

    path: Path
    text: str
    tested: bool
    cells: tuple[Cell, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def language(self) -> str:
        """The language of its kernel, "python" where it does not say."""
        for table, name in (("language_info", "name"), ("kernelspec", "language")):
            value = self.metadata.get(table)
            if isinstance(value, Mapping) and isinstance(value.get(name), str):
                return str(value[name]).lower()
        return "python"

    @property
    def python(self) -> bool:
        """Whether its kernel speaks Python."""
        return self.language in ("python", "ipython", "python3")

    @property
    def code(self) -> tuple[Cell, ...]:
        """Its code cells that say anything."""
        return tuple(cell for cell in self.cells if cell.code and cell.source.strip())


def read_notebook(path: Path, tested: bool) -> CheckedNotebook:
    """Read a notebook; one that cannot be read says why in `error`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return CheckedNotebook(path, "", tested, error=str(error))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        return CheckedNotebook(path, text, tested, error=f"it is not valid JSON: {error}")
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        old = isinstance(content, dict) and "worksheets" in content
        reason = "its format is older than nbformat 4" if old else "it has no cells"
        return CheckedNotebook(path, text, tested, error=reason)
    where = cell_lines(text)
    last = text.count("\n") + 1
    metadata = content.get("metadata")
    tested = tested and not is_left_out(metadata)
    read = []
    for number, cell in enumerate(cells, start=1):
        lines = where[number - 1] if number <= len(where) else CellLines(1, ())
        end = where[number].first if number < len(where) else last + 1
        read.append(_cell(number, cell, lines, end))
    return CheckedNotebook(path, text, tested, tuple(read), metadata if isinstance(metadata, dict) else {})


def _cell(number: int, cell: dict[str, Any], lines: CellLines, end: int) -> Cell:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    outputs = cell.get("outputs")
    outputs = [one for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
    about = [part for part in (metadata, *(one.get("metadata") for one in outputs)) if part]
    return Cell(
        number=number,
        code=cell.get("cell_type") == "code",
        source=_joined(cell.get("source")),
        tags=frozenset(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else frozenset(),
        outputs=tuple(plain(found) for found in _texts(outputs)),
        metadata=json.dumps(about) if about else "",
        lines=lines,
        end=end,
    )


def plain(text: str) -> str:
    """Take the colours out of a text, and what HTML has in place of quotes and brackets."""
    return html.unescape(ANSI.sub("", text))


def _texts(outputs: list[dict[str, Any]]) -> Iterator[str]:
    for output in outputs:
        yield _joined(output.get("text"))
        traceback = output.get("traceback")
        lines = [line for line in traceback if isinstance(line, str)] if isinstance(traceback, list) else []
        yield "\n".join([*lines, _joined(output.get("evalue"))])
        data = output.get("data")
        for mime, value in data.items() if isinstance(data, dict) else ():
            if mime.startswith(TEXTUAL) or mime.endswith("json"):
                yield _joined(value) if isinstance(value, (str, list)) else json.dumps(value)


def _joined(value: Any) -> str:
    """Join a text that nbformat may keep as a list of lines."""
    if isinstance(value, list):
        return "".join(part if isinstance(part, str) else json.dumps(part) for part in value)
    return value if isinstance(value, str) else ""
