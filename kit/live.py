"""What changes while a cell runs, shown in one output of it, that is replaced."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython.display import display as _display

from kit.saying import heard_by

if TYPE_CHECKING:
    from kit.liverun import LiveRun

__all__ = ["Screen", "keep_quiet", "live"]

display: Callable[..., Any] = _display  # which has no types


class Screen:
    """Where a cell shows what changes.

    In a notebook that is one output, replaced in place; what executes the notebook keeps the last picture alone. A
    terminal's lines are drawn again; where there is neither, the last picture is printed.

    Args:
        shell: The IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._notebook = _is_notebook(shell)
        self._handle: Any = None
        self._live: Any = None
        self._last: object = None

    def __enter__(self) -> Screen:
        if not self._notebook and sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(auto_refresh=False)
            self._live.__enter__()
        return self

    def show(self, what: object) -> None:
        """Show something in the place of what was shown before."""
        self._last = what
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(repr(what)), refresh=True)
        elif self._notebook and self._handle is None:
            self._handle = display(what, display_id=True)
        elif self._notebook:
            self._handle.update(what)

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
        elif not self._notebook and self._last is not None:
            print(repr(self._last))  # noqa: T201  # the one picture of a terminal that cannot redraw


class _Lines:
    """Lines as a notebook shows them."""

    def __init__(self, lines: list[str]) -> None:
        self._text = "\n".join(lines)

    def __repr__(self) -> str:
        return self._text


@contextmanager
def live(shell: Any) -> Iterator[None]:
    """Show what is said in an output of the cell that is overwritten; a terminal has it printed.

    Args:
        shell: The IPython shell.
    """
    if not _is_notebook(shell):
        yield
        return
    lines: list[str] = []
    passing: list[str] = []
    screen = Screen(shell)

    def show(line: str) -> None:
        done = not line.endswith("...")
        passing[:] = [] if done else [line]
        lines.extend([line] if done else [])
        screen.show(_Lines([*lines, *passing]))

    with heard_by(show):
        yield
    if passing:
        screen.show(_Lines(lines))


def keep_quiet(shell: Any, run: LiveRun) -> None:
    """Have a run that this cell has on its screen already not shown once more, as the cell's value."""
    number = shell.execution_count

    def show(value: LiveRun) -> None:
        if shell.execution_count != number or value is not run:
            display(value.view())

    shell.display_formatter.ipython_display_formatter.for_type(type(run), show)


def _is_notebook(shell: Any) -> bool:
    return getattr(shell, "kernel", None) is not None
