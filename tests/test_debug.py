"""`kit debug`: a debug notebook for a task that failed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from support import run_flow, write_files

from kit.cli import main
from kit.debugging.split import split
from kit.kernelspecs import kernel_name
from kit.tracebacks import is_metaflows

PACKED = "METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE"
FLOW = '''
    from metaflow import FlowSpec, Parameter, step

    import common


    class ShakyFlow(FlowSpec):
        top = Parameter("top", type=int, default=10)

        @step
        def start(self):
            self.items = [1, 0, 2]
            self.next(self.work, foreach="items")

        @step
        def work(self):
            """Divide the top by the item."""
            # what this task works on
            self.item = self.input

            # the quotient
            self.quotient = common.ratio(self.top, self.item)
            self.label = LABEL
            self.next(self.join)

        @step
        def join(self, inputs):
            self.quotients = [each.quotient for each in inputs]
            self.next(self.end)

        @step
        def end(self):
            pass


    LABEL = "then" if Parameter else ""
    if __name__ == "__main__":
        ShakyFlow()
'''
COMMON = "def ratio(top, item):\n    return top * 1 / item  # as it was\n"
TODAY = "def ratio(top, item):\n    return top / item if item else None\n"


def debug(*arguments: object):
    return CliRunner().invoke(main, ["debug", *map(str, arguments)])


def read(path: Path):
    """Read a notebook: its metadata, the texts of its Markdown, and its code cells."""
    node = nbformat.read(path, as_version=4)
    nbformat.validate(node)
    text = "\n\n".join(cell.source for cell in node.cells if cell.cell_type == "markdown")
    return node.metadata, text, [cell for cell in node.cells if cell.cell_type == "code"]


def failed(cells):
    return [cell.source for cell in cells if "failed" in cell.metadata.get("tags", ())]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project whose flow failed in one task of a foreach, with its code package; gives its root."""
    root = tmp_path_factory.mktemp("recorded")
    write_files(root, {"flows/shaky.py": FLOW, "flows/common.py": COMMON})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PACKED, "1")
        run_flow(root / "flows" / "shaky.py", "--tag", "nightly", cwd=root, check=False)
    return root


@pytest.fixture
def shaky(recorded, tmp_path, monkeypatch):
    """A copy of it, which is the working directory; gives its root."""
    root = tmp_path / "project"
    shutil.copytree(recorded, root)
    monkeypatch.chdir(root)
    return root


@pytest.mark.flow
@pytest.mark.kernel
def test_the_notebook_of_a_failed_task_raises_what_the_task_raised_and_passes_once_the_code_is_mended(
    shaky, start_kernel
):
    done = debug("ShakyFlow")
    assert done.exit_code == 0, done.output
    assert "the latest run that failed" in done.output
    assert "took work/3, which failed" in done.output
    path = shaky / "notebooks" / "debug_work_3.ipynb"
    metadata, text, cells = read(path)
    assert metadata.kit.debug.split("/")[2:] == ["work", "3"]
    assert metadata.kernelspec.name == "python3"
    for word in ("ZeroDivisionError: division by zero", "items=0", "`nightly`", "line 22 of `shaky.py`"):
        assert word in text, text
    assert "are today as they are in the run's code package" in text
    assert failed(cells) == ["# the quotient\nself.quotient = common.ratio(self.top, self.item)"]

    # Mended since: the cells hold the code as it was, with the modules as they were; the replay is of today's.
    write_files(shaky, {"flows/common.py": TODAY})
    assert "is there already" in debug("ShakyFlow").output
    assert debug("ShakyFlow", "--force").exit_code == 0
    _, text, cells = read(path)
    assert "as it was when the task ran" in text
    assert "-    return top * 1 / item  # as it was" in text
    kernel = start_kernel(path.parent)
    outputs = {cell.source: kernel.run(cell.source) for cell in cells}
    raised = {source: output for source, output in outputs.items() if output.error}
    assert list(raised) == failed(cells)
    (output,) = raised.values()
    assert output.error == "ZeroDivisionError: division by zero"
    assert "return top * 1 / item" in output.traceback
    assert kernel.check("self.quotient is None and self.top").text == "10"
    assert kernel.check("import common as today; today is not common").text == "True"
    assert 'href="again.ipynb"' in kernel.check(f"%cd -q {path.parent}\n%mf_debug --output again.ipynb").html


@pytest.mark.flow
@pytest.mark.kernel
def test_a_step_of_which_the_flow_file_has_nothing_left_is_debugged_as_it_was(shaky, start_kernel):
    source = (shaky / "flows" / "shaky.py").read_text()
    renamed = source.replace("def work", "def crunch").replace("self.work", "self.crunch")
    (shaky / "flows" / "shaky.py").write_text(renamed.replace('"then"', '"now"'))
    assert debug("ShakyFlow", "--output", "notebooks/x.ipynb").exit_code == 0
    _, text, cells = read(shaky / "notebooks" / "x.ipynb")
    assert "flows/shaky.py no longer has the step work" in text
    assert "+    def crunch(self):" in text
    assert "common.py" not in text.partition("## Its code")[2].partition("## work")[0]  # it has not changed

    shutil.rmtree(shaky / "flows")
    (shaky / "flows").mkdir()
    assert debug("ShakyFlow", "--output", "notebooks/x.ipynb", "--force").exit_code == 0
    _, text, cells = read(shaky / "notebooks" / "x.ipynb")
    assert "No flow file of this project defines ShakyFlow any more" in text
    assert "Gone since: shaky.py, common.py" in text
    kernel = start_kernel(shaky / "notebooks")
    raised = [(cell.source, kernel.run(cell.source).error) for cell in cells]
    wrong = "ZeroDivisionError: division by zero"
    assert [each for each in raised if each[1]] == [
        (failed(cells)[0], wrong),
        ("%mf_run_step {failed_task} --recorded", wrong),
    ]
    assert kernel.check("LABEL, self.top").text == "('then', 10)"
    assert kernel.check("%mf_run_step ShakyFlow/work --recorded --index 0\nself.quotient").text == "10.0"


