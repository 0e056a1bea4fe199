"""pytest's side of kit, which pytest finds by itself: notebooks as tests (`--kit`), fixtures of flows and steps.

pytest imports this module at every start: all but pytest and the standard library is imported when it is used.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kit.model import StepResult
    from kit.regression.pytest_items import SharedRuns

__all__ = ["mf_run", "mf_step"]

SHARED = "kit_shared_folder"  # what xdist's workers are told
FIXTURE = "mf_run"
SESSION = "kit-session"
METAFLOWS_OWN = "ignore:The _yaml extension module:DeprecationWarning"  # its copy of PyYAML, imported by a fixture


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--kit`."""
    group = parser.getgroup("kit", "notebooks of Metaflow projects")
    group.addoption(
        "--kit",
        action="store_true",
        help="Test the notebooks that are found, as `kit test` does: the flows that they need first, in test mode.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Remember what the session shares."""
    config.addinivalue_line("filterwarnings", METAFLOWS_OWN)
    config.pluginmanager.register(_Session(config), SESSION)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a notebook, where `--kit` is given."""
    if file_path.suffix != ".ipynb" or not parent.config.getoption("kit"):
        return None
    from kit.regression.pytest_items import NotebookFile

    own: Any = parent.config.pluginmanager.get_plugin(SESSION)
    return NotebookFile.from_parent(parent, path=file_path, shared=own.shared)


class _Session:
    """What the tests of a session share, made when the first of them needs it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._shared: SharedRuns | None = None
        self._workers_folder: Path | None = None
        self._reading: ExitStack | None = None
        self._folder = config.rootpath

    def shared(self) -> SharedRuns:
        if self._shared is None:
            from kit.regression.pytest_items import SharedRuns

            told = getattr(self._config, "workerinput", {}).get(SHARED)
            self._shared = SharedRuns(Path(told) if told and Path(told).is_dir() else None)
        return self._shared

    def run(self, name: str, parameters: dict[str, Any]) -> str:
        """Run a flow once, and let the test that runs just now read it."""
        pathspec, runs = self.shared().run(self._folder, name, parameters)
        if self._reading is None:
            self._reading = ExitStack()
            self._reading.enter_context(runs.read_here())
        return pathspec

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, None]:
        """Let the tests that use `mf_run`, by way of other fixtures too, read its runs; and no other test."""
        self._folder = item.path.parent
        if FIXTURE in getattr(item, "fixturenames", ()) and self._shared is not None:
            from kit.project import find_project

            self._reading = ExitStack()
            self._reading.enter_context(self._shared.runs_of(find_project(self._folder)).read_here())
        try:
            yield
        finally:
            if self._reading is not None:
                self._reading.close()
                self._reading = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist which folder it shares with the others."""
        if self._workers_folder is None:
            self._workers_folder = Path(tempfile.mkdtemp(prefix="kit-test-")).resolve()
        node.workerinput[SHARED] = str(self._workers_folder)

    def pytest_unconfigure(self) -> None:
        """End the fork servers, and remove the runs."""
        if self._shared is not None:
            self._shared.close()
        if self._workers_folder is not None:
            shutil.rmtree(self._workers_folder, ignore_errors=True)


@pytest.fixture
def mf_step(request: pytest.FixtureRequest) -> Callable[..., StepResult]:
    """Run one step of a flow in the test's own process, on inputs that the test gives or that a run recorded.

    The flow is found from the folder of the test file, whatever the working directory is.

    Returns:
        What `kit.run_step` is, with its arguments: `mf_step("TrainFlow/fit", inputs={"rows": [1, 2]})`.
    """
    from kit import session

    def run(pathspec: str, overrides: dict[str, Any] | None = None, **options: Any) -> StepResult:
        __tracebackhide__ = True
        with session.inside(request.path.parent):
            return session.run_step(pathspec, overrides, **options)

    return run


@pytest.fixture(scope="session")
def mf_run(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Run a flow in test mode, and before it the flows whose runs it reads; each once a session, with xdist too.

    Its runs are in a datastore of the session's own, which a test that uses this fixture, itself or by way of another
    one, reads in place of the project's; it is gone when the session is over.

    Returns:
        A function of the flow's name and of values for its Parameters, beside those of its test mode, which gives the
        run's pathspec: `kit.artifacts(mf_run("TrainFlow"))`, `mf_step(mf_run("TrainFlow", limit=50) + "/fit")`. It
        raises FlowRunError where the run fails.
    """
    own: Any = request.config.pluginmanager.get_plugin(SESSION)

    def run(flow: str, **parameters: Any) -> str:
        __tracebackhide__ = True
        from kit.errors import KitError

        try:
            pathspec: str = own.run(flow, parameters)
        except KitError as error:
            raise error.with_traceback(None) from None  # kit's own frames say nothing of the flow
        return pathspec

    return run
