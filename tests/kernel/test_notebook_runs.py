"""Runs of a flow that is in a notebook's cells: what they ran, and what their replays take."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_client import Kernel
from test_steps_in_cells import begun

pytestmark = pytest.mark.kernel

FIT = "%%mf_step fit\nself.y = helper(self.x)\nif self.limit > {limit}:\n    raise ValueError('too much')"
SLOW = "%%mf_step first\nimport time\nfrom pathlib import Path\nPath('begun').touch()\ntime.sleep(2 * self.slow)"
SECOND = "%%mf_step second\nself.said = {said!r}"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def kernel(root: Path) -> Iterator[Kernel]:
    """Give a kernel in which a run of cells has failed, after an older file of their flow was written."""
    started = begun(root)
    started.check("from metaflow import Parameter\nlimit = Parameter('limit', default=1)")
    started.check("def helper(x):\n    return x + 1")
    started.check("%%mf_step start\nself.x = 1")
    started.check(FIT.format(limit=99))
    started.check("%mf_flow --name GrownFlow --export flows/grown.py")
    started.check(FIT.format(limit=5))
    started.check("def helper(x):\n    return x + 2")
    output = started.run("%mf_flow --run --limit 7")
    assert "ValueError: too much" in output.error
    assert "helper is as fit found it" in output.displays[0]["text/plain"]
    yield started
    started.close()


def test_a_failed_run_of_cells_is_replayed_with_the_cells_and_mended_in_them(kernel: Kernel, root: Path) -> None:
    output = kernel.run("%mf_run_step fit")
    assert output.error == "ValueError: too much"
    assert "flows/grown.py is older" in kernel.check("%mf_run_step start").text
    kernel.check("%mf_debug GrownFlow --output ../notebooks/then.ipynb")
    kernel.check(FIT.format(limit=9))
    assert "changed  y  2 → 3" in kernel.check("%mf_run_step fit").text
    kernel.check("%mf_debug GrownFlow --output ../notebooks/now.ipynb")
    texts = [
        "".join("".join(cell["source"]) for cell in json.loads((root / "notebooks" / name).read_text())["cells"])
        for name in ("then.ipynb", "now.ipynb")
    ]
    assert all("if self.limit > 5" in text for text in texts), "the step as it ran"
    assert ["+        if self.limit > 9:" in text for text in texts] == [False, True]
    kernel.check("%mf_flow --export flows/grown.py --force")
    grown = root / "flows" / "grown.py"
    grown.write_text(grown.read_text().replace("helper(self.x)", "helper(-self.x)"))
    kernel.check("%mf_run_step fit")
    assert kernel.check("self.y").text == kernel.check("helper(-1)").text, "the file is newer than the cells"


def test_a_run_of_cells_stays_what_it_was_when_they_change_under_it(kernel: Kernel, root: Path) -> None:
    kernel.check("%mf_flow --clear")
    kernel.check("%mf_flow --name LongFlow\nslow = Parameter('slow', default=0)")
    kernel.check(SLOW)
    kernel.check(SECOND.format(said="before"))
    (root / "begun").unlink()
    kernel.check("run = %mf_flow --run --background --slow 1")
    deadline = time.monotonic() + 60
    while not (root / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    kernel.check(SECOND.format(said="after"))
    assert "LongFlow" in kernel.check("%mf_flow --run --name LongFlow --test").displays[0]["text/plain"]
    assert "LongFlow has no test mode" in kernel.check("_").displays[0]["text/plain"]
    assert kernel.check("run.wait()['second']['said']").text == "'before'"
    assert kernel.check("%mf_artifacts LongFlow/second said\nsaid").text == "'after'"


def test_an_export_does_not_take_away_the_steps_that_another_notebook_wrote(kernel: Kernel, root: Path) -> None:
    kernel.check("%mf_flow --clear")
    for name in ("start", "load", "fit"):
        kernel.check(f"%%mf_step {name}\nself.x = 1")
    kernel.check("%mf_flow --name SharedFlow --export flows/shared.py")
    kernel.check("%mf_flow --drop fit")
    kernel.check("%mf_flow --export flows/shared.py")
    kernel.check("%%mf_step fit\nself.x = 2")
    kernel.check("%mf_flow --export flows/shared.py")
    kernel.check("%mf_flow --clear")
    kernel.check("%%mf_step start\nself.x = 1")
    refused = kernel.run("%mf_flow --name SharedFlow --export flows/shared.py")
    assert "flows/shared.py has the steps load, fit, and this flow has not." in refused.traceback
    assert "def load" in (root / "flows" / "shared.py").read_text()
    kernel.check("%mf_flow --export flows/shared.py --force")
