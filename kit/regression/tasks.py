"""What the tasks of KitTest do: the parts of `kit test`, each on a machine of its own.

The test runs are not in the datastore of KitTest's own run: they would be taken for real ones. They are made in a local
one, in a folder whose name is the same on every machine, and travel as an artifact; Metaflow stores it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kit import internals
from kit.light import import_schemas
from kit.model import Verdict
from kit.project import Project, datastore_environment, find_project
from kit.regression.carried import ROOT_VARIABLE, project_root
from kit.regression.compared import NotebookVerdict
from kit.regression.discover import Notebook
from kit.regression.execute import Job, execute
from kit.regression.flows import Ran, plan_flows, run_flows
from kit.regression.html_report import html_report
from kit.regression.judge import judge
from kit.regression.places import fork_servers, inside, kernel_environment, warm_up
from kit.regression.settings import comparison_rules
from kit.regression.suite import Options, Outcome, limits_of, read_tested, values_for, why_not_run

__all__ = ["MARK", "Suite", "gather", "page", "plain", "require_passed", "run_needed_flows", "test_notebook"]

OF_TASKS = (ROOT_VARIABLE, "METAFLOW_RUN_ID", "PYTHONUNBUFFERED")  # a kernel's environment is as without --on
MARK = "kit-verdict "  # begins the rest of a line in a task's log: a verdict, for the one who waits


@dataclass(frozen=True)
class Suite:
    """What is to be tested, as the flow's parameter `suite` holds it.

    Args:
        notebooks: The notebooks' paths from the project's root.
        workers: How many flows run at once.
        parameters: Values for every notebook that declares them.
        timeout: The time limit of a notebook, in seconds.
        cell_timeout: The time limit of a cell, in seconds.
        retries: How often a notebook is executed again whose kernel has died.
        folder: The folder of the test runs' datastore, on every machine.
    """

    notebooks: tuple[str, ...]
    workers: int
    parameters: tuple[tuple[str, Any], ...]
    timeout: float | None
    cell_timeout: float | None
    retries: int
    folder: str

    @property
    def json(self) -> str:
        """The parameter's value."""
        return json.dumps(asdict(self))

    @property
    def options(self) -> Options:
        """What it says, as `kit test` takes it."""
        return Options(
            workers=self.workers,
            parameters=tuple((name, value) for name, value in self.parameters),
            timeout=self.timeout,
            cell_timeout=self.cell_timeout,
            retries=self.retries,
        )


def run_needed_flows(suite: Mapping[str, Any]) -> tuple[dict[str, Ran], bytes]:
    """Run the flows that the notebooks need.

    Args:
        suite: The flow's parameter.

    Returns:
        What became of each flow, and the datastore of their runs, packed.
    """
    asked, project = Suite(**suite), find_project(project_root())
    read = [read_tested(project, project.root / name) for name in asked.notebooks]
    given = {name for name, _ in asked.parameters}
    notebooks = [each for each in read if isinstance(each, Notebook)]
    plan = plan_flows(project, {flow for each in notebooks for name, flow in each.runs.items() if name not in given})
    folder = Path(asked.folder)
    (folder / ".metaflow").mkdir(parents=True, exist_ok=True)
    ran = run_flows(project, plan, asked.workers, datastore_environment(folder), _tell, lambda name: None)
    return ran, _packed(folder)


def test_notebook(
    suite: Mapping[str, Any], name: str, flows: Mapping[str, Ran], datastore: bytes
) -> tuple[Verdict, str]:
    """Execute a notebook and compare it with its reference.

    Args:
        suite: The flow's parameter.
        name: The notebook's path from the project's root.
        flows: What became of the flows.
        datastore: The datastore of their runs, packed.

    Returns:
        The verdict, and the executed notebook; "" where there is none.
    """
    import_schemas()
    asked, project = Suite(**suite), find_project(project_root())
    _unpack(datastore, Path(asked.folder))
    with tempfile.TemporaryDirectory(prefix="kit-task-") as folder, fork_servers():
        verdict, executed = _tested(project, asked, name, flows, Path(folder))
        if isinstance(verdict, NotebookVerdict):
            verdict = replace(verdict, path=None, executed=None)  # paths of this machine
    _tell(verdict)
    return verdict, executed


def _tested(project: Project, asked: Suite, name: str, flows: Mapping[str, Ran], folder: Path) -> tuple[Verdict, str]:
    notebook = read_tested(project, project.root / name)
    if isinstance(notebook, Verdict):
        return notebook, ""
    given = dict(asked.parameters)
    lacking = why_not_run(notebook, flows, given)
    if lacking:
        return Verdict(name, "notebook", "not run", 0.0, lacking), ""
    own_runs = bool(notebook.runs.keys() & given.keys())
    environ = kernel_environment({} if own_runs else datastore_environment(Path(asked.folder)))
    for variable in OF_TASKS:
        environ.pop(variable, None)
    warm_up(environ)
    output = folder / inside(name)
    limits, values = limits_of(project, asked.options), values_for(notebook, flows, given)
    job = Job(str(notebook.path), str(output), environ, limits, values, asked.retries)
    with (folder / "kernel.log").open("ab") as log:
        result = asyncio.run(execute(job, log.fileno()))
    verdict = judge(notebook, output, result, comparison_rules(project))
    return verdict, output.read_text(encoding="utf-8") if output.is_file() else ""


def gather(flows: Mapping[str, Ran], tests: Sequence[Any]) -> tuple[Verdict, ...]:
    """Gather the verdicts on the flows and the notebooks.

    Args:
        flows: What became of the flows.
        tests: The tasks of the notebooks; one that was lost, with its machine or its memory, has no verdict.
    """
    found = []
    for task in tests:
        verdict = getattr(task, "tested", None)
        if verdict is None:
            why = _first_line(str(getattr(task, "lost", None) or "it ended without a word"))
            verdict = Verdict(task.input, "notebook", "failed", 0.0, f"its task was lost, twice: {why}")
            _tell(verdict)
        found.append(verdict)
    return (*(ran.verdict for ran in flows.values()), *found)


def page(verdicts: Sequence[Verdict]) -> str:
    """Draw the HTML report."""
    return html_report(Outcome(tuple(verdicts), Path("KitTest")), Path())


def plain(verdict: Verdict) -> dict[str, Any]:
    """Give a verdict as plain data, for those who have no kit."""
    names = ("name", "kind", "status", "seconds", "detail", "report", "notes")
    return {name: getattr(verdict, name) for name in names}


def require_passed(verdicts: Sequence[Verdict]) -> None:
    """Raise where a verdict is not "passed".

    Raises:
        MetaflowException: One is not; Metaflow says it without a traceback.
    """
    bad = [verdict.name for verdict in verdicts if verdict.status != "passed"]
    if bad:
        what = f"{len(bad)} of {len(verdicts)} did not pass: {', '.join(bad)}. See the card of the step report."
        raise internals.MetaflowException(what)


def _tell(verdict: Verdict) -> None:
    short = {**plain(verdict), "report": "", "notes": ()}
    print(MARK + json.dumps(short), flush=True)  # noqa: T201  # it is the task's log


def _packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        archive.add(folder, ".")
    return buffer.getvalue()


def _unpack(data: bytes, folder: Path) -> None:
    """Unpack the datastore where it was; on the machine that it was made on it still is there."""
    if (folder / ".metaflow").is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="kit-test-") as name:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(Path(name, "all"))  # noqa: S202  # KitTest's own first task packed it
        with contextlib.suppress(OSError):  # another task of this machine was first
            os.rename(Path(name, "all"), folder)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
