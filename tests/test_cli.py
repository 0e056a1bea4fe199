"""`kit test` as a process, on small projects of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from support import write_files

from kit.cli import main

pytestmark = [pytest.mark.flow, pytest.mark.kernel]

COMMON = "GREETING = 'hello'\n"

FIRST = """
    from metaflow import FlowSpec, Parameter, step

    import common


    class FirstFlow(FlowSpec):
        test_mode = Parameter("test_mode", type=bool, default=False)
        size = Parameter("size", type=int, default=10)

        @step
        def start(self):
            self.text = common.GREETING
            self.rows = 1 if self.test_mode else self.size
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        FirstFlow()
"""

SECOND = """
    from metaflow import Flow, FlowSpec, step


    class SecondFlow(FlowSpec):
        @step
        def start(self):
            self.text = Flow("FirstFlow").latest_successful_run.data.text
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        SecondFlow()
"""

FAILING = """
    from metaflow import FlowSpec, step


    class FailingFlow(FlowSpec):
        @step
        def start(self):
            raise RuntimeError("nothing works")
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        FailingFlow()
"""

PINNED = """
    from metaflow import FlowSpec, pypi, step


    class PinnedFlow(FlowSpec):
        @pypi(python="3.6.1", packages={"click": "1.0", "jinja2": ">=2"})
        @step
        def start(self):
            import click

            self.version = click.__name__
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        PinnedFlow()
"""


def notebook(path: Path, *cells: str, runs: dict[str, str] | None = None, kernel: str = "python3") -> None:
    """Write a notebook; a first line `# parameters` tags its cell."""
    nodes = [new_markdown_cell("# A notebook")]
    for source in cells:
        node = new_code_cell(source)
        if source.startswith("# parameters"):
            node.metadata["tags"] = ["parameters"]
        nodes.append(node)
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    if runs:
        metadata["kit"] = {"runs": runs}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=nodes, metadata=metadata), path)


def kit(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command `kit`."""
    return subprocess.run(
        [sys.executable, "-m", "kit", *arguments],
        cwd=root,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    write_files(root, {"flows/common.py": COMMON, "flows/first.py": FIRST, "flows/second.py": SECOND})
    return root


def test_flows_run_in_test_mode_before_the_notebooks_that_read_them(project: Path) -> None:
    notebook(
        project / "notebooks" / "debug {odd}.ipynb",
        "%load_ext kit",
        "# parameters\nfirst = 'FirstFlow'\nsecond = 'SecondFlow'",
        "table = %mf_artifacts {first}\nassert table['start']['rows'] == 1, 'not in test mode'",
        "again = %mf_artifacts {second}\nassert again['start']['text'] == common.GREETING\nprint(first, second)",
        "result = %mf_run_step {first}/start\nassert not result.changed",
        runs={"first": "FirstFlow", "second": "SecondFlow"},
    )
    before = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    done = kit(project, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert done.stdout.index("passed FirstFlow") < done.stdout.index("passed SecondFlow")
    new = {path for path in project.rglob("*") if "__pycache__" not in path.parts} - before
    assert all(".kit" in path.parts for path in new), "the project's own datastore is left alone"
    (executed,) = (project / ".kit").rglob("*.ipynb")
    assert str(executed.parents[1].relative_to(project)) in done.stdout
    node = nbformat.read(executed, as_version=4)
    nbformat.validate(node)
    texts = [output.get("text", "") for cell in node.cells for output in cell.get("outputs", ())]
    assert any("FirstFlow/" in text and "SecondFlow/" in text for text in texts)


def test_root_without_a_name_can_run_the_suite(project: Path) -> None:
    look = "%load_ext kit\n%mf_artifacts FirstFlow"
    notebook(project / "notebooks" / "n.ipynb", look, "# parameters\nrun = ''", runs={"run": "FirstFlow"})
    done = kit(project, "test", USERNAME="", USER="root", LOGNAME="root")
    assert done.returncode == 0, done.stdout + done.stderr


def test_settings_give_a_flow_its_test_mode(project: Path) -> None:
    write_files(project, {"pyproject.toml": "[tool.kit.test.FirstFlow]\nsize = 3\nargs = ['--tag', 'smoke']\n"})
    check = "from metaflow import Run\nassert Run(run).data.rows == 3 and 'smoke' in Run(run).user_tags"
    notebook(
        project / "notebooks" / "n.ipynb", "# parameters\nrun = ''", "%load_ext kit", check, runs={"run": "FirstFlow"}
    )
    done = kit(project, "test")
    assert done.returncode == 0, done.stdout + done.stderr


def test_settings_give_a_flow_its_configs_and_what_runs_before_it(project: Path) -> None:
    configured = FIRST.replace("FirstFlow", "ConfiguredFlow").replace("import FlowSpec", "import Config, FlowSpec")
    configured = configured.replace("test_mode = Parameter", 'grid = Config("grid")\n        test_mode = Parameter')
    settings = """
        [tool.kit.test.ConfiguredFlow]
        config = { grid = "small.json" }
        needs = ["FirstFlow"]
    """
    files = {"flows/configured.py": configured.replace("common.GREETING", "self.grid.name"), "pyproject.toml": settings}
    write_files(project, files | {"small.json": '{"name": "small"}'})
    check = "from metaflow import Run\nassert Run(run).data.text == 'small'"
    path = project / "notebooks" / "n.ipynb"
    notebook(path, "# parameters\nrun = ''", "%load_ext kit", check, runs={"run": "ConfiguredFlow"})
    done = kit(project, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.index("passed FirstFlow") < done.stdout.index("passed ConfiguredFlow")


def test_failing_cell_is_reported_with_its_source_and_traceback(project: Path) -> None:
    notebook(project / "notebooks" / "good.ipynb", "x = 1")
    notebook(project / "notebooks" / "bad.ipynb", "x = 1", "y = 1 / (x - 1)", "z = 3")
    done = kit(project, "test", "-n", "2")
    assert done.returncode == 1
    assert "1 passed, 1 failed" in done.stdout
    assert "cell [2]: ZeroDivisionError: division by zero" in done.stdout
    assert "y = 1 / (x - 1)" in done.stdout
    assert "Traceback" in done.stdout
    executed = {path.name for path in (project / ".kit").rglob("*.ipynb")}
    assert executed == {"good.ipynb", "bad.ipynb"}


def test_flow_that_fails_fails_the_suite_and_its_notebooks_are_not_run(project: Path) -> None:
    write_files(project, {"flows/failing.py": FAILING})
    notebook(project / "notebooks" / "n.ipynb", "# parameters\nrun = ''", "1 / 0", runs={"run": "FailingFlow"})
    notebook(project / "notebooks" / "other.ipynb", "1")
    done = kit(project, "test")
    assert done.returncode == 1
    assert "1 passed, 1 failed, 1 not run" in done.stdout
    assert "FailingFlow failed in test mode: RuntimeError: nothing works" in done.stdout
    assert "it wants a run of FailingFlow, which failed" in done.stdout
    assert 'raise RuntimeError("nothing works")' in done.stdout


def test_flow_file_that_does_not_load_fails_by_name(project: Path) -> None:
    write_files(project, {"flows/first.py": FIRST.replace("import common", "import no_such_module")})
    notebook(project / "notebooks" / "n.ipynb", "# parameters\nrun = ''", runs={"run": "FirstFlow"})
    done = kit(project, "test")
    assert done.returncode == 1
    assert "FirstFlow does not load: ModuleNotFoundError: No module named 'no_such_module'" in done.stdout


def test_flow_whose_file_runs_another_one_fails_by_name(project: Path) -> None:
    other = "    class OtherFlow(FirstFlow):\n        pass\n\n\n"
    text = FIRST.replace("    if __name__", f"{other}    if __name__").replace(
        "        FirstFlow()", "        OtherFlow()"
    )
    write_files(project, {"flows/first.py": text})
    notebook(project / "notebooks" / "n.ipynb", "# parameters\nrun = ''", runs={"run": "FirstFlow"})
    done = kit(project, "test")
    assert done.returncode == 1
    assert "first.py runs OtherFlow, not FirstFlow" in done.stdout


def test_pinned_flow_runs_on_the_packages_at_hand_and_says_so(project: Path) -> None:
    write_files(project, {"flows/pinned.py": PINNED})
    notebook(project / "notebooks" / "n.ipynb", "# parameters\nrun = ''", "print(run)", runs={"run": "PinnedFlow"})
    done = kit(project, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PinnedFlow/start ran without its pins: python 3." in done.stdout
    assert "instead of 3.6.1, click " in done.stdout
    assert "jinja2" not in done.stdout


def test_pin_that_nothing_here_can_stand_in_for_is_refused(project: Path) -> None:
    write_files(project, {"flows/pinned.py": PINNED.replace('"click": "1.0"', '"no-such-distribution": "1.0"')})
    notebook(project / "notebooks" / "n.ipynb", "# parameters\nrun = ''", runs={"run": "PinnedFlow"})
    done = kit(project, "test")
    assert done.returncode == 1
    assert "pins no-such-distribution==1.0" in done.stdout
    assert "%mf_install_deps no-such-distribution" in done.stdout


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text('{"cells": ['), "is not valid JSON"),
        (lambda path: path.write_text(json.dumps({"a": 1})), "is not a notebook"),
        (lambda path: notebook(path, "1", kernel="no-such-kernel"), "there is no kernel 'no-such-kernel'"),
        (lambda path: notebook(path, "1", runs={"run": "FirstFlow"}), "has no cell tagged `parameters`"),
        (lambda path: notebook(path, "# parameters\nother = 1", runs={"run": "FirstFlow"}), "does not set run"),
        (lambda path: notebook(path, "# parameters\nrun = ''", runs={"run": "NoFlow"}), "no such flow"),
    ],
    ids=["not JSON", "not a notebook", "no kernel", "no parameters cell", "undeclared parameter", "unknown flow"],
)
def test_notebook_that_cannot_be_tested_fails_by_itself(project: Path, write: object, message: str) -> None:
    bad = project / "notebooks" / "bad.ipynb"
    bad.parent.mkdir()
    write(bad)
    notebook(project / "notebooks" / "good.ipynb", "1")
    done = kit(project, "test")
    assert done.returncode == 1, done.stdout + done.stderr
    assert message in done.stdout
    assert "passed notebooks/good.ipynb" in done.stdout


def test_cell_that_takes_too_long_is_stopped(project: Path) -> None:
    notebook(project / "notebooks" / "slow.ipynb", "import time\ntime.sleep(60)")
    done = kit(project, "test", "--timeout", "2")
    assert done.returncode == 1
    assert "cell [1]: the notebook took longer than 2 s" in done.stdout


def test_parameters_of_the_command_line_reach_the_notebooks(project: Path) -> None:
    notebook(
        project / "notebooks" / "n.ipynb", "# parameters\nsize = 1\nname = ''", "assert (size, name) == (5, 'a b')"
    )
    assert kit(project, "test", "-p", "size", "5", "-p", "name", "a b").returncode == 0
    done = kit(project, "test", "-p", "sise", "5")
    assert done.returncode == 2
    assert "No notebook declares the parameter sise." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "There are no notebooks in notebooks."),
        (("missing.ipynb",), "There is no notebook missing.ipynb."),
        (("--no-such-option",), "No such option"),
    ],
)
def test_what_cannot_start_exits_with_2(project: Path, arguments: tuple[str, ...], message: str) -> None:
    done = kit(project, "test", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_folder_that_is_no_project_exits_with_2(tmp_path: Path) -> None:
    done = kit(tmp_path, "test")
    assert done.returncode == 2
    assert done.stderr.startswith("kit: There is no Metaflow project in")
    assert len(done.stderr.splitlines()) == 2


def test_named_notebook_is_tested_alone_from_any_folder(project: Path, tmp_path: Path) -> None:
    notebook(project / "notebooks" / "one.ipynb", "1")
    notebook(project / "notebooks" / "two.ipynb", "1 / 0")
    done = kit(tmp_path, "test", str(project / "notebooks" / "one.ipynb"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


SLEEPING = FAILING.replace('raise RuntimeError("nothing works")', "__import__('time').sleep(100)")


@pytest.mark.parametrize("where", ["flow", "notebook"])
def test_interrupt_ends_everything_that_was_started(project: Path, where: str) -> None:
    marker = f"kit-test-{where}-{os.getpid()}"
    if where == "flow":
        write_files(project, {"flows/sleeping.py": SLEEPING.replace("FailingFlow", "SleepingFlow")})
        notebook(project / "notebooks" / "n.ipynb", "# parameters\nrun = ''", runs={"run": "SleepingFlow"})
    else:
        notebook(project / "notebooks" / "n.ipynb", "open('started', 'w')\nimport time\ntime.sleep(100)")
    environ = {**os.environ, "KIT_TEST_MARKER": marker}
    process = subprocess.Popen([sys.executable, "-m", "kit", "test"], cwd=project, env=environ, stderr=subprocess.PIPE)
    wait_until(lambda: len(marked(marker)) >= 3)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=30)
    assert process.returncode == 130, printed
    assert b"kit: interrupted" in printed
    wait_until(lambda: not marked(marker))


def marked(marker: str) -> list[str]:
    """Find the processes that have a marker in their environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in environ.read_bytes() and "Z" not in (environ.parent / "stat").read_text().split()[2]:
                found.append(environ.parent.name)
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def test_notebook_outside_the_project_is_left_as_it_was(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "out.ipynb"
    notebook(project / "notebooks" / "in.ipynb", "1")
    notebook(outside, "print('outside')")
    before = outside.read_bytes()
    done = kit(project, "test", "notebooks/in.ipynb", str(outside))
    assert done.returncode == 0, done.stdout + done.stderr
    assert outside.read_bytes() == before
    assert {path.name for path in (project / ".kit").rglob("*.ipynb")} == {"in.ipynb", "out.ipynb"}


def test_version_is_told() -> None:
    assert kit(Path.cwd(), "--version").stdout.startswith("kit, version ")


@pytest.mark.parametrize(("words", "meant"), [(["chek"], "check"), (["env", "lst"], "list")])
def test_a_command_that_is_mistyped_is_answered_with_the_near_one(words: list[str], meant: str) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert done.output.count(f"Did you mean {meant!r}?") == 1
