"""A step's body in the notebook: from a cell for one replay, and line by line on what the step finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_client import Kernel
from support import run_flow, write_files

pytestmark = [pytest.mark.kernel, pytest.mark.flow]

FILES = {
    "pyproject.toml": "[tool.kit]\n",
    "flows/common.py": """
        def double(number):
            return 2 * number
        """,
    "flows/letters.py": """
        import math

        import common
        from metaflow import FlowSpec, Parameter, current, step

        LIMIT = 3

        class LettersFlow(FlowSpec):
            number = Parameter("number", default=5)

            @step
            def start(self):
                # what the flow is about
                text = '''
        two lines,
          not dedented'''
                self.text = text
                self.number_doubled = common.double(self.number)
                if self.number > LIMIT:
                    self.root = math.sqrt(self.number)
                self.where = current.pathspec
                self.next(self.letter, foreach="text_parts")

            @property
            def text_parts(self):
                return ["a", "b", "c"]

            @step
            def letter(self):
                self.upper = self.input.upper()
                self.next(self.join)

            @step
            def join(self, parts):
                self.word = "".join(part.upper for part in parts)
                self.merge_artifacts(parts, include=["text"])
                self.next(self.end)

            @step
            def end(self): print(self.word)

        if __name__ == "__main__":
            LettersFlow()
        """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bodies") / "project"
    write_files(root, FILES)
    (root / ".metaflow").mkdir()
    run_flow(root / "flows" / "letters.py", cwd=root)
    return root


@pytest.fixture
def kernel(project: Path, start_kernel: Callable[..., Kernel]) -> Kernel:
    kernel = start_kernel(project)
    kernel.check("%load_ext kit")
    return kernel


def test_cell_is_the_body_of_the_step_for_one_replay(kernel: Kernel) -> None:
    output = kernel.check(
        "%%mf_run_step LettersFlow/letter --index 1\nself.upper = common.double(self.input.upper())\nself.extra = LIMIT"
    )
    assert "≠ changed" in output.text
    assert "upper" in output.text
    assert "next: join" in output.text  # what the file says, where the cell says nothing
    assert kernel.check("print(self.upper, self.extra, self.index)").stdout == "BB 3 1\n"
    assert "changed" not in kernel.check("%mf_run_step LettersFlow/letter --index 1").text


def test_cell_may_go_on_by_itself_and_then_downstream(kernel: Kernel) -> None:
    output = kernel.check("%%mf_run_step LettersFlow/letter --index 1 --to end\nself.upper = 'X'\nself.next(self.join)")
    assert output.stdout == "AXC\n"
    assert "word" in output.text


def test_error_in_the_cell_shows_the_line_of_the_cell(kernel: Kernel) -> None:
    output = kernel.run("%%mf_run_step LettersFlow/letter\nself.upper = 1\nself.upper / 0")
    assert "def letter(self):" in output.traceback
    assert output.error == "ZeroDivisionError: division by zero"
    assert "line 3" in output.traceback
    assert "self.upper / 0" in output.traceback
    assert "metaflow" not in output.traceback
    assert "kit/replay" not in output.traceback


def test_cell_that_does_not_parse_is_a_syntax_error_at_its_line(kernel: Kernel) -> None:
    output = kernel.run("%%mf_run_step LettersFlow/letter\nself.upper = 1\nself.upper = = 2")
    assert output.error.startswith("SyntaxError")
    assert "self.upper = = 2" in output.traceback


def test_inputs_bind_what_the_body_needs_and_put_it_into_a_new_cell(kernel: Kernel) -> None:
    kernel.check("LIMIT = 'mine'")
    reply = kernel.execute("%mf_run_step LettersFlow/start --inputs")
    (payload,) = [part for part in reply["payload"] if part["source"] == "set_next_input"]
    assert payload["text"] == (
        "# what the flow is about\n"
        "text = '''\ntwo lines,\n  not dedented'''\n"
        "self.text = text\n"
        "self.number_doubled = common.double(self.number)\n"
        "if self.number > LIMIT:\n"
        "    self.root = math.sqrt(self.number)\n"
        "self.where = current.pathspec\n"
        'self.next(self.letter, foreach="text_parts")\n'
    )
    kernel.check("assert LIMIT == 'mine'; LIMIT = 3")
    for _ in range(2):  # a cell may be run again
        kernel.check(payload["text"])
    assert kernel.check("print(self.root > 2, self._transition, self.where.split('/')[2])").stdout == (
        "True (['letter'], 'text_parts') start\n"
    )


def test_inputs_of_a_join_have_the_name_that_the_step_gives_them(kernel: Kernel) -> None:
    kernel.check("%mf_run_step LettersFlow/join --inputs")
    assert kernel.check("print([part.upper for part in parts])").stdout == "['A', 'B', 'C']\n"
    kernel.check("self.merge_artifacts(parts, include=['text']); assert 'two lines' in self.text")
    kernel.check("self.next(self.end)")


def test_body_on_the_line_of_its_def_is_found(kernel: Kernel) -> None:
    reply = kernel.execute("%mf_run_step LettersFlow/end --inputs")
    (payload,) = [part for part in reply["payload"] if part["source"] == "set_next_input"]
    assert payload["text"] == "print(self.word)\n"


def test_name_that_the_notebook_has_itself_is_kept_and_said(kernel: Kernel) -> None:
    kernel.check("math = 'subject'")
    assert "keeps it: math" in kernel.check("%mf_run_step LettersFlow/start --inputs").text
    assert kernel.check("print(math)").stdout == "subject\n"


def test_tab_after_to_offers_steps(kernel: Kernel) -> None:
    assert kernel.complete("%mf_run_step LettersFlow/start --to j") == ["join"]
