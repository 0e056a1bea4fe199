"""What `%load_ext kit` leaves for the first magic: counted, since a time depends on the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flows_for_tests import COMMON, LINEAR
from kernel_client import Kernel

from kit.extension import MAGICS
from kit.magics import KitMagics

pytestmark = pytest.mark.kernel

Start = Callable[..., Kernel]
Make = Callable[[dict[str, str]], Path]

HEAVY = {
    "IPython.extensions.autoreload",
    "click",
    "jinja2",
    "jsonschema",
    "matplotlib",
    "metaflow",
    "nbformat",
    "numpy",
    "packaging",
    "pandas",
    "papermill",
    "rich",
}
LATE = {"kit.magics", "kit.model", "kit.replay", "kit.runs", "kit.session", "kit.views"}

WATCH = """
import sys
before, compiled = set(sys.modules), []
sys.addaudithook(lambda event, args: compiled.append(str(args[1])) if event == "compile" else None)
"""


def test_loading_imports_nothing_that_the_first_magic_brings(make_project: Make, start_kernel: Start) -> None:
    root = make_project({"flows/linear.py": LINEAR, "flows/common.py": COMMON})
    kernel = start_kernel(root)
    kernel.check(WATCH)
    kernel.check("%load_ext kit")
    new = set(kernel.check("print(*sorted(set(sys.modules) - before))").stdout.split())
    assert "kit.extension" in new
    assert new & (HEAVY | LATE) == set()


def test_loading_a_large_project_parses_none_of_its_files(make_project: Make, start_kernel: Start) -> None:
    files = {f"flows/flow{i}.py": LINEAR.replace("LinearFlow", f"Flow{i}") for i in range(60)}
    kernel = start_kernel(make_project({**files, "flows/common.py": COMMON}))
    kernel.check(WATCH)
    assert " · 61 files in flows · common is bound" in kernel.check("%load_ext kit").stdout
    kernel.check("common.scale(1)")
    assert kernel.check("[name for name in compiled if '/flows/flow' in name]").text == "[]"
    assert set(kernel.complete("%mf_run_step Flow5")) == {"Flow5", *(f"Flow5{i}" for i in range(10))}


def test_every_magic_is_announced_before_it_is_imported() -> None:
    assert {kind: set(names) for kind, names in MAGICS.items()} == {
        kind: set(names) for kind, names in KitMagics.magics.items()
    }


def test_help_and_completion_know_a_magic_before_its_first_use(make_project: Make, start_kernel: Start) -> None:
    kernel = start_kernel(make_project({"flows/linear.py": LINEAR}))
    kernel.check("%load_ext kit")
    assert "%mf_artifacts" in kernel.complete("%mf_art")
    magics = "get_ipython().magics_manager.magics['line']"
    assert "Listing unpickles nothing" in kernel.check(f"print({magics}['mf_artifacts'].__doc__)").stdout
    assert kernel.complete("%mf_artifacts --succ") == ["--successful"]


def test_python_functions_stay_with_the_loaded_project_in_another_folder(
    make_project: Make, start_kernel: Start, tmp_path: Path
) -> None:
    root = make_project({"flows/linear.py": LINEAR})
    kernel = start_kernel(root)
    kernel.check(f"%load_ext kit\nimport os; os.chdir({str(tmp_path)!r})")
    assert kernel.run("import kit; kit.artifacts('LinearFlow')").error.startswith("NotFoundError: LinearFlow has not")
    kernel.check("%unload_ext kit")
    assert kernel.run("kit.artifacts('LinearFlow')").error.startswith("ProjectError: There is no Metaflow project")
