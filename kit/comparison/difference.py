"""The picture of what changed: what differs between a recorded artifact and the replayed one."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from datetime import time as time_of_day
from itertools import islice
from numbers import Number
from types import FunctionType, ModuleType
from typing import Any

from kit.comparison.cells import sparse_difference
from kit.comparison.equality import equal
from kit.comparison.found import MAX_LINES, Entry, Found, counted
from kit.comparison.libraries import comparison_for
from kit.comparison.plain import bytes_difference, moment_difference, number_difference, text_difference
from kit.model import Difference, DifferenceKind, LazyArtifacts
from kit.previews import cut, preview, shape_of, type_name

__all__ = ["difference", "differences"]

MAX_SECONDS = 2.0  # for one artifact; what there was no time for is said not to be compared
MAX_DEPTH = 8  # of containers and objects inside each other
SHORT = 40  # characters of each value where two are shown in one line
PLAIN = (int, float, str, bool, bytes, type(None))  # of which `!=` is all there is to say
ABSENT = object()

Above = tuple[tuple[int, int], ...]  # the ids of the values that two values are inside of
Pair = tuple[Any, Any, Any]  # a key, an index or a name, and what is there in the old value and in the new one


def difference(old: Any, new: Any) -> Difference:
    """Say what differs between two values, in one line and a few more.

    It takes at most a few seconds and holds no second copy of a large array, whatever the values are; what their own
    code raises (a `repr`, an `__eq__`) is not passed on.

    Args:
        old: The recorded value.
        new: The value after the replay.
    """
    try:
        return _found(old, new, time.perf_counter() + MAX_SECONDS, ()).shown()
    except KeyboardInterrupt:
        raise
    except BaseException:  # the values' own code runs, and may raise what it likes, SystemExit too
        return Difference(
            "object", f"{type_name(type(old))} → {type_name(type(new))}: it does not let itself be compared"
        )


def differences(
    names: Iterable[str], recorded: Callable[[str], Any], replayed: Callable[[str], Any]
) -> Mapping[str, Difference]:
    """Give what differs between recorded and replayed artifacts, each computed when it is asked for.

    Args:
        names: The names of the artifacts that differ.
        recorded: Reads one recorded artifact.
        replayed: Gives one artifact after the replay.
    """

    def read(name: str) -> Difference:
        try:
            old = recorded(name)
        except Exception as error:
            return _unread("the recorded value", error)
        try:
            new = replayed(name)
        except Exception as error:
            return _unread("the replayed value", error)
        return difference(old, new)

    return LazyArtifacts(tuple(sorted(names)), read)


def _unread(what: str, error: Exception) -> Difference:
    found = Found("object", f"{what} cannot be read: {type(error).__name__}: {_message(error)}")
    return found.shown()


def _found(old: Any, new: Any, until: float, above: Above) -> Found:
    try:
        if type(old) is not type(new):
            return _different_types(old, new, until)
        return _different_values(old, new, until, above) or _opaque(old, new)
    except Exception:  # what is inside a value may raise too: then the value is shown as it shows itself
        return _opaque(old, new)


def _different_values(old: Any, new: Any, until: float, above: Above) -> Found | None:
    """Compare two values of one type; None where there is no more to say than how they show themselves."""
    cls = type(old)
    if issubclass(cls, Number) and shape_of(old) in (None, ()):
        return number_difference(old, new)
    if issubclass(cls, str):
        return text_difference(str.__str__(old), str.__str__(new))
    if issubclass(cls, (bytes, bytearray)):
        return bytes_difference(old, new)
    if issubclass(cls, (date, timedelta, time_of_day)):
        return moment_difference(old, new)
    if issubclass(cls, BaseException):
        return _exceptions(old, new, until, above)
    if (id(old), id(new)) in above:
        return Found("object", "what it is inside of, again")
    if len(above) > MAX_DEPTH:
        return None
    above = (*above, (id(old), id(new)))
    comparison = comparison_for(cls)
    found = comparison(old, new, until) if comparison else None
    if found:
        return found
    if issubclass(cls, (type, FunctionType, ModuleType)):
        return None
    return _inside(old, new, until, above)


def _different_types(old: Any, new: Any, until: float) -> Found:
    a, b = type(old), type(new)
    names = [type_name(cls, full=True) for cls in (a, b)]
    if names[0] == names[1]:
        return Found("type", f"{names[0]} is another class of that name than the recorded one's: {_shown(old, new)}")
    if all(issubclass(cls, Number) and shape_of(value) in (None, ()) for cls, value in ((a, old), (b, new))):
        return Found("type", f"{names[0]} → {names[1]}: {number_difference(old, new).summary}")
    if hasattr(a, "tocsr") and hasattr(b, "tocsr"):
        found = sparse_difference(old, new, until)
        return Found("type", f"{names[0]} → {names[1]}: {found.summary}", found.entries, found.more)
    if issubclass(a, BaseException) and issubclass(b, BaseException):
        return Found("type", f"{names[0]}: {_message(old)} → {names[1]}: {_message(new)}")
    return Found("type", f"{names[0]} → {names[1]}: {_shown(old, new)}")


def _shown(old: Any, new: Any) -> str:
    return f"{preview(old, SHORT)} → {preview(new, SHORT)}"


def _message(error: BaseException) -> str:
    try:
        return cut(str(error), SHORT * 2)
    except Exception:
        return "<no message>"


def _opaque(old: Any, new: Any) -> Found:
    """Show two values as they show themselves."""
    kind: DifferenceKind = "object" if type(old) is type(new) else "type"
    x, y = preview(old, 2_000), preview(new, 2_000)
    if x == y:
        if equal(old, new):
            return Found(kind, f"{cut(x, SHORT * 2)}: no difference found")
        return Found(kind, f"{cut(x, SHORT * 2)}: it differs in something that it does not show")
    if max(len(x), len(y)) <= 2 * SHORT:
        return Found(kind, f"{x} → {y}")
    return Found(kind, text_difference(x, y).summary)


def _exceptions(old: Any, new: Any, until: float, above: Above) -> Found:
    name, messages = type_name(type(old)), (_message(old), _message(new))
    if messages[0] != messages[1]:
        return Found("object", f"{name}: {messages[0]} → {messages[1]}")
    inside = _inside(old, new, until, above)
    return Found("object", f"{name}: {messages[0]}, the same message", inside.entries if inside else (), parts=True)


def _inside(old: Any, new: Any, until: float, above: Above) -> Found | None:
    """Compare two values part by part: what they contain, else their attributes."""
    cls = type(old)
    found = None
    if issubclass(cls, dict):
        found = _mappings(old, new, until, above)
    elif issubclass(cls, (list, tuple, deque)):
        found = _sequences(old, new, until, above)
    elif issubclass(cls, (set, frozenset)):
        found = _sets(old, new)
    return found if found and (found.entries or time.perf_counter() > until) else _objects(old, new, until, above)


def _mappings(old: Mapping[Any, Any], new: Mapping[Any, Any], until: float, above: Above) -> Found:
    removed = [key for key in old if key not in new]
    added = [key for key in new if key not in old]
    pairs = ((key, old[key], new[key]) for key in old if key in new)
    changed, compared = _changed(pairs, until)
    entries = [Entry(preview(old[key], SHORT * 2), f"[{preview(key)}]", "-") for key in removed[:MAX_LINES]]
    entries += [Entry(preview(new[key], SHORT * 2), f"[{preview(key)}]", "+") for key in added[:MAX_LINES]]
    more = len(removed) + len(added) - len(entries)
    sides = counted([(len(added), "key", "added"), (len(removed), "key", "removed")])
    words = _of(len(changed), len(old) - len(removed), "key", compared, sides)
    found = Found("mapping", words, tuple(entries), more)
    return _with_details(found, lambda key: f"[{preview(key)}]", changed, until, above)


def _sequences(old: Any, new: Any, until: float, above: Above) -> Found:
    """Compare item by item; where items were put in or taken out, from both ends."""
    head = tail = 0
    if len(old) != len(new):
        shorter = min(len(old), len(new))
        head = _shared(zip(old, new, strict=False), shorter, until)
        tail = _shared(zip(reversed(old), reversed(new), strict=False), shorter - head, until)
    middle = min(len(old), len(new)) - head - tail
    names = getattr(old, "_fields", None) if issubclass(type(old), tuple) else None
    pairs = ((i, x, y) for i, (x, y) in enumerate(islice(zip(old, new, strict=False), head, head + middle), head))
    changed, compared = _changed(pairs, until)
    sides = (("-", old, len(old) - tail), ("+", new, len(new) - tail))
    entries = [
        Entry(preview(item, SHORT * 2), f"[{at}]", sign)
        for sign, items, end in sides
        for at, item in islice(enumerate(islice(items, head + middle, end), head + middle), MAX_LINES)
    ]
    gone, come = len(old) - tail - head - middle, len(new) - tail - head - middle
    ends = counted([(come, "item", "added"), (gone, "item", "removed")])
    words = _of(len(changed), head + tail + middle, "item", compared + head + tail, ends)
    if len(old) != len(new):
        words = f"length {len(old):,} → {len(new):,}: {words}"
    found = Found("sequence", words, tuple(entries), gone + come - len(entries))
    return _with_details(found, lambda i: f".{names[i]}" if names else f"[{i}]", changed, until, above)


def _shared(pairs: Iterable[tuple[Any, Any]], most: int, until: float) -> int:
    """Count the pairs at the start that are equal."""
    count = 0
    for x, y in islice(pairs, most):
        if _differ(x, y) or (count % 1024 == 0 and time.perf_counter() > until):
            break
        count += 1
    return count


def _sets(old: Any, new: Any) -> Found:
    sides = [("-", [item for item in old if item not in new]), ("+", [item for item in new if item not in old])]
    shown = [(sign, sorted(preview(item, SHORT * 2) for item in items[:1000])) for sign, items in sides]
    entries = [Entry(text, sign=sign) for sign, texts in shown for text in texts[:MAX_LINES]]
    removed, added = (len(items) for _, items in sides)
    words = counted([(added, "item", "added"), (removed, "item", "removed")])
    size = f"{len(old):,}" if len(old) == len(new) else f"{len(old):,} → {len(new):,}"
    return Found("set", f"{size} items: {words}", tuple(entries), removed + added - len(entries), parts=True)


def _objects(old: Any, new: Any, until: float, above: Above) -> Found | None:
    """Compare two objects by their attributes; None where they have none that differ."""
    before, after = _attributes(old), _attributes(new)
    names = list(dict.fromkeys([*before, *after]))
    names.sort(key=lambda name: name.startswith("_"))  # what is public says more
    pairs = ((name, before[name], after[name]) for name in names if name in before and name in after)
    changed, compared = _changed(pairs, until)
    entries = [Entry(preview(before[n], SHORT * 2), f".{n}", "-") for n in names if n not in after]
    entries += [Entry(preview(after[n], SHORT * 2), f".{n}", "+") for n in names if n not in before]
    if not changed and not entries:
        return None
    parameters = _parameters(old)
    fitted = sum(name not in parameters for name, _, _ in changed)
    total = len(before.keys() & after.keys())
    words = _of(len(changed), total, "attribute", compared, "")
    if parameters:
        words = counted([(len(changed) - fitted, "parameter", ""), (fitted, "fitted attribute", "")])
        words = f"{words} {'differs' if len(changed) == 1 else 'differ'}" if changed else ""
    added, removed = (sum(entry.sign == sign for entry in entries) for sign in "+-")
    sides = counted([(added, "attribute", "added"), (removed, "attribute", "removed")])
    whole = ", ".join(part for part in (words, sides) if part)
    more = max(0, len(entries) - MAX_LINES)
    found = Found("object", f"{type_name(type(old))}: {whole}", tuple(entries[:MAX_LINES]), more)
    return _with_details(found, lambda name: f".{name}", changed, until, above)


def _attributes(value: Any) -> dict[str, Any]:
    """Give an object's state by name: its attributes, and where it has none, what it would be pickled with."""
    found = dict(getattr(value, "__dict__", None) or {})
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            item = getattr(value, name, ABSENT)
            if item is not ABSENT and not name.startswith("__"):
                found[name] = item
    if found:
        return found
    reduced = value.__reduce_ex__(4)
    state = reduced[2] if isinstance(reduced, tuple) and len(reduced) > 2 else None
    return {str(name): item for name, item in state.items()} if isinstance(state, dict) else {}


