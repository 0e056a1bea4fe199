"""Where a notebook's cells are in its file: the lines that an editor and a review show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["CellLines", "cell_lines"]

SPACE = re.compile(r"[\s,:]*")


@dataclass(frozen=True)
class CellLines:
    """The lines of a cell in its .ipynb file, counted from 1.

    Args:
        first: Where the cell begins.
        source: Where each line of its source is.
    """

    first: int
    source: tuple[int, ...]

    def line(self, of_source: int = 1) -> int:
        """Give the line of the file that holds a line of the cell's source, both counted from 1."""
        if not self.source:
            return self.first
        return self.source[min(max(of_source, 1), len(self.source)) - 1]


def cell_lines(text: str) -> tuple[CellLines, ...]:
    """Find the cells of a notebook in the text of its file.

    Args:
        text: What the .ipynb file holds.

    Returns:
        One for each cell; none where the text is no notebook of nbformat 4.
    """
    try:
        cells = dict(_members(text, 0)).get("cells")
        return tuple(_cell(text, start) for start in _items(text, cells)) if cells is not None else ()
    except (ValueError, IndexError):
        return ()


def _cell(text: str, start: int) -> CellLines:
    source = dict(_members(text, start)).get("source")
    if source is None or text[source] != "[":
        return CellLines(_line(text, start), () if source is None else (_line(text, source),))
    return CellLines(_line(text, start), tuple(_line(text, item) for item in _items(text, source)))


def _members(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Give the names of a JSON object's members, and where their values begin."""
    at = _skip(text, _skip(text, start) + 1)
    while text[at] != "}":
        name, at = _decoder.raw_decode(text, at)
        at = _skip(text, at)
        yield name, at
        at = _skip(text, _decoder.raw_decode(text, at)[1])


def _items(text: str, start: int) -> Iterator[int]:
    """Give where the items of a JSON array begin."""
    at = _skip(text, start + 1)
    while text[at] != "]":
        yield at
        at = _skip(text, _decoder.raw_decode(text, at)[1])


def _skip(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


_decoder = json.JSONDecoder()
