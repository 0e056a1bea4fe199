"""`kit test --on metaflow`: the suite as a run of the flow KitTest, which Metaflow's engines carry."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from kit import session
from kit.artifact_table import StepArtifacts
from kit.errors import FlowRunError, KitError, NotebookError
from kit.model import Verdict
from kit.processes import GENTLY, ProcessGroup
from kit.project import Project, user_environment
from kit.regression.carried import ROOT_VARIABLE
from kit.regression.compared import NotebookVerdict
from kit.regression.discover import Notebook, find_notebooks, notebook_name
from kit.regression.flows import plan_flows
from kit.regression.places import inside, session_folder
from kit.regression.remote import is_url
from kit.regression.settings import comparison_rules
from kit.regression.suite import Options, Outcome, check_given, limits_of, read_tested
from kit.regression.tasks import MARK, Suite

__all__ = ["run_on_metaflow"]

FLOW, FLOW_FILE = "KitTest", Path(__file__).parent / "suite_flow" / "kit_test.py"
MAX_LINES = 40  # of Metaflow's own words, where the run did not come to its end


def run_on_metaflow(
    project: Project, options: Options, decorators: Sequence[str], tell: Callable[[Verdict], None]
) -> Outcome:
    """Run the suite as a Metaflow flow, a task a notebook.

    The run is in the project's own datastore, where people find it and where tasks on other machines can read it; the
    test runs of the flows are not.

    Args:
        project: The project; the code package carries it.
        options: What to run, and how.
        decorators: What follows `--with` on Metaflow's command line, such as "kubernetes".
        tell: Is called with each verdict when it is there.

    Raises:
        KitError: It cannot start, or the run did not come to its end.
    """
    notebooks = _checked(project, options)
    folder = session_folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    store = Path(tempfile.mkdtemp(prefix="kit-test-", dir="/tmp" if os.name == "posix" else None))  # noqa: S108
    store.rmdir()  # the tasks make it, wherever they run
    suite = Suite(
        tuple(notebooks),
        options.workers,
        options.parameters,
        options.timeout,
        options.cell_timeout,
        options.retries,
        str(store),
    )
    said: list[Verdict] = []

    def add(verdict: Verdict) -> None:
        if verdict.name not in {each.name for each in said}:  # a log may be read twice
            said.append(verdict)
            tell(verdict)

    try:
        run, log = _run(project, suite, decorators, folder, add)
    except KeyboardInterrupt:
        done = {verdict.name for verdict in said}
        for name in notebooks:
            if name not in done:
                add(Verdict(name, "notebook", "not run", 0.0, "interrupted"))
        return Outcome(tuple(said), folder, None, True)
    finally:
        if not options.keep:
            shutil.rmtree(store, ignore_errors=True)
    verdicts = tuple(_read(project, run, folder, log))
    return Outcome(verdicts, folder, store if store.is_dir() else None, notes=(f"the suite's run: {run}",))


def _checked(project: Project, options: Options) -> list[str]:
    """Find the notebooks; what is wrong with them and with the settings is said before anything runs."""
    paths = find_notebooks(project, options.notebooks)
    names = [_carried(project, path) for path in paths]
    notebooks = [each for each in (read_tested(project, path) for path in paths) if isinstance(each, Notebook)]
    given = {name for name, _ in options.parameters}
    check_given(notebooks, given)
    own = [name for each in notebooks for name in each.runs if name in given]
    if own:
        raise NotebookError(
            f"{own[0]} would be a run of your own, which the tasks of --on metaflow do not read.",
            f"Leave -p {own[0]} out, or --on metaflow.",
        )
    plan_flows(project, {flow for each in notebooks for flow in each.runs.values()})
    limits_of(project, options)
    comparison_rules(project)
    return names


def _carried(project: Project, path: Path) -> str:
    name = notebook_name(project, path)
    if Path(name).is_absolute() or is_url(name):
        raise NotebookError(f"{name} is not in the project, which is what --on metaflow carries.", "Put it there.")
    return Path(name).as_posix()


def _run(
    project: Project, suite: Suite, decorators: Sequence[str], folder: Path, add: Callable[[Verdict], None]
) -> tuple[str, str]:
    """Run the flow; give its pathspec, and what Metaflow said."""
    id_file, log = folder / "run-id", folder / "metaflow.log"
    command = [sys.executable, str(FLOW_FILE), "--no-pylint", "run", "--run-id-file", str(id_file)]
    command += ["--max-workers", str(suite.workers), "--max-num-splits", str(max(len(suite.notebooks), 100))]
    command += [word for decorator in decorators for word in ("--with", decorator)]
    environ = {**os.environ, **user_environment(), ROOT_VARIABLE: str(project.root)}
    with (
        log.open("w", encoding="utf-8") as file,
        ProcessGroup([*command, "--suite", suite.json], project.root, environ) as group,
    ):
        try:
            for line in group.process.stdout or ():
                file.write(line)
                _, mark, rest = line.partition(MARK)
                if mark:
                    add(_verdict(rest))
            group.process.wait()
        except KeyboardInterrupt:
            group.stop(GENTLY)
            raise
    if not id_file.is_file():
        _fail(log, "Metaflow did not start the suite's run.")
    return f"{FLOW}/{id_file.read_text().strip()}", str(log)


def _verdict(text: str) -> Verdict:
    return Verdict(**{**json.loads(text), "notes": ()})


def _fail(log: Path, what: str) -> NoReturn:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if MARK not in line]
    raise FlowRunError(what, f"All that it said is in {log}.", "\n".join(lines[-MAX_LINES:]))


def _read(project: Project, run: str, folder: Path, log: str) -> Iterator[Verdict]:
    """Read the verdicts from the run's artifacts, and write the executed notebooks."""
    with session.inside(project.root):
        table = session.artifacts(run, all_namespaces=True)
        try:
            outcome = table["report"]["outcome"]
        except KitError:
            _fail(Path(log), f"{run}, which is the suite, did not come to its end.")
        (tests,) = (step for step in table.steps if step.name == "test")
        tasks = [StepArtifacts(session.session().runs, table.target.run.store, task) for task in tests.tasks]
        executed = {task["notebook"]: task["executed"] for task in tasks if "executed" in task}
    for verdict in outcome:
        if not isinstance(verdict, NotebookVerdict):
            yield verdict
            continue
        path = folder / inside(verdict.name)
        text = executed.get(verdict.name)
        if text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        yield replace(verdict, path=project.root / verdict.name, executed=path if text else None)
