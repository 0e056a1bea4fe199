"""`kit test` with references, as a process: compare, update, report, measure."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import run_flow, write_files
from test_cli import COMMON, FIRST, kit, notebook

pytestmark = [pytest.mark.flow, pytest.mark.kernel]

PLOT = """
def plot(rows):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 2))
    axes.plot([1, 2, rows])
    plt.show()


def never_called():
    return 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    write_files(root, {"flows/common.py": COMMON, "flows/first.py": FIRST})
    (root / "flows" / "common.py").write_text(COMMON + PLOT, encoding="utf-8")
    notebook(
        root / "notebooks" / "n.ipynb",
        "# parameters\nfirst = 'FirstFlow'",
        "%load_ext kit",
        "import os, time\nprint(first, os.getpid(), time.time())\nprint(common.GREETING, 0.5)",
        "%mf_artifacts {first}",
        "common.plot(3)",
        runs={"first": "FirstFlow"},
    )
    return root


def test_update_masks_what_differs_by_itself_and_a_real_edit_then_fails(project: Path) -> None:
    none_yet = kit(project, "test")
    assert none_yet.returncode == 0, none_yet.stdout + none_yet.stderr
    assert "no reference" in none_yet.stdout

    updated = kit(project, "test", "--update")
    assert updated.returncode == 0, updated.stdout + updated.stderr
    reference = project / "notebooks" / "references" / "n.json"
    text = reference.read_text(encoding="utf-8")
    assert "FirstFlow/<run> <varies> <time>" in text
    assert "hello 0.5" in text
    assert '"figure"' in text

    same = kit(project, "test")
    assert same.returncode == 0, same.stdout + same.stderr
    assert "outputs: 4 same" in same.stdout

    common = project / "flows" / "common.py"
    common.write_text(common.read_text(encoding="utf-8").replace("2, rows]", "2, rows + 0.5]"), encoding="utf-8")
    different = kit(project, "test", "--junit", "out/j.xml", "--html", "out/r.html", GITHUB_ACTIONS="true")
    assert different.returncode == 1, different.stdout + different.stderr
    assert "axes[0].lines[0].y: 1 of 3 values differ, [2]: 3 -> 3.5" in different.stdout, different.stdout
    assert "::error file=notebooks/n.ipynb,line=" in different.stdout
    assert "<failure " in (project / "out" / "j.xml").read_text(encoding="utf-8")
    assert "mix-blend-mode" in (project / "out" / "r.html").read_text(encoding="utf-8")

    again = kit(project, "test", "--update")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "3 -> 3.5" in again.stdout, "an update says what it rewrote"
    assert kit(project, "test").returncode == 0


def test_a_notebook_that_fails_keeps_its_reference(project: Path) -> None:
    bad = project / "notebooks" / "bad.ipynb"
    notebook(bad, "print(1)")
    assert kit(project, "test", "--update", str(bad)).returncode == 0
    reference = project / "notebooks" / "references" / "bad.json"
    before = reference.read_text(encoding="utf-8")
    notebook(bad, "print(2)\n1 / 0")
    done = kit(project, "test", "--update", str(bad))
    assert done.returncode == 1
    assert reference.read_text(encoding="utf-8") == before


def test_coverage_counts_what_ran_in_kernels_and_in_flows(project: Path) -> None:
    done = kit(project, "test", "--cov")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("flows/common.py"))
    assert line.split()[1:3] == ["8", "1"], "all but the body of never_called, which nothing calls"
    assert "flows/first.py" in done.stdout
    assert (project / ".coverage").is_file()


def test_a_tag_of_kits_that_means_nothing_fails_its_notebook(project: Path) -> None:
    path = project / "notebooks" / "n.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace('"parameters"', '"parameters", "kit-tol=x"'), "utf-8")
    done = kit(project, "test")
    assert done.returncode == 1
    assert "is tagged 'kit-tol=x', which is no tolerance" in done.stdout


def test_a_run_of_ones_own_takes_the_place_of_the_tests(project: Path) -> None:
    path = project / "notebooks" / "own.ipynb"
    notebook(
        path,
        "# parameters\nfirst = 'FirstFlow'",
        "%load_ext kit",
        "import kit\nprint('rows', kit.artifacts(first)['start']['rows'])",
        runs={"first": "FirstFlow"},
    )
    log = run_flow(project / "flows" / "first.py", cwd=project)
    run_id = log.partition("run-id ")[2].split(")")[0].split(",")[0].strip()
    done = kit(project, "test", str(path), "-p", "first", f"FirstFlow/{run_id}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "flow" not in [line.split()[2] for line in done.stdout.splitlines() if line.startswith("✓ passed  ")]
    (executed,) = (project / ".kit").rglob("own.ipynb")
    assert "rows 10" in executed.read_text(encoding="utf-8"), "the run's own value, not test mode's"


def test_a_reference_whose_notebook_is_gone_is_named(project: Path) -> None:
    plain = project / "notebooks" / "plain.ipynb"
    notebook(plain, "print(1)")
    assert kit(project, "test", "--update", str(plain)).returncode == 0
    plain.rename(plain.with_name("renamed.ipynb"))
    done = kit(project, "test", str(plain.with_name("renamed.ipynb")))
    assert "no reference" in done.stdout
    assert "notebooks/references/plain.json: its notebook is gone" in done.stdout
