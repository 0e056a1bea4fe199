"""An executed notebook compared with its reference, and a reference made of executed notebooks."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kit.regression import reference_file
from kit.regression.compared import CellComparison, Compared, NotebookComparison, OutputComparison, Recorded
from kit.regression.lines import cell_lines
from kit.regression.outputs.reading import compare_recorded, is_compared, mask_recorded, read_outputs
from kit.regression.outputs.rules import Rules, cell_rules
from kit.regression.outputs.sanitize import injected
from kit.regression.reference_file import Reference, ReferenceCell

__all__ = ["compare", "make_reference", "own_cells"]

# Cells that papermill puts into the executed copy.
INJECTED = frozenset({"injected-parameters", "papermill-error-cell-tag"})
MADE_WITH = ("matplotlib", "numpy", "pandas")
NAME_WIDTH = 80
ALIKE = 0.6  # of two first lines of cells


@dataclass(frozen=True)
class _Ran:
    """A code cell of an executed notebook, and its outputs as they are compared."""

    index: int
    id: str
    source: str
    rules: Rules
    outputs: tuple[Recorded, ...]
    number: int

    @property
    def name(self) -> str:
        return _first_line(self.source)


def compare(executed: Any, reference_path: Path, rules: Rules, source_text: str = "") -> NotebookComparison:
    """Compare an executed notebook with its reference.

    Args:
        executed: The executed notebook, an nbformat node.
        reference_path: The file of its reference, which need not be there.
        rules: How strictly to compare.
        source_text: The text of the notebook's own .ipynb file, to find the cells' lines in.

    Raises:
        NotebookError: The reference cannot be read, or a cell has a tag of kit's that means nothing.
    """
    return compare_with(executed, reference_file.load(reference_path), reference_path, rules, source_text)


def compare_with(
    executed: Any, reference: Reference | None, path: Path, rules: Rules, source_text: str = ""
) -> NotebookComparison:
    """Compare an executed notebook with a reference that has been read; see `compare`."""
    lines = cell_lines(source_text)
    ran = _ran(executed, rules)
    known = _aligned(ran, reference.cells) if reference is not None else {}
    cells = []
    for cell in ran:
        compared = _compare_cell(cell, known.get(cell.index))
        line = lines[cell.index].line() if cell.index < len(lines) else 0
        cells.append(replace(compared, line=line))
    if reference is not None:
        found = set(map(id, known.values()))
        cells += [_gone(cell) for cell in reference.cells if id(cell) not in found and cell.outputs]
    differs = any(cell.status == "differs" for cell in cells)
    notes = tuple(_other_versions(reference)) if reference is not None and differs else ()
    return NotebookComparison(path, tuple(cells), reference is not None, notes)


def make_reference(executed: Any, again: Any, rules: Rules, before: Reference | None = None) -> Reference:
    """Make a notebook's reference of two executions of it: what differs between them is masked.

    An output that is the same as in the reference before is kept as it was there, so that a review shows what changed;
    what was masked there stays so, as two runs may agree by chance.

    Args:
        executed: The executed notebook.
        again: The same notebook, executed once more.
        rules: How strictly to compare.
        before: The reference that there was.
    """
    first, second = _ran(executed, rules), _ran(again, rules)
    known = _aligned(first, before.cells) if before is not None else {}
    cells = []
    for cell, other in zip(first, second, strict=True):
        if cell.rules.ignore:
            continue
        old = known.get(cell.index)
        kinds = [[output.kind for output in outputs] for outputs in (cell.outputs, other.outputs)]
        if kinds[0] != kinds[1] or (old is not None and old.varies):
            cells.append(ReferenceCell(cell.id, cell.name, varies=True))
            continue
        outputs = []
        for number, pair in enumerate(zip(cell.outputs, other.outputs, strict=True)):
            kept = old.outputs[number] if old is not None and number < len(old.outputs) else None
            holds = kept is not None and not any(compare_recorded(kept, output, cell.rules) for output in pair)
            outputs.append(kept if kept is not None and holds else mask_recorded(*pair, cell.rules))
        cells.append(ReferenceCell(cell.id, cell.name, tuple(outputs)))
    same = before is not None and before.cells == tuple(cells)
    return Reference(tuple(cells), before.made_with if before is not None and same else _versions())


def own_cells(executed: Any) -> list[Any]:
    """Give the cells of an executed copy that are the notebook's own, in its order: not those that papermill put in."""
    return [cell for cell in executed.cells if not INJECTED & set(cell.metadata.get("tags", ()))]


# ---------------------------------------------------------------------------- cells


