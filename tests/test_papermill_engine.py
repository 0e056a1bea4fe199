"""papermill, nbclient and the like with kit's kernels: `--engine kit`, and the kernel provisioner `kit`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from kit.kernels import forkserver

pytestmark = pytest.mark.kernel

SPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
IS_WARM = "import sys\nprint('matplotlib.pyplot' in sys.modules)"  # an ordinary kernel has not imported it yet


@pytest.fixture(autouse=True)
def _no_server_is_left() -> Iterator[None]:
    yield
    forkserver.close_all()


def notebook(path: Path, *sources: str) -> Path:
    cells = [new_code_cell(source) for source in sources]
    for cell in cells:
        if cell.source.startswith("# parameters"):
            cell.metadata["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": SPEC}), path)
    return path


def papermill(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--engine", "kit", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_papermill_executes_in_warm_kernels(tmp_path: Path) -> None:
    notebook(tmp_path / "in.ipynb", "# parameters\nx = 1", IS_WARM, "import os\nprint(x, os.getcwd())")
    done = papermill(tmp_path, "-p", "x", "5")
    assert done.returncode == 0, done.stderr
    node = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(node)
    assert node.cells[2].outputs[0].text == "True\n"
    assert node.cells[3].outputs[0].text == f"5 {tmp_path}\n"
    assert {cell.metadata.papermill.status for cell in node.cells} == {"completed"}
    assert node.metadata.language_info.name == "python"


def test_papermill_fails_on_a_failing_cell(tmp_path: Path) -> None:
    notebook(tmp_path / "in.ipynb", "1 / 0", "2")
    done = papermill(tmp_path)
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stderr
    states = [
        c.metadata.papermill.status for c in nbformat.read(tmp_path / "out.ipynb", 4).cells if c.cell_type == "code"
    ]
    assert states == ["failed", "pending"]


@pytest.mark.parametrize("cells", [("y = 2", "1"), ("# parameters\ny = 2", "1")], ids=["no such cell", "another name"])
def test_parameter_that_the_notebook_does_not_declare_is_an_error(tmp_path: Path, cells: tuple[str, ...]) -> None:
    notebook(tmp_path / "in.ipynb", *cells)
    done = papermill(tmp_path, "-p", "x", "5")
    assert done.returncode != 0
    assert "`parameters`" in done.stderr


def test_dead_kernel_is_told_from_what_never_ran(tmp_path: Path) -> None:
    notebook(tmp_path / "in.ipynb", "1", "import os\nos._exit(9)", "3")
    done = papermill(tmp_path)
    assert done.returncode != 0
    assert "cell [2]: the kernel ended with status 9" in done.stderr
    states = [cell.metadata.papermill.status for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells]
    assert states == ["completed", "failed", "pending"]


def test_other_runners_get_warm_kernels_from_the_provisioner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "kit")
    from jupyter_client.provisioning import KernelProvisionerFactory

    KernelProvisionerFactory.clear_instance()
    try:
        node = new_notebook(cells=[new_code_cell(IS_WARM)], metadata={"kernelspec": SPEC})
        NotebookClient(node, resources={"metadata": {"path": str(tmp_path)}}).execute()
    finally:
        KernelProvisionerFactory.clear_instance()
    assert node.cells[0].outputs[0].text == "True\n"


def test_kernelspec_that_names_the_provisioner_gives_warm_kernels_to_nbmake_and_to_kit_test(tmp_path: Path) -> None:
    own = tmp_path / "share" / "kernels" / "warm"
    own.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    metadata = {"kernel_provisioner": {"provisioner_name": "kit"}}
    spec = {"argv": argv, "display_name": "Warm", "language": "python", "metadata": metadata}
    (own / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.kit]\n", encoding="utf-8")
    path = notebook(tmp_path / "in.ipynb", "import sys\nassert 'matplotlib.pyplot' in sys.modules")
    path.write_text(path.read_text(encoding="utf-8").replace('"python3"', '"warm"'), encoding="utf-8")
    environ = {**os.environ, "JUPYTER_PATH": str(tmp_path / "share")}
    nbmake = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:kit", "-c", os.devnull, "--nbmake", "in.ipynb")
    for words in (nbmake, ("kit", "test", "in.ipynb")):
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_importing_papermill_imports_nothing_of_kits_but_the_engine() -> None:
    code = "import papermill, sys; print(*sorted(name for name in sys.modules if name.split('.')[0] == 'kit'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kit", "kit.papermill_engine"]


def test_engine_without_what_it_needs_does_not_break_the_import_of_papermill() -> None:
    broken = "import sys; sys.modules['kit.kernels'] = sys.modules['kit.regression'] = None"
    code = f"{broken}; import papermill; print('ok')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr
