"""`kit test` among notebooks that misbehave: a clear word on each, the others go on, and no process is left."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from kernel_bench import MARKER, alive, wait_until
from nbformat.v4 import new_code_cell, new_notebook
from support import write_files

pytestmark = pytest.mark.kernel

SPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
LEAVE = "import subprocess\nfor new in (0, 1):\n    subprocess.Popen(['sleep', '1000'], start_new_session=bool(new))"


class Suite:
    """A project whose notebooks are tested.

    Args:
        root: Its root.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.marker = root, uuid.uuid4().hex
        write_files(root, {"pyproject.toml": "[tool.kit]\n", "flows/common.py": ""})

    def notebook(self, name: str, *sources: str, kernel: str = "python3") -> Path:
        cells = [new_code_cell(source) for source in sources]
        path = self.root / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(
            new_notebook(cells=cells, metadata={"kernelspec": {**SPEC, "name": kernel}} if kernel else {}), path
        )
        return path

    def start(self, *arguments: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "kit", "test", *arguments],
            cwd=self.root,
            env={**os.environ, MARKER: self.marker},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=before,
        )

    def run(self, *arguments: str, before: Callable[[], None] | None = None) -> tuple[int, str]:
        process = self.start(*arguments, before=before)
        printed, _ = process.communicate(timeout=120)
        return process.returncode, printed

    def executed(self, name: str) -> nbformat.NotebookNode:
        (path,) = (self.root / ".kit").rglob(f"{name}.ipynb")
        node = nbformat.read(path, as_version=4)
        nbformat.validate(node)
        return node

    def states(self, name: str) -> list[str]:
        return [cell.metadata.papermill.status for cell in self.executed(name).cells]


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    """Give a project; whatever its tests start has ended when the test is over."""
    own = Suite(tmp_path / "project")
    yield own
    try:
        wait_until(lambda: not alive(own.marker))
    finally:
        for pid in alive(own.marker):
            os.kill(int(pid), signal.SIGKILL)


def test_endless_loop_is_stopped_and_the_others_go_on(suite: Suite) -> None:
    suite.notebook("a", "x = 1", "while True:\n    pass", "y = 2")
    suite.notebook("b", "print('fine')")
    status, printed = suite.run("--cell-timeout", "1.5")
    assert status == 1
    assert "cell [2] took longer than 1.5 s" in printed
    assert "passed notebooks/b.ipynb" in printed
    assert suite.states("a") == ["completed", "failed", "pending"]


def test_kernel_that_runs_out_of_memory_names_the_cell(suite: Suite) -> None:
    suite.notebook(
        "a", "x = 1", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)  # as the system does", "y = 2"
    )
    status, printed = suite.run()
    assert status == 1
    assert "cell [2]: the kernel was killed by SIGKILL, as when memory runs out" in printed
    assert suite.states("a") == ["completed", "failed", "pending"]


def test_kernel_that_died_once_is_given_another_chance_where_asked(suite: Suite) -> None:
    die_once = "import os\nif not os.path.exists('died'):\n    open('died', 'w')\n    os._exit(1)"
    suite.notebook("a", die_once, "print('alive')")
    status, printed = suite.run("--retries", "1")
    assert status == 0, printed
    assert "the kernel ended with status 1; executed again (1 of 1)" in printed
    (suite.root / "notebooks" / "died").unlink()
    assert suite.run()[0] == 1


def test_cell_that_prints_100_megabytes_does_not_take_the_suite_with_it(suite: Suite) -> None:
    suite.notebook("a", "for i in range(1000):\n    print('x' * 99_999)", "print('after')")
    status, printed = suite.run()
    assert status == 0, printed
    assert "characters of the outputs of cell [1] were not kept" in printed
    assert suite.executed("a").cells[1].outputs[0].text == "after\n"


def test_processes_that_a_notebook_left_running_are_ended(suite: Suite) -> None:
    suite.notebook("a", LEAVE)
    suite.notebook("b", f"{LEAVE}\nimport os\nos._exit(1)")
    assert suite.run()[0] == 1


def test_interrupt_gives_a_partial_report_and_leaves_nothing(suite: Suite) -> None:
    suite.notebook("a", "x = 1")
    suite.notebook("b", f"{LEAVE}\nopen('started', 'w').close()", "import time\ntime.sleep(1000)")
    suite.notebook("c", "x = 1")
    process = suite.start("-n", "1")
    wait_until((suite.root / "notebooks" / "started").exists, 60)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130, printed
    assert "1 passed, 2 not run" in printed
    assert "kit: interrupted" in printed
    assert suite.states("b") == ["completed", "running"]


