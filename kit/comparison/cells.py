"""What differs between two arrays: numpy's, those that turn into numpy's, and scipy's sparse ones."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kit.comparison.equality import equal
from kit.comparison.found import Entry, Found
from kit.comparison.plain import number_change, written_pair

__all__ = ["Cells", "array_difference", "compare_cells", "compare_objects", "sparse_difference"]

CHUNK = 1 << 18  # cells that are compared at once: what is held beside the two arrays is of this size
MAX_FIRST = 5
NUMBERS = "biufcmM"  # kinds of dtypes that have differences


@dataclass(frozen=True)
class Cells:
    """How two arrays of one shape differ.

    Args:
        total: The number of cells.
        compared: How many of them there was time for, in order.
        differing: How many of those differ.
        largest: The largest absolute difference, written out; "" where there is none.
        missing: How many became NaN, or NaT.
        filled: How many were NaN, or NaT.
        first: The first that differ: their flat index, what they were, what they are.
    """

    total: int
    compared: int
    differing: int
    largest: str = ""
    missing: int = 0
    filled: int = 0
    first: tuple[tuple[int, str, str], ...] = ()

    def __str__(self) -> str:
        verb = "differs" if self.differing == 1 else "differ"
        if self.compared < self.total:
            head = f"{self.differing:,} of the first {self.compared:,} cells {verb} ({self.total:,} in all)"
        elif not self.differing:
            return "no cell differs"
        elif self.differing == self.total > 1:
            head = f"all {self.total:,} cells differ"
        else:
            head = f"{self.differing:,} of {self.total:,} cell{'s' * (self.total != 1)} {verb}"
        parts = [head]
        if self.largest:
            parts.append(f"by {'at most ' * (self.differing > 1)}{self.largest}")
        if self.missing:
            parts.append(f"{self.missing:,} became NaN")
        if self.filled:
            parts.append(f"{self.filled:,} {'was' if self.filled == 1 else 'were'} NaN")
        return ", ".join(parts)


def array_difference(old: Any, new: Any, until: float) -> Found:
    """Compare two arrays: shape, dtype, mask, fields, and cell by cell.

    Args:
        old: An array of numpy's.
        new: Another.
        until: When to stop, on the clock of `time.perf_counter`.
    """
    import numpy

    np: Any = numpy  # its types do not know masks well enough
    head = f"{old.dtype} {_change(old.shape, new.shape)}"
    if old.dtype != new.dtype:
        head = f"{_change(old.dtype, new.dtype)}, {_change(old.shape, new.shape)}"
    rows = ""
    if old.shape != new.shape:
        if old.ndim != new.ndim or not old.ndim or old.shape[1:] != new.shape[1:]:
            return Found("array", head)
        shared = min(len(old), len(new))
        old, new = old[:shared], new[:shared]
        rows = f"in the first {shared:,} {'cells' if old.ndim == 1 else 'rows'} "
    if old.dtype.names is not None or new.dtype.names is not None:
        return _fields(head, old, new, until)
    if isinstance(old, np.ma.MaskedArray) and isinstance(new, np.ma.MaskedArray):
        masks = compare_cells(np.ma.getmaskarray(old), np.ma.getmaskarray(new), until)
        if masks.differing:
            return Found("array", f"{head}: in the mask {masks}", _first(masks, old.shape))
        cells = compare_cells(np.asarray(old.compressed()), np.asarray(new.compressed()), until)
        return Found("array", f"{head}: of what is not masked, {cells}")
    try:
        cells = compare_cells(old, new, until)
    except TypeError:  # of dtypes that do not compare, such as numbers with texts
        return Found("array", head)
    if not rows and cells.differing == 1 and cells.compared == cells.total:
        index, x, y = cells.first[0]
        change = number_change(old.flat[index], new.flat[index]) if cells.largest else ""
        place = f"1 of {cells.total:,} cells differs, {_index(index, old.shape)}: " if cells.total > 1 else ""
        return Found("array", f"{head}: {place}{x} → {y}{f' ({change})' if change else ''}")
    return Found(
        "array", f"{head}: {rows}{cells}", _first(cells, old.shape), max(0, cells.differing - len(cells.first))
    )


def compare_cells(old: Any, new: Any, until: float) -> Cells:
    """Compare two arrays of one shape, NaN equal to NaN, holding no more than a small part of them twice."""
    import numpy as np

    if old.dtype == object or new.dtype == object:
        return compare_objects(zip(old.flat, new.flat, strict=True), old.size, until)
    compared = differing = missing = filled = 0
    largest: Any = None
    first: list[tuple[int, str, str]] = []
    flags: Any = ["external_loop", "buffered", "zerosize_ok"]
    with np.errstate(all="ignore"):
        for xs, ys in np.nditer([old, new], flags=flags, order="C", buffersize=CHUNK):
            for start in range(0, len(xs), CHUNK):
                x, y = xs[start : start + CHUNK], ys[start : start + CHUNK]
                differs = np.asarray(x != y)
                if differs.any():
                    differs &= np.asarray((x == x) | (y == y))
                    places = np.flatnonzero(differs)
                    for i in places[: MAX_FIRST - len(first)]:
                        first.append((compared + int(i), *written_pair(x[i], y[i])))
                    x, y = x[places], y[places]
                    differing += len(places)
                    missing += int(np.count_nonzero(y != y))
                    filled += int(np.count_nonzero(x != x))
                    largest = _larger(largest, x, y)
                compared += len(differs)
                if time.perf_counter() > until:
                    return Cells(old.size, compared, differing, _size(largest), missing, filled, tuple(first))
    return Cells(old.size, compared, differing, _size(largest), missing, filled, tuple(first))


def compare_objects(pairs: Iterable[tuple[Any, Any]], total: int, until: float) -> Cells:
    """Compare cells that hold objects, one by one."""
    compared = differing = 0
    first: list[tuple[int, str, str]] = []
    for x, y in pairs:
        if not equal(x, y):
            differing += 1
            if len(first) < MAX_FIRST:
                first.append((compared, *written_pair(x, y)))
        compared += 1
        if time.perf_counter() > until:
            break
    return Cells(total, compared, differing, first=tuple(first))


def sparse_difference(old: Any, new: Any, until: float) -> Found:
    """Compare two sparse matrices of scipy's: format, shape, dtype, stored cells, and the cells that differ."""
    import numpy as np

    head = f"{old.dtype if old.dtype == new.dtype else _change(old.dtype, new.dtype)} {_change(old.shape, new.shape)}"
    head = f"{_change(old.format, new.format)} {head}, {_change(f'{old.nnz:,}', f'{new.nnz:,}')} stored"
    if old.shape != new.shape or len(old.shape) != 2:
        return Found("array", head)
    a, b = old.tocsr(), new.tocsr()
    rows, columns = (a != b).nonzero()
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    x, y = (np.asarray(matrix[rows, columns]).ravel() for matrix in (a, b))
    cells = compare_cells(x, y, until)
    entries = tuple(Entry(f"{u} → {v}", f"[{rows[i]}, {columns[i]}]") for i, u, v in cells.first)
    total = old.shape[0] * old.shape[1]
    words = str(Cells(total, total, cells.differing, cells.largest, cells.missing, cells.filled))
    return Found("array", f"{head}: {words}", entries, cells.differing - len(entries))


