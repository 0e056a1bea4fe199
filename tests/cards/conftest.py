"""A project whose flow has been run, with cards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from card_flow import EXTENSION, FLOW, PRINT_CARDS, with_extension
from support import run_flow, write_files


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose flow has been run, with card types of an extension."""
    root = tmp_path_factory.mktemp("cards")
    write_files(
        root,
        {
            "project/flows/cards.py": FLOW,
            "extension/metaflow_extensions/testers/plugins/cards/several/__init__.py": EXTENSION,
        },
    )
    (root / "project" / ".metaflow").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", with_extension(root / "project"))
        run_flow(root / "project" / "flows" / "cards.py", "--tag", "mine", cwd=root / "project")
    return root / "project"


@pytest.fixture(autouse=True)
def _inside(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)


@pytest.fixture(scope="module")
def of_types(recorded: Path) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """The cards of types that an extension brings, replayed in a process that has it: ids, pages, in a notebook."""
    environ = {**os.environ, "PYTHONPATH": with_extension(recorded), "USERNAME": "tester"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_CARDS], cwd=recorded, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ids, pages, shown = json.loads(done.stdout.split("CARDS", 1)[1])
    return ids, pages, shown
