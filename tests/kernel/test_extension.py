"""`%load_ext kit` in a real kernel, and what a user does next."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flows_for_tests import BRANCH, COMMON, FOREACH, LINEAR
from kernel_client import Kernel
from support import run_flow, write_files

pytestmark = [pytest.mark.kernel, pytest.mark.flow]

Start = Callable[..., Kernel]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with runs, to be copied by each test that edits it."""
    root = tmp_path_factory.mktemp("kernel") / "recorded"
    write_files(root, {"flows/common.py": COMMON, "flows/linear.py": LINEAR, "flows/loops.py": FOREACH})
    write_files(root, {"flows/branch.py": BRANCH, "notebooks/.keep": "", "pyproject.toml": "[tool.kit]\n"})
    run_flow(root / "flows" / "linear.py")
    run_flow(root / "flows" / "loops.py")
    return root


@pytest.fixture
def project(recorded: Path, tmp_path: Path) -> Path:
    root = tmp_path / "project"
    shutil.copytree(recorded, root)
    return root


@pytest.mark.parametrize("folder", [".", "notebooks", "flows", "notebooks/deeper"])
def test_loading_says_in_one_line_what_it_found_and_binds_common(
    project: Path, start_kernel: Start, folder: str
) -> None:
    (project / folder).mkdir(exist_ok=True)
    kernel = start_kernel(project / folder)
    output = kernel.check("%load_ext kit")
    assert output.stdout.count("\n") == 1
    assert str(project) in output.stdout
    assert "LinearFlow" in output.stdout
    assert "common" in output.stdout
    assert kernel.check("common.scale(4)").text == "8"
    assert "LinearFlow/" in kernel.check("%mf_artifacts LinearFlow").text


def test_loading_outside_a_project_is_an_error_with_a_hint(tmp_path: Path, start_kernel: Start) -> None:
    output = start_kernel(tmp_path).run("%load_ext kit")
    assert output.error.startswith("ProjectError: There is no Metaflow project in")
    assert "Make a folder `flows`" in output.error
    assert len(output.traceback.splitlines()) <= 3


def test_root_is_given_a_user_name_that_is_said_once(project: Path, start_kernel: Start) -> None:
    nobody = {"USERNAME": "", "USER": "root", "SUDO_USER": "", "LOGNAME": "root"}
    kernel = start_kernel(project, **nobody)
    assert "user jupyter" in kernel.check("%load_ext kit").stdout
    assert "user:jupyter" in kernel.check("import metaflow; metaflow.get_namespace()").text
    assert "user alice" in start_kernel(project, **nobody, NB_USER="alice").check("%load_ext kit").stdout
    hub = start_kernel(project, **nobody, NB_USER="alice", JUPYTERHUB_USER="bob")
    assert "user bob" in hub.check("import metaflow\n%load_ext kit").stdout
    assert "user:bob" in hub.check("metaflow.get_namespace()").text


def test_metaflow_client_of_the_user_finds_the_runs_from_another_folder(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project / "notebooks")
    kernel.check("%load_ext kit\nfrom metaflow import Flow")
    assert "LinearFlow" in kernel.check("Flow('LinearFlow').latest_run").text
    early = start_kernel(project / "notebooks")
    early.check("from metaflow import Flow\n%load_ext kit")
    assert "LinearFlow" in early.check("Flow('LinearFlow').latest_run").text


STATE = """
import os, sys
import IPython.core.completer, IPython.extensions.autoreload

def state():
    shell = get_ipython()
    return {
        "environment": dict(os.environ),
        "path": list(sys.path),
        "magics": sorted(shell.magics_manager.magics["line"]),
        "names": {name for name in shell.user_ns if not name.startswith("_")},
        "matchers": len(shell.Completer.custom_matchers),
        "callbacks": {event: len(callbacks) for event, callbacks in shell.events.callbacks.items()},
    }

before = after = None
"""


def test_unloading_takes_everything_back(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project / "notebooks")
    kernel.check(STATE)
    kernel.check("before = state()")
    for line in ("%load_ext kit", "%reload_ext kit", "%unload_ext kit"):
        kernel.check(line)
    kernel.check("after = state()")
    assert kernel.check("print([key for key in before if before[key] != after[key]])").stdout == "[]\n"
    assert "UsageError" in kernel.run("%mf_artifacts").stderr


