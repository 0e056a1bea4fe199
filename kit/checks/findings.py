"""What `kit check` finds, and what a rule is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.checks.subject import Subject

__all__ = ["Finding", "Rule"]


@dataclass(frozen=True)
class Finding:
    """A practice that is missed, and where.

    Args:
        file: The path of the file, absolute.
        line: The line, counted from 1; in a notebook, of the .ipynb file.
        message: What is wrong, in one line.
        mend: How to mend it, in one line.
        cell: The number of the notebook's cell, counted from 1; None elsewhere.
        rule: The name of the rule; the runner fills it in.
        lines: Further lines whose `# kit: ignore[...]` counts: the decorators of a step, the lines of a statement.
    """

    file: str
    line: int
    message: str
    mend: str
    cell: int | None = None
    rule: str = ""
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A good practice that can be checked.

    Args:
        name: Its name, as `# kit: ignore[name]` takes it.
        summary: What it asks for, in one line.
        find: What finds where it is missed. Its docstring says why, and what is left alone.
    """

    name: str
    summary: str
    find: Callable[[Subject], Iterator[Finding]]

    @property
    def explanation(self) -> str:
        """Why the rule is there, what it looks at, and what it leaves alone."""
        return inspect.getdoc(self.find) or self.summary
