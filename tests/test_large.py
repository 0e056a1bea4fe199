"""Artifacts of many megabytes, and those that are not pickles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import run_flow, write_files

import kit

pytestmark = pytest.mark.flow

SIZE = 100_000_000
LARGE = f"""
    from metaflow import FlowSpec, step


    class LargeFlow(FlowSpec):
        @step
        def start(self):
            import numpy

            self.content = bytes({SIZE})
            self.array = numpy.ones({SIZE} // 8)
            self.small = 1
            self.note = "written by a serializer of somebody's"
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        LargeFlow()
"""

LOAD = """
import json
import sys
import numpy
import kit

def peak():  # of this program alone: what getrusage says holds the memory of the process that started it
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

table = kit.artifacts("LargeFlow")
repr(table), table._repr_html_(), table.infos(), table["start"]["small"]
step, before = table["start"], peak()
value = step[sys.argv[1]]
print(json.dumps([before, peak() - before, sys.getsizeof(value)]))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("large") / "project"
    write_files(root, {"flows/large.py": LARGE, "pyproject.toml": "[tool.kit]\n"})
    run_flow(root / "flows" / "large.py", cwd=root)
    return root


@pytest.mark.parametrize("name", ["content", "array"])
def test_a_large_artifact_is_not_listed_into_memory_and_loaded_into_it_once(recorded: Path, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOAD, name], cwd=recorded, capture_output=True, text=True, check=True)
    listed, loaded, size = json.loads(done.stdout)
    assert listed < 1.5 * SIZE  # two artifacts of that size were listed
    assert size >= SIZE or name == "array"  # numpy's array lies in the pickle's bytes
    assert loaded < 1.2 * SIZE


def test_an_artifact_that_is_no_pickle_says_what_it_lacks(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)
    (listed,) = recorded.glob(".metaflow/LargeFlow/*/start/*/0.data.json")
    data = json.loads(listed.read_text())
    data["info"]["note"]["encoding"] = "somebodys-v1"
    listed.write_text(json.dumps(data))
    sha = data["objects"]["note"]
    blob = recorded / ".metaflow" / "LargeFlow" / "data" / sha[:2] / sha
    with pytest.raises(kit.KitError, match=r"somebodys-v1(.|\n)*Install the Metaflow extension"):
        kit.artifacts("LargeFlow/start").load("note")
    blob.rename(blob.with_suffix(".gone"))
    with pytest.raises(kit.KitError, match=r"the data of note is missing(.|\n)*bring back"):
        kit.artifacts("LargeFlow/start").load("note")
