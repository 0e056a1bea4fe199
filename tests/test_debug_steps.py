"""`kit debug` of steps and failures of all kinds: the cells do what the step did, and fail where it failed."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from support import run_flow, write_files

from kit.cli import main
from kit.debugging.split import in_one_piece

GROUPS = sys.version_info >= (3, 11)  # Python has exception groups
FLOW = """
    from metaflow import FlowSpec, environment, step

    from parts.mixed import Mixed


    class MixedFlow(Mixed, FlowSpec):
        @step
        def start(self):
            self.__hidden = 1
            self.shown = self.__hidden
            self.next(self.work)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        MixedFlow()
"""
MIXED = """
    import os

    from metaflow import environment, step

    from .who import who

    SCALE = 10


    class Mixed:
    \tdef ratio(self, n):
    \t\treturn SCALE / n  # as it was

    \t@environment(vars={"PLACE": "data.txt"})
    \t@step
    \tdef work(self):
    \t\tfrom metaflow import current

    \t\tself.number = int(open(os.environ["PLACE"]).read())
    \t\tself.same = who() == current.task_id
    \t\tif self.same:
    \t\t\tself.text = '''
    not indented'''

    \t\tself.result = self.ratio(self.number)
    \t\tself.next(self.end)
"""
WHO = "from metaflow import current\n\n\ndef who():\n    return current.task_id\n"
ONE_STEP = """
    import os, signal
    from metaflow import FlowSpec, step


    class OneFlow(FlowSpec):
        @step
        def start(self):
            self.begun = True

            BODY
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        OneFlow()
"""


def debug(*arguments: str):
    done = CliRunner().invoke(main, ["debug", *arguments, "--output", "notebooks/debug.ipynb", "--force"])
    assert done.exit_code == 0, done.output
    node = nbformat.read(Path("notebooks", "debug.ipynb"), as_version=4)
    nbformat.validate(node)
    text = "\n\n".join(cell.source for cell in node.cells if cell.cell_type == "markdown")
    return done.output, text, [cell for cell in node.cells if cell.cell_type == "code"]


def failed(cells):
    return [cell.source for cell in cells if "failed" in cell.metadata.get("tags", ())]


@pytest.mark.flow
@pytest.mark.kernel
def test_cells_find_what_a_step_of_another_module_found_in_its_process(make_project, monkeypatch, start_kernel):
    files = {"flows/mixed.py": FLOW, "flows/parts/mixed.py": MIXED, "flows/parts/who.py": WHO}
    root = make_project({**files, "flows/parts/__init__.py": "", "data.txt": "0"})
    monkeypatch.setenv("METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE", "1")
    run_flow(root / "flows" / "mixed.py", cwd=root, check=False)
    mended = {"flows/parts/mixed.py": MIXED.replace("SCALE / n  # as it was", "SCALE / n if n else None")}
    write_files(root, mended)
    monkeypatch.chdir(root)
    _, text, cells = debug("MixedFlow")
    assert failed(cells) == ["self.result = self.ratio(self.number)"]
    assert "of `parts/mixed.py`: `ZeroDivisionError" in text
    kernel = start_kernel(root / "notebooks")
    outputs = {cell.source: kernel.run(cell.source) for cell in cells}
    raised = {source: output.error for source, output in outputs.items() if output.error}
    assert raised == {failed(cells)[0]: "ZeroDivisionError: division by zero"}
    assert kernel.check("self.number, self.same, self.text, self.result").text == r"(0, True, '\nnot indented', None)"

    # A name that is private to the flow's class is the same one in a cell that stands in for the step's body.
    assert (
        "1 artifact"
        in kernel.check("%%mf_run_step MixedFlow/start\nself.__hidden = 1\nself.shown = self.__hidden").text
    )


@pytest.mark.flow
@pytest.mark.parametrize(
    ("body", "said", "marked"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "its process was killed by SIGKILL, as when memory runs out", False),
        ("os._exit(3)", "its process ended with exit status 3", False),
        ("self.lock = __import__('threading').Lock()", 'Cannot pickle dump artifact named "lock"', False),
        *[("raise ExceptionGroup('many', [ValueError(1)])", "ExceptionGroup: many (1 sub-exception)", True)][:GROUPS],
    ],
)
def test_a_task_that_left_no_exception_has_failed_too_and_says_what_is_known(
    make_project, monkeypatch, body, said, marked
):
    root = make_project({"flows/one.py": ONE_STEP.replace("BODY", body)})
    run_flow(root / "flows" / "one.py", cwd=root, check=False)
    monkeypatch.chdir(root)
    output, text, cells = debug("OneFlow")
    assert "took start/1, which failed" in output
    assert said in text
    assert failed(cells) == ([body] if marked else [])


@pytest.mark.flow
def test_what_catch_has_kept_is_marked_as_caught(make_project, monkeypatch):
    flow = ONE_STEP.replace("BODY", "failed_task = 1 / 0").replace("import FlowSpec", "import FlowSpec, catch")
    root = make_project(
        {
            "flows/one.py": flow.replace(
                "@step\n        def start", '@catch(var="err")\n        @step\n        def start'
            )
        }
    )
    run_flow(root / "flows" / "one.py", cwd=root)
    monkeypatch.chdir(root)
    output, text, cells = debug("OneFlow/start")
    assert "start/1 did not fail" in output
    assert "`@catch` kept its exception as `err`" in text
    assert failed(cells) == ["failed_task = 1 / 0"]
    assert cells[-1].source == "%mf_run_step {failed_task_}"  # a name that the step leaves alone


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("def f():\n    return 1\n\nself.x = f()\n", ""),
        ("def f():\n    n = 1\n    def g():\n        nonlocal n\n        n += 1\n", ""),
        ("class K:\n    def __init__(self):\n        super().__init__()\n", ""),
        ("if self.x:\n    return\n", "a `return`"),
        ("n = 1\ndef f():\n    nonlocal n\n    n += 1\n", "a `nonlocal` variable"),
        ("super().work()\n", "a bare `super()`"),
        ("self.__seen = 1\n", "the private name `__seen`"),
        ("global COUNT\nCOUNT += 1\n", "a `global` statement"),
        ("x = asyncio.run(go())\n", "`asyncio.run`, where a notebook runs an event loop of its own"),
    ],
)
def test_a_body_that_means_something_else_in_cells_of_its_own_stays_in_one_piece(body, why):
    assert in_one_piece(body) == why
