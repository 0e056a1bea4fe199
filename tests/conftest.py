"""What the tests share: small projects, real runs of their flows, and an environment that is nobody's own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USER = "tester"


@pytest.fixture(autouse=True)
def _neutral_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test as the user `tester`, without the settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("METAFLOW_", "JUPYTERHUB_", "NB_USER", "SUDO_USER")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("USERNAME", USER)
    monkeypatch.setenv("METAFLOW_HOME", "/nonexistent")


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Write a project: {path: content}, dedented; gives its root."""

    def make(files: dict[str, str], root: Path = tmp_path / "project") -> Path:
        write_files(root, files)
        return root

    return make


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
