"""What differs between two numbers, moments, texts or bytes."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from difflib import SequenceMatcher
from typing import Any

from kit.comparison.found import Entry, Found, counted
from kit.previews import cut, preview, shape_of
from kit.views.page import visible

__all__ = [
    "bytes_difference",
    "moment_difference",
    "number_change",
    "number_difference",
    "text_difference",
    "written",
    "written_pair",
]

MAX_TEXT = 2_000_000  # characters that are compared line by line
MAX_DIFF = 200  # lines: difflib's time grows with their square
SHORT = 60  # characters of a text that is shown whole
CONTEXT = 20  # characters around a difference
LONG_FLOAT = 10  # characters of a float that is written in full
WRITTEN = ("numpy", "datetime", "decimal", "fractions", "pandas")  # whose numbers and moments `str` writes best
LINE = 150  # characters of a line of a diff
CHUNK = 1 << 16


def number_difference(old: Any, new: Any) -> Found:
    """Say how a number changed: "0.912 → 0.934 (+0.022, +2.4 %)"."""
    change = number_change(old, new)
    x, y = written_pair(old, new)
    return Found("number", f"{x} → {y}{f' ({change})' if change else ''}")


def written_pair(old: Any, new: Any) -> tuple[str, str]:
    """Write two cells or two numbers: floats with as few digits as tell them apart, texts in quotes."""
    x, y = written(old), written(new)
    if max(len(x), len(y)) > LONG_FLOAT and all(getattr(type(v), "__float__", None) for v in (old, new)):
        try:
            short = f"{old:.6g}", f"{new:.6g}"
        except (ArithmeticError, TypeError, ValueError):
            return x, y
        return short if short[0] != short[1] else (x, y)
    return x, y


def written(value: Any) -> str:
    """Write one cell or one number: without the name of its type, texts in quotes."""
    cls = type(value)
    if issubclass(cls, (str, bytes)) or cls.__module__.split(".")[0] not in WRITTEN or shape_of(value):
        return preview(value, 40)
    return visible(cut(str(value), 40))


def number_change(old: Any, new: Any) -> str:
    """Write how much a number changed: the difference, and its share of the old one; "" where there is none."""
    old, new = (value.item() if hasattr(value, "item") else value for value in (old, new))
    if isinstance(old, bool) or isinstance(new, bool):
        return ""
    try:
        change = new - old
        if isinstance(change, complex):
            return f"{change:+.4g}"
        if not math.isfinite(change):
            return ""
        share = 100 * float(change) / abs(float(old)) if old else math.inf
        return ", ".join(part for part in (_signed(change), _share(share, old, new)) if part)
    except (ArithmeticError, TypeError, ValueError):  # numbers too large for a float, or of kinds that do not mix
        return ""


def _signed(change: Any) -> str:
    if isinstance(change, int):
        return f"{change:+d}" if abs(change) < 10**15 else f"{float(change):+.4g}"
    return f"{change:+.0f}" if 1000 <= abs(change) < 1e9 else f"{change:+.4g}"


def _share(share: float, old: Any, new: Any) -> str:
    if not math.isfinite(share):
        return ""
    if abs(share) >= 1000:
        ratio = float(new) / float(old)
        return f"{ratio:.3g} times" if 0 < ratio < 1000 else f"{ratio:,.0f} times" if 0 < ratio < 1e9 else ""
    return f"{share:+.0f} %" if abs(share) >= 10 else f"{share:+.2g} %"


def moment_difference(old: Any, new: Any) -> Found:
    """Say how a date, a time or a duration changed: "2024-01-02 → 2024-01-04 (+2 days)"."""
    try:
        change = new - old
        text = f"-{-change}" if change < timedelta(0) else f"+{change}"
        text = f" ({text.removesuffix(', 0:00:00').removesuffix(' 00:00:00')})" if change == change else ""
    except (ArithmeticError, TypeError, ValueError):  # times of a day have no difference, nor have mixed time zones
        text = ""
    return Found("time", f"{old} → {new}{text}")


def bytes_difference(old: Any, new: Any) -> Found:
    """Say how many bytes there are, and which is the first that differs."""
    length = f"{len(old):,} bytes" if len(old) == len(new) else f"{len(old):,} → {len(new):,} bytes"
    at = _first_difference(old, new)
    if at == min(len(old), len(new)):
        return Found("bytes", f"{length}, the first {at:,} are the same")
    return Found("bytes", f"{length}, the first that differs is byte {at:,}: 0x{old[at]:02x} → 0x{new[at]:02x}")


def text_difference(old: str, new: str) -> Found:
    """Say what differs between two texts: the part that does of a single line, else a diff of the lines."""
    if "\n" in old or "\n" in new:
        return _line_difference(old, new)
    if max(len(old), len(new)) <= SHORT:
        return Found("text", f"{old!r} → {new!r}")
    at = _first_difference(old, new)
    x, y = _apart(old, new, SHORT)
    length = f"{len(old):,}" if len(old) == len(new) else f"{len(old):,} → {len(new):,}"
    return Found("text", f"{length} characters, from character {at:,} on: {x!r} → {y!r}")


def _first_difference(old: Any, new: Any) -> int:
    """Give the index of the first item that two texts, or two bytes, do not share."""
    length, at = min(len(old), len(new)), 0
    while at < length and old[at : at + CHUNK] == new[at : at + CHUNK]:
        at += CHUNK
    return next((i for i in range(at, min(length, at + CHUNK)) if old[i] != new[i]), length)


def _apart(old: str, new: str, width: int) -> tuple[str, str]:
    """Cut two lines to where they differ, with what is around it."""
    at = _first_difference(old, new)
    tails = old[at:][-CHUNK:][::-1], new[at:][-CHUNK:][::-1]
    after = max(0, _first_difference(*tails) - CONTEXT)
    start = max(0, at - CONTEXT)

    def piece(text: str) -> str:
        end = min(len(text) - after, start + width)
        return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"

    return piece(old), piece(new)


def _line_difference(old: str, new: str) -> Found:
    first, whole = 0, max(len(old), len(new)) <= MAX_TEXT
    sizes = [text.count("\n") + 1 for text in (old, new)]
    if not whole:
        start = old.rfind("\n", 0, _first_difference(old, new)) + 1
        first = old.count("\n", 0, start)
        old, new = (text[start : start + MAX_TEXT] for text in (old, new))
    a, b = old.split("\n"), new.split("\n")
    head = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[head:], b[head:]
    tail = next((i for i, (x, y) in enumerate(zip(a[::-1], b[::-1], strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[: len(a) - tail + 1], b[: len(b) - tail + 1]  # one of the lines after, for the eye
    entries, is_all = _unified(a, b, first + head)
    length = f"{sizes[0]:,} lines" if sizes[0] == sizes[1] else f"{sizes[0]:,} → {sizes[1]:,} lines"
    if not whole:
        return Found("text", f"{length}, from line {first + head + 1:,} on", entries, -1)
    if is_all:
        added, removed = (sum(entry.sign == sign for entry in entries) for sign in "+-")
    else:
        added, removed = (sum((Counter(x) - Counter(y)).values()) for x, y in ((b, a), (a, b)))
    words = counted([(added, "line", "added"), (removed, "line", "removed")]) or "the same in another order"
    return Found("text", f"{length}: {words}", entries, 0 if is_all else -1)


def _unified(a: list[str], b: list[str], first: int) -> tuple[tuple[Entry, ...], bool]:
    """Diff the first lines; gives what a unified diff says of them, and whether they were all."""
    is_all = max(len(a), len(b)) <= MAX_DIFF
    a, b = a[:MAX_DIFF], b[:MAX_DIFF]
    entries = []
    for group in SequenceMatcher(None, a, b).get_grouped_opcodes(1):
        _, i1, _, j1, _ = group[0]
        _, _, i2, _, j2 = group[-1]
        entries.append(Entry(f"@@ -{first + i1 + 1},{i2 - i1} +{first + j1 + 1},{j2 - j1} @@"))
        for tag, at, until, other, other_until in group:
            xs, ys = a[at:until], b[other:other_until]
            if tag == "equal":
                entries += [Entry(f"  {_clip(line)}") for line in xs]
                continue
            if len(xs) == len(ys):
                pairs = [
                    _apart(x, y, LINE) if max(len(x), len(y)) > LINE else (x, y) for x, y in zip(xs, ys, strict=True)
                ]
                xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
            entries += [Entry(_clip(line), sign="-") for line in xs] + [Entry(_clip(line), sign="+") for line in ys]
    return tuple(entries), is_all


def _clip(line: str) -> str:
    return line[: LINE * 2]