def test_listing_loading_and_replaying_as_in_a_notebook(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project / "notebooks")
    kernel.check("%load_ext kit")
    listing = kernel.check("%mf_artifacts")
    assert "LinearFlow" in listing.text
    assert "<table" in listing.html
    kernel.check("%mf_artifacts LinearFlow/start model local items --as numbers=items")
    assert kernel.check("model.predict(2), local.value, numbers").text == "(6, [1, 2], [1])"
    assert "NameError" in kernel.run("items").error
    kernel.check("table = %mf_artifacts {'LinearFlow'}/middle")
    assert kernel.check("table['middle']['items']").text == "[1, 6]"
    result = kernel.check("%mf_run_step middle")
    assert "same" in result.text
    assert "in the middle" in result.stdout
    assert kernel.check("self.items, self.number").text == "([1, 6], 3)"
    kernel.check("result = %mf_run_step LinearFlow/middle --set number=10 --set 'items=[7, 8]' --push")
    assert kernel.check("result.artifacts['items'], items, sorted(result.changed)").text == (
        "([7, 8, 20], [7, 8, 20], ['items', 'number'])"
    )
    assert kernel.check("%mf_run_step ForeachFlow/inner --foreach c --index 1,2\nself.name_of_task").text.endswith(
        "'5c2'"
    )
    kernel.check("%mf_artifacts LinearFlow/end --all")
    assert kernel.check("prediction").text == "31"


def test_edit_of_common_is_what_the_next_replay_runs(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project / "notebooks")
    kernel.check("%load_ext kit")
    kernel.check("from common import scale; first = %mf_run_step LinearFlow/middle")
    assert kernel.check("first.artifacts['items'], first.changed").text == "([1, 6], frozenset())"
    common = project / "flows" / "common.py"
    common.write_text(common.read_text().replace("2 * x", "100 * x"))
    kernel.check("second = %mf_run_step LinearFlow/middle")
    assert kernel.check("second.artifacts['items'], second.changed").text == "([1, 300], frozenset({'items'}))"
    assert kernel.check("common.scale(1), scale(1)").text == "(100, 100)"


def test_edit_with_an_older_time_is_seen(project: Path, start_kernel: Start) -> None:
    import os

    kernel = start_kernel(project / "notebooks")
    kernel.check("%load_ext kit")
    common = project / "flows" / "common.py"
    common.write_text(common.read_text().replace("2 * x", "3 * x"))
    os.utime(common, (1, 1))
    assert kernel.check("common.scale(1)").text == "3"


def test_edit_of_a_flow_file_is_what_the_next_replay_runs(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project / "notebooks")
    kernel.check("%load_ext kit")
    flow = project / "flows" / "linear.py"
    flow.write_text(flow.read_text().replace("common.scale(self.number)", "1000"))
    kernel.check("result = %mf_run_step LinearFlow/middle")
    assert kernel.check("result.artifacts['items']").text == "[1, 1000]"


def test_broken_common_refuses_a_replay_until_it_is_mended(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project / "notebooks")
    kernel.check("%load_ext kit")
    common = project / "flows" / "common.py"
    good = common.read_text()
    common.write_text(good.replace("return 2 * x", "return 2 * * x"))
    output = kernel.run("1 + 1")
    assert output.text == "2"
    assert "kit: flows/common.py was not reloaded: SyntaxError: invalid syntax (line " in output.stderr
    output = kernel.run("%mf_run_step LinearFlow/middle")
    assert output.error.startswith("ModuleError: flows/common.py has changed and does not reload: SyntaxError")
    common.write_text(good.replace("2 * x", "5 * x"))
    kernel.check("result = %mf_run_step LinearFlow/middle")
    assert kernel.check("result.artifacts['items']").text == "[1, 15]"


def test_common_that_does_not_import_is_an_error_and_leaves_the_magics(project: Path, start_kernel: Start) -> None:
    common = project / "flows" / "common.py"
    good = common.read_text()
    common.write_text("import numpy\nimport no_such_module\n")
    kernel = start_kernel(project)
    output = kernel.run("%load_ext kit")
    assert "ModuleError: flows/common.py does not import" in output.error
    assert "no_such_module" in output.error
    assert "line 2" in output.error
    assert "%mf_install_deps no_such_module" in output.error
    assert "LinearFlow" in kernel.check("%mf_artifacts").text
    common.write_text(good)
    assert "common is bound" in kernel.check("%load_ext kit").stdout


def test_error_in_a_module_that_common_imports_is_blamed_on_its_own_line(project: Path, start_kernel: Start) -> None:
    write_files(project, {"flows/common.py": "import helper\n", "flows/helper.py": "\n\n1 / 0\n"})
    output = start_kernel(project).run("%load_ext kit")
    assert (
        "flows/common.py does not import: ZeroDivisionError: division by zero (flows/helper.py, line 3)."
        in output.error
    )


