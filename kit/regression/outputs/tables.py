"""HTML compared as it is read: tables cell by cell, the text around them line by line, its styles not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

from kit.regression.outputs.rules import Rules
from kit.regression.outputs.text import VARIES, compare_lines, compare_text, mask_lines, shortened

__all__ = ["compare_html", "mask_html", "read_html"]

UNREAD = frozenset({"style", "script", "head", "title", "template"})
BLOCKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "summary", "tr"}
    | {"details", "section", "article", "header", "footer", "hr", "table", "blockquote", "figure", "figcaption"}
)
Row = list[str]
Table = dict[str, list[Row]]


class _Reader(HTMLParser):
    """Collects the text and the tables of some HTML, in the order in which they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = [""]
        self.tables: list[list[Row]] = []
        self.headers: list[list[bool]] = []  # of each row of each table, whether all its cells are headings
        self._open: list[int] = []  # the tables that are open, outermost first
        self._cells: list[list[bool]] = []  # whether a cell is open, of each of these
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNREAD:
            self._unread += 1
        elif tag == "table":
            self.tables.append([])
            self.headers.append([])
            self._open.append(len(self.tables) - 1)
            self._cells.append([False])
        elif tag == "tr" and self._open:
            self._row()
            self._cells[-1][0] = False
        elif tag in ("td", "th") and self._open:
            if not self.tables[self._open[-1]]:
                self._row()
            self.tables[self._open[-1]][-1].append("")
            self.headers[self._open[-1]][-1] &= tag == "th"
            self._cells[-1][0] = True
        elif tag == "img":
            self.handle_data(f" [{dict(attrs).get('alt') or 'image'}] ")
        elif tag in BLOCKS:
            self._break()

    def handle_endtag(self, tag: str) -> None:
        if tag in UNREAD:
            self._unread = max(0, self._unread - 1)
        elif tag == "table" and self._open:
            self._open.pop()
            self._cells.pop()
            self._break()
        elif tag in ("td", "th", "tr") and self._open:
            self._cells[-1][0] = False
        elif tag in BLOCKS:
            self._break()

    def handle_data(self, data: str) -> None:
        if self._unread:
            return
        if self._open and self._cells[-1][0]:
            self.tables[self._open[-1]][-1][-1] += data
        elif self._open and not data.strip():
            return
        else:
            self.lines[-1] += data.replace("\n", " ")

    def _row(self) -> None:
        self.tables[self._open[-1]].append([])
        self.headers[self._open[-1]].append(True)

    def _break(self) -> None:
        if self._open and self._cells[-1][0]:
            self.tables[self._open[-1]][-1][-1] += " "
        elif self.lines[-1].strip():
            self.lines.append("")


def read_html(source: str, clean: Callable[[str], str]) -> dict[str, Any]:
    """Read HTML into what is compared: {"text": lines, "tables": [{"header": rows of cells, "rows": rows of cells}]}.

    Args:
        source: Some HTML, well-formed or not.
        clean: Sanitizes a text.
    """
    reader = _Reader()
    reader.feed(source)
    reader.close()
    lines = [clean(" ".join(line.split())) for line in reader.lines]
    tables = [_table(*table, clean) for table in zip(reader.tables, reader.headers, strict=True)]
    return {"text": [line for line in lines if line], "tables": [table for table in tables if table]}


def compare_html(old: Mapping[str, Any], new: Mapping[str, Any], rules: Rules) -> tuple[str, ...]:
    """Say what differs between two read pieces of HTML.

    Args:
        old: The reference's, as `read_html` gives it.
        new: The one to compare.
        rules: The tolerances.

    Returns:
        A line for each cell and line that differs: `table 1, row 'b', column 'price': 3.2 -> 3.4`.
    """
    messages = list(compare_lines(old["text"], new["text"], rules))
    if old["tables"] == [VARIES]:
        return tuple(messages)
    if len(old["tables"]) != len(new["tables"]):
        return (*messages, f"{len(old['tables'])} tables -> {len(new['tables'])}")
    several = len(old["tables"]) > 1
    for number, tables in enumerate(zip(old["tables"], new["tables"], strict=True), 1):
        name = f"table {number}, " if several else ""
        messages += [f"{name}{message}" for message in _compare_tables(*tables, rules)]
    return tuple(messages)


def mask_html(one: Mapping[str, Any], other: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Give one with VARIES in place of each line and cell that differs from another run's."""
    tables: list[Any] = [VARIES]
    if [_shapes(table) for table in one["tables"]] == [_shapes(table) for table in other["tables"]]:
        pairs = zip(one["tables"], other["tables"], strict=True)
        tables = [{part: _mask_rows(table[part], its[part], rules) for part in table} for table, its in pairs]
    return {"text": mask_lines(one["text"], other["text"], rules), "tables": tables}


def _table(rows: Sequence[Row], headings: Sequence[bool], clean: Callable[[str], str]) -> Table:
    """Part a table's leading rows of headings from the others; {} for a table without cells."""
    first = next((number for number, heading in enumerate(headings) if not heading), 0)
    cleaned = [[clean(" ".join(cell.split())) for cell in row] for row in rows]
    parts = {"header": cleaned[:first], "rows": cleaned[first:]}
    filled = {part: [row for row in rows if row] for part, rows in parts.items()}
    return {part: rows for part, rows in filled.items() if rows}


def _mask_rows(rows: Sequence[Row], others: Sequence[Row], rules: Rules) -> list[Row]:
    return [
        [VARIES if compare_text(*cells, rules) else cells[0] for cells in zip(*pair, strict=True)]
        for pair in zip(rows, others, strict=True)
    ]


def _shapes(table: Table) -> dict[str, list[int]]:
    return {part: _shape(rows) for part, rows in table.items()}


def _shape(rows: Sequence[Row]) -> list[int]:
    return [len(row) for row in rows]


def _compare_tables(old: Table, new: Table, rules: Rules) -> list[str]:
    header, rows, others = old.get("header", []), old.get("rows", []), new.get("rows", [])
    if _shapes(old) != _shapes(new):
        shapes = [f"{len(part)} rows of {max(_shape(part), default=0)} cells" for part in (rows, others)]
        if shapes[0] == shapes[1]:
            return ["its header or the lengths of its rows differ"]
        first = next((row for row in others if row not in rows), [])
        return [f"{shapes[0]} -> {shapes[1]}" + (f"; new: {shortened(' | '.join(first))}" if first else "")]
    messages = []
    for name, before, after in (("header", header, new.get("header", [])), ("row", rows, others)):
        for number, pair in enumerate(zip(before, after, strict=True), 1):
            for column, cells in enumerate(zip(*pair, strict=True)):
                if message := compare_text(*cells, rules):
                    row = "header" if name == "header" else _row_name(pair[0], number)
                    messages.append(f"{row}, {_column_name(header, pair[0], column)}: {message}")
    return messages


def _row_name(row: Row, number: int) -> str:
    return f"row {row[0]!r}" if row[0] and row[0] != VARIES else f"row {number}"


def _column_name(header: Sequence[Row], row: Row, column: int) -> str:
    names = header[0] if header and len(header[0]) == len(row) else []
    return f"column {names[column]!r}" if names and names[column] else f"column {column + 1}"
