"""Python source as text: lines that are moved to the right without a change of what they mean."""

from __future__ import annotations

import io
import tokenize

__all__ = ["indented"]


def indented(source: str, spaces: int) -> str:
    """Indent statements; lines that begin inside a string stay as they are."""
    inside: set[int] = set()
    opened: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING":
            inside |= set(range(token.start[0] + 1, token.end[0] + 1))
        elif kind in ("FSTRING_START", "TSTRING_START"):
            opened.append(token.start[0])
        elif kind in ("FSTRING_END", "TSTRING_END"):
            inside |= set(range(opened.pop() + 1, token.end[0] + 1))
    lines = source.splitlines()
    indent = " " * spaces
    return "\n".join(
        line if number in inside or not line.strip() else indent + line for number, line in enumerate(lines, start=1)
    )
