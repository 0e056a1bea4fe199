"""The runs of the matrix: every flow of it, in one project, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from support import USER, write_files

from matrix.project import FILES
from matrix.table import Launch, Row, source

AT_ONCE = 3
SECONDS = 600  # of one run, at most


@dataclass(frozen=True)
class RecordedRun:
    """A run of a flow.

    Args:
        launch: How it was started.
        id: Its id; "" where it has none.
        output: What it printed.
        as_expected: Whether it succeeded where it should, and failed where it should.
    """

    launch: Launch
    id: str
    output: str
    as_expected: bool


def record(root: Path, rows: Iterable[Row]) -> dict[str, tuple[RecordedRun, ...]]:
    """Write the flows of a matrix into a new project, and run them.

    Args:
        root: The project's root.
        rows: The flows.

    Returns:
        The runs of each flow, by the flow's name.
    """
    rows = tuple(rows)
    write_files(root, FILES)
    (root / ".metaflow").mkdir()
    for row in rows:
        (root / row.file).write_text(source(row), encoding="utf-8")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip((row.flow for row in rows), pool.map(lambda row: _runs(root, row), rows), strict=True))


def _runs(root: Path, row: Row) -> tuple[RecordedRun, ...]:
    return tuple(_run(root, row, number, launch) for number, launch in enumerate(row.launches))


def _run(root: Path, row: Row, number: int, launch: Launch) -> RecordedRun:
    id_file = root / ".ids" / f"{row.flow}{number}"
    id_file.parent.mkdir(exist_ok=True)
    done = subprocess.run(
        [
            *(sys.executable, row.file, "--no-pylint", *launch.options, launch.command),
            *("--max-workers", "2", "--run-id-file", str(id_file), *launch.arguments),
        ],
        cwd=root,
        env={**_environment(root), **launch.environ, **launch.lasting},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=SECONDS,
    )
    return RecordedRun(
        launch=launch,
        id=id_file.read_text().strip() if id_file.exists() else "",
        output=done.stdout,
        as_expected=(done.returncode == 0) == launch.succeeds and id_file.exists(),
    )


def _environment(root: Path) -> dict[str, str]:
    """Give the tests' environment, with byte code, which hundreds of tasks would compile anew without."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("METAFLOW_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **kept,
        "METAFLOW_HOME": "/nonexistent",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",  # @parallel starts its workers by name
        "PYTHONPYCACHEPREFIX": str(root.parent / "bytecode"),
        "USERNAME": USER,
    }
