"""The frozen data of a comparison: what passes from comparing a notebook to its reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kit.model import Verdict

__all__ = ["CellComparison", "Compared", "NotebookComparison", "NotebookVerdict", "OutputComparison", "Recorded"]

Compared = Literal["same", "differs", "no reference", "ignored"]


@dataclass(frozen=True)
class Recorded:
    """An output as it is compared and kept.

    Args:
        kind: "stdout", "stderr", "text", "html", "figure", "image", "data" or "error".
        value: What is compared: lines of text, read HTML, what a figure draws, and so on; plain data that JSON holds.
        image: The picture of a figure or an image; empty for other kinds, and where the file is gone.
        mime: The picture's type.
    """

    kind: str
    value: Any
    image: bytes = b""
    mime: str = ""

    @property
    def summary(self) -> str:
        """What the output is, in a few words, with its first line where it is text."""
        lines = self.value if self.kind in ("stdout", "stderr", "text") else []
        first = next((line for line in lines if line.strip()), "") if isinstance(lines, list) else ""
        return f"{self.kind}: {first.strip()[:60]}" if first else self.kind


@dataclass(frozen=True)
class OutputComparison:
    """An output beside the reference's.

    Args:
        number: Its place among the cell's outputs, counted from 1.
        status: "same", "differs", or "no reference".
        messages: What differs, a line each.
        old: The reference's; None where it has none.
        new: The executed notebook's; None where it has none.
    """

    number: int
    status: Compared
    messages: tuple[str, ...]
    old: Recorded | None
    new: Recorded | None

    @property
    def kind(self) -> str:
        """What kind of output it is."""
        shown = self.new or self.old
        return shown.kind if shown else ""


@dataclass(frozen=True)
class CellComparison:
    """A code cell beside the reference's.

    Args:
        index: Its place among the cells of the notebook, counted from 0; -1 where it is gone.
        id: The cell's id.
        line: The line of the .ipynb file where its source begins, counted from 1; 0 where that is not known.
        source: Its source.
        status: "same", "differs", "no reference", or "ignored".
        outputs: Its outputs.
        messages: What differs about the cell as a whole.
        number: The number of its execution, as In [number] shows it; 0 where it was not executed.
    """

    index: int
    id: str
    line: int
    source: str
    status: Compared
    outputs: tuple[OutputComparison, ...] = ()
    messages: tuple[str, ...] = ()
    number: int = 0

    @property
    def lines(self) -> Iterator[str]:
        """What differs, a line each, the output named where the cell has several."""
        yield from self.messages
        for output in self.outputs:
            name = f"output {output.number} ({output.kind}): " if len(self.outputs) > 1 else ""
            yield from (f"{name}{message}" for message in output.messages)


@dataclass(frozen=True)
class NotebookComparison:
    """An executed notebook beside its reference.

    Args:
        reference: The file of the reference, whether it is there or not.
        cells: Its code cells, those that are gone at the end.
        exists: Whether there is a reference.
        notes: What the user should know, such as that the reference was made with another version.
    """

    reference: Path
    cells: tuple[CellComparison, ...]
    exists: bool = True
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Compared:
        """What holds for the whole: it differs where one cell does."""
        if not self.exists:
            return "no reference"
        return "differs" if self.differing else "same"

    @property
    def differing(self) -> tuple[CellComparison, ...]:
        """The cells that differ."""
        return tuple(cell for cell in self.cells if cell.status == "differs")

    @property
    def summary(self) -> str:
        """How many outputs are the same, differ, or have no reference, in a few words."""
        if not self.exists:
            return "no reference"
        outputs = [output.status for cell in self.cells for output in cell.outputs if cell.status != "ignored"]
        whole = sum(cell.status == "differs" and not cell.outputs for cell in self.cells)
        differs = outputs.count("differs") + whole
        parts = [f"{outputs.count('same')} same"] if outputs.count("same") or not differs else []
        parts += [f"{differs} {'differ' if differs > 1 else 'differs'}"] if differs else []
        parts += [f"{outputs.count('no reference')} without reference"] if "no reference" in outputs else []
        return "outputs: " + ", ".join(parts)


@dataclass(frozen=True)
class NotebookVerdict(Verdict):
    """What became of a notebook that was executed.

    Args:
        path: The notebook.
        executed: The executed copy.
        comparison: The copy beside the reference; None where it was not compared.
        line: The line of the .ipynb file that failed; 0 where none did or it is not known.
        rewrote: What `--update` wrote, a line each.
    """

    path: Path | None = None
    executed: Path | None = None
    comparison: NotebookComparison | None = None
    line: int = 0
    rewrote: tuple[str, ...] = ()
