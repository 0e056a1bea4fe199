"""What a task printed of the exception that ended it, without what is Metaflow's own in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from kit import internals

__all__ = ["AROUND", "KILLED", "first_line", "is_metaflows", "without_metaflow"]

# How the scheduler ends the log of a task that it stops, perhaps within a traceback; what it says around one.
KILLED = "[KILLED BY ORCHESTRATOR]"
AROUND = re.compile(r"\s*(<flow \w+ step .*> failed:|Internal error|Task failed( with a segmentation fault)?\.)$")
# A group of exceptions is drawn with bars before its lines; what @timeout tells is quoted.
FRAME = re.compile(r'(?P<margin>[\s|>+]*)File "(?P<file>[^"]+)", line \d+')
MARGIN = re.compile(r"[\s|>+]*")
CARETS = re.compile(r"[\s|>+]*[\^~][\^~\s]*$")


def is_metaflows(file: str) -> bool:
    """Whether a file of a traceback, of any machine, is Metaflow's; in a container the user's lie in `metaflow` too."""
    above, folder, below = file.replace("\\", "/").rpartition("/metaflow/")
    if above.endswith(("site-packages", ".mf_code")):  # of another version, its files may have other names
        return True
    return bool(folder) and Path(internals.cli.__file__).parent.joinpath(below).is_file()


def without_metaflow(lines: Iterable[str]) -> list[str]:
    """Leave Metaflow's own frames, what it says around a traceback, and empty lines out of what a task printed.

    Args:
        lines: The lines; those that Metaflow's scheduler repeats have lost their indentation.
    """
    kept: list[str] = []
    skipping, indentation, number = False, 0, 0
    for line in lines:
        frame = FRAME.match(line)
        if frame:
            skipping, indentation, number = is_metaflows(frame["file"]), len(frame["margin"]), 0
        elif skipping and line != KILLED:
            number += 1
            margin = MARGIN.match(line)
            deeper = margin is not None and margin.end() > indentation
            repeated = indentation == 0 and (number == 1 or CARETS.match(line))
            skipping = bool(deeper or repeated)
        if not skipping and line.strip() and not AROUND.match(line):
            kept.append(line)
    return kept


def first_line(said: str) -> str:
    """Give the first line that says something, without the module of a class that the flow file itself defines."""
    line = next((each.strip() for each in said.splitlines() if each.strip()), "")
    return line.removeprefix("builtins.").removeprefix("__main__.")