def test_runner_that_is_killed_leaves_nothing(suite: Suite) -> None:
    suite.notebook("a", f"{LEAVE}\nopen('started', 'w').close()", "import time\ntime.sleep(1000)")
    process = suite.start()
    wait_until((suite.root / "notebooks" / "started").exists, 60)
    process.kill()
    process.communicate(timeout=30)
    wait_until(lambda: not alive(suite.marker), 5)


SLOW = """
    from metaflow import FlowSpec, step


    class SlowFlow(FlowSpec):
        @step
        def start(self):
            open("started", "w").close()
            __import__("time").sleep(1000)
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        SlowFlow()
"""


def test_runner_that_is_killed_leaves_no_flow_running(suite: Suite) -> None:
    write_files(suite.root, {"flows/slow.py": SLOW})
    path = suite.notebook("a", "run = ''")
    node = nbformat.read(path, as_version=4)
    node.metadata["kit"], node.cells[0].metadata["tags"] = {"runs": {"run": "SlowFlow"}}, ["parameters"]
    nbformat.write(node, path)
    process = suite.start()
    wait_until((suite.root / "started").exists, 60)
    process.kill()
    process.communicate(timeout=30)


def test_full_disk_fails_the_notebook_that_it_hits(suite: Suite) -> None:
    suite.notebook("a", "import os\nprint(os.urandom(200_000).hex())")
    suite.notebook("b", "x = 1")
    limit = 100_000  # bytes a file may have: to a writer it is as a disk that is full
    status, printed = suite.run(before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert status == 1
    assert "the executed copy could not be written: File too large" in printed
    assert "passed notebooks/b.ipynb" in printed
    assert not list((suite.root / ".kit").rglob("a.ipynb"))


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        ("", 1, "is not valid JSON"),
        ("{", 1, "is not valid JSON"),
        ('{"cells": 1, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', 1, "is not a notebook"),
        (json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), 0, "1 passed"),
    ],
    ids=["empty file", "cut off", "invalid", "no cells"],
)
def test_notebook_that_is_none_fails_by_itself(suite: Suite, content: str, status: int, message: str) -> None:
    suite.notebook("a").write_text(content)
    found, printed = suite.run()
    assert found == status, printed
    assert message in printed


def test_notebook_of_an_old_format_is_executed(suite: Suite) -> None:
    cell = {"cell_type": "code", "collapsed": False, "input": "print(3)", "language": "python", "metadata": {}}
    old = {"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0}
    old["worksheets"] = [{"cells": [{**cell, "outputs": []}], "metadata": {}}]
    suite.notebook("a").write_text(json.dumps(old))
    status, printed = suite.run()
    assert status == 0, printed
    assert suite.executed("a").cells[0].outputs[0].text == "3\n"


def test_kernel_that_is_not_installed_is_named(suite: Suite) -> None:
    suite.notebook("a", "1", kernel="no-such-kernel")
    status, printed = suite.run()
    assert status == 1
    assert "there is no kernel 'no-such-kernel'" in printed


def test_notebook_that_deletes_its_own_file_and_anothers(suite: Suite) -> None:
    suite.notebook("a", "import os\nos.remove('a.ipynb')\nos.remove('b.ipynb')", "print('still here')")
    suite.notebook("b", "1")
    status, printed = suite.run("-n", "1")
    assert status == 1
    assert "passed notebooks/a.ipynb" in printed
    assert "the notebook is gone" in printed


def test_two_suites_at_once_in_one_project_do_not_disturb_each_other(suite: Suite) -> None:
    for name in "abc":
        suite.notebook(name, "import time\ntime.sleep(0.3)\nprint(1)")
    both = [suite.start() for _ in range(2)]
    for process in both:
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 0, printed
        assert "3 passed" in printed
    assert len(list((suite.root / ".kit").rglob("a.ipynb"))) == 2


def test_each_notebook_runs_in_its_own_folder(suite: Suite) -> None:
    for name in ("one", "two"):
        path = suite.notebook(name, f"import os\nassert os.path.basename(os.getcwd()) == {name!r}, os.getcwd()")
        folder = path.parent / name
        folder.mkdir()
        path.rename(folder / path.name)
    status, printed = suite.run("-n", "2")
    assert status == 0, printed
