"""Small projects, and real runs of their flows."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

USER = "tester"
LAB_TOKEN = "kit-tests"  # noqa: S105  # of a JupyterLab on this machine, for as long as a test


def write_files(root: Path, files: dict[str, str]) -> None:
    """Write files, {path: content}, the content dedented."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content), encoding="utf-8")


def run_flow(
    file: Path, *arguments: str, cwd: Path | None = None, check: bool = True, user: str = USER, to_its_end: bool = False
) -> str:
    """Run a flow file as a user does, from its own folder or another one; gives what it printed.

    With `to_its_end` also the processes are waited for that Metaflow leaves behind: the heartbeat of a task is told to
    stop, sends a last one to the metadata service, and may do so after the run has ended.
    """
    running = subprocess.Popen(
        [sys.executable, str(file), "--no-pylint", "run", *arguments],
        cwd=cwd or file.parent,
        env={**os.environ, "USERNAME": user},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=to_its_end,
    )
    output = "".join(running.communicate())
    until = time.monotonic() + 10  # a process that has ended and that nobody asks about is still in its group
    while to_its_end and _goes_on(running.pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not check or running.returncode == 0, output
    return output


def _goes_on(group: int) -> bool:
    """Whether there is a process in a group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
