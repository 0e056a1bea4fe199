"""%mf_run in a real kernel: real runs, watched, stopped, resumed, left in the background."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from kernel_client import Kernel
from nbformat.v4 import new_code_cell, new_notebook
from running_flows import ENDS, FLOW, TWO
from support import USER, write_files

pytestmark = [pytest.mark.kernel, pytest.mark.flow]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    root = tmp_path_factory.mktemp("running")
    write_files(
        root,
        {
            "flows/wide.py": FLOW,
            "flows/ends.py": ENDS,
            "flows/two.py": TWO,
            "notebooks/note.txt": "kept",
            "pyproject.toml": "[tool.kit]\n",
        },
    )
    started = Kernel(root / "notebooks", {"USERNAME": USER, "METAFLOW_HOME": "/nonexistent"})
    started.check("%load_ext kit")
    yield started
    started.close()


def test_a_run_is_drawn_in_one_output_that_goes_on_until_it_has_ended(kernel: Kernel) -> None:
    output = kernel.check("run = %mf_run WideFlow --my_name 'a b' --tag mine\nrun")
    assert len(output.displays) == 1
    assert "WideFlow" in output.displays[0]["text/plain"]
    assert "data:image/svg+xml" in output.html
    last = output.updates[-1].splitlines()
    assert "✓ succeeded" in last[0]
    assert any("fit" in line and "3 tasks" in line for line in last)
    assert len(output.updates) <= 4 * float(kernel.check("run.seconds").text) + 2


def test_the_finished_run_is_the_current_one_and_holds_its_artifacts(kernel: Kernel) -> None:
    kernel.check("run = %mf_run WideFlow --bad=7 --my-name 'a b' --tag mine")
    assert kernel.check("run['join']['scores'], run['join']['my_name']").text == "([10, 20, 30], 'a b')"
    page = kernel.check("%mf_artifacts join scores").text
    assert kernel.check("run.pathspec").text.strip("'") in page
    assert "tags mine" in kernel.check("run.artifacts").text
    assert kernel.check("scores").text == "[10, 20, 30]"


def test_a_value_shown_in_a_later_cell_is_the_picture_again(kernel: Kernel) -> None:
    kernel.check("run = %mf_run WideFlow")
    assert "✓ succeeded" in kernel.check("run").text


def test_a_failing_run_raises_with_the_tasks_own_traceback_and_is_the_current_one(kernel: Kernel) -> None:
    output = kernel.run("%mf_run WideFlow --bad 2")
    assert output.error.startswith("FlowRunError: WideFlow/")
    first, hint, *rest = output.traceback.splitlines()
    assert "ValueError: depth 2 is bad" in first
    assert "%mf_run_step WideFlow/" in hint
    assert any("wide.py" in line and "in fit" in line for line in rest)
    assert not any("site-packages/metaflow" in line for line in rest)
    assert "✗ failed" in output.updates[-1]
    asked = kernel.check("import sys; print(sys.last_value.pathspec.split('/')[2], sys.last_value.exception)").stdout
    assert asked == "fit ValueError: depth 2 is bad\n"
    assert "depth 2 is bad" in kernel.run("%mf_run_step fit --foreach 2").error


def test_a_failed_run_is_resumed_from_where_it_failed(kernel: Kernel) -> None:
    kernel.run("%mf_run WideFlow --bad 3")
    source = Path(str(kernel.check("import kit; print(kit.session.session().project.flows_folder)").stdout).strip())
    before = (source / "wide.py").read_text()
    (source / "wide.py").write_text(before.replace("if self.input == self.bad", "if self.input == -self.bad"))
    try:
        output = kernel.check("run = %mf_run WideFlow --resume")
        start = next(line for line in output.updates[-1].splitlines() if line.lstrip().startswith("start"))
        assert "cloned" in start
        assert kernel.check("run['join']['scores']").text == "[10, 20, 30]"
        resumed = kernel.check("run = %mf_run WideFlow --resume fit").updates
        assert any("0 of 3" in picture for picture in resumed)  # start is cloned: its log does not say into how many
        assert not any("0 tasks" in picture for picture in resumed)
        assert "has no step nowhere" in kernel.run("%mf_run WideFlow --resume nowhere").error
    finally:
        (source / "wide.py").write_text(before)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("WideFlow --bda 2", "Did you mean bad?"),
        ("WideFlow --bad many", "many is not a valid int"),
        ("WdeFlow", "Did you mean WideFlow?"),
        ("WideFlow stray", "stray"),
        ("WideFlow --environment moon", "moon"),
        ("WideFlow --resume --bad 3", "keeps its Parameters: bad"),
        ("FirstFlow", "two.py runs OtherFlow, not FirstFlow"),
        ("EndsFlow --way exit", "failed: its process ended with exit status"),
        ("EndsFlow --way crash", "failed: its process was killed by SIGSEGV, a segmentation fault"),
    ],
)
def test_what_cannot_be_run_is_said(kernel: Kernel, line: str, said: str) -> None:
    output = kernel.run(f"%mf_run {line}")
    assert output.error
    assert said in output.traceback


def test_values_reach_the_flow_as_they_were_written(kernel: Kernel) -> None:
    line = "--way 'it is {1 + 1}' --text_of=--a --names p,q --note note.txt"
    output = kernel.check(f"run = %mf_run --loud EndsFlow {line}")  # a flag before the flow does not take its name
    assert not output.stdout
    shown = "[run['end'][name] for name in ('way', 'text_of', 'names', 'loud', 'note')]"
    assert kernel.check(shown).text == "['it is 2', '--a', ['p', 'q'], True, 'kept']"


def test_python_values_reach_the_flow_those_of_a_config_too(kernel: Kernel) -> None:
    given = {
        "text-of": '"quoted"',
        "names": ["p", "--q"],
        "loud": True,
        "table": {"a": [None]},
        "settings": {"rate": 7},
    }
    kernel.check(f"import kit; run = kit.run_flow('EndsFlow', {given!r})")
    shown = "[run['end'][name] for name in ('text_of', 'names', 'loud', 'table', 'rate')]"
    assert kernel.check(shown).text == "['\"quoted\"', ['p', '--q'], True, {'a': [None]}, 7]"


def test_a_task_that_was_tried_again_is_said_and_its_logs_are_read_by_stream(kernel: Kernel) -> None:
    output = kernel.check("run = %mf_run EndsFlow --way again")
    assert "✓ succeeded  1 retried" in output.updates[-1]
    assert set(kernel.check("print(run.logs('end'))").stdout.splitlines()[1:]) == {"end/2: 30%", "end/2: to stderr"}
    assert kernel.check("run.logs('end', 'stderr')").text == "'end/2: to stderr'"
    assert "has no step ned" in kernel.run("run.logs('ned')").error


def test_a_task_that_prints_metaflows_own_words_confuses_neither_the_picture_nor_the_result(kernel: Kernel) -> None:
    output = kernel.check("run = %mf_run EndsFlow --way words")
    assert not any(word in picture for picture in output.updates for word in ("✗ failed", "■ stopped", "retried"))
    assert any("Task finished successfully." in picture for picture in output.updates)
    assert kernel.check("run.status").text == "'succeeded'"
    failed = kernel.run("%mf_run EndsFlow --way 'words and exit'")
    assert "failed: its process ended with exit status 4" in failed.error
    assert "✗ failed" in failed.updates[-1]


def test_a_group_of_exceptions_is_told_without_metaflows_frames(kernel: Kernel) -> None:
    output = kernel.run("%mf_run EndsFlow --way group")
    assert "ExceptionGroup: several (1 sub-exception)" in output.error
    assert "ValueError: one" in output.traceback
    assert "metaflow/" not in output.traceback


def test_a_flow_that_is_not_where_flows_are_looked_for_is_answered_with_what_to_do(kernel: Kernel) -> None:
    root = Path(kernel.check("print(kit.session.session().project.root)").stdout.strip())
    write_files(root, {"notebooks/beside.py": FLOW.replace("WideFlow", "BesideFlow")})
    assert "It is in notebooks/beside.py: move that to flows" in kernel.run("%mf_run BesideFlow").traceback
    kernel.check("%%mf_step start\nself.x = 1")
    kernel.check("%mf_flow --name CellsFlow")
    assert "Run it with %mf_flow --run" in kernel.run("%mf_run CellsFlow").traceback


def test_test_mode_is_what_the_project_says(kernel: Kernel) -> None:
    kernel.check("run = %mf_run WideFlow --test")
    assert kernel.check("run['start']['test_mode']").text == "1"


def alive(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if _runs(int(path.name))]


def _runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(folder: Path) -> bool:
    deadline = time.monotonic() + 30
    while alive(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not alive(folder)


def test_an_interrupt_ends_every_process_of_the_run_and_raises(kernel: Kernel, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    kernel.check(
        "import threading, pathlib, time\n"
        f"folder = pathlib.Path({str(tmp_path)!r}, 'pids'); folder.mkdir()\n"
        "def watch():\n"
        "    while len(list(folder.iterdir())) < 3: time.sleep(0.1)\n"
        f"    pathlib.Path({str(sign)!r}).touch()\n"
        "threading.Thread(target=watch).start()"
    )
    output = kernel.interrupted("%mf_run WideFlow --wait {folder}", sign)
    assert output.error.startswith("KeyboardInterrupt: WideFlow/")
    assert "liverun.py" not in output.traceback
    assert "■ stopped" in output.updates[-1]
    assert gone(tmp_path / "pids")


def test_processes_that_left_the_group_end_with_it_and_a_stopped_run_can_be_waited_for(
    kernel: Kernel, tmp_path: Path
) -> None:
    kernel.check(f"run = %mf_run EndsFlow --way daemon --text-of {tmp_path} --background")
    kernel.check(f"import pathlib, time\nwhile not list(pathlib.Path({str(tmp_path)!r}).iterdir()): time.sleep(0.1)")
    assert kernel.check("run.stop(); run.stop(); run.wait().status").text == "'stopped'"
    assert "start → end  ■ stopped" in kernel.check("run").text
    assert gone(tmp_path)


def test_a_run_in_the_background_gets_the_words_of_the_line_and_is_asked_and_stopped(
    kernel: Kernel, tmp_path: Path
) -> None:
    words = "--with retry:times=2 --max-workers=3 --tag 'a b'"
    kernel.check(f"run = %mf_run WideFlow --wait {tmp_path} {words} --background")
    kernel.check(f"import pathlib, time\nwhile not list(pathlib.Path({str(tmp_path)!r}).iterdir()): time.sleep(0.1)")
    assert kernel.check("run.status").text == "'running'"
    (run,) = {psutil.Process(process).ppid() for process in alive(tmp_path)}
    before, _, after = " ".join(psutil.Process(run).cmdline()).partition(" run ")
    assert before.endswith("wide.py --not-quiet --no-pylint --with retry:times=2")
    assert after == f"--tag a b --wait={tmp_path} --max-workers=3"
    assert "fitting" in kernel.check("print(run.logs('fit'))").stdout
    assert "fitting" in kernel.check("run").text
    kernel.check("run.stop()")
    assert kernel.check("run.status").text == "'stopped'"
    assert gone(tmp_path)


def test_an_executed_notebook_keeps_the_last_picture_alone(kernel: Kernel, tmp_path: Path) -> None:
    root = kernel.check("print(kit.session.session().project.root)").stdout.strip()
    notebook, executed = tmp_path / "run.ipynb", tmp_path / "out.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [new_code_cell("%load_ext kit"), new_code_cell("%mf_run WideFlow")]
    nbformat.write(new_notebook(cells=cells, metadata=metadata), notebook)
    command = ["papermill", notebook, executed, "--cwd", root, "--engine", "kit", "--no-progress-bar"]
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
    (only,) = nbformat.read(executed, as_version=4).cells[1].outputs
    assert "✓ succeeded" in only["data"]["text/plain"]
    assert only["data"]["text/html"].count("<img") == 1


def test_a_script_has_the_last_picture_on_its_standard_error_and_needs_no_ipython(kernel: Kernel) -> None:
    root = kernel.check("print(kit.session.session().project.root)").stdout.strip()
    code = "import sys, kit; run = kit.run_flow('OtherFlow'); print(run.status, 'IPython' in sys.modules)"
    environ = {**os.environ, "USERNAME": USER}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "succeeded False\n"
    assert done.stderr.startswith("OtherFlow/")
    assert done.stderr.count("✓ succeeded") == 3


def test_tab_offers_flows_parameters_and_steps_to_resume(kernel: Kernel) -> None:
    assert kernel.complete("%mf_run Wi") == ["WideFlow"]
    assert {"--bad", "--background"} <= set(kernel.complete("%mf_run WideFlow --ba"))
    assert kernel.complete("%mf_run WideFlow --max-w") == ["--max-workers"]
    assert kernel.complete("%mf_run --loud Wi") == ["WideFlow"]
    assert kernel.complete("%mf_run --bad 2 WideFlow --my") == ["--my_name"]
    assert kernel.labels("%mf_run EndsFlow --se") == {"--settings": "Config"}
    assert "retry" in kernel.complete("%mf_run WideFlow --with r")
    assert kernel.complete("%mf_run WideFlow --environment py") == ["pypi-uv", "pypi"]
    assert kernel.complete("run = %mf_run WideFlow --bad 2 --resume j") == ["join"]
