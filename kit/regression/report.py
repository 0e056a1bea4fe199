"""The report of `kit test` in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kit.model import Verdict
from kit.regression.compared import NotebookVerdict
from kit.regression.live import LiveTable, counted, status_of
from kit.regression.suite import Outcome, Watch
from kit.regression.update import FIRST_OF_TWO
from kit.views.page import duration

__all__ = ["Report"]


class Report:
    """Says what becomes of each flow and notebook, and sums it up: a table while it runs, or a line for each that ends.

    Args:
        console: Where to write.
        live: Whether that is a terminal, which can show what runs.
    """

    def __init__(self, console: Console, live: bool = False) -> None:
        self._console = console
        self._live = LiveTable(console) if live else None

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Show how far the suite is, as long as the block lasts; gives what is to be told of it."""
        with self._live or nullcontext(Watch()) as watch:
            yield watch

    def tell(self, verdict: Verdict) -> None:
        """Say a verdict as soon as it is there."""
        if self._live is not None:
            self._live.tell(verdict, verdict.name.removesuffix(FIRST_OF_TWO))
            return
        line = Text.assemble(status_of(verdict), f" {verdict.name}  ", (duration(verdict.seconds), "dim"))
        self._console.print(line, soft_wrap=True)

    def close(self, outcome: Outcome) -> None:
        """Write what failed and what was rewritten in full, then the table, then where the executed notebooks are."""
        for verdict in outcome.verdicts:
            if verdict.status == "failed":
                self._console.rule(Text(verdict.name), style="red")
                self._console.print(Text(verdict.detail, style="bold"), soft_wrap=True)
                self._console.print(Text(verdict.report), soft_wrap=True)
            elif isinstance(verdict, NotebookVerdict) and verdict.rewrote:
                self._console.rule(Text(verdict.name), style="green")
                self._console.print(Text("\n".join((verdict.detail, *verdict.rewrote))), soft_wrap=True)
        table = Table(box=None, pad_edge=False)
        for column in ("", "kind", "name", "seconds"):
            table.add_column(column, justify="right" if column == "seconds" else "left", no_wrap=True)
        table.add_column("", overflow="fold")
        for verdict in outcome.verdicts:
            seconds = f"{verdict.seconds:.1f}" if verdict.seconds else ""
            what = "see above" if verdict.status == "failed" else verdict.detail
            table.add_row(status_of(verdict), verdict.kind, Text(verdict.name), seconds, Text(what))
        self._console.print()
        self._console.print(table)
        for note in (*(note for verdict in outcome.verdicts for note in verdict.notes), *outcome.notes):
            self._console.print(Text(note, style="yellow"), soft_wrap=True)
        self._summary(outcome)

    def _summary(self, outcome: Outcome) -> None:
        words = counted(outcome.verdicts)
        self._console.print()
        self._console.print(Text(words, style="green" if outcome.passed else "bold red"))
        self._console.print(Text(f"executed notebooks: {_seen_from_here(outcome.executed)}"), soft_wrap=True)
        if outcome.datastore is not None:
            self._console.print(Text(f"datastore of the runs: {_seen_from_here(outcome.datastore)}"), soft_wrap=True)


def _seen_from_here(path: Path) -> str:
    """Write a path from the working folder, or whole where it lies outside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if here in path.parents else str(path)
