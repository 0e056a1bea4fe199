"""The values of what a figure draws, as numbers and words that JSON holds: arrays, colours, long series summed up."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["MANY", "Data", "array", "collapsed", "colours", "filled", "number", "numbers", "without_empty"]

FULL = 2000  # values of an array that are kept; of a longer one, its blocks are summed up
BLOCKS = 64
DIGITS = 10
MANY = 200  # paths and colours that are kept

Data = dict[str, Any]


def without_empty(data: Data) -> Data:
    """Leave out what says nothing, so that a reference is short."""
    return {
        name: value
        for name, value in data.items()
        if value is not None and value is not False and value not in ("", [], {})
    }


def colours(colours: Any) -> Any:
    """Write colours as #rrggbbaa: one where all are the same."""
    from matplotlib.colors import to_hex, to_rgba_array

    try:
        words = [to_hex(colour, keep_alpha=True) for colour in to_rgba_array(colours)]
    except (TypeError, ValueError):
        words = [str(colour) for colour in colours]
    words = collapsed(words)
    return words[0] if len(words) == 1 else "" if not words else words[:MANY]


def collapsed(values: list[Any]) -> list[Any]:
    """Give one value where all are the same."""
    return values[:1] if values and all(value == values[0] for value in values) else values


def number(value: Any) -> Any:
    """Round a number to what JSON and a reader can do with."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    if math.isnan(number):
        return None
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    number = float(f"{number:.{DIGITS}g}")
    return int(number) if number.is_integer() and abs(number) < 10**DIGITS else number


def numbers(values: Any) -> list[Any]:
    """Round numbers as `number` does."""
    return [number(value) for value in values]


def array(values: Any) -> Any:
    """Give an array's values in full, as even steps, or block by block where there are many."""
    import numpy

    array = numpy.asarray(values)
    if array.dtype.kind in "OUSmM":
        words = [str(value) for value in array.ravel()]
        return words if len(words) <= FULL else {"count": len(words), "first": words[:MANY]}
    flat = filled(values).ravel()
    if flat.size >= BLOCKS / 4 and numpy.isfinite(flat).all() and flat[0] != flat[-1]:
        even = numpy.linspace(flat[0], flat[-1], flat.size)
        if numpy.allclose(flat, even, rtol=0, atol=1e-9 * float(numpy.ptp(flat))):
            return {"from": number(flat[0]), "to": number(flat[-1]), "count": int(flat.size)}
    if flat.size <= FULL:
        return numbers(flat)
    return {"count": int(flat.size), **_blocks(flat)}


def filled(values: Any) -> Any:
    """Give an array of floats, nan where it is masked."""
    import numpy

    array = numpy.array(values, dtype=float)
    mask = getattr(values, "mask", False)
    array[numpy.broadcast_to(mask, array.shape)] = math.nan
    return array


def _blocks(flat: Any) -> Data:
    """Sum a long array up, block by block: the mean, the extremes, and a slope that knows the order of the values."""
    import numpy

    sums: Data = {"mean": [], "min": [], "max": [], "slope": [], "missing": int((~numpy.isfinite(flat)).sum())}
    for block in numpy.array_split(flat, BLOCKS):
        block = numpy.where(numpy.isfinite(block), block, 0.0)
        weights = numpy.linspace(-1, 1, block.size)
        of_block = (block.mean(), block.min(), block.max(), (block * weights).mean())
        for name, value in zip(("mean", "min", "max", "slope"), of_block, strict=True):
            sums[name].append(number(value))
    return sums
