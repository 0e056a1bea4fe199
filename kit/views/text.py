"""A page as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from kit.views.page import Cell, Page, Table, visible

__all__ = ["render"]


def render(page: Page) -> str:
    """Draw a page as plain text, one line a row."""
    lines = [_line(page.title)]
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
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        lines.append((indent * 2 + "  ".join(cells)).rstrip())
    return lines + [indent * 2 + visible(line) for line in table.tail]
