"""The whole of `kit test`: the flows that the notebooks need, then the notebooks, and a verdict on each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import KitError, NotFoundError, ProjectError
from kit.kernels.cells import Limits
from kit.model import Verdict
from kit.project import Project
from kit.regression.discover import Notebook, check_parameters, find_notebooks, notebook_name, read_notebook
from kit.regression.execute import Job, execute
from kit.regression.flows import Ran, plan_flows, run_flows
from kit.regression.judge import judge
from kit.regression.outputs.rules import Rules
from kit.regression.places import Place, inside, kernel_environment, opened, session_folder
from kit.regression.reference_file import stale_references
from kit.regression.settings import cell_timeout, comparison_rules, notebook_timeout

__all__ = [
    "Options",
    "Outcome",
    "Watch",
    "check_given",
    "limits_of",
    "read_tested",
    "run_suite",
    "values_for",
    "why_not_run",
]

INTERRUPTED = "interrupted"


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
        notes: What else the user should know, a line each.
    """

    verdicts: tuple[Verdict, ...]
    executed: Path
    datastore: Path | None = None
    interrupted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every verdict is "passed"."""
        return not self.interrupted and all(verdict.status == "passed" for verdict in self.verdicts)


class Watch:
    """Is told how far a suite is; this one takes no notice."""

    def planned(self, names: Sequence[str]) -> None:
        """Take the names of all flows and notebooks, before the first of them begins."""

    def began(self, name: str) -> None:
        """Take the name of a flow or a notebook that begins, from any thread."""


def run_suite(
    project: Project,
    options: Options,
    tell: Callable[[Verdict], None],
    watch: Watch | None = None,
    place: Place | None = None,
) -> Outcome:
    """Run the flows in test mode, then the notebooks.

    Args:
        project: The project.
        options: What to run, and how.
        tell: Is called with each verdict when it is there.
        watch: Is told how far it is.
        place: Where it runs, if that is there already.

    Raises:
        KitError: It cannot start: there are no notebooks, the settings are wrong, a parameter fits no notebook.
    """
    paths = find_notebooks(project, options.notebooks)
    given = {name for name, _ in options.parameters}
    read = {path: read_tested(project, path, given) for path in paths}
    notebooks = [notebook for notebook in read.values() if isinstance(notebook, Notebook)]
    if len(notebooks) == len(read):  # one that cannot be read may declare anything
        check_given(notebooks, given)
    plan = plan_flows(project, {flow for each in notebooks for name, flow in each.runs.items() if name not in given})
    verdicts: list[Verdict] = []
    watch = watch or Watch()
    watch.planned([*plan, *map(project.relative, paths)])

    def add(verdict: Verdict) -> None:
        verdicts.append(verdict)
        tell(verdict)

    executed = session_folder(project)
    interrupted = False
    with nullcontext(place) if place else opened(options.environ, options.keep) as here:
        try:
            runs = run_flows(project, plan, options.workers, here.environ, add, watch.began)
            for verdict in (verdict for verdict in read.values() if isinstance(verdict, Verdict)):
                add(verdict)
            rules = comparison_rules(project) if options.compare else None
            limits = limits_of(project, options)
            asyncio.run(_all_at_once(notebooks, runs, options, limits, rules, executed, here.kernels, add, watch.began))
        except KeyboardInterrupt:
            interrupted = True
            for verdict in _left_over(project, plan, read, {verdict.name for verdict in verdicts}):
                add(verdict)
    notes = tuple(f"{project.relative(path)}: its notebook is gone; delete it" for path in stale_references(paths))
    return Outcome(tuple(verdicts), executed, here.folder if options.keep else None, interrupted, notes)


# -------------------------------------------------------------------- what is needed


def read_tested(project: Project, path: Path, given: Collection[str] = ()) -> Notebook | Verdict:
    """Read a notebook; of one that cannot be tested, give the verdict: it fails by itself, not the whole suite.

    Args:
        project: The project.
        path: The notebook.
        given: The names of the parameters that are given values: of runs, they are the user's own.
    """
    try:
        notebook = read_notebook(project, path)
        check_parameters(notebook, tuple(notebook.runs))
        named = [name for name in notebook.runs if name in given]
        others = [name for name in notebook.runs if name not in given]
        if named and others:
            what = f"{', '.join(named)} is a run of your own, and {', '.join(others)} would be one of the test's"
            raise ProjectError(f"{what}: a notebook reads one datastore.", f"Give {others[0]} with -p too.")
        for name in others:
            _require_flow(project, notebook.runs[name])
    except KitError as error:
        return Verdict(notebook_name(project, path), "notebook", "failed", 0.0, error.message, error.hint)
    return notebook


def _require_flow(project: Project, name: str) -> None:
    try:
        project.flow(name)
    except NotFoundError as error:
        raise NotFoundError(f"it wants a run of {name}, and the project has no such flow", error.hint) from error


def limits_of(project: Project, options: Options) -> Limits:
    """Give the time limits: those that were asked for, else the project's."""
    return Limits(
        cell=options.cell_timeout or cell_timeout(project), notebook=options.timeout or notebook_timeout(project)
    )


