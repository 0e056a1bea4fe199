"""The report of `kit test` in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kit.model import Verdict
from kit.regression.compared import NotebookVerdict
from kit.regression.suite import Outcome
from kit.views.page import GLYPHS, duration

__all__ = ["Report"]

STYLES = {"passed": "green", "failed": "bold red", "not run": "yellow"}


class Report:
    """Says what becomes of each flow and notebook, and sums it up.

    Args:
        console: Where to write.
        root: The project's root.
    """

    def __init__(self, console: Console, root: Path) -> None:
        self._console, self._root = console, root

    def tell(self, verdict: Verdict) -> None:
        """Write one line as soon as a verdict is there."""
        line = Text.assemble(_status(verdict), f" {verdict.name}  ", (duration(verdict.seconds), "dim"))
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
            table.add_row(_status(verdict), verdict.kind, Text(verdict.name), seconds, Text(what))
        self._console.print()
        self._console.print(table)
        for note in (note for verdict in outcome.verdicts for note in verdict.notes):
            self._console.print(Text(note, style="yellow"), soft_wrap=True)
        self._summary(outcome)

    def _summary(self, outcome: Outcome) -> None:
        counts = {status: sum(v.status == status for v in outcome.verdicts) for status in STYLES}
        words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        self._console.print()
        self._console.print(Text(words, style="green" if outcome.passed else "bold red"))
        self._console.print(Text(f"executed notebooks: {outcome.executed}"), soft_wrap=True)
        if outcome.datastore is not None:
            self._console.print(Text(f"datastore of the runs: {outcome.datastore}"), soft_wrap=True)


def _status(verdict: Verdict) -> Text:
    return Text(f"{GLYPHS[verdict.status]} {verdict.status}", style=STYLES[verdict.status])
