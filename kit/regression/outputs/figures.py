"""What two figures draw, compared: the part that differs by name, its values by number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kit.regression.outputs.rules import Rules
from kit.regression.outputs.text import VARIES, compare_text, shortened

__all__ = ["compare_data", "mask_data"]

LOOSEST, FINEST = 1e-6, 1e-9  # of an array's span, and of a value: what rounding and a library's version may change
COLOUR = re.compile(r"#[0-9a-f]{8}")
COLOUR_STEP = 2  # of 255
EVEN = {"from", "to", "count"}


def compare_data(old: Any, new: Any, rules: Rules, path: str = "") -> tuple[str, ...]:
    """Say what differs between two pieces of plain data, such as what two figures draw.

    Args:
        old: The reference's.
        new: The one to compare.
        rules: The tolerances.
        path: What they are called.

    Returns:
        A line a part: `axes[0].lines[0].y: 1 of 500 values differ, [250]: -1.28 -> 1.72`.
    """
    return tuple(_differences(_unrolled(old), _unrolled(new), rules, path))


def mask_data(one: Any, other: Any, rules: Rules) -> Any:
    """Give one with VARIES in place of each part that differs from another run's."""
    if not compare_data(one, other, rules):
        return one
    if isinstance(one, Mapping) and isinstance(other, Mapping) and set(one) == set(other) and set(one) != EVEN:
        return {name: mask_data(one[name], other[name], rules) for name in one}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and not _is_array(one):
        return [mask_data(part, its, rules) for part, its in zip(one, other, strict=True)]
    return VARIES


def _differences(old: Any, new: Any, rules: Rules, path: str) -> Iterator[str]:
    if old == VARIES:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            inner = f"{path}.{name}" if path else str(name)
            if name not in new:
                if old[name] != VARIES:
                    yield f"{inner}: gone (was {_brief(old[name])})"
            elif name not in old:
                yield f"{inner}: new, {_brief(new[name])}"
            else:
                before, after = _unrolled(old[name]), _unrolled(new[name])
                if name == "texts" and _same_texts(before, after):  # matplotlib's versions draw them in other orders
                    before, after = sorted(before, key=_text_key), sorted(after, key=_text_key)
                yield from _differences(before, after, rules, inner)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, rules, path)
    elif _is_number(old) and _is_number(new):
        if not _near(old, new, 0.0, rules):
            yield f"{path}: {old:.6g} -> {new:.6g}"
    elif isinstance(old, str) and isinstance(new, str):
        if COLOUR.fullmatch(old) and COLOUR.fullmatch(new):
            if not _same_colour(old, new):
                yield f"{path}: {_hex(old)} -> {_hex(new)}"
        elif message := compare_text(old, new, rules):
            yield f"{path}: {message}"
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield f"{path}: {_brief(old)} -> {_brief(new)}"


def _same_texts(old: Any, new: Any) -> bool:
    both = (old, new)
    if not all(isinstance(part, list) and all(isinstance(each, Mapping) for each in part) for part in both):
        return False
    return sorted(map(_text_key, old)) == sorted(map(_text_key, new)) if len(old) == len(new) else False


def _text_key(text: Mapping[str, Any]) -> tuple[str, str]:
    place = text.get("at")
    known = [round(value, 4) + 0.0 if _is_number(value) else 0 for value in place] if isinstance(place, list) else []
    return str(text.get("text")), str(known)


def _lists(old: list[Any], new: list[Any], rules: Rules, path: str) -> Iterator[str]:
    if not old and not new:
        return
    if _is_array(old) and _is_array(new):
        if len(old) != len(new):
            yield f"{path}: {len(old)} values -> {len(new)}"
            return
        span = _span(old, new)
        wrong = [i for i, pair in enumerate(zip(old, new, strict=True)) if not _near(*pair, span, rules)]
        if wrong:
            worst = max(wrong, key=lambda i: _distance(old[i], new[i]))
            count = f"{len(wrong)} of {len(old)} value{'s differ' if len(old) > 1 else ' differs'}"
            yield f"{path}: {count}, [{worst}]: {_brief(old[worst])} -> {_brief(new[worst])}"
        return
    if len(old) != len(new):
        yield f"{path}: {len(old)} -> {len(new)}"
    for index, pair in enumerate(zip(old, new)):  # noqa: B905  # the parts that both have
        yield from _differences(_unrolled(pair[0]), _unrolled(pair[1]), rules, f"{path}[{index}]")


def _unrolled(value: Any) -> Any:
    """Give the values of an array that was written as even steps."""
    if not isinstance(value, Mapping) or set(value) != EVEN:
        return value
    first, last, count = value["from"], value["to"], value["count"]
    return [first + (last - first) * i / (count - 1) for i in range(count)]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_array(value: Sequence[Any]) -> bool:
    """Whether a list is an array of numbers, None and "inf" among them for what is not a number or not finite."""
    return all(_is_number(item) or item is None or item in ("inf", "-inf") for item in value)


def _span(*arrays: Sequence[Any]) -> float:
    spans = []
    for array in arrays:
        numbers = [item for item in array if _is_number(item)]
        spans.append(max(numbers) - min(numbers) if numbers else 0.0)
    return min(spans)


def _near(old: Any, new: Any, span: float, rules: Rules) -> bool:
    if not _is_number(old) or not _is_number(new):
        return bool(old == new)
    finest = rules.rtol if not span or rules.integers else FINEST
    allowed = max(rules.atol, max(rules.rtol, LOOSEST) * span, max(finest, FINEST) * max(abs(old), abs(new)))
    return bool(abs(old - new) <= allowed)


def _distance(old: Any, new: Any) -> float:
    return abs(old - new) if _is_number(old) and _is_number(new) else float("inf")


def _same_colour(old: str, new: str) -> bool:
    pairs = ((int(old[i : i + 2], 16), int(new[i : i + 2], 16)) for i in (1, 3, 5, 7))
    return all(abs(before - after) <= COLOUR_STEP for before, after in pairs)


def _hex(colour: str) -> str:
    return colour.removesuffix("ff") if len(colour) == 9 and colour.endswith("ff") else colour


def _brief(value: Any) -> str:
    if value is None:
        return "nan"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(list(value)[:5]) + "}"
    if isinstance(value, list):
        return f"{len(value)} items" if len(value) != 1 else _brief(value[0])
    return shortened(value) if isinstance(value, str) else str(value)