def _parameters(value: Any) -> frozenset[str]:
    """Give the names of the parameters of a scikit-learn estimator; none for anything else."""
    module = sys.modules.get("sklearn.base")
    if module is None or not issubclass(type(value), module.BaseEstimator):
        return frozenset()
    return frozenset(value.get_params(deep=False))


def _changed(pairs: Iterable[Pair], until: float) -> tuple[list[Pair], int]:
    """Give the pairs that differ, and how many were compared in the time there is."""
    changed, compared = [], 0
    for pair in pairs:
        if _differ(pair[1], pair[2]):
            changed.append(pair)
        compared += 1
        if (type(pair[1]) not in PLAIN or compared % 1024 == 0) and time.perf_counter() > until:
            break
    return changed, compared


def _differ(x: Any, y: Any) -> bool:
    if type(x) in PLAIN and type(x) is type(y):
        return bool(x != y and (x == x or y == y))
    return not equal(x, y)


def _of(changed: int, total: int, noun: str, compared: int, sides: str) -> str:
    """Write "2 of 10 keys differ, 1 key added"."""
    verb = "differs" if changed == 1 else "differ"
    words = f"{changed:,} of {total:,} {noun}{'s' * (total != 1)} {verb}" if changed or not sides else ""
    if compared < total:
        words = f"{changed:,} of the first {compared:,} {noun}s {verb} ({total:,} in all)"
        words = words if changed else f"the first {compared:,} of {total:,} {noun}s are equal"
    return ", ".join(part for part in (words, sides) if part)


def _with_details(
    found: Found, path: Callable[[Any], str], changed: Sequence[Pair], until: float, above: Above
) -> Found:
    """Put what differs inside the parts that differ before the rest, as far as there is room for it."""
    shown, more = 0, found.more
    details: list[Entry] = []
    for key, x, y in changed:
        if len(details) >= MAX_LINES:
            break
        inside = _found(x, y, until, above)
        details += inside.below(path(key))
        more += max(0, inside.more) if inside.parts else 0
        shown += 1
    return replace(found, entries=(*details, *found.entries), more=more + len(changed) - shown, parts=True)