@pytest.mark.flow
def test_without_a_code_package_the_code_then_is_that_of_the_git_commit(make_project, monkeypatch):
    root = make_project({"flows/shaky.py": FLOW, "flows/common.py": COMMON, ".gitignore": ".metaflow\n"})
    who = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=root, check=True)  # noqa: S607
    run_flow(root / "flows" / "shaky.py", cwd=root, check=False)
    write_files(root, {"flows/common.py": TODAY})
    monkeypatch.chdir(root)
    assert debug("ShakyFlow").exit_code == 0
    text = read(root / "notebooks" / "debug_work_3.ipynb")[1]
    assert "from the git commit" in text
    assert "+    return top / item if item else None" in text

    shutil.rmtree(root / ".git")
    done = debug("ShakyFlow", "--output", "other.ipynb")
    assert "which this repository does not have" in " ".join(done.output.split())
    assert "as it was when the task ran" not in read(root / "other.ipynb")[1]

    (root / "flows" / "shaky.py").unlink()
    done = debug("ShakyFlow", "--output", "third.ipynb")
    assert done.exit_code == 2
    assert "No flow file of this project defines ShakyFlow any more" in done.output


@pytest.mark.flow
def test_kit_test_leaves_debug_notebooks_out_unless_they_are_named(shaky):
    from kit.project import find_project
    from kit.regression.discover import find_notebooks

    debug("ShakyFlow")
    plain = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    nbformat.write(plain, shaky / "notebooks" / "plain.ipynb")
    project, own = find_project(shaky), shaky / "notebooks" / "debug_work_3.ipynb"
    assert [path.name for path in find_notebooks(project, [])] == ["plain.ipynb"]
    assert find_notebooks(project, [own]) == (own,)
    found = json.loads(CliRunner().invoke(main, ["check", str(shaky), "--json"]).output)
    assert not [each for each in found if "debug_work_3" in each["file"]]


@pytest.mark.flow
def test_a_notebook_of_another_task_keeps_its_name(shaky):
    for task, name in (("start", "debug_start_1"), ("work/2", "debug_work_2"), ("work/3", "debug_work_3")):
        assert f"{name}.ipynb" in debug(f"ShakyFlow/{task}").output
    other = shaky / "notebooks" / "debug_work_3.ipynb"
    node = nbformat.read(other, as_version=4)
    node.metadata.kit.debug = "OtherFlow/1/work/3"
    nbformat.write(node, other)
    mine = debug("ShakyFlow/work/3").output.split()[1]
    assert mine.startswith("notebooks/debug_work_3_")
    assert f"{mine} is there already" in debug("ShakyFlow/work/3").output
    assert mine in debug("ShakyFlow/work/3", "--force").output
    assert nbformat.read(other, as_version=4).metadata.kit.debug == "OtherFlow/1/work/3"


@pytest.mark.flow
def test_a_wrong_word_is_said_in_two_lines(shaky):
    for words, said in (
        (["NoFlow"], "There is no flow NoFlow"),
        (["ShakyFlow/work", "--kernel", "pyton3"], "There is no kernel pyton3"),
        (["ShakyFlow/work", "--isolated"], "pins no packages"),
        (["ShakyFlow/work", "--output", "x.txt"], "x.txt is not the name of a notebook"),
    ):
        done = debug(*words)
        assert (done.exit_code, said in done.output) == (2, True), done.output


def test_a_body_is_split_at_paragraphs_at_long_statements_and_around_what_failed():
    body = '"""Doc."""\na = 1\nb = f(\n    a)\nc = 2; d = 3\n'
    body += "# loop\nfor i in x:\n    # in\n    g(i)\n    # tail\nif a: b = 1\ne = 1\n\n# last\nz = 1\n# behind\n"
    cells = split(body, failed_line=4)
    assert [cell.source for cell in cells] == [
        "a = 1",
        "b = f(\n    a)",
        "c = 2; d = 3",
        "# loop\nfor i in x:\n    # in\n    g(i)\n    # tail",
        "if a: b = 1\ne = 1",
        "# last\nz = 1\n# behind",
    ]
    assert [cell.failed for cell in cells] == [False, True, False, False, False, False]
    assert [cell.line for cell in cells] == [2, 3, 5, 6, 11, 14]


def test_kernels_of_one_step_with_other_pins_have_names_of_their_own():
    kernels = [{"argv": [f"/environments/{key}/bin/python"], "env": {}} for key in ("one", "two", "one")]
    one, other, again = (kernel_name("TrainFlow/fit", kernel) for kernel in kernels)
    assert one == again != other
    assert one.startswith("kit-trainflow-fit-")


@pytest.mark.parametrize(
    ("file", "metaflows"),
    [
        ("/metaflow/train.py", False),  # where a container has the user's files
        ("/metaflow/.mf_code/metaflow/task.py", True),
        ("/env/site-packages/metaflow/of_another_version.py", True),
        ("/anna/flows/train.py", False),
    ],
)
def test_frames_of_metaflow_are_told_from_the_users_on_any_machine(file, metaflows):
    assert is_metaflows(file) is metaflows
