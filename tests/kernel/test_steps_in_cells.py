"""A flow that grows in a real kernel, a cell a step; and the round trip: run for real, it leaves the same artifacts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_client import Kernel
from support import USER, write_files
from test_authoring import SHAPES

pytestmark = pytest.mark.kernel


def begun(root: Path) -> Kernel:
    write_files(
        root,
        {
            "pyproject.toml": "[tool.kit]\n",
            "flows/common.py": "def double(x):\n    return 2 * x\n",
            "notebooks/readme": "",
        },
    )
    started = Kernel(root / "notebooks", {"USERNAME": USER, "METAFLOW_HOME": "/nonexistent"})
    started.check("%load_ext kit")
    return started


@pytest.fixture
def kernel(warm: Kernel) -> Kernel:
    """Give a kernel whose notebook has no step yet."""
    warm.check("%mf_flow --clear")
    return warm


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    started = begun(tmp_path_factory.mktemp("cells"))
    yield started
    started.close()


def test_a_step_runs_at_once_on_what_the_steps_before_it_left(kernel: Kernel) -> None:
    page = kernel.check("%%mf_step start\nself.x = common.double(2)\nprint('said')")
    assert "NotebookFlow/start" in page.text
    assert "said" in page.stdout
    page = kernel.check("%%mf_step fit\nself.y = self.x + 1")
    assert "after start" in page.text
    assert kernel.check("self.y, self.x").text == "(5, 4)"
    assert kernel.check("from pathlib import Path; Path('../.metaflow').exists()").text == "False", "no run was made"


def test_a_step_may_have_the_name_of_a_function_that_it_calls(kernel: Kernel) -> None:
    kernel.check("def fit(x):\n    return x + 1")
    kernel.check("%%mf_step start\nself.x = 1")
    kernel.check("%%mf_step fit\nself.y = fit(self.x)")
    assert kernel.check("self.y, fit(3)").text == "(2, 4)"


def test_all_tasks_of_a_foreach_are_run_and_joined(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.items = [3, 4, 5]")
    page = kernel.check("%%mf_step square --foreach items\nself.y = self.input ** 2").text
    assert page.splitlines()[1:] == ["input  y", "3      9", "4      16", "5      25"], page
    assert "3 tasks" in page
    kernel.check("%%mf_step join --join\nself.ys = [i.y for i in inputs]")
    assert kernel.check("self.ys").text == "[9, 16, 25]"
    assert kernel.check("flow = %mf_flow\n[task['y'] for task in flow.tasks('square')]").text == "[9, 16, 25]"


def test_a_failing_step_raises_at_its_own_line_and_stays_failed_until_it_is_mended(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.items = [1, 0]")
    output = kernel.run("%%mf_step share --foreach items\n\nself.y = 1 / self.input")
    assert output.error == "ZeroDivisionError: division by zero"
    assert "----> 3     self.y = 1 / self.input" in output.traceback
    assert "site-packages/metaflow" not in output.traceback
    assert "✗ failed" in kernel.check("%mf_flow").text
    assert "which failed" in kernel.run("%%mf_step join --join\npass").traceback
    kernel.check("%%mf_step share --foreach items\nself.y = 1")
    assert "✗" not in kernel.check("%mf_flow --refresh").text


def test_the_debugger_stops_in_the_cell(kernel: Kernel) -> None:
    kernel.run("%%mf_step start\nvalue = 7\nraise ValueError(value)")
    assert "7" in kernel.run("%debug", answers=["p value", "q"]).stdout


def test_steps_after_one_that_changed_are_stale_until_they_are_refreshed(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.x = 1")
    kernel.check("%%mf_step fit\nself.y = self.x + 1")
    assert "Stale" not in kernel.check("%%mf_step start\nself.x = 2 - 1").text
    assert "Stale now: fit" in kernel.check("%%mf_step start\nself.x = 5").text
    assert "stale" in kernel.check("%mf_flow").text
    assert kernel.check("flow = %mf_flow --refresh\nflow['fit']['y']").text == "6"
    assert "stale" not in kernel.check("%mf_flow").text


def test_a_parameter_is_an_assignment_of_the_notebook(kernel: Kernel) -> None:
    kernel.check("from metaflow import Parameter\nalpha = Parameter('alpha', default=0.5)")
    kernel.check("%%mf_step start\nself.x = self.alpha * 2")
    assert kernel.check("self.x").text == "1.0"
    kernel.check("alpha = Parameter('alpha', default=2.0)")
    assert "stale" in kernel.check("%mf_flow").text
    assert kernel.check("flow = %mf_flow --refresh\nflow['start']['x']").text == "4.0"
    kernel.check("del alpha")


def test_a_config_and_a_file_are_parameters_too(kernel: Kernel) -> None:
    kernel.check(
        "from metaflow import Config, IncludeFile, Parameter\nfrom pathlib import Path\n"
        "Path('../words.txt').write_text('hello')\nPath('../depth.json').write_text('{\"depth\": {\"most\": 5}}')\n"
        "words = IncludeFile('words', default='words.txt')\nsettings = Config('settings', default='depth.json')\n"
        "most = Parameter('most', default=settings.depth.most)"
    )
    kernel.check("%%mf_step start\nself.x = self.words, self.settings.depth.most, self.most")
    assert kernel.check("self.x").text == "('hello', 5, 5)"
    assert "'hello'" in kernel.check("%mf_flow").text
    kernel.check("del words, settings, most")
    kernel.check("Path('beside.txt').touch()\nbeside = IncludeFile('beside', default='beside.txt')")
    refused = kernel.run("%%mf_step start\nself.x = 1")
    assert "No such file or directory: beside.txt in" in refused.traceback
    assert "where a run starts" in refused.traceback
    kernel.check("del beside")
    if sys.version_info >= (3, 11):  # which has notes of exceptions
        failed = kernel.run("%%mf_step start\nopen('beside.txt')")
        assert "from there it is notebooks/beside.txt" in failed.traceback


def test_parameters_that_cannot_be_are_said_and_the_flow_is_still_shown(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\npass")
    kernel.check("from metaflow import Parameter\nrate = Parameter('rate', required=True)")
    assert "rate is required, and has no default" in kernel.run("%%mf_step start\npass").error
    assert "rate is required, and has no default" in kernel.check("%mf_flow").text
    kernel.check("rate = Parameter('rate', default=1)\nother = Parameter('rate', default=2)")
    assert "are both the Parameter rate" in kernel.run("%%mf_step start\npass").error
    kernel.check("del other")
    assert "rate is a Parameter" in kernel.run("%%mf_step rate\npass").error
    kernel.check("del rate")


def test_a_change_that_another_step_does_not_fit_to_names_that_step(kernel: Kernel) -> None:
    for cell in ("start", "low", "high --after start", "meet --join"):
        kernel.check(f"%%mf_step {cell}\npass")
    assert "%mf_flow --drop meet" in kernel.run("%%mf_step higher --after high\npass").error
    kernel.check("%mf_flow --drop meet")
    kernel.check("%%mf_step higher --after high\npass")
    kernel.check("%%mf_step meet --join --after low,higher\npass")


def test_a_name_that_only_the_notebook_has_is_said_at_once_and_refused_at_the_export(kernel: Kernel) -> None:
    kernel.check("import math\nhidden = math.sqrt(9)")
    assert "hidden, which is computed in cell [" in kernel.check("%%mf_step start\nself.x = hidden").text
    assert "hidden" in kernel.run("%mf_flow --export flows/hidden_flow.py").error


def test_a_constant_that_was_changed_behind_its_statement_is_refused(kernel: Kernel) -> None:
    kernel.check("GRID = {'a': 1}")
    kernel.check("def change(d):\n    d['b'] = 2\nchange(GRID)")
    assert "not any more what" in kernel.check("%%mf_step start\nself.x = GRID").text


def test_what_is_no_step_is_refused_and_changes_nothing(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.x = 1\nself.rows = {'a': 1}")
    for cell, said in (
        ("%%mf_step fit --after nowhere\npass", "no such step"),
        ("%%mf_step fit\n!ls", "IPython's own syntax"),
        ("%%mf_step fit\nself.y = (", "SyntaxError"),
        ("%%mf_step fit --foreach nothing\npass", "leaves no artifact nothing"),
        ("%%mf_step fit --foreach []\npass", "no items"),
        ("%%mf_step fit --foreach x\npass", "it has no items"),
        ("%%mf_step fit --foreach x.y()\npass", "--foreach self.x.y()"),
        ("%%mf_step fit --foreach rows\npass", "--foreach list(self.rows)"),
        ("%%mf_step fit --with retri\npass", "Did you mean retry?"),
        ("%%mf_step fit --with retry:tims=3\npass", "does not support the attribute 'tims'"),
        ("%%mf_step fit --with retry:3\npass", "not name:key=value"),
        ("%%mf_step fit --with retry --with retry\npass", "twice"),
        ("%%mf_step fit --with pypi:python=3.11\npass", "--pypi"),
    ):
        output = kernel.run(cell)
        assert said in output.error + output.traceback, cell
    kernel.check("%mf_flow --drop fit")
    assert "start" in kernel.check("%mf_flow").text
    assert "fit" not in kernel.check("%mf_flow").text


def test_an_artifact_that_cannot_be_stored_is_said_in_two_lines(kernel: Kernel) -> None:
    output = kernel.run("%%mf_step start\nclass Inside: pass\nself.made = Inside()")
    assert output.error.startswith("ArtifactError: start left an artifact that cannot be stored")
    assert "made" in output.error


def test_the_cell_leaves_the_notebook_as_it_was(kernel: Kernel) -> None:
    before = kernel.check(
        "import sys, os\nprint(sorted(n for n in globals() if not n.startswith('_')), sys.argv, os.getcwd())"
    )
    kernel.check("%%mf_step start\nimport os\nos.chdir('/')\nlocal = 1\nself.file = __file__")
    after = kernel.check("print(sorted(n for n in globals() if not n.startswith('_')), sys.argv, os.getcwd())")
    assert after.stdout.replace("'self', ", "") == before.stdout.replace("'self', ", "")
    assert kernel.check("'__file__' in globals()").text == "False"
    assert kernel.check("self.file").text.endswith("notebookflow.py'")


def test_a_step_is_stale_when_what_it_uses_of_the_notebook_has_changed(kernel: Kernel) -> None:
    kernel.check("BY = 2\ndef scaled(x):\n    return x * BY")
    kernel.check("%%mf_step start\nself.x = scaled(3)")
    kernel.check("%%mf_step fit\nself.y = self.x + 1")
    kernel.check("BY = 2\ndef scaled(x):\n    # the same\n    return x * BY")
    assert "stale" not in kernel.check("%mf_flow").text
    kernel.check("BY = 5")
    page = kernel.check("%mf_flow").text
    assert "stale  scaled changed" in page
    assert "stale  start is stale" in page
    assert kernel.check("flow = %mf_flow --refresh\nflow['fit']['y']").text == "16"


def test_a_step_is_stale_when_what_it_uses_of_common_has_changed(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.x = common.double(3)")
    kernel.check(
        "from pathlib import Path\nPath('../flows/common.py').write_text('def double(x):\\n    return -2 * x\\n')"
    )
    assert "common.double changed" in kernel.check("%mf_flow").text
    kernel.check("Path('../flows/common.py').write_text('def double(x):\\n    return 2 * x\\n')")
    assert "stale" not in kernel.check("%mf_flow").text


def test_each_task_begins_with_the_seed_of_the_notebook_whose_own_numbers_go_on(kernel: Kernel) -> None:
    kernel.check("import random\nrandom.seed(3)\nfirst = random.random()\nafter = random.getstate()")
    kernel.check("%%mf_step start\nself.x = random.random()")
    kernel.check("%%mf_step each --foreach [1,2]\nself.x = random.random()")
    same = kernel.check("flow = %mf_flow\n{task['x'] for step in flow.steps for task in flow.tasks(step)} == {first}")
    assert same.text == "True"
    assert kernel.check("random.getstate() == after").text == "True"
    kernel.check("import math\n%mf_flow --clear")
    kernel.check("%%mf_step start\nself.x = math.pi")
    assert "stale" not in kernel.check("%%mf_step draw\nself.y = random.random()").text, "start draws nothing"
    assert "the random seed changed" in kernel.check("random.seed(4)\n%mf_flow").text


def test_a_slow_foreach_says_how_far_it_is_and_leaves_one_output(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.n = 30")
    output = kernel.check("%%mf_step each --foreach range(self.n)\nimport time\ntime.sleep(0.05)\nself.y = self.input")
    assert " of 30 tasks, 1 s ..." in output.text
    assert "30 tasks  after start" in output.updates[-1]
    assert "7      7\n22 more" in output.updates[-1]
    assert len(output.displays) == 1
    assert kernel.check("_.tasks").text == "30"


def test_the_tasks_before_one_that_fails_are_kept(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.items = [1, 2, 0, 4]")
    output = kernel.run("%%mf_step share --foreach items\nself.y = 1 / self.input")
    assert "in task 3 of 4 of share" in output.traceback
    assert kernel.check("flow = %mf_flow\n[task['y'] for task in flow.tasks('share')]").text == "[1.0, 0.5]"
    kernel.check("%%mf_step share --foreach items\nself.y = self.input")
    assert kernel.check("[task['y'] for task in flow.tasks('share')]").text == "[1, 2, 0, 4]"


def test_decorators_act_in_a_cell_as_metaflow_has_them(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.items = [1, 0]")
    page = kernel.check("%%mf_step share --foreach items --with retry:times=0 --with catch:var=failure\n1 / self.input")
    assert "failure" in page.text
    kernel.check("%%mf_step join --join\nself.failed = [bool(each.failure) for each in inputs]")
    assert kernel.check("self.failed").text == "[False, True]"
    kernel.check(
        "%%mf_step told --with card\nfrom metaflow import current\nfrom metaflow.cards import Markdown\n"
        "current.card.append(Markdown('# Told'))"
    )
    assert "Told" in kernel.check("_.cards['']").html


def test_pins_that_this_kernel_does_not_meet_are_said(kernel: Kernel) -> None:
    page = kernel.check("%%mf_step start --pypi metaflow==1.0 papermill>=1\nself.x = 1").text
    assert "instead of 1.0: %mf_install_deps metaflow==1.0 brings what is pinned" in page
    assert "papermill" not in page


def test_what_metaflow_does_not_keep_of_self_is_said(kernel: Kernel) -> None:
    assert "self.f is a function" in kernel.check("%%mf_step start\nself.f = lambda: 3").text
    assert kernel.check("flow = %mf_flow\n'f' in flow['start']").text == "False"


def test_a_traceback_names_the_step_and_what_is_inside_of_it(kernel: Kernel) -> None:
    output = kernel.run("%%mf_step fit_it --after start\ndef inner():\n    1 / 0\ninner()")
    assert "NotebookFlow.fit_it(self)" in output.traceback
    assert "_kit_step" not in output.traceback
    assert "maker" not in output.traceback
    assert "def fit_it(self):" in output.traceback
    kernel.check("%mf_flow --drop fit_it")
    for cell in ("low --after start", "high --after start"):
        kernel.check(f"%%mf_step {cell}\npass")
    assert "def meet(self, inputs):" in kernel.run("%%mf_step meet --join\n1 / 0").traceback


def test_a_cell_that_is_run_again_does_not_hold_what_it_left_before(kernel: Kernel) -> None:
    kernel.check("import gc, weakref\nseen = weakref.WeakSet()\nclass Large:\n    pass")
    for _ in range(3):
        kernel.check("%%mf_step start\nself.large = Large()\nseen.add(self.large)")
    kernel.check("%%mf_step fit\npass")
    assert kernel.check("gc.collect()\nlen(seen)").text == "0"


def test_tab_completes_options_and_steps(kernel: Kernel) -> None:
    kernel.check("%%mf_step start\nself.x = 1\nself.items = [1]")
    assert {"items", "x"} == set(kernel.complete("%%mf_step fit --after start --foreach "))
    assert kernel.complete("%%mf_step fit --foreach self.it") == ["self.items"]
    assert {"resources", "retry"} == set(kernel.complete("%%mf_step fit --with re"))
    assert "retry:times=" in kernel.complete("%%mf_step fit --with retry:")
    assert kernel.complete("%%mf_step fit\nself.y = self.it") == ["items"]
    assert {"x", "items", "y", "input"} < set(kernel.complete("%%mf_step fit\nself.y = 1\nprint(self."))
    assert "start" not in kernel.complete("%%mf_step fit\nself.")
    assert "--foreach" in kernel.complete("%%mf_step fit --f")
    assert "start" in kernel.complete("%%mf_step fit --after st")
    assert "--refresh" in kernel.complete("%mf_flow --re")


@pytest.mark.flow
def test_what_was_written_in_cells_runs_for_real_to_the_same_artifacts(tmp_path: Path) -> None:
    kernel = begun(tmp_path / "round")
    try:
        for cell in SHAPES[1:]:
            kernel.check(cell)
        kernel.check("flow = %mf_flow --name RoundFlow\nrun = %mf_flow --run --tag mine")
        same = kernel.check(
            "names = {step: sorted(set(flow[step]) - {'name'}) for step in flow.steps}\n"
            "real = {step: sorted(set(run[step]) - {'name'}) for step in flow.steps}\n"
            "assert names == real, (names, real)\n"
            "plain = [(s, n) for s in names for n in names[s] if n not in ('model', 'best')]\n"
            "assert all(flow[s][n] == run[s][n] for s, n in plain if len(flow.tasks(s)) == 1)\n"
            "assert vars(flow['last']['best']) == vars(run['last']['best'])\n"
            "print(flow['outer']['all'], len(plain))"
        )
        assert same.stdout.startswith("[[[4, -4], [8, -8]], [[8, -8], [16, -16]]]")
        assert "succeeded" in kernel.check("%mf_artifacts RoundFlow").text
        assert "same" in kernel.check("%mf_run_step each").text
        done = kernel.check("%mf_flow --export flows/round_flow.py")
        assert "written to" in done.text
        assert "same" in kernel.check("%mf_run_step RoundFlow/each").text
    finally:
        kernel.close()
