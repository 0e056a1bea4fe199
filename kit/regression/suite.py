"""The whole of `kit test`: the flows that the notebooks need, then the notebooks, and a verdict on each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from kit.errors import KitError, ProjectError
from kit.flowrun import FinishedRun, datastore_environment, run_flow
from kit.kernels.cells import Limits
from kit.kernels.forkserver import Request, WarmKernelError, close_all, prepare, why_not
from kit.model import FlowInfo, Verdict
from kit.project import Project, user_environment
from kit.regression.discover import Notebook, check_parameters, find_notebooks, read_notebook
from kit.regression.execute import Job, execute
from kit.regression.judge import judge
from kit.regression.outputs.rules import Rules
from kit.regression.settings import cell_timeout, comparison_rules, notebook_timeout
from kit.testmode import test_mode

__all__ = ["Options", "Outcome", "run_suite"]

KEPT_SESSIONS = 5
INTERRUPTED = "interrupted"
LAUNCHER = "ipykernel_launcher"
IN_TURN = ("--max-workers", "1")  # test mode runs one task at a time: the flows themselves run side by side


@dataclass(frozen=True)
class Options:
    """What `kit test` was asked.

    Args:
        notebooks: Notebooks and folders; the project's by default.
        workers: How many flows and notebooks run at once.
        parameters: Values for every notebook that declares them.
        timeout: The time limit of a notebook, in seconds.
        cell_timeout: The time limit of a cell, in seconds.
        retries: How often a notebook is executed again whose kernel has died.
        keep: Whether to keep the datastore of the runs.
        compare: Whether to compare the outputs with the references.
        environ: Further variables for the flows and the kernels.
    """

    notebooks: tuple[str, ...] = ()
    workers: int = 1
    parameters: tuple[tuple[str, Any], ...] = ()
    timeout: float | None = None
    cell_timeout: float | None = None
    retries: int = 0
    keep: bool = False
    compare: bool = True
    environ: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Args:
        verdicts: One a flow and one a notebook.
        executed: The folder with the executed notebooks.
        datastore: The folder with the runs' datastore, where it was kept.
        interrupted: Whether Ctrl-C ended it; what had not ended by then has the status "not run".
    """

    verdicts: tuple[Verdict, ...]
    executed: Path
    datastore: Path | None = None
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        """Whether every verdict is "passed"."""
        return not self.interrupted and all(verdict.status == "passed" for verdict in self.verdicts)


def run_suite(project: Project, options: Options, tell: Callable[[Verdict], None]) -> Outcome:
    """Run the flows in test mode, then the notebooks.

    Args:
        project: The project.
        options: What to run, and how.
        tell: Is called with each verdict when it is there.

    Raises:
        KitError: It cannot start: there are no notebooks, the settings are wrong, a parameter fits no notebook.
    """
    paths = find_notebooks(project, options.notebooks)
    read = {path: _read(project, path) for path in paths}
    notebooks = [notebook for notebook in read.values() if isinstance(notebook, Notebook)]
    _check_given(notebooks, options)
    plan = _plan(project, {flow for notebook in notebooks for flow in notebook.runs.values()})
    verdicts: list[Verdict] = []

    def add(verdict: Verdict) -> None:
        verdicts.append(verdict)
        tell(verdict)

    executed = _session_folder(project)
    interrupted = False
    with _datastore(options.keep) as folder, _fork_servers():
        environ = {**datastore_environment(folder), **dict(options.environ)}
        kernels = _kernel_environment(environ)
        _warm_up(kernels)
        try:
            runs = _run_flows(project, plan, options.workers, environ, add)
            for verdict in (verdict for verdict in read.values() if isinstance(verdict, Verdict)):
                add(verdict)
            _run_notebooks(project, notebooks, runs, options, executed, kernels, add)
        except KeyboardInterrupt:
            interrupted = True
            for verdict in _left_over(project, plan, read, {verdict.name for verdict in verdicts}):
                add(verdict)
    return Outcome(tuple(verdicts), executed, folder if options.keep else None, interrupted)


# -------------------------------------------------------------------- what is needed


def _read(project: Project, path: Path) -> Notebook | Verdict:
    """Read a notebook; one that cannot be tested fails by itself, not the whole suite."""
    try:
        notebook = read_notebook(project, path)
        check_parameters(notebook, tuple(notebook.runs))
    except KitError as error:
        return Verdict(project.relative(path), "notebook", "failed", 0.0, error.message, error.hint)
    return notebook