def _change(old: Any, new: Any) -> str:
    return f"{old}" if old == new else f"{old} → {new}"


def _index(flat: int, shape: tuple[int, ...]) -> str:
    import numpy as np

    return f"[{', '.join(str(i) for i in np.unravel_index(flat, shape))}]"


def _first(cells: Cells, shape: tuple[int, ...]) -> tuple[Entry, ...]:
    return tuple(Entry(f"{x} → {y}", _index(index, shape)) for index, x, y in cells.first)


def _fields(head: str, old: Any, new: Any, until: float) -> Found:
    if old.dtype.names != new.dtype.names:
        return Found("array", head)
    names = [name for name in old.dtype.names if not equal(old[name], new[name])]
    entries = tuple(
        Entry(array_difference(old[name], new[name], until).summary, f"[{name!r}]") for name in names[:MAX_FIRST]
    )
    verb = "differs" if len(names) == 1 else "differ"
    words = f"{old.shape}: {len(names)} of {len(old.dtype.names)} fields {verb}"
    return Found("array", f"records {words}", entries, len(names) - len(entries), parts=True)


def _larger(largest: Any, x: Any, y: Any) -> Any:
    """Give the larger of a difference and the largest one between two arrays; of whole numbers, exactly."""
    import numpy as np

    kind = x.dtype.kind
    if kind not in NUMBERS or y.dtype.kind != kind or kind == "b" or not len(x):
        return largest
    if kind in "mM":
        apart = np.abs(y - x)
        apart = apart[~np.isnat(apart)]
        found = apart.max() if len(apart) else None
    elif kind in "iu":
        at = int(np.abs(y.astype(float) - x.astype(float)).argmax())
        found = abs(int(y[at]) - int(x[at]))
    else:
        apart = np.abs(y - x) if x.dtype.itemsize > 4 else np.abs(y.astype(complex) - x.astype(complex))
        apart = apart[np.isfinite(apart)]
        found = float(apart.max()) if len(apart) else None
    return found if largest is None or (found is not None and found > largest) else largest


def _size(largest: Any) -> str:
    if largest is None:
        return ""
    return f"{largest:.4g}" if isinstance(largest, float) else str(largest)
