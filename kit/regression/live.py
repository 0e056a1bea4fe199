"""The table that a terminal shows while a suite runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from kit.model import Verdict
from kit.regression.suite import Watch
from kit.views.page import GLYPHS, duration

__all__ = ["STYLES", "LiveTable", "counted", "status_of"]

STYLES = {"passed": "green", "failed": "bold red", "not run": "yellow"}
BESIDE = 4  # lines of the terminal that are not rows


class LiveTable(Watch):
    """Shows what runs, what waits and what has ended, as long as the block lasts; then it is gone.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._names: tuple[str, ...] = ()
        self._began: dict[str, float] = {}
        self._ended: dict[str, Verdict] = {}
        self._spinner = Spinner("dots", "running")
        self._live = Live(console=console, get_renderable=self.table, refresh_per_second=8, transient=True)

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._live.stop()

    def planned(self, names: Sequence[str]) -> None:
        """Take the names of all flows and notebooks, in the order in which they are shown."""
        self._names = tuple(names)
        self._began.clear()
        self._ended.clear()

    def began(self, name: str) -> None:
        """Show a flow or a notebook as running."""
        self._began[name] = time.monotonic()

    def tell(self, verdict: Verdict, name: str = "") -> None:
        """Show a flow or a notebook as ended, under its own name or another."""
        self._ended[name or verdict.name] = verdict

    def table(self) -> RenderableType:
        """Draw the table: all of it where the terminal is high enough, else what matters now."""
        table = Table(box=None, pad_edge=False, show_header=False, expand=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True)
        for name in self._shown(max(3, self._console.height - BESIDE)):
            verdict, began = self._ended.get(name), self._began.get(name)
            if verdict is not None:
                seconds = Text(duration(verdict.seconds) if verdict.seconds else "", style="dim")
                table.add_row(status_of(verdict), Text(name), seconds)
            elif began is not None:
                seconds = Text(duration(time.monotonic() - began), style="dim")
                table.add_row(self._spinner, Text(name), seconds)
            else:
                table.add_row(Text(GLYPHS["pending"], style="dim"), Text(name, style="dim"), "")
        waiting = len(self._names) - len(self._ended)
        words = counted(self._ended.values())
        table.add_row("", Text(", ".join(filter(None, (words, f"{waiting} to go" if waiting else "")))), "")
        return table

    def _shown(self, rows: int) -> list[str]:
        """Choose names: those that run, then those that failed, then those that ended last, then those that wait."""
        if len(self._names) <= rows:
            return list(self._names)
        ended = list(reversed(self._ended))
        running = [name for name in self._names if name in self._began and name not in self._ended]
        failed = [name for name in ended if self._ended[name].status != "passed"]
        chosen = set(list(dict.fromkeys([*running, *failed[: rows // 2], *ended, *self._names]))[:rows])
        return [name for name in self._names if name in chosen]


def status_of(verdict: Verdict) -> Text:
    """Give a verdict's glyph and word, in its colour."""
    return Text(f"{GLYPHS[verdict.status]} {verdict.status}", style=STYLES[verdict.status])


def counted(verdicts: Iterable[Verdict]) -> str:
    """Say how many passed, failed, and were not run."""
    statuses = [verdict.status for verdict in verdicts]
    return ", ".join(f"{statuses.count(status)} {status}" for status in STYLES if status in statuses)
