"""What differs between two frames, series or indices of pandas."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from typing import Any

from kit.comparison.cells import MAX_FIRST, Cells, compare_cells, compare_objects
from kit.comparison.found import MAX_LINES, Entry, Found, counted
from kit.comparison.plain import written, written_pair
from kit.previews import preview

__all__ = ["frame_difference", "index_difference", "series_difference"]

ALL = slice(None), slice(None)
MAX_LABELS = 3
MAX_ALIGNED = 2_000_000  # rows that are looked up by their labels


def frame_difference(old: Any, new: Any, until: float) -> Found:
    """Compare two frames: shape, columns and their order and dtypes, index, and the cells of each column.

    Args:
        old: A DataFrame.
        new: Another.
        until: When to stop, on the clock of `time.perf_counter`.
    """
    before, after = _keyed(old.columns), _keyed(new.columns)
    removed, added = ([key for key in a if key not in b] for a, b in ((before, after), (after, before)))
    shared = [key for key in before if key in after]
    entries = [Entry(f"column, {old.dtypes.iloc[before[key]]}", _label(key), "-") for key in removed]
    entries += [Entry(f"column, {new.dtypes.iloc[after[key]]}", _label(key), "+") for key in added]
    parts = [counted([(len(added), "column", "added"), (len(removed), "column", "removed")])]
    if shared != [key for key in after if key in before]:
        parts.append("columns in another order")
    if list(old.columns.names) != list(new.columns.names):
        entries.append(Entry(f"{list(old.columns.names)} → {list(new.columns.names)}", "names of columns"))
    rows = _rows(old.index, new.index)
    index = _index_entries(old.index, new.index, until)
    entries += index
    if index:
        parts.append("index differs")
    cells = columns = types = compared = 0
    for key in shared:
        if compared and time.perf_counter() > until:
            break
        compared += 1
        x, y = old.iloc[:, before[key]], new.iloc[:, after[key]]
        found = None
        if rows is not None:
            found = _column(x, y, until) if rows is ALL else _column(x.iloc[rows[0]], y.iloc[rows[1]], until)
        types += x.dtype != y.dtype
        columns += bool(found and found.differing)
        cells += found.differing if found else 0
        if x.dtype != y.dtype or (found and found.differing):
            words = [_types(x.dtype, y.dtype)] if x.dtype != y.dtype else []
            labels = x.index[rows[0]] if rows is not None else x.index
            words += [_cells_in_words(found, labels)] if found else []
            entries.append(Entry("; ".join(words), _label(key)))
    if types:
        parts.append(f"{counted([(types, 'column', 'of another dtype')])}")
    if cells:
        parts.append(
            f"{cells:,} cell{'s' * (cells > 1)} in {columns:,} of {len(shared):,} columns differ{'s' * (cells == 1)}"
        )
    if compared < len(shared):
        parts.append(f"only the first {compared:,} columns were compared")
    more = max(0, len(entries) - MAX_LINES)
    head = str(old.shape) if old.shape == new.shape else f"{old.shape} → {new.shape}"
    words_of_all = ", ".join(part for part in parts if part)
    return Found("frame", f"{head}: {words_of_all}" if words_of_all else head, tuple(entries[:MAX_LINES]), more)


def series_difference(old: Any, new: Any, until: float) -> Found:
    """Compare two series: length, name, dtype, index, and the cells."""
    entries = [Entry(f"{preview(old.name)} → {preview(new.name)}", "name")] if not _same(old.name, new.name) else []
    index = _index_entries(old.index, new.index, until)
    entries += index
    head = f"{old.dtype} ({len(old):,})" if len(old) == len(new) else f"{old.dtype} ({len(old):,} → {len(new):,})"
    if old.dtype != new.dtype:
        head = _types(old.dtype, new.dtype) + f", ({len(old):,}{f' → {len(new):,}' if len(old) != len(new) else ''})"
    rows = _rows(old.index, new.index)
    if rows is None:
        return Found("frame", head, tuple(entries))
    cells = _column(old.iloc[rows[0]], new.iloc[rows[1]], until)
    labels = old.index[rows[0]]
    first = [Entry(f"{x} → {y}", _label_of(labels, i)) for i, x, y in cells.first]
    words = ", ".join([str(cells)] + ["index differs"] * bool(index) + ["name differs"] * (len(entries) > len(index)))
    return Found("frame", f"{head}: {words}", (*entries, *first), cells.differing - len(first))


def index_difference(old: Any, new: Any, until: float) -> Found:
    """Compare two indices: length, names, dtype, and the labels."""
    head = f"{len(old):,} labels" if len(old) == len(new) else f"{len(old):,} → {len(new):,} labels"
    entries = _index_entries(old, new, until)
    return Found("frame", f"{head}: {entries[0]}" if entries else head, tuple(entries[1:]))


def _keyed(columns: Any) -> dict[tuple[Hashable, int], int]:
    """Give each column's place by its label, and by how many of the same label come before it."""
    places: dict[tuple[Hashable, int], int] = {}
    seen: dict[Hashable, int] = {}
    for place, label in enumerate(columns):
        seen[label] = seen.get(label, -1) + 1
        places[label, seen[label]] = place
    return places