def _check_given(notebooks: Sequence[Notebook], options: Options) -> None:
    for name, _ in options.parameters:
        if not any(name in (notebook.declared or ()) for notebook in notebooks):
            raise ProjectError(
                f"No notebook declares the parameter {name}.",
                f"Set it in a cell tagged `parameters`, or leave out -p {name}.",
            )


def _plan(project: Project, wanted: set[str]) -> dict[str, tuple[str, ...]]:
    """Give the flows to run and what each waits for, those that they need included."""
    known = project.scan().flows
    plan: dict[str, tuple[str, ...]] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in plan:
            return
        flow = project.flow(name)
        needs = dict.fromkeys([*test_mode(project, flow).needs, *(n for n in flow.after if n in known)])
        before = tuple(need for need in needs if need not in path)  # flows that read each other start in any order
        for need in before:
            add(need, (*path, name))
        plan[name] = before

    for name in sorted(wanted):
        if name not in known:
            continue  # the notebooks that want it say so
        add(name, ())
    return plan


# -------------------------------------------------------------------- flows


def _run_flows(
    project: Project,
    plan: Mapping[str, tuple[str, ...]],
    workers: int,
    environ: Mapping[str, str],
    add: Callable[[Verdict], None],
) -> dict[str, FinishedRun | Verdict]:
    """Run the flows, each when those that it waits for have succeeded; give a finished run or a failed verdict each."""
    done: dict[str, FinishedRun | Verdict] = {}
    started: dict[Future[FinishedRun], str] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool, _set_on_interrupt() as stop:
        while len(done) < len(plan):
            for name, needs in plan.items():
                if name in done or name in started.values() or not all(need in done for need in needs):
                    continue
                broken = [need for need in needs if isinstance(done[need], Verdict)]
                if broken:
                    verdict = Verdict(name, "flow", "not run", 0.0, f"{broken[0]}, whose runs it reads, failed")
                    done[name] = verdict
                    add(verdict)
                else:
                    started[pool.submit(_run_flow, project, project.flow(name), environ, stop)] = name
            if not started:
                continue
            for future in wait(started, return_when=FIRST_COMPLETED).done:
                name = started.pop(future)
                verdict, run = _flow_verdict(name, future)
                done[name] = run if run is not None else verdict
                add(verdict)
    return done


@contextmanager
def _set_on_interrupt() -> Iterator[threading.Event]:
    """Give an event that is set when the block is left by an exception: threads do not see Ctrl-C."""
    event = threading.Event()
    try:
        yield event
    except BaseException:
        event.set()
        raise


def _run_flow(project: Project, flow: FlowInfo, environ: Mapping[str, str], stop: threading.Event) -> FinishedRun:
    mode = test_mode(project, flow)
    in_turn = () if any(word.startswith("--max-workers") for word in mode.arguments) else IN_TURN
    return run_flow(project, flow, (*in_turn, *mode.arguments), mode.options, environ, stop)


def _flow_verdict(name: str, future: Future[FinishedRun]) -> tuple[Verdict, FinishedRun | None]:
    try:
        run = future.result()
    except KitError as error:
        return Verdict(name, "flow", "failed", 0.0, error.message, f"{error.hint}\n{error.details}".strip()), None
    if run.succeeded:
        return Verdict(name, "flow", "passed", run.seconds, str(run.pathspec), notes=run.notes), run
    what = run.log.strip().splitlines()
    detail = f"{name} failed in test mode: {what[-1] if what else 'it printed nothing'}"
    return Verdict(name, "flow", "failed", run.seconds, detail, run.log, run.notes), None


# -------------------------------------------------------------------- notebooks


def _run_notebooks(
    project: Project,
    notebooks: Sequence[Notebook],
    runs: Mapping[str, FinishedRun | Verdict],
    options: Options,
    folder: Path,
    environ: Mapping[str, str],
    add: Callable[[Verdict], None],
) -> None:
    rules = comparison_rules(project) if options.compare else None
    limits = _limits(project, options)
    asyncio.run(_all_at_once(notebooks, runs, options, limits, rules, folder, environ, add))


