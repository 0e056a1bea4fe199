"""Values in a few words: never longer than asked, whatever their own `repr` does."""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

from kit.views.page import visible

__all__ = ["cut", "preview", "shape_of", "type_name"]

MAX_ITEMS = 6
MAX_DEPTH = 3
MAX_BITS = 200  # of an int that is written out; Python refuses to write very long ones
BRACKETS: tuple[tuple[type, str, str], ...] = (
    (list, "[", "]"),
    (tuple, "(", ")"),
    (set, "{", "}"),
    (frozenset, "frozenset({", "})"),
    (deque, "deque([", "])"),
)


def preview(value: Any, width: int = 60) -> str:
    """Write a value in one line of at most `width` characters; what its own code raises is not passed on."""
    try:
        return cut(visible(_short(value, width, MAX_DEPTH)), width)
    except Exception:  # the value's own code runs, and may raise what it likes
        return cut(f"<{type_name(type(value))}>", width)


def cut(text: str, width: int) -> str:
    """Shorten a text to at most `width` characters, the last of them "…" where something is left out."""
    return text if len(text) <= width else text[: width - 1] + "…"


def type_name(cls: type, full: bool = False) -> str:
    """Name a type as its users do: "int", "numpy.ndarray", "Model".

    Args:
        cls: The type.
        full: Whether to say in which module it is, as seen from outside its package.
    """
    name, module = str(cls.__qualname__).rsplit("<locals>.", 1)[-1], str(cls.__module__)
    if not full or module in ("builtins", "__main__"):
        return name
    public = [part for part in module.split(".") if not part.startswith("_")]
    return ".".join([*public, name])


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Give the shape of an array, a frame or the like; None for anything else."""
    shape = getattr(value, "shape", None)
    return tuple(shape) if isinstance(shape, tuple) else None


def _short(value: Any, width: int, depth: int) -> str:
    cls = type(value)
    if issubclass(cls, str):
        return str.__repr__(str.__getitem__(value, slice(width)))
    if issubclass(cls, (bytes, bytearray)):
        head = repr(bytes(value[: width // 4]))
        return head if len(value) <= width // 4 else f"{head[:-1]}…' ({len(value):,} bytes)"
    if cls is int and value.bit_length() > MAX_BITS:
        return f"<an int of {value.bit_length():,} bits>"
    for base, opening, closing in BRACKETS:
        if issubclass(cls, base) and vars(cls).get("__repr__", base.__repr__) is base.__repr__:
            return _joined(value, len(value), opening, closing, width, depth)
    if issubclass(cls, dict):
        return _mapping(value, width, depth)
    if _is_array(value):
        return _array(value)
    if dataclasses.is_dataclass(cls) and "__repr__" in vars(cls) and hasattr(cls.__repr__, "__wrapped__"):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(cls) if field.repr}
        inside = ", ".join(f"{name}={_item(item, width, depth)}" for name, item in islice(fields.items(), MAX_ITEMS))
        return f"{type_name(cls)}({inside}{', …' if len(fields) > MAX_ITEMS else ''})"
    text = repr(value)[: 20 * width]
    return re.sub(r"\s+", " ", re.sub(r" at 0x[0-9a-fA-F]+", "", text))


def _item(value: Any, width: int, depth: int) -> str:
    try:
        return _short(value, width, depth - 1) if depth > 1 else f"<{type_name(type(value))}>"
    except Exception:  # one item that cannot be written leaves the others as they are
        return f"<{type_name(type(value))}>"


def _joined(items: Iterable[Any], count: int, opening: str, closing: str, width: int, depth: int) -> str:
    shown = [_item(item, width, depth) for item in islice(items, MAX_ITEMS)]
    if count > MAX_ITEMS:
        shown.append(f"… {count:,} in all")
    comma = "," if count == 1 and opening == "(" else ""
    return f"{opening}{', '.join(shown)}{comma}{closing}"


def _mapping(value: dict[Any, Any], width: int, depth: int) -> str:
    shown = [f"{_item(k, width, 2)}: {_item(v, width, depth)}" for k, v in islice(value.items(), MAX_ITEMS)]
    if len(value) > MAX_ITEMS:
        shown.append(f"… {len(value):,} in all")
    name = "" if type(value) is dict else type_name(type(value))
    inside = f"{{{', '.join(shown)}}}"
    return f"{name}({inside})" if name else inside


def _is_array(value: Any) -> bool:
    shape = shape_of(value)
    return bool(shape) and all(isinstance(length, int) for length in shape or ())


def _array(value: Any) -> str:
    shape = shape_of(value) or ()
    if type(value).__module__ == "numpy" and value.size <= MAX_ITEMS and value.dtype.kind in "biufcUM":
        return f"array({value.tolist()!r})"
    dtype = getattr(value, "dtype", None)
    kind = f" {dtype}" if dtype is not None and len(str(dtype)) < 30 else ""
    return f"{type_name(type(value))} {shape}{kind}"
