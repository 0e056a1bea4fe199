"""Small projects, and real runs of their flows."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
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


def run_flow(file: Path, *arguments: str, cwd: Path | None = None, check: bool = True, user: str = USER) -> str:
    """Run a flow file as a user does, from its own folder or another one; gives what it printed."""
    done = subprocess.run(
        [sys.executable, str(file), "--no-pylint", "run", *arguments],
        cwd=cwd or file.parent,
        env={**os.environ, "USERNAME": user},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert not check or done.returncode == 0, output
    return output
