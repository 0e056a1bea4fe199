"""Notebooks as pytest's tests, and what a session of pytest shares; imported once one of them is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.errors import FlowRunError, KitError, NotebookError
from kit.model import Verdict
from kit.project import Project, find_project
from kit.regression.compared import NotebookVerdict
from kit.regression.discover import Notebook
from kit.regression.execute import Job, execute
from kit.regression.flows import Ran
from kit.regression.judge import judge
from kit.regression.once import RunsOnce
from kit.regression.places import fork_servers, inside, kernel_environment, warm_up
from kit.regression.settings import comparison_rules
from kit.regression.suite import Options, limits_of, read_tested, values_for, why_not_run

__all__ = ["NotebookFile", "NotebookItem", "SharedRuns"]


class SharedRuns:
    """What the tests of a session share: the runs of its projects, and the fork servers.

    Args:
        folder: The folder that the processes of the session share; without it, this process makes one of its own.
    """

    def __init__(self, folder: Path | None) -> None:
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(fork_servers())
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="kit-test-")).resolve()
            self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self._folder = folder
        self._projects: dict[Path, RunsOnce] = {}

    def runs_of(self, project: Project) -> RunsOnce:
        """Give the runs of a project."""
        if project.root not in self._projects:
            self._projects[project.root] = RunsOnce(project, self._folder)
        return self._projects[project.root]

    def run(self, start: Path, name: str, parameters: dict[str, Any]) -> tuple[str, RunsOnce]:
        """Give the pathspec of a flow's run in test mode, and the runs that it is among.

        Args:
            start: The folder from which the project is looked for.
            name: The flow's name.
            parameters: Values of its Parameters.

        Raises:
            FlowRunError: It failed.
            KitError: There is no such flow.
        """
        runs = self.runs_of(find_project(start))
        ran = runs.run(name, parameters)
        if not ran.pathspec:
            verdict = ran.verdict
            raise FlowRunError(verdict.detail, "Its own output says where:" if verdict.report else "", verdict.report)
        return ran.pathspec, runs

    def close(self) -> None:
        """End the fork servers, and remove the runs."""
        self._stack.close()


class NotebookFile(pytest.File):
    """A notebook, which is one test.

    Args:
        shared: Gives what the session shares.
    """

    def __init__(self, *, shared: Callable[[], SharedRuns], **options: Any) -> None:
        super().__init__(**options)
        self._shared = shared

    def collect(self) -> Iterator[pytest.Item]:
        """Give the test."""
        yield NotebookItem.from_parent(self, name=self.path.stem, shared=self._shared)


class NotebookItem(pytest.Item):
    """A notebook that is executed and compared with its reference.

    Args:
        shared: Gives what the session shares.
    """

    def __init__(self, *, shared: Callable[[], SharedRuns], **options: Any) -> None:
        super().__init__(**options)
        self._shared = shared

    def runtest(self) -> None:
        """Run the flows that the notebook needs, unless the session has; then the notebook.

        Raises:
            NotebookError: It failed, an output differs, or it could not be run.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of papermill and its kin are not the notebook's
            verdict = self._verdict()
        for note in verdict.notes:
            self.add_report_section("call", "kit", note)
        if isinstance(verdict, NotebookVerdict) and verdict.executed is not None:
            self.user_properties.append(("executed", str(verdict.executed)))
        if verdict.status != "passed":
            raise NotebookError(f"{verdict.name}: {verdict.detail}", verdict.report)
        if verdict.detail:
            self.user_properties.append(("kit", verdict.detail))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say what failed as `kit test` does, without kit's and pytest's own frames."""
        if isinstance(excinfo.value, KitError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Give the file, its line, and the title of the report."""
        return self.path, None, f"notebook {self.name}"

    def _verdict(self) -> Verdict:
        project = find_project(self.path.parent)
        notebook = read_tested(project, self.path.resolve())
        if not isinstance(notebook, Notebook):
            return notebook
        once = self._shared().runs_of(project)
        environ = kernel_environment(once.environ)
        warm_up(environ)
        runs = once.run_all(notebook.runs.values())
        lacking = why_not_run(notebook, runs)
        if lacking:
            return Verdict(notebook.name, "notebook", "not run", 0.0, f"not run: {lacking}", _log(runs))
        executed = once.executed()
        job = Job(
            source=str(notebook.path),
            output=str(executed / inside(notebook.name)),
            environ=environ,
            limits=limits_of(project, Options()),
            parameters=values_for(notebook, runs, {}),
        )
        with open(executed / "kernels.log", "ab") as log:
            result = asyncio.run(execute(job, log.fileno()))
        verdict = judge(notebook, Path(job.output), result, comparison_rules(project))
        notes = tuple(note for ran in runs.values() for note in ran.verdict.notes)
        for note in notes:
            self.add_report_section("call", "kit", note)
        return verdict


def _log(runs: dict[str, Ran]) -> str:
    """Give what the flows printed that failed."""
    return "\n\n".join(ran.verdict.report for ran in runs.values() if ran.verdict.status == "failed")