def _ran(executed: Any, rules: Rules) -> list[_Ran]:
    parameters = executed.metadata.get("papermill", {}).get("parameters", {})
    first = injected(parameters.values() if isinstance(parameters, Mapping) else ())
    cells = []
    for index, cell in enumerate(own_cells(executed)):
        if cell.cell_type != "code":
            continue
        number = int(cell.get("execution_count") or 0)
        own = cell_rules(rules, cell.metadata.get("tags", ()), f"Cell [{number}] ({_first_line(cell.source)!r})")
        outputs = () if own.ignore else tuple(read_outputs(cell.get("outputs", ()), own, first))
        cells.append(_Ran(index, cell.get("id", f"cell-{index}"), cell.source, own, outputs, number))
    return cells


def _aligned(ran: Sequence[_Ran], cells: Sequence[ReferenceCell]) -> dict[int, ReferenceCell]:
    """Find each cell's own in the reference: by its id; else, as ids do not last, by its source; else by its place.

    A cell that was edited in a notebook that has new ids is found between the same neighbours.
    """
    by_id = {cell.id: cell for cell in cells}
    found = {cell.index: by_id[cell.id] for cell in ran if cell.id in by_id}
    taken = set(map(id, found.values()))
    left = [cell for cell in ran if cell.index not in found]
    rest = [cell for cell in cells if id(cell) not in taken]
    matcher = difflib.SequenceMatcher(None, [cell.name for cell in left], [cell.source for cell in rest], False)
    for what, start, end, other, other_end in matcher.get_opcodes():
        if what == "equal" or (what == "replace" and end - start == other_end - other):
            pairs: Iterable[tuple[_Ran, ReferenceCell]] = zip(left[start:end], rest[other:other_end], strict=True)
        else:
            pairs = _alike(left[start:end], rest[other:other_end])
        found |= {cell.index: known for cell, known in pairs}
    return found


def _alike(ran: Sequence[_Ran], cells: Sequence[ReferenceCell]) -> Iterator[tuple[_Ran, ReferenceCell]]:
    """Pair cells whose first lines are much alike, in their order."""
    rest = list(cells)
    for cell in ran:
        ratios = [difflib.SequenceMatcher(None, cell.name, known.source).ratio() for known in rest]
        best = max(range(len(rest)), key=ratios.__getitem__, default=-1)
        if best >= 0 and ratios[best] >= ALIKE:
            yield cell, rest[best]
            del rest[: best + 1]


def _compare_cell(cell: _Ran, known: ReferenceCell | None) -> CellComparison:
    if cell.rules.ignore or (known is not None and known.varies):
        return CellComparison(cell.index, cell.id, 0, cell.source, "ignored", number=cell.number)
    if known is None:
        new = (OutputComparison(n, "no reference", (), None, output) for n, output in enumerate(cell.outputs, 1))
        return CellComparison(cell.index, cell.id, 0, cell.source, "no reference", tuple(new), number=cell.number)
    old = [output for output in known.outputs if is_compared(output, cell.rules)]  # a tag may have come since
    outputs = [
        _compare_output(number, before, after, cell.rules)
        for number, (before, after) in enumerate(zip_longest(old, cell.outputs), 1)
    ]
    status: Compared = "differs" if any(output.status == "differs" for output in outputs) else "same"
    return CellComparison(cell.index, cell.id, 0, cell.source, status, tuple(outputs), number=cell.number)


def _compare_output(number: int, old: Recorded | None, new: Recorded | None, rules: Rules) -> OutputComparison:
    if old is None:
        messages: tuple[str, ...] = (f"new output: {new.summary}" if new else "",)
    elif new is None:
        messages = (f"there is no such output now: {old.summary}",)
    else:
        messages = compare_recorded(old, new, rules)
    return OutputComparison(number, "differs" if messages else "same", messages, old, new)


def _gone(cell: ReferenceCell) -> CellComparison:
    outputs = (OutputComparison(n, "differs", (), output, None) for n, output in enumerate(cell.outputs, 1))
    what = f"the cell is gone, and with it {len(cell.outputs)} output{'s' if len(cell.outputs) > 1 else ''}"
    return CellComparison(-1, cell.id, 0, cell.source, "differs", tuple(outputs), (what,))


def _first_line(source: str) -> str:
    return next((line.strip() for line in source.splitlines() if line.strip()), "")[:NAME_WIDTH]


# ---------------------------------------------------------------------------- versions


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in MADE_WITH:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _other_versions(reference: Reference) -> Iterable[str]:
    now = _versions()
    for name, made_with in reference.made_with.items():
        if now.get(name, "none") != made_with:
            yield f"the reference was made with {name} {made_with}; here it is {now.get(name, 'not installed')}"