def test_tab_on_an_empty_last_line_is_left_to_ipython(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project)
    kernel.check("%load_ext kit\nfrom IPython.core.completer import provisionalcompleter")
    output = kernel.check("with provisionalcompleter():\n    list(get_ipython().Completer.completions('x = 1\\n', 6))")
    assert output.stdout == output.stderr == ""


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("%mf_artifacts LinearFlo", "NotFoundError: There is no flow LinearFlo", "Did you mean LinearFlow?"),
        ("%mf_artifacts LinearFlow/77", "NotFoundError: LinearFlow has no run 77.", "The runs of LinearFlow are"),
        ("%mf_run_step LinearFlow/midle", "has no step midle", "Did you mean middle?"),
        ("%mf_run_step LinearFlow/middle/9", "has no task 9", "The tasks of"),
        ("%mf_artifacts LinearFlow modle", "has no artifact modle", "or model?"),
        (
            "%mf_run_step LinearFlow/middle --set nmber=1",
            "no input artifact or parameter nmber",
            "Did you mean number?",
        ),
        ("%mf_run_step LinearFlow/middle --st x=1", "unrecognized arguments", "%mf_run_step? shows what it takes"),
        ("%mf_run_step", "the following arguments are required: pathspec", "%mf_run_step? shows what it takes"),
        ("%mf_run_step LinearFlow/middle --set x", "'x' is not NAME=VALUE", "--set n=3"),
        ("%mf_run_step ForeachFlow/inner --index x", "'x' is not a foreach index", "Write a number"),
        ("%mf_run_step BranchFlow/left", "BranchFlow has not been run", "python flows/branch.py run"),
        ("%mf_install_deps --check no-such-distribution==1", "no-such-distribution==1", "without --check"),
        ("%mf_install_deps -- --index-url=x", "--index-url", ""),
        ("%mf_install_deps", "needs requirements", "-r requirements.txt"),
    ],
)
def test_wrong_words_are_answered_in_two_lines(errors_kernel: Kernel, line: str, message: str, hint: str) -> None:
    output = errors_kernel.run(line)
    assert message in output.error
    assert hint in output.error
    assert len(output.traceback.splitlines()) <= 3, output.traceback


@pytest.fixture(scope="module")
def errors_kernel(recorded: Path) -> Iterator[Kernel]:
    kernel = Kernel(recorded / "notebooks", {})
    kernel.check("%load_ext kit")
    yield kernel
    kernel.close()


def test_failing_step_shows_the_users_line_alone_and_debug_lands_there(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project / "notebooks")
    kernel.check("%load_ext kit")
    output = kernel.run("%mf_run_step LinearFlow/end --set model=None")
    assert output.error.startswith("AttributeError: 'NoneType' object has no attribute 'predict'")
    assert "flows/linear.py" in output.traceback
    assert "site-packages/metaflow" not in output.traceback
    assert "kit/replay" not in output.traceback
    debugged = kernel.run("%debug", answers=["p self.local.value", "q"])
    assert "[1, 2]" in debugged.stdout


def test_flow_file_that_does_not_parse_is_said_with_its_line(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project)
    kernel.check("%load_ext kit")
    flow = project / "flows" / "linear.py"
    flow.write_text(flow.read_text().replace("self.items = [1]", "self.items = [1"))
    output = kernel.run("%mf_run_step LinearFlow/start")
    assert output.error.startswith("FlowFileError: flows/linear.py does not parse: line")
    assert "Mend flows/linear.py" in output.error


def test_artifact_whose_class_is_gone_is_said_in_the_kernel(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project)
    common = project / "flows" / "common.py"
    common.write_text(common.read_text().replace("class Model", "class Renamed"))
    kernel.check("%load_ext kit")
    output = kernel.run("%mf_artifacts LinearFlow/start model")
    assert "ArtifactError" in output.error
    assert "model is a common.Model, and that class is gone" in output.error


def test_requirements_that_are_met_are_shown_as_kept(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project)
    kernel.check("%load_ext kit")
    output = kernel.check("%mf_install_deps click sklearn=scikit-learn rich>=10")
    assert "every requirement is met" in output.text
    assert output.text.count("keep") == 3
    assert output.html.count("keep") == 3


def test_tab_completes_flows_runs_steps_artifacts_and_options(project: Path, start_kernel: Start) -> None:
    kernel = start_kernel(project)
    kernel.check("%load_ext kit")
    assert kernel.complete("%mf_artifacts Lin") == ["LinearFlow"]
    assert set(kernel.complete("%mf_run_step LinearFlow/")) > {"LinearFlow/start", "LinearFlow/middle"}
    assert kernel.complete("x = %mf_run_step LinearFlow/mi") == ["LinearFlow/middle"]
    assert kernel.complete("%mf_artifacts LinearFlow/start loc") == ["local"]
    assert "--foreach" in kernel.complete("%mf_run_step LinearFlow/middle --f")
    (run_id,) = [text for text in kernel.complete("%mf_artifacts LinearFlow/") if text.split("/")[1].isdigit()]
    assert f"{run_id}/end" in kernel.complete(f"%mf_artifacts {run_id}/")
    assert "import" in kernel.complete("impor")
