"""What a file that is there lacks of kit's, where it can be appended: lines of .gitignore, tables of pyproject.toml."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Addition", "addition"]

TABLE = re.compile(r"^\[(?P<name>[\w.-]+)\]$", re.MULTILINE)


@dataclass(frozen=True)
class Addition:
    """What would be appended to a file.

    Args:
        whole: The file's content with it.
        what: What is appended: lines, or names of tables.
    """

    whole: str
    what: tuple[str, ...]


def addition(name: str, present: str, wanted: str) -> Addition | None:
    """Find out what can be appended to a file, so that it has what kit's own would have.

    Args:
        name: The file's name.
        present: What it has.
        wanted: What kit's own file has.

    Returns:
        The addition, of no lines where the file has it all; None where appending does not serve.
    """
    if name == ".gitignore":
        return _lines(present, wanted)
    return _tables(present, wanted) if name == "pyproject.toml" else None


def _lines(present: str, wanted: str) -> Addition:
    there = {_pattern(line) for line in present.splitlines()}
    lacking = tuple(line for line in wanted.splitlines() if _pattern(line) not in there)
    return Addition(_appended(present, "\n".join(lacking), ""), lacking)


def _pattern(line: str) -> str:
    return line.strip().removeprefix("**/").strip("/")


def _tables(present: str, wanted: str) -> Addition | None:
    """Append each table that has no counterpart; a tool that is configured already is left as it is."""
    try:
        tables = tomllib.loads(present)
    except tomllib.TOMLDecodeError:
        return None
    tool = tables.get("tool", {})
    lacking = [text for name, text in _parts(wanted) if _is_lacking(name, tables, tool)]
    whole = _appended(present, "\n\n".join(lacking), "\n")
    try:
        tomllib.loads(whole)  # `tool = {...}` in one line takes no further table
    except tomllib.TOMLDecodeError:
        return None
    return Addition(whole, tuple(text.splitlines()[0] for text in lacking))


def _parts(text: str) -> list[tuple[str, str]]:
    found = list(TABLE.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return [(match["name"], text[match.start() : end].strip()) for match, end in zip(found, ends, strict=True)]


def _is_lacking(name: str, tables: dict[str, Any], tool: dict[str, Any]) -> bool:
    first, _, rest = name.partition(".")
    if first == "tool":
        owner = rest.split(".")[0]
        builds = owner == "setuptools" and ("build-system" in tables or "project" not in tables)
        return owner not in tool and not builds
    # Dependencies cannot be appended to those of a [project] that is there; its extras can.
    return rest == "optional-dependencies" and "project" in tables and rest not in tables["project"]


def _appended(present: str, more: str, between: str) -> str:
    if not more:
        return present
    newline = "\r\n" if "\r\n" in present else "\n"
    start = present if not present or present.endswith("\n") else present + newline
    added = (between if present.strip() else "") + more + "\n"
    return start + added.replace("\n", newline)