async def _all_at_once(
    notebooks: Sequence[Notebook],
    runs: Mapping[str, FinishedRun | Verdict],
    options: Options,
    limits: Limits,
    rules: Rules | None,
    folder: Path,
    environ: Mapping[str, str],
    add: Callable[[Verdict], None],
) -> None:
    room, endings = asyncio.Semaphore(options.workers), set[asyncio.Future[None]]()
    folder.mkdir(parents=True, exist_ok=True)

    async def test(notebook: Notebook, job: Job, log: int) -> None:
        async with room:
            result = await execute(job, log, endings)
            add(judge(notebook, Path(job.output), result, rules))

    with open(folder / "kernels.log", "ab") as log:
        tasks = []
        for notebook in notebooks:
            lacking = _lacking(notebook, runs)
            if lacking:
                add(Verdict(notebook.name, "notebook", "not run", 0.0, lacking))
                continue
            values = {name: value for name, value in options.parameters if name in (notebook.declared or ())}
            values |= {name: str(_pathspec(runs[flow])) for name, flow in notebook.runs.items()}
            output = str(folder / _inside(notebook.name))
            job = Job(str(notebook.path), output, environ, limits, values, options.retries)
            tasks.append(asyncio.ensure_future(test(notebook, job, log.fileno())))
        try:
            await asyncio.gather(*tasks)
        finally:  # after Ctrl-C too: each task ends its kernel
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            while endings:
                await asyncio.gather(*endings, return_exceptions=True)


def _left_over(
    project: Project, plan: Mapping[str, object], read: Mapping[Path, Notebook | Verdict], done: set[str]
) -> Iterator[Verdict]:
    """Give the verdicts of what had not ended when Ctrl-C came."""
    for name in plan:
        if name not in done:
            yield Verdict(name, "flow", "not run", 0.0, INTERRUPTED)
    for path, known in read.items():
        if isinstance(known, Verdict) and known.name not in done:
            yield known
        elif project.relative(path) not in done:
            yield Verdict(project.relative(path), "notebook", "not run", 0.0, INTERRUPTED)


def _limits(project: Project, options: Options) -> Limits:
    return Limits(
        cell=options.cell_timeout or cell_timeout(project), notebook=options.timeout or notebook_timeout(project)
    )


def _kernel_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of the kernels: sets of text have one order in all of them, and in all sessions."""
    return {"PYTHONHASHSEED": "0", **os.environ, **environ, **user_environment()}


def _warm_up(environ: Mapping[str, str]) -> None:
    """Start the fork server: while the flows run it imports what the kernels need."""
    request = Request((sys.executable, "-m", LAUNCHER), environ, os.getcwd())
    with contextlib.suppress(WarmKernelError):  # the kernels will say why they are ordinary ones
        if not why_not(request):
            prepare(request)


def _inside(name: str) -> Path:
    """Give the path of an executed copy below the session's folder; a notebook elsewhere has an absolute path."""
    path = Path(name)
    return Path("elsewhere", *path.parts[1:]) if path.is_absolute() else path


def _lacking(notebook: Notebook, runs: Mapping[str, FinishedRun | Verdict]) -> str:
    """Say which run a notebook wants and cannot have; "" where it can have them all."""
    for flow in notebook.runs.values():
        run = runs.get(flow)
        if run is None:
            return f"it wants a run of {flow}, and the project has no such flow"
        if isinstance(run, Verdict):
            return f"it wants a run of {flow}, which {'failed' if run.status == 'failed' else 'was not run'}"
    return ""


def _pathspec(run: FinishedRun | Verdict) -> str:
    assert isinstance(run, FinishedRun)  # noqa: S101  # `_lacking` has seen to it
    return str(run.pathspec)


# -------------------------------------------------------------------- folders


def _session_folder(project: Project) -> Path:
    """Name a folder for the executed notebooks of this session, and forget the oldest ones."""
    home = project.root / ".kit"
    home.mkdir(exist_ok=True)
    ignore = home / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    sessions = home / "test"
    older = sorted(sessions.iterdir()) if sessions.is_dir() else []
    for folder in older[: -(KEPT_SESSIONS - 1)]:
        shutil.rmtree(folder, ignore_errors=True)
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    again = (f"{name}-{number}" for number in count(2))  # another session within the second
    return next(sessions / each for each in chain([name], again) if not (sessions / each).exists())


@contextmanager
def _fork_servers() -> Iterator[None]:
    """End the fork servers, and so all that the kernels have left, when the suite is over."""
    try:
        yield
    finally:
        close_all()


@contextmanager
def _datastore(keep: bool) -> Iterator[Path]:
    """Make a folder for the runs' datastore: never the user's own."""
    folder = Path(tempfile.mkdtemp(prefix="kit-test-")).resolve()
    (folder / ".metaflow").mkdir()
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
