"""Texts compared line by line: words exactly, numbers by tolerance, white space not at all."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from itertools import zip_longest

from kit.regression.outputs.numbers import NUMBER, same_number
from kit.regression.outputs.rules import Rules

__all__ = ["VARIES", "compare_lines", "compare_text", "mask_lines", "shortened"]

VARIES = "<varies>"  # stands in a reference for what differs by itself
GAP = re.compile(r"\s+")
RULER = re.compile(r"[-=─━]{2,}")  # its length follows the width of the columns
SET = re.compile(r"\{([^{}:]*,[^{}:]*)\}")
WIDTH = 80
A_NUMBER = "\0"  # stands for one where words are compared


def compare_text(old: str, new: str, rules: Rules) -> str:
    """Say what differs between two texts, in one line; "" where nothing does.

    Args:
        old: The reference's; VARIES in place of a word means any word, alone it means any text.
        new: The text to compare, sanitized as the reference is.
        rules: The tolerances.
    """
    if old == new or old.strip() == VARIES:
        return ""
    if VARIES in old:
        words, others = old.split(), new.split()
        if len(words) != len(others):
            return f"{shortened(old)} -> {shortened(new)}"
        found = (compare_text(word, other, rules) for word, other in zip(words, others, strict=True))
        return next((message for message in found if message), "")
    if "{" in old and "{" in new:
        old, new = SET.sub(_in_order, old), SET.sub(_in_order, new)
    old_words, new_words = _words(old), _words(new)
    if old_words != new_words:
        return f"{shortened(old)} -> {shortened(new)}"
    pairs = list(zip(NUMBER.findall(old), NUMBER.findall(new), strict=True))
    wrong = [
        (old_number, new_number) for old_number, new_number in pairs if not same_number(old_number, new_number, rules)
    ]
    if not wrong:
        return ""
    before, after = wrong[0]
    if len(pairs) == 1 and not old_words.strip(A_NUMBER + " "):
        return f"{before} -> {after}"
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return f"{shortened(old)}: {before} -> {after}{more}"


def compare_lines(old: Sequence[str], new: Sequence[str], rules: Rules) -> tuple[str, ...]:
    """Say what differs between two texts, a line for each of their lines that does.

    Args:
        old: The lines of the reference's.
        new: The lines of the text to compare.
        rules: The tolerances.
    """
    old, new = _stripped(old), _stripped(new)
    if [line.strip() for line in old] == [VARIES]:
        return ()
    if VARIES not in " ".join(old) and not compare_text(" ".join(old), " ".join(new), rules):
        return ()  # the same words and numbers, broken into lines elsewhere
    if len(old) == len(new):
        found = ((number, compare_text(*pair, rules)) for number, pair in enumerate(zip(old, new, strict=True), 1))
        return tuple(f"line {number}: {message}" for number, message in found if message)
    return tuple(_edits(old, new, rules))


def mask_lines(one: Sequence[str], other: Sequence[str], rules: Rules) -> list[str]:
    """Give the lines of a text with VARIES in place of each word that differs from another run's text."""
    if len(one) != len(other):
        return [VARIES] if compare_lines(one, other, rules) else list(one)
    return [_masked(*pair, rules) for pair in zip(one, other, strict=True)]


def shortened(text: str) -> str:
    """Quote a text, its middle left out where it is long."""
    text = GAP.sub(" ", text).strip()
    if len(text) > WIDTH:
        text = f"{text[: WIDTH // 2]} … {text[-WIDTH // 3 :]}"
    return repr(text)


def _words(text: str) -> str:
    """Give a text without its numbers, its white space and rulers evened out."""
    return GAP.sub(" ", RULER.sub("--", NUMBER.sub(f" {A_NUMBER} ", text))).strip()


def _in_order(found: re.Match[str]) -> str:
    """Sort what a set holds, whose order is none."""
    return "{" + ", ".join(sorted(part.strip() for part in found[1].split(","))) + "}"


def _stripped(lines: Sequence[str]) -> list[str]:
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def _masked(one: str, other: str, rules: Rules) -> str:
    if not compare_text(one, other, rules):
        return one
    words, others = re.split(r"(\s+)", one), re.split(r"(\s+)", other)
    if len(words) != len(others):
        return VARIES
    pairs = zip(words, others, strict=True)
    return "".join(VARIES if word.strip() and compare_text(word, its, rules) else word for word, its in pairs)


def _edits(old: list[str], new: list[str], rules: Rules) -> list[str]:
    """Say which lines came and went, where there are more or fewer than before."""
    messages = []
    matcher = difflib.SequenceMatcher(None, [_words(line) for line in old], [_words(line) for line in new], False)
    for _, start, end, new_start, new_end in matcher.get_opcodes():
        pairs = zip_longest(old[start:end], new[new_start:new_end])
        for number, (before, after) in enumerate(pairs, start + 1):
            if before is None:
                messages.append(f"after line {end}: + {shortened(after or '')}")
            elif after is None:
                messages.append(f"line {number}: - {shortened(before)}")
            elif message := compare_text(before, after, rules):
                messages.append(f"line {number}: {message}")
    return messages
