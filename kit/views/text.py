"""A page as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from kit.views.page import Cell, Page, Table

__all__ = ["render"]


def render(page: Page) -> str:
    """Draw a page as plain text, one line a row."""
    lines = [_line(page.title)]
    for table in page.tables:
        lines += _table(table)
    lines += page.notes
    return "\n".join(lines)


def _line(cells: Sequence[Cell]) -> str:
    return "  ".join(str(cell) for cell in cells)


def _table(table: Table) -> list[str]:
    indent = "  " if table.heading else ""
    lines = [indent + _line(table.heading)] if table.heading else []
    rows = [[str(cell) for cell in row] for row in table.rows]
    if rows:
        widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
        for row in rows:
            cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
            lines.append((indent * 2 + "  ".join(cells)).rstrip())
    return lines + [indent * 2 + line for line in table.tail]
