"""What changes while a cell runs, shown in one output of it, that is replaced."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kit.saying import heard_by

__all__ = ["Progress", "Screen", "keep_quiet", "live", "shell_of_here"]

PATIENCE, REDRAW = 1.0, 0.25  # seconds


def shell_of_here() -> Any:
    """Give the IPython shell that this process is; None in a script, which need not have IPython."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def display(what: object, **options: Any) -> Any:
    """Show something in the notebook: IPython's own, which has no types."""
    from IPython.display import display as shown

    return shown(what, **options)  # type: ignore[no-untyped-call]


class Screen:
    """Where a cell shows what changes.

    In a notebook that is one output, replaced in place; what executes the notebook keeps the last picture alone. A
    terminal's lines are drawn again; where there is neither, the last picture is printed. A script has both on its
    standard error: its output is its own.

    Args:
        shell: The IPython shell; None in a script.
    """

    def __init__(self, shell: Any) -> None:
        self._notebook = _is_notebook(shell)
        self._stream = sys.stderr if shell is None else sys.stdout
        self._handle: Any = None
        self._live: Any = None
        self._last: object = None

    def __enter__(self) -> Screen:
        if not self._notebook and self._stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._stream), auto_refresh=False)
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
            print(repr(self._last), file=self._stream)  # the one picture of a terminal that cannot redraw


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


class Progress:
    """How far a cell is that takes long; in a notebook its place is taken by what the cell gives in the end.

    Args:
        shell: The IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell, self._screen = shell, Screen(shell)
        self._begun, self._shown = time.monotonic(), 0.0
        self._text = ""

    def __enter__(self) -> Progress:
        return self

    def tell(self, text: str) -> None:
        """Say how far it is; shown once it has taken a second, and then at most four times in one.

        Args:
            text: Such as "fit: 3 of 10 tasks".
        """
        now, self._text = time.monotonic(), text
        if now - self._begun < PATIENCE or now - self._shown < REDRAW:
            return
        if not self._shown:
            self._screen.__enter__()
        self._shown = now
        self._screen.show(_Lines([f"{text}, {now - self._begun:.0f} s ..."]))

    def end(self, result: Any, *, last: bool = True) -> None:
        """Put what the cell gives in its place.

        Args:
            result: The value of the cell.
            last: Whether that place is the last of the cell's outputs: the result is to stand at their end.
        """
        if not self._shown:
            return
        if last and _is_notebook(self._shell):
            self._screen.show(result)
            keep_quiet(self._shell, result, view=None)
        else:
            self._screen.show(_Lines([f"done in {time.monotonic() - self._begun:.0f} s"]))

    def __exit__(self, kind: object, *_error: object) -> None:
        if self._shown:
            if kind is not None:
                self._screen.show(_Lines([f"{self._text}, then {getattr(kind, '__name__', kind)}"]))
            self._screen.__exit__()


def keep_quiet(shell: Any, shown: Any, view: Callable[[Any], object] | None = lambda run: run.view()) -> None:
    """Have what this cell has on its screen already not shown once more, as the cell's value.

    Args:
        shell: The IPython shell.
        shown: The value.
        view: Gives the picture of another value of its type; None where that shows itself.
    """
    number = shell.execution_count

    def show(value: Any) -> None:
        if shell.execution_count == number and value is shown:
            return
        if view is None:
            raise NotImplementedError  # IPython goes on to its other formatters
        display(view(value))

    shell.display_formatter.ipython_display_formatter.for_type(type(shown), show)


def _is_notebook(shell: Any) -> bool:
    return getattr(shell, "kernel", None) is not None
