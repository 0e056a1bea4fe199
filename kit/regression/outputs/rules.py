"""How strictly outputs are compared: tolerances, sanitizers, and what a cell's tags change about them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kit.errors import NotebookError

__all__ = ["KINDS", "Rules", "cell_rules"]

IGNORE, TOLERANCE, ONLY = "kit-ignore", "kit-tol=", "kit-only="
KINDS = ("text", "table", "figure", "image", "data", "error")


@dataclass(frozen=True)
class Rules:
    """How strictly outputs are compared.

    Args:
        rtol: By how much of the larger of two numbers they may differ.
        atol: By how much two numbers may differ, whatever their size.
        integers: Whether two whole numbers may differ too; by default they are compared exactly.
        sanitizers: What is taken out of texts before they are compared, beside what always is, and what is put there.
        stderr: Whether what is written to the standard error is compared.
        only: The kinds of outputs to compare; empty for all.
        ignore: Whether to compare nothing.
    """

    rtol: float = 1e-6
    atol: float = 1e-12
    integers: bool = False
    sanitizers: tuple[tuple[re.Pattern[str], str], ...] = ()
    stderr: bool = False
    only: frozenset[str] = frozenset()
    ignore: bool = False


def cell_rules(rules: Rules, tags: Iterable[str], where: str) -> Rules:
    """Give the rules for a cell: `kit-ignore`, `kit-tol=1e-3` and `kit-only=text` among its tags change them.

    Args:
        rules: Those of the notebook.
        tags: The cell's tags.
        where: What the cell is called in an error.

    Raises:
        NotebookError: A tag of kit's is not one of these.
    """
    for tag in tags:
        if tag == IGNORE:
            rules = replace(rules, ignore=True)
        elif tag.startswith(TOLERANCE):
            tolerance = _tolerance(tag, where)
            rules = replace(rules, rtol=tolerance, atol=max(rules.atol, tolerance * 1e-6), integers=True)
        elif tag.startswith(ONLY):
            kinds = frozenset(word.strip() for word in tag.removeprefix(ONLY).split(","))
            if not kinds <= set(KINDS):
                raise NotebookError(
                    f"{where} is tagged {tag!r}, and {', '.join(sorted(kinds - set(KINDS))) or 'that'} is no output.",
                    f"Name some of {', '.join(KINDS)}, as in kit-only=text,table.",
                )
            rules = replace(rules, only=kinds)
    return rules


def _tolerance(tag: str, where: str) -> float:
    try:
        value = float(tag.removeprefix(TOLERANCE))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise NotebookError(f"{where} is tagged {tag!r}, which is no tolerance.", "Write it as kit-tol=1e-3.")
    return value
