"""Where the user is and what they looked at last; and the functions that `import kit` offers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit import project as projects
from kit.artifact_table import ArtifactTable
from kit.flowfile import forget_strangers
from kit.model import FlowInfo, Pathspec, StepResult
from kit.project import Project, find_project, user_environment
from kit.resolve import Target, resolve
from kit.runs import Runs
from kit.scope import MINE, Scope

if TYPE_CHECKING:
    from kit.liverun import LiveRun
    from kit.replay import Replay, Request
    from kit.runcommand import RunRequest

__all__ = ["Session", "artifacts", "inside", "run_flow", "run_step", "session"]


@dataclass
class Session:
    """A project, its runs, and the run that was named last.

    Args:
        project: The project.
        current: The run, step or task named last; a bare step is meant relative to it.
        require_sound: Raises where the project's modules are not what their files say; set by the extension.
    """

    project: Project
    current: Pathspec | None = None
    require_sound: Callable[[], None] = lambda: None
    runs: Runs = field(init=False)
    notebook_flow: Any = None  # the flow that grows in this notebook: kit.authoring.flow.NotebookFlow

    def __post_init__(self) -> None:
        self.runs = Runs(self.project)
        forget_strangers(self.project.flows_folder)

    def resolve(self, pathspec: str, successful: bool = False, scope: Scope = MINE) -> Target:
        """Find what a pathspec means, and remember its run as the current one."""
        target = resolve(self.runs, pathspec, self.current, successful, scope)
        self.current = Pathspec(target.run.flow, target.run.id)
        return target

    def other(self, pathspec: str, successful: bool = False, scope: Scope = MINE) -> Target:
        """Find what a pathspec means, beside the run that was named last; that stays the current one."""
        return resolve(self.runs, pathspec, self.current, successful, scope)

    def run_step(self, pathspec: str, request: Request, successful: bool = False) -> Replay:
        """Replay a step, on what a run recorded or on the inputs that the request gives.

        Args:
            pathspec: `Flow[/run]/step[/task]`.
            request: Which task, and how.
            successful: Whether a run that is left out is the latest that succeeded.
        """
        __tracebackhide__ = True
        from kit import replay

        self.require_sound()
        if request.inputs is None:
            return replay.run_step(self.runs, self.resolve(pathspec, successful), request)
        flow, _, step = pathspec.partition("/")
        return replay.run_made_up(self.runs, flow, step, request)

    def start(self, pathspec: str | FlowInfo, request: RunRequest) -> LiveRun:
        """Start a run of a flow, in a process of its own.

        Args:
            pathspec: `Flow`, or `Flow/run` for the run to resume; or a flow whose file is elsewhere.
            request: How to run it.
        """
        from kit.liverun import LiveRun
        from kit.runcommand import run_command

        flow: str | FlowInfo = pathspec
        if isinstance(pathspec, str):
            flow, _, origin = pathspec.partition("/")
            request = replace(request, origin=origin or request.origin)
        return LiveRun(self.runs, run_command(self.runs, flow, request))

    @contextmanager
    def following(self, run: LiveRun) -> Iterator[None]:
        """Follow a run to its end: it is the current one then, whatever became of it."""
        try:
            yield
        finally:
            if run.pathspec:
                self.current = Pathspec(*run.pathspec.split("/"))


# The sessions of this process, by the projects' roots; and the folder that stands for the working directory.
_sessions: dict[Path, Session] = {}
_folder: Path | None = None


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Look for the project from a folder on, instead of from the working directory."""
    global _folder
    before, _folder = _folder, folder
    try:
        yield
    finally:
        _folder = before


def session() -> Session:
    """Give the session of the project that `%load_ext kit` found, or of the working directory's project.

    Raises:
        ProjectError: There is no project here.
    """
    project = projects.loaded
    if project is None:
        os.environ.update(user_environment())
        project = find_project(_folder)
    known = _sessions.get(project.root)
    if known is None or known.project != project:
        known = _sessions[project.root] = Session(project)
    forget_strangers(project.flows_folder)
    return known


def artifacts(
    pathspec: str,
    *,
    successful: bool = False,
    tags: str | Sequence[str] = (),
    namespace: str = "",
    all_namespaces: bool = False,
) -> ArtifactTable:
    """List what a run, a step or a task produced. Nothing is unpickled until it is asked for.

    Args:
        pathspec: `Flow[/run[/step[/task]]]`; without the run, the latest one; `step[depth=3]` for a foreach value.
        successful: Whether a run that is left out is the latest that succeeded.
        tags: The tags that a run that is left out has.
        namespace: The namespace that it is in; the user's own by default.
        all_namespaces: Whether it may be of any namespace.

    Returns:
        A table: `table["fit"]["model"]` loads one value, `table.infos()` lists them all, `table.gather("score")` is one
        row a foreach task, `table.diff(other)` says what differs from another one.

    Raises:
        NotFoundError: There is no such flow, run, step or task.
    """
    here = session()
    scope = Scope(_texts(tags), namespace, all_namespaces)
    return ArtifactTable(here.runs, here.resolve(pathspec, successful, scope))


