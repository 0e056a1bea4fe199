"""`kit debug` of a step that pins packages: its notebook's kernel has them."""

import nbformat
import pytest
from click.testing import CliRunner
from kernel_client import Kernel
from support import run_flow

from kit.cli import main

pytestmark = [pytest.mark.kernel, pytest.mark.flow]

FLOW = """
    from metaflow import FlowSpec, pypi, step


    class VersionFlow(FlowSpec):
        @pypi(packages={"semver": "3.0.2"})
        @step
        def start(self):
            import semver

            self.version = semver.Version(1, 2, 3)
            self.next(self.work)

        @pypi(packages={"semver": "3.0.2"})
        @step
        def work(self):
            self.major = self.version.major

            self.ratio = self.major / self.version.prerelease
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        VersionFlow()
"""


def test_the_cells_of_a_step_with_pins_run_in_a_kernel_that_has_them(
    make_project, tmp_path, monkeypatch, environments_cache
):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("KIT_CACHE", str(environments_cache))
    monkeypatch.setenv("METAFLOW_DEFAULT_ENVIRONMENT", "pypi-uv")
    root = make_project({"flows/version.py": FLOW})
    run_flow(root / "flows" / "version.py", cwd=root, check=False)
    monkeypatch.chdir(root)
    done = CliRunner().invoke(main, ["debug", "VersionFlow"])
    assert "kernel kit-versionflow-work-" in done.output, done.output
    node = nbformat.read(root / "notebooks" / "debug_work_2.ipynb", as_version=4)
    assert node.metadata.kernelspec.display_name.startswith("VersionFlow/work (semver 3.0.2, Python 3.")
    kernel = Kernel(root / "notebooks", {}, node.metadata.kernelspec.name)
    try:
        outputs = [(cell, kernel.run(cell.source)) for cell in node.cells if cell.cell_type == "code"]
        raised = [(cell.source, output.error) for cell, output in outputs if output.error]
        wrong = "TypeError: unsupported operand type(s) for /: 'int' and 'NoneType'"
        assert raised == [
            ("self.ratio = self.major / self.version.prerelease", wrong),
            ("%mf_run_step {failed_task}", wrong),
        ]
        assert kernel.check("import semver; semver.__version__, self.major").text == "('3.0.2', 1)"
    finally:
        kernel.close()