def _types(old: Any, new: Any) -> str:
    if str(old) == str(new) and hasattr(old, "categories") and hasattr(new, "categories"):
        return f"categories {preview(old.categories.tolist())} → {preview(new.categories.tolist())}"
    return f"{old} → {new}"


def _label(key: tuple[Hashable, int]) -> str:
    return f"[{preview(key[0])}]" + (f" (number {key[1] + 1} of that label)" if key[1] else "")


def _label_of(labels: Any, i: int) -> str:
    label = labels[i]
    return f"[{written(label)}]"


def _cells_in_words(cells: Cells, labels: Any) -> str:
    if not cells.first:
        return str(cells)
    i, x, y = cells.first[0]
    return f"{cells}; {'first ' * (cells.differing > 1)}{_label_of(labels, i)}: {x} → {y}"


def _rows(old: Any, new: Any) -> tuple[Any, Any] | None:
    """Say which rows to put beside each other: by place, or by label where there are not as many; None for neither."""
    if len(old) == len(new):
        return ALL
    if max(len(old), len(new)) > MAX_ALIGNED or not (old.is_unique and new.is_unique) or old.nlevels != new.nlevels:
        return None
    places = new.get_indexer(old)
    shared = (places >= 0).nonzero()[0]
    return shared, places[shared]


def _same(a: Any, b: Any) -> bool:
    return a is b or bool(a == b)


def _index_entries(old: Any, new: Any, until: float) -> list[Entry]:
    entries = []
    if list(old.names) != list(new.names):
        entries.append(Entry(f"{_names(old.names)} → {_names(new.names)}", "name of index"))
    if old.nlevels != new.nlevels:
        return [*entries, Entry(f"{old.nlevels} → {new.nlevels} levels", "index")]
    if len(old) != len(new):
        if max(len(old), len(new)) > MAX_ALIGNED:
            return entries
        for sign, labels in (("-", old[~old.isin(new)]), ("+", new[~new.isin(old)])):
            if len(labels):
                shown = ", ".join(written(label) for label in labels[:MAX_LABELS])
                more = f", … {len(labels):,} in all" if len(labels) > MAX_LABELS else ""
                entries.append(Entry(f"{shown}{more}", "index", sign))
        return entries
    for level in range(old.nlevels):
        x, y = old.get_level_values(level), new.get_level_values(level)
        types = [_types(x.dtype, y.dtype)] if x.dtype != y.dtype else []
        cells = None if x.equals(y) else _column(x, y, until)
        if types or (cells and cells.differing):
            words = [str(cells).replace("cell", "label")] if cells and cells.differing else []
            words += [f"first {a} → {b}" for _, a, b in (cells.first[:1] if cells else ())]
            name = f"index level {level}" if old.nlevels > 1 else "index"
            entries.append(Entry("; ".join(types + words), name))
    return entries


def _names(names: Iterable[Any]) -> str:
    return ", ".join(preview(name) for name in names)


def _column(old: Any, new: Any, until: float) -> Cells:
    """Compare the cells of two series, or two indices, of one length, by place."""
    import numpy as np

    if isinstance(old.dtype, np.dtype) and isinstance(new.dtype, np.dtype):
        return compare_cells(old.to_numpy(), new.to_numpy(), until)
    try:
        differs = old.array != new.array
        differs = (
            differs.to_numpy(dtype=bool, na_value=True) if hasattr(differs, "to_numpy") else np.array(differs, bool)
        )
        differs &= ~(np.asarray(old.isna()) & np.asarray(new.isna()))
    except (TypeError, ValueError):  # of dtypes that do not compare, such as categories of another kind
        return compare_objects(zip(old, new, strict=True), len(old), until)
    places = np.flatnonzero(differs)
    x, y = old.array[places], new.array[places]
    missing, filled = (int(np.count_nonzero(np.asarray(values.isna()))) for values in (y, x))
    first = tuple((int(i), *written_pair(old.array[i], new.array[i])) for i in places[:MAX_FIRST])
    return Cells(len(old), len(old), len(places), _largest(x, y), missing, filled, first)


def _largest(x: Any, y: Any) -> str:
    import pandas as pd  # type: ignore[import-untyped]

    if x.dtype.kind not in "iufMm":
        return ""
    largest = pd.Series(y - x).abs().max()
    return "" if pd.isna(largest) else f"{largest:.4g}" if isinstance(largest, float) else str(largest)
