"""`kit test --on metaflow`: the suite as a Metaflow flow, with the local runtime, and its code package elsewhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from kernel_bench import MARKER, alive, wait_until
from support import write_files
from test_cli import COMMON, FIRST, kit, notebook

import kit as kit_itself
from kit import session

pytestmark = [pytest.mark.flow, pytest.mark.kernel]

FLOW_FILE = Path(kit_itself.__file__).parent / "regression" / "suite_flow" / "kit_test.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    write_files(root, {"flows/common.py": COMMON, "flows/first.py": FIRST, ".gitignore": ".metaflow\n.kit\nbig.bin\n"})
    look = "import os\nassert 'KIT_TEST_ROOT' not in os.environ\nprint(first, common.GREETING)"
    cells = ("# parameters\nfirst = 'FirstFlow'", "%load_ext kit", look, "%mf_artifacts {first}")
    notebook(root / "notebooks" / "in a folder" / "n.ipynb", *cells, runs={"first": "FirstFlow"})
    notebook(root / "notebooks" / "bad.ipynb", "1 / 0")
    return root


def test_suite_is_a_run_with_verdicts_executed_notebooks_and_the_report_as_its_card(project: Path) -> None:
    (project / "notebooks" / "none.ipynb").write_text("{")
    done = kit(project, "test", "--on", "metaflow", "--with", "resources:memory=100", "--junit", "j.xml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 passed, 2 failed" in done.stdout
    assert "cell [1]: ZeroDivisionError: division by zero" in done.stdout
    assert "is not valid JSON" in done.stdout
    assert 'name="notebooks/bad.ipynb"' in (project / "j.xml").read_text()
    (executed,) = (project / ".kit").rglob("n.ipynb")
    nbformat.validate(nbformat.read(executed, as_version=4))
    assert str(executed.parents[2].relative_to(project)) in done.stdout

    assert sorted(path.name for path in (project / ".metaflow").iterdir() if path.name[0] not in "._m") == ["KitTest"]
    with session.inside(project):
        table = session.artifacts("KitTest")
        verdicts: list[dict[str, Any]] = table["end"]["verdicts"]
        assert [each["status"] for each in verdicts] == ["passed", "failed", "passed", "failed"]
        assert "division by zero" in table["test"]["executed"]
        assert [card.type for card in table.cards()] == ["kit_page"]
    assert not Path(table["end"]["suite"]["folder"]).exists(), "the datastore of the test runs is gone"


def test_code_package_carries_all_that_a_task_on_another_machine_needs(project: Path, tmp_path: Path) -> None:
    write_files(project, {"big.bin": "x"})
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)  # noqa: S607
    packed, there = tmp_path / "package.tgz", tmp_path / "there"
    subprocess.run(
        [sys.executable, str(FLOW_FILE), "--no-pylint", "package", "save", str(packed)],
        cwd=project,
        env={**os.environ, "KIT_TEST_ROOT": str(project)},
        check=True,
        capture_output=True,
    )
    with tarfile.open(packed) as archive:
        assert not [name for name in archive.getnames() if name.endswith("big.bin")], "git does not have it"
        archive.extractall(there)  # noqa: S202
    project.rename(tmp_path / "elsewhere")
    store = tmp_path / "store"
    names = ["notebooks/in a folder/n.ipynb", "notebooks/bad.ipynb"]
    suite = {"notebooks": names, "workers": 1, "parameters": [], "timeout": None, "cell_timeout": None, "retries": 0}
    code = f"""
        import json, shutil
        import kit
        from kit.regression import tasks

        suite = {json.dumps({**suite, "folder": str(store)}).replace("null", "None")}
        flows, datastore = tasks.run_needed_flows(suite)
        shutil.rmtree(suite["folder"])  # the next task is on another machine again
        tested = [tasks.test_notebook(suite, name, flows, datastore)[0].status for name in suite["notebooks"]]
        print("RESULT", json.dumps([kit.__file__, tested]))
    """
    write_files(there, {"task.py": code})
    environ = {**os.environ, "PYTHONPATH": str(there / ".mf_code")}
    done = subprocess.run([sys.executable, "task.py"], cwd=there, env=environ, capture_output=True, text=True)
    assert "RESULT" in done.stdout, done.stdout + done.stderr
    file, tested = json.loads(done.stdout.split("RESULT")[1])
    assert file.startswith(str(there)), "kit itself is from the package"
    assert tested == ["passed", "failed"]


def test_interrupt_ends_the_run_and_its_processes(project: Path) -> None:
    notebook(project / "notebooks" / "bad.ipynb", "open('started', 'w').close()\nimport time\ntime.sleep(1000)")
    process = subprocess.Popen(
        [sys.executable, "-m", "kit", "test", "--on", "metaflow", "notebooks/bad.ipynb"],
        cwd=project,
        env={**os.environ, MARKER: str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until((project / "notebooks" / "started").exists, 120)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "1 not run" in printed
    wait_until(lambda: not alive(str(project)))


@pytest.mark.parametrize("words", [("--with", "kubernetes"), ("--on", "metaflow", "--update"), ("--on", "x")])
def test_words_that_do_not_go_together_are_refused(project: Path, words: tuple[str, ...]) -> None:
    done = kit(project, "test", *words)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_what_cannot_be_carried_or_started_is_said_at_once(project: Path, tmp_path: Path) -> None:
    notebook(tmp_path / "outside.ipynb", "1")
    outside = kit(project, "test", "--on", "metaflow", "notebooks/bad.ipynb", str(tmp_path / "outside.ipynb"))
    assert outside.returncode == 2
    assert "is not in the project" in outside.stderr
    unknown = kit(project, "test", "--on", "metaflow", "--with", "no_such_decorator", "notebooks/bad.ipynb")
    assert unknown.returncode == 2
    assert "no_such_decorator" in unknown.stderr


def test_a_run_of_ones_own_stays_here(project: Path) -> None:
    done = kit(project, "test", "--on", "metaflow", "-p", "first", "FirstFlow/12")
    assert done.returncode == 2
    assert "first would be a run of your own" in done.stderr