def why_not_run(notebook: Notebook, runs: Mapping[str, Ran], given: Collection[str] = ()) -> str:
    """Say which run a notebook wants and cannot have; "" where it can have them all.

    Args:
        notebook: The notebook.
        runs: What became of the flows.
        given: The names of the parameters that are given values.
    """
    for flow in (flow for name, flow in notebook.runs.items() if name not in given):
        if not runs[flow].pathspec:
            failed = runs[flow].verdict.status == "failed"
            return f"it wants a run of {flow}, which {'failed' if failed else 'was not run'}"
    return ""


def values_for(notebook: Notebook, runs: Mapping[str, Ran], given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values to inject into a notebook: the runs that it wants, and those given that it declares."""
    values = {name: runs[flow].pathspec for name, flow in notebook.runs.items() if name not in given}
    return {**{name: value for name, value in given.items() if name in (notebook.declared or ())}, **values}


def check_given(notebooks: Sequence[Notebook], given: Collection[str]) -> None:
    """Make sure that each value that was given is declared by a notebook.

    Raises:
        ProjectError: One is not.
    """
    for name in given:
        if not any(name in (notebook.declared or ()) for notebook in notebooks):
            raise ProjectError(
                f"No notebook declares the parameter {name}.",
                f"Set it in a cell tagged `parameters`, or leave out -p {name}.",
            )


# -------------------------------------------------------------------- notebooks


async def _all_at_once(
    notebooks: Sequence[Notebook],
    runs: Mapping[str, Ran],
    options: Options,
    limits: Limits,
    rules: Rules | None,
    folder: Path,
    environ: Mapping[str, str],
    add: Callable[[Verdict], None],
    began: Callable[[str], None],
) -> None:
    room, endings = asyncio.Semaphore(options.workers), set[asyncio.Future[None]]()
    folder.mkdir(parents=True, exist_ok=True)
    given = dict(options.parameters)

    async def test(notebook: Notebook, job: Job, log: int) -> None:
        async with room:
            began(notebook.name)
            result = await execute(job, log, endings)
            add(judge(notebook, Path(job.output), result, rules))

    with open(folder / "kernels.log", "ab") as log:
        tasks = []
        for notebook in notebooks:
            lacking = why_not_run(notebook, runs, given)
            if lacking:
                add(Verdict(notebook.name, "notebook", "not run", 0.0, lacking))
                continue
            output = str(folder / inside(notebook.name))
            own = kernel_environment(dict(options.environ)) if notebook.runs.keys() & given.keys() else environ
            values = values_for(notebook, runs, given)
            job = Job(str(notebook.path), output, own, limits, values, options.retries)
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
        elif notebook_name(project, path) not in done:
            yield Verdict(notebook_name(project, path), "notebook", "not run", 0.0, INTERRUPTED)
