"""A page as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from kit.model import Graph
from kit.views.graph import rows
from kit.views.page import Cell, Page, Table, visible

__all__ = ["render"]

WIDEST_COLUMN = 48  # of a graph: what a step with many branches leads to is not waited for by the other rows


def render(page: Page) -> str:
    """Draw a page as plain text, one line a row."""
    lines = [_line(page.title)]
    if page.graph is not None:
        lines += _graph(page.graph)
    for table in page.tables:
        lines += _table(table)
    lines += map(visible, page.notes)
    return "\n".join(lines)


def _line(cells: Sequence[Cell]) -> str:
    return "  ".join(visible(str(cell)) for cell in cells)


def _table(table: Table) -> list[str]:
    indent = "  " if table.heading else ""
    lines = [indent + _line(table.heading)] if table.heading else []
    rows = [[visible(str(cell)) for cell in row] for row in table.rows]
    if rows and table.columns:
        rows.insert(0, [visible(name) for name in table.columns])
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    blocks = [[line for cell in row for line in cell.block] for row in table.rows]
    for row, block in zip(rows, [[]] * (len(rows) - len(blocks)) + blocks, strict=True):
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        said = "  ".join(cells).rstrip()
        lines += [indent * 2 + said] if said or not block else []
        lines += [indent * 2 + "    " + visible(line) for line in block]
    return lines + [indent * 2 + visible(line) for line in table.tail]


def _graph(graph: Graph) -> list[str]:
    said = [("  " * (row.depth + 1) + row.words, row.status, row.note) for row in rows(graph)]
    first = max([len(words) for words, _, _ in said if len(words) <= WIDEST_COLUMN], default=0)
    second = max([len(status) for _, status, _ in said], default=0)
    return [f"{words.ljust(first)}  {status.ljust(second)}  {note}".rstrip() for words, status, note in said]
