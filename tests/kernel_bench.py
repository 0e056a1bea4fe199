"""Cells executed in kernels, warm or ordinary ones, and a look at the processes that are left."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell, new_notebook
from papermill.engines import NotebookExecutionManager

from kit.kernels import forkserver
from kit.kernels.cells import Limits
from kit.regression.execute import run_managed

MARKER = "KIT_TEST_MARKER"


def alive(marker: str) -> list[str]:
    """Find the processes that have a marker in their environment, but for this one."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            state = (environ.parent / "stat").read_text().rpartition(")")[2].split()[0]
            if f"{MARKER}={marker}".encode() in environ.read_bytes() and state != "Z":
                found.append(environ.parent.name)
        except OSError:
            continue
    return [pid for pid in found if pid != str(os.getpid())]


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


class Bench:
    """Executes cells in kernels, warm or ordinary ones.

    Args:
        folder: The kernels' working directory.
        marker: What marks their processes.
    """

    def __init__(self, folder: Path, marker: str) -> None:
        self.folder, self.marker = folder, marker
        self.log = folder.with_suffix(".log")

    def environ(self, **more: str) -> dict[str, str]:
        return {**os.environ, MARKER: self.marker, "IPYTHONDIR": str(self.folder.with_name("ipython")), **more}

    def run(self, *sources: str, limits: Limits | None = None, warm: bool = True, **environ: str) -> Ran:
        """Execute cells in a kernel of their own; "#tag" on a cell's first line tags it."""
        return self.together([sources], limits=limits, warm=warm, **environ)[0]

    def together(
        self, notebooks: list[tuple[str, ...]], limits: Limits | None = None, warm: bool = True, **environ: str
    ) -> list[Ran]:
        """Execute several notebooks at once."""
        own = self.environ(**environ, **({} if warm else {forkserver.SWITCH: "0"}))

        async def all_of_them() -> list[Ran]:
            return list(await asyncio.gather(*(self._one(sources, limits or Limits(), own) for sources in notebooks)))

        return asyncio.run(all_of_them())

    async def _one(self, sources: tuple[str, ...], limits: Limits, environ: dict[str, str]) -> Ran:
        cells = [new_code_cell(source) for source in sources]
        for cell in cells:
            first = cell.source.partition("\n")[0]
            cell.metadata["tags"] = [first[1:]] if first.startswith("#") else []
        node = new_notebook(cells=cells, metadata={"papermill": {}})
        manager = NotebookExecutionManager(node, progress_bar=False)
        with self.log.open("ab") as log:
            failure, notes = await run_managed(manager, "python3", str(self.folder), environ, limits, log=log.fileno())
        return Ran(node, failure, notes)


class Ran:
    """What came of it."""

    def __init__(self, node: Any, failure: Any, notes: tuple[str, ...]) -> None:
        self.node, self.failure, self.notes = node, failure, notes

    @property
    def warm(self) -> bool:
        return not any("ordinary kernel" in note for note in self.notes)

    def text(self, index: int = -1) -> str:
        """Give what a cell printed."""
        return "".join(o.get("text", "") for o in self.node.cells[index].outputs if o.output_type == "stream")

    def data(self, index: int = -1) -> list[dict[str, Any]]:
        """Give what a cell displayed."""
        return [dict(o.data) for o in self.node.cells[index].outputs if "data" in o]

    @property
    def states(self) -> list[str]:
        return [cell.metadata.papermill["status"] for cell in self.node.cells]
