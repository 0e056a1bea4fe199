"""What a view says, before it is text or HTML: both are drawn from the same page, so they say the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.model import Graph, Status

__all__ = ["GLYPHS", "Cell", "Page", "Table", "age", "count", "duration", "mark_of", "size", "visible"]

GLYPHS: dict[str, str] = {
    "succeeded": "✓",
    "passed": "✓",
    "same": "✓",
    "failed": "✗",
    "dead": "✗",
    "running": "●",
    "changed": "≠",
    "added": "+",
    "missing": "-",
    "pending": "○",
    "starting": "●",
    "stopped": "■",
    "not run": "○",
    "skipped": "»",
    "new": "+",
    "stale": "↻",
}


@dataclass(frozen=True)
class Cell:
    """A piece of text.

    Args:
        text: What it says.
        mark: A status, such as "failed": shown as its glyph and in its colour, beside the text.
        code: Whether it is a name or a value, to be set in a fixed-width face.
        block: Lines below the text, all in a fixed-width face; for the last cell of a row.
        folded: Whether HTML shows the block only when the text is clicked.
        link: The file that it names, from the notebook's folder, for HTML to link to; "" for none.
    """

    text: str
    mark: str = ""
    code: bool = False
    block: tuple[str, ...] = ()
    folded: bool = False
    link: str = ""

    def __str__(self) -> str:
        return f"{GLYPHS.get(self.mark, '')} {self.text}".strip()


@dataclass(frozen=True)
class Table:
    """Rows under a heading.

    Args:
        heading: What they are rows of.
        columns: The names of the columns; empty where the cells speak for themselves.
        rows: The rows, all of the same length.
        folded: Whether HTML shows the heading alone until it is clicked.
        tail: Lines below the rows.
    """

    heading: tuple[Cell, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False
    tail: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole view.

    Args:
        title: The first line.
        tables: What follows.
        notes: What there is to say besides, a line each.
        graph: The graph that is drawn below the title; None for none.
    """

    title: tuple[Cell, ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    graph: Graph | None = None


def mark_of(status: Status | str) -> Cell:
    """Give the cell that shows a status: glyph and word."""
    return Cell(status, mark=status)


def visible(text: str) -> str:
    """Write what is not printed (line ends, codes of terminals, marks that turn the writing round) as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def count(number: int, noun: str) -> str:
    """Write a number of things: "1 task", "3 tasks"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(length: int) -> str:
    """Write a number of bytes: "5 B", "1.2 kB", "200 MB"."""
    value, units = float(length), ["GB", "MB", "kB", "B"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop()
    return f"{value:.0f} {units[-1]}" if units[-1] == "B" or value >= 99.95 else f"{value:.1f} {units[-1]}"


def duration(seconds: float | None) -> str:
    """Write a duration: "8 ms", "1.3 s", "4 min 10 s"; "" where it is not known."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def age(moment: datetime, now: datetime | None = None) -> str:
    """Write how long ago a moment was: "just now", "5 min ago", "3 h ago", "2 days ago", else its date."""
    since = (now or datetime.now()) - moment
    if since < timedelta(minutes=1):
        return "just now"
    if since < timedelta(hours=1):
        return f"{since.seconds // 60} min ago"
    if since < timedelta(days=1):
        return f"{since.seconds // 3600} h ago"
    if since < timedelta(days=14):
        return "yesterday" if since.days == 1 else f"{since.days} days ago"
    return f"on {moment:%Y-%m-%d}"
