"""Coverage of the flows and their modules, as run in kernels and in the flows' own processes: coverage.py's work."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ProjectError
from kit.project import Project
from kit.regression.outputs.capture import COVERAGE_VARIABLE

__all__ = ["Coverage", "measured"]


@dataclass
class Coverage:
    """What is measured, and what came of it.

    Args:
        environ: Variables for the processes to measure.
        text: The report, once it is there; empty where nothing is measured.
    """

    environ: tuple[tuple[str, str], ...] = ()
    text: str = ""


@contextmanager
def measured(project: Project, wanted: bool) -> Iterator[Coverage]:
    """Measure the lines and branches of the flows' folder that run inside the block.

    Every process that is started with `environ` measures itself, and writes a file of its own; they are put together
    at the end, in the project's `.coverage`, from which coverage.py's other reports can be made.

    Args:
        project: The project.
        wanted: Whether to measure at all.

    Raises:
        ProjectError: coverage.py is not installed.
    """
    if not wanted:
        yield Coverage()
        return
    try:
        import coverage
    except ImportError as error:
        raise ProjectError("--cov needs coverage.py, which is not installed.", "pip install coverage") from error
    with tempfile.TemporaryDirectory(prefix="kit-coverage-") as name:
        settings = Path(name, "coveragerc")
        lines = ("[run]", "branch = true", "parallel = true", f"data_file = {Path(name, 'data')}")
        sources = (
            "source =",
            f"    {project.flows_folder}",
            "disable_warnings = no-data-collected,module-not-measured",
        )
        settings.write_text("\n".join((*lines, *sources, "")), encoding="utf-8")
        result = Coverage(((COVERAGE_VARIABLE, str(settings)),))
        yield result
        found = [str(path) for path in Path(name).glob("data*")]
        own = project.root / ".coverage"
        total = coverage.Coverage(data_file=own, branch=True, source=[str(project.flows_folder)], config_file=False)
        total.erase()
        if not found:
            result.text = "coverage: nothing of the flows' folder was run"
            return
        total.combine(found)
        total.save()
        text = io.StringIO()
        total.report(file=text, show_missing=True)
        result.text = text.getvalue().replace(f"{project.root}/", "").rstrip()
