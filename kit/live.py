"""Something that changes, shown in one place of the notebook: one output, that is replaced."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from IPython.display import display as _display

from kit.liverun import LiveRun
from kit.views import Displayed

__all__ = ["Screen", "keep_quiet"]

display: Callable[..., Any] = _display  # which has no types


class Screen:
    """Where a cell shows what changes.

    In a notebook that is one output, replaced in place; what executes the notebook keeps the last picture alone. A
    terminal's lines are drawn again; where there is neither, the last picture is printed.

    Args:
        shell: The IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._handle: Any = None
        self._live: Any = None
        self._last: Displayed | None = None

    def __enter__(self) -> Screen:
        if not hasattr(self._shell, "kernel") and sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(auto_refresh=False)
            self._live.__enter__()
        return self

    def show(self, what: Displayed) -> None:
        """Show something in the place of what was shown before."""
        self._last = what
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(repr(what)), refresh=True)
        elif not hasattr(self._shell, "kernel"):
            return
        elif self._handle is None:
            self._handle = display(what, display_id=True)
        else:
            self._handle.update(what)

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
        elif not hasattr(self._shell, "kernel") and self._last is not None:
            print(repr(self._last))  # noqa: T201  # the one picture of a terminal that cannot redraw


def keep_quiet(shell: Any, run: LiveRun) -> None:
    """Have a run that this cell has on its screen already not shown once more, as the cell's value."""
    number = shell.execution_count

    def show(value: LiveRun) -> None:
        if shell.execution_count != number or value is not run:
            display(value.view())

    shell.display_formatter.ipython_display_formatter.for_type(LiveRun, show)
