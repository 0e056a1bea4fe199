"""What a comparison found, before it is cut to what a view has room for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kit.model import Difference, DifferenceKind
from kit.previews import cut
from kit.views.page import visible

__all__ = ["MAX_LINES", "Entry", "Found", "counted"]

MAX_LINES = 12
MAX_WIDTH = 160


@dataclass(frozen=True)
class Entry:
    """One thing that differs.

    Args:
        text: What is said of it.
        path: Where it is inside the value, such as "['a'].b[3]".
        sign: "+" for what only the new value has, "-" for what only the old one has.
    """

    text: str
    path: str = ""
    sign: str = ""

    def __str__(self) -> str:
        return f"{self.sign}{' ' if self.sign else ''}{self.path}{': ' if self.path else ''}{self.text}"


@dataclass(frozen=True)
class Found:
    """What differs between two values.

    Args:
        kind: What the values are.
        summary: What differs, in one line.
        entries: What differs in detail; the first of it is enough.
        more: How many entries there are besides; -1 where that was not counted.
        parts: Whether the entries are parts of the value, each with its path, rather than words about the whole.
    """

    kind: DifferenceKind
    summary: str
    entries: tuple[Entry, ...] = ()
    more: int = 0
    parts: bool = False

    def below(self, path: str) -> list[Entry]:
        """Give the entries as those of a value that has this one at a path."""
        if not self.parts or not self.entries:
            return [Entry(self.summary, path)]
        return [Entry(entry.text, path + entry.path, entry.sign) for entry in self.entries]

    def shown(self) -> Difference:
        """Cut it to a bounded number of lines of a bounded length."""
        whole = not self.more and len(self.entries) <= MAX_LINES
        shown = self.entries if whole else self.entries[: MAX_LINES - 1]
        lines = [cut(visible(str(entry)[: 4 * MAX_WIDTH]), MAX_WIDTH) for entry in shown]
        left = self.more + len(self.entries) - len(shown)
        if self.more < 0:
            lines.append("… and more")
        elif left:
            lines.append(f"… and {left:,} more")
        return Difference(self.kind, cut(visible(self.summary[: 4 * MAX_WIDTH]), MAX_WIDTH), tuple(lines))


def counted(parts: Iterable[tuple[int, str, str]]) -> str:
    """Write counts in words, leaving out what there is none of: "1 key added, 2 keys removed".

    Args:
        parts: Of each: how many, what they are in the singular, and what became of them.
    """
    return ", ".join(f"{n:,} {noun if n == 1 else noun + 's'} {word}".rstrip() for n, noun, word in parts if n)
