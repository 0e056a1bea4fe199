"""Ends what a process group leaves behind. It is also the guard of a group: a process that outlives whoever started it.

As a program it waits until its standard input ends, which is when the process that holds it is gone, whatever ended
that. It uses the standard library alone, so that it starts at once.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["MARK", "end_group"]

MARK = "KIT_PROCESS_GROUPS"  # the variable that all processes of a group have, also one that has left the group


def end_group(group: int, mark: str) -> None:
    """Kill all processes of a group, those included that made a session of their own (where there is a /proc).

    Args:
        group: The id of the group.
        mark: What the variable MARK of its processes holds.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if mark.encode() in _variable((folder / "environ").read_bytes()):
                os.kill(int(folder.name), signal.SIGKILL)


def _variable(environ: bytes) -> list[bytes]:
    start = f"{MARK}=".encode()
    held = next((each for each in environ.split(b"\0") if each.startswith(start)), b"")
    return held.removeprefix(start).split(b":")


if __name__ == "__main__":
    sys.stdin.read()
    end_group(int(sys.argv[1]), sys.argv[2])