def run_step(
    pathspec: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    index: int | Sequence[int] | None = None,
    foreach: object = None,
    to: str | None = None,
    inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    attempt: int | None = None,
    flow_options: Mapping[str, Any] | None = None,
    unpinned: bool = False,
    isolated: bool = False,
    successful: bool = False,
) -> StepResult:
    """Replay a recorded task of a flow in this process, on its recorded inputs, and compare what comes out.

    Nothing is written to the datastore, and the process is left as it was.

    Args:
        pathspec: `Flow[/run]/step[/task]`; without the run, the latest one.
        overrides: Values that stand in for recorded input artifacts or Parameters, by name.
        index: Which task of a foreach: its index, or its indices from the outermost foreach on.
        foreach: Which task of a foreach: its value.
        to: A later step to go on to, on what the replayed ones left; a task none of whose inputs changed is skipped.
        inputs: Artifacts that stand for a run, which is then not read (`Flow/step`), by name; for a join a list of
            such dicts, or a dict of them by the steps before it. Parameters not among them have their defaults.
        attempt: The number of the attempt (`current.retry_count`), counted from 0; the recorded one by default.
        flow_options: Options of flow decorators, such as {"branch": "test"} of @project; Metaflow does not record them.
        unpinned: Whether the step may run with other packages than it pins.
        isolated: Whether the step runs in its own pinned environment, as another process, which is built if need be.
        successful: Whether a run that is left out is the latest that succeeded.

    Returns:
        The artifacts after the step, and which of them are the same as the recorded ones, changed, added or missing;
        with `to`, those of the later step, and in `downstream` what became of the steps on the way.

    Raises:
        NotFoundError: There is no such flow, run, step, task or input.
        ReplayError: The step cannot be replayed.
        Exception: Whatever the step itself raises.
    """
    __tracebackhide__ = True
    from kit import replay

    request = replay.Request(
        overrides=dict(overrides or {}),
        index=(index,) if isinstance(index, int) else tuple(index) if index is not None else None,
        value=None if foreach is None else foreach if inputs is not None else str(foreach),
        to=to,
        attempt=attempt,
        flow_options=dict(flow_options or {}),
        unpinned=unpinned,
        isolated=isolated,
        inputs=inputs,
    )
    return session().run_step(pathspec, request, successful).result


def run_flow(
    flow: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    test: bool = False,
    tags: str | Sequence[str] = (),
    decorators: str | Sequence[str] = (),
    environment: str = "",
    resume: bool | str = False,
    background: bool = False,
) -> LiveRun:
    """Run a flow as `python flow.py run` does, in a process of its own, and show how it goes on.

    Args:
        flow: The flow's name; with `resume` also `Flow/run`, the run to resume.
        parameters: Values of its Parameters, by name; of its Configs too: values, or paths of files.
        test: Whether it runs in test mode ([tool.kit.test.<Flow>]).
        tags: Tags for the run.
        decorators: Decorators for all steps, as `run --with` takes them: "retry:times=2", "kubernetes".
        environment: Metaflow's environment; by default one in which the flow's pins hold.
        resume: Whether to resume the latest run, or the one that `flow` names; or the step to resume it from.
        background: Whether to give the run at once, instead of waiting for its end.

    Returns:
        The run: `run.pathspec`, `run.status`, `run["fit"]["model"]`, `run.logs()`, `run.stop()`, `run.wait()`.

    Raises:
        NotFoundError: There is no such flow, or nothing to resume.
        ArgumentError: The flow has no such Parameter.
        FlowRunError: It failed; the error holds the failing task's own traceback.
    """
    from kit.runcommand import RunRequest

    step = resume if isinstance(resume, str) else "" if resume else None
    here = session()
    run = here.start(flow, RunRequest((), parameters or {}, test, _texts(tags), _texts(decorators), environment, step))
    if background:
        return run
    from kit.live import Screen, keep_quiet, shell_of_here

    shell = shell_of_here()
    with here.following(run), Screen(shell) as screen:
        run.watch(screen.show)
    if shell is not None:
        keep_quiet(shell, run)
    return run


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    """Take one text for a list of one: a text is a sequence too, of letters."""
    return (given,) if isinstance(given, str) else tuple(given)
