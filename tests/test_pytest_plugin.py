"""`pytest --kit` and the fixture `mf_run`, as pytest itself finds them, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support import write_files
from test_cli import COMMON, FAILING, FIRST, SECOND, notebook

pytestmark = [pytest.mark.flow, pytest.mark.kernel]


def run_pytest(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=root,
        env={**os.environ, "TMPDIR": str(root.parent), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    flows = {"flows/common.py": COMMON, "flows/first.py": FIRST, "flows/failing.py": FAILING, "flows/second.py": SECOND}
    write_files(root, {**flows, "pyproject.toml": "[tool.kit]\n"})
    folder = root / "notebooks"
    first = {"first": "FirstFlow"}
    notebook(folder / "good.ipynb", "# parameters\nfirst = ''", "print(first)", runs=first)
    notebook(folder / "again.ipynb", "# parameters\nfirst = ''", "print(first)", runs=first)
    notebook(folder / "deep down" / "bäd one.ipynb", "x = 1", "def fail():\n    return 1 / 0\n\n\nfail()")
    notebook(folder / "waits.ipynb", "# parameters\nrun = ''", "1", runs={"run": "FailingFlow"})
    return root


def test_notebooks_are_tests_with_what_kit_test_says_of_them(project: Path) -> None:
    done = run_pytest(project, "--kit", "notebooks", "--junitxml", "j.xml")
    assert done.returncode == 1
    assert "2 failed, 2 passed" in done.stdout, done.stdout
    assert "ZeroDivisionError: division by zero" in done.stdout
    assert "it wants a run of FailingFlow, which failed" in done.stdout
    assert 'raise RuntimeError("nothing works")' in done.stdout
    assert "metaflow/task.py" not in done.stdout, "Metaflow's own frames are no one's concern"
    assert "pytest_items.py" not in done.stdout, "nor are kit's"
    executed = {
        case.get("name"): case.find(".//property[@name='executed']")
        for case in ET.parse(project / "j.xml").iter("testcase")  # noqa: S314  # pytest wrote it
    }
    assert set(executed) == {"good", "again", "bäd one", "waits"}
    ran = [Path(found.get("value", "")).read_text() for found in executed.values() if found is not None]
    assert len(ran) == 3
    (pathspec,) = {line for text in ran for line in text.splitlines() if "FirstFlow/" in line and "first = " in line}
    assert pathspec, "both notebooks were given the same run"
    assert not list(project.parent.glob("kit-test-*")), "its datastore is gone"

    failed = run_pytest(project, "--kit", "notebooks", "--lf", "-x", "-k", "one")
    assert "1 failed" in failed.stdout, failed.stdout


def test_workers_of_xdist_share_the_runs(project: Path) -> None:
    done = run_pytest(project, "--kit", "notebooks/good.ipynb", "notebooks/again.ipynb", "-n", "2")
    assert done.returncode == 0, done.stdout
    (session,) = (project / ".kit" / "test").iterdir()
    copies = [path.read_text(encoding="utf-8") for path in session.rglob("*.ipynb")]
    assert len(copies) == 2
    assert len({line for text in copies for line in text.splitlines() if '"first": "FirstFlow/' in line}) == 1


def test_without_the_flag_notebooks_are_none_of_its_business(project: Path) -> None:
    done = run_pytest(project, "notebooks")
    assert "no tests ran" in done.stdout


def test_a_start_of_pytest_imports_nothing_of_kits_but_the_plugin() -> None:
    code = "import sys, kit.pytest_plugin\nprint(*sorted(name for name in sys.modules if name.startswith('kit')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kit", "kit.pytest_plugin"]


def test_mf_run_runs_a_flow_once_and_only_its_users_read_that_datastore(project: Path) -> None:
    write_files(
        project,
        {
            "tests/test_flows.py": """
                import os

                import kit
                import metaflow
                import pytest

                SYSROOT = "METAFLOW_DATASTORE_SYSROOT_LOCAL"


                @pytest.fixture(scope="session")
                def first(mf_run):
                    return mf_run("FirstFlow")

                def test_artifacts(first):
                    assert kit.artifacts(first)["start"]["rows"] == 1

                def test_without(mf_step):
                    assert SYSROOT not in os.environ
                    with pytest.raises(kit.KitError, match="has not been run"):
                        mf_step("FirstFlow/start")

                def test_once(first, mf_run, mf_step):
                    assert mf_run("FirstFlow") == first
                    assert mf_step(first + "/start").same >= {"text", "rows"}

                def test_needs(first, mf_run):
                    assert kit.artifacts(mf_run("SecondFlow"))["start"]["text"] == "hello"
                    assert metaflow.Flow("FirstFlow").latest_run.pathspec == first

                def test_parameters(first, mf_run):
                    other = mf_run("FirstFlow", test_mode=False, size=7)
                    assert other != first
                    assert kit.artifacts(other)["start"]["rows"] == 7

                def test_failing(mf_run):
                    mf_run("FailingFlow")
                """,
        },
    )
    done = run_pytest(project, "tests", "-p", "no:cacheprovider")
    assert "1 failed, 5 passed" in done.stdout, done.stdout
    assert "FlowRunError: FailingFlow failed in test mode: RuntimeError: nothing works" in done.stdout
    assert "once.py" not in done.stdout
