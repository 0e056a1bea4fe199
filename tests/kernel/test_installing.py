"""`%mf_install_deps` in a real kernel: a flow's pins, and a kernel of their own."""

import subprocess
import sys

import pytest
from kernel_client import Kernel
from wheel_folder import make_index

from kit import installer

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
    return make_project({"flows/pinned.py": FLOW, "pyproject.toml": "[tool.kit]\n"})


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


def test_a_module_that_was_imported_before_its_version_changed_is_named(root, start_kernel, tmp_path):
    bare = tmp_path / "site"
    index = make_index(tmp_path)
    command = [installer.find_uv(), "pip", "install", "-q", "--target", str(bare), "alpha-dist==1.0"]
    subprocess.run(command, env=index, check=True)
    code = f"""
import sys; sys.path.insert(0, {str(bare)!r})
import alpha
from kit import installed
before = installed.versions()
import subprocess
subprocess.run({[*command[:-1], "--upgrade", "alpha-dist==2.0"]!r}, env={index!r}, check=True)
print(installed.outdated_imports(before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{'alpha': ('1.0', '2.0')}\n"


def test_an_environment_of_its_own_is_a_kernel_in_which_kit_loads(root, start_kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))
    made = start_kernel(root).check("%load_ext kit\n%mf_install_deps --isolated six==1.16.0")
    name = made.text.split()[0]
    own = Kernel(root, {}, name)
    try:
        assert "PinnedFlow" in own.check("%load_ext kit").stdout
        said = own.check("import six, sys; print(six.__version__, sys.prefix)").stdout
        assert said == f"1.16.0 {tmp_path}/cache/environments/{name.removeprefix('kit-')}\n"
        assert "PinnedFlow" in own.check("%mf_artifacts").text
    finally:
        own.close()
