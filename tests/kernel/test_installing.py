"""`%mf_install_deps` in a real kernel: a flow's pins, and a kernel of their own."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from kernel_client import Kernel
from wheel_folder import make_index

from kit.cli import main

pytestmark = pytest.mark.kernel

FLOW = """
    from metaflow import FlowSpec, pypi, step


    class PinnedFlow(FlowSpec):
        @pypi(packages={"alpha-dist": "1.0"})
        @step
        def start(self):
            self.next(self.end)

        @pypi(packages={"alpha-dist": "2.0"})
        @step
        def end(self):
            pass


    if __name__ == "__main__":
        PinnedFlow()
"""


@pytest.fixture
def root(make_project):
    old = FLOW.replace("PinnedFlow", "OldFlow").replace("@pypi(", '@pypi(python="3.9.13", ', 1)
    old = old.replace('"2.0"', '"1.0"')
    return make_project({"flows/pinned.py": FLOW, "flows/old.py": old, "pyproject.toml": "[tool.kit]\n"})


@pytest.fixture
def kernel(root, start_kernel, tmp_path):
    """Start a kernel in the project, whose uv installs from wheels."""
    started = start_kernel(root, **make_index(tmp_path))
    started.check("%load_ext kit")
    return started


def test_the_pins_of_a_step_are_compared_and_none_is_installed(kernel):
    shown = kernel.check("%mf_install_deps --flow PinnedFlow --step start --dry-run")
    assert "alpha-dist==1.0" in shown.text
    assert "install" in shown.text
    failed = kernel.run("%mf_install_deps --flow PinnedFlow --step end --check")
    assert failed.error.startswith("RequirementError: alpha-dist==2.0 is missing")


def test_contradictory_pins_of_two_steps_are_shown_before_anything_is_installed(kernel):
    failed = kernel.run("%mf_install_deps --flow PinnedFlow")
    assert "alpha-dist: start pins 1.0, end pins 2.0" in failed.error
    assert "kit: installing" not in failed.stdout


def test_a_kernel_of_its_own_for_a_python_that_kit_does_not_run_on_is_refused(kernel):
    failed = kernel.run("%mf_install_deps --flow OldFlow --isolated")
    assert failed.error.startswith("RequirementError: OldFlow pins Python 3.9.13, and kit needs 3.10")
    assert "%mf_run_step --isolated" in failed.traceback


def test_an_environment_of_its_own_is_a_kernel_in_which_kit_loads(
    root, start_kernel, tmp_path, monkeypatch, environments_cache
):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("KIT_CACHE", str(environments_cache))
    (tmp_path / "index").mkdir()
    make_index(tmp_path / "index")
    wheels = tmp_path / "index" / "wheels"
    made = start_kernel(root).check("%load_ext kit\n%mf_install_deps --isolated semver==3.0.2")
    name = re.search(r"^kit-kernel-[0-9a-f]+", made.displays[-1]["text/plain"])[0]
    own = Kernel(root, {}, name)
    try:
        assert "PinnedFlow" in own.check("%load_ext kit").stdout
        said = own.check("import semver, sys; print(semver.__version__, sys.prefix)").stdout
        assert re.fullmatch(rf"3\.0\.2 {re.escape(str(environments_cache))}/environments/[0-9a-f]+\n", said)
        assert "PinnedFlow" in own.check("%mf_artifacts").text
        first = own.check(f"%mf_install_deps {wheels}/alpha_dist-1.0-py3-none-any.whl")
        assert len(first.displays) == 2  # one that progress was shown in, and the table
        assert re.fullmatch(r"kit: installed .*alpha_dist-1.0\S* in [0-9.]+ s", first.displays[0]["text/plain"])
        assert "Restart" not in first.text
        refused = own.run(f"import alpha\n%mf_install_deps {wheels}/alpha_dist-2.0-py3-none-any.whl")
        assert "alpha_dist is installed as 1.0, wanted is file:" in refused.error
        assert "--upgrade" in refused.traceback
        second = own.check(f"%mf_install_deps --upgrade {wheels}/alpha_dist-2.0-py3-none-any.whl")
        assert "Imported before, and still at the old version: alpha (1.0, now 2.0). Restart the kernel." in second.text
        assert own.check("alpha.VERSION").text == "'1.0'"
        third = own.check(f"%mf_install_deps --upgrade {wheels}/alpha_dist-2.0-py3-none-any.whl")
        assert "Restart" not in third.text
        assert len(third.displays) == 1
    finally:
        own.close()

    # An environment that goes takes the kernel with it, which would have nothing to start.
    removed = CliRunner().invoke(main, ["env", "remove", Path(said.split()[1]).name])
    assert f"removed the kernel {name}" in removed.output, removed.output
    assert not (tmp_path / "jupyter" / "kernels" / name).exists()
