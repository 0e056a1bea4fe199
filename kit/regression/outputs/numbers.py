"""Numbers as they are printed, and whether two of them are the same."""

from __future__ import annotations

import math
import re

from kit.regression.outputs.rules import Rules

__all__ = ["NUMBER", "close", "same_number"]

NUMBER = re.compile(r"(?<![\w.<])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?%?")
ENOUGH_DIGITS = 5  # a number printed with fewer is shown as it was meant, and its last digit counts


def close(old: float, new: float, rules: Rules) -> bool:
    """Whether two numbers differ by no more than the tolerances."""
    if math.isnan(old) or math.isnan(new):
        return math.isnan(old) and math.isnan(new)
    if math.isinf(old) or math.isinf(new):
        return old == new
    return abs(old - new) <= max(rules.atol, rules.rtol * max(abs(old), abs(new)))


def same_number(old: str, new: str, rules: Rules) -> bool:
    """Whether two printed numbers are the same: whole ones exactly, others by the tolerances.

    Numbers printed with many digits may also differ by one unit of their last place: it is rounded.

    Args:
        old: A number, as NUMBER finds it.
        new: Another.
        rules: The tolerances.
    """
    if old == new:
        return True
    if old.endswith("%") != new.endswith("%"):
        return False
    if _whole(old) and _whole(new):
        return int(old.rstrip("%")) == int(new.rstrip("%")) or (
            rules.integers and close(float(old.rstrip("%")), float(new.rstrip("%")), rules)
        )
    first, second = float(old.rstrip("%")), float(new.rstrip("%"))
    if close(first, second, rules):
        return True
    last_place = min(_last_place(old), _last_place(new))
    return min(_digits(old), _digits(new)) >= ENOUGH_DIGITS and abs(first - second) <= last_place * (1 + 1e-9)


def _whole(number: str) -> bool:
    return number.lstrip("+-").rstrip("%").isdigit()


def _last_place(number: str) -> float:
    mantissa, _, exponent = number.rstrip("%").lower().partition("e")
    return float(10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])))


def _digits(number: str) -> int:
    mantissa = number.rstrip("%").lower().partition("e")[0]
    return len(mantissa.lstrip("+-").replace(".", "").lstrip("0"))
