"""A run that is watched while it goes on: started, followed, stopped; and the error of one that failed."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kit import details, flowfile, internals
from kit.artifact_table import ArtifactTable, StepArtifacts
from kit.errors import FlowFileError, FlowRunError, KitError, NotFoundError, did_you_mean
from kit.flowfile import LoadedFlow
from kit.flowrun import stand_ins
from kit.model import FlowInfo, Graph, GraphNode, Pathspec, step_type
from kit.pins import pins, unmet
from kit.processes import GENTLY, ProcessGroup
from kit.project import CARD_VARIABLE, Project, store_environment, user_environment
from kit.resolve import Target
from kit.runlog import RunLog
from kit.runs import Runs
from kit.runwords import passed_words
from kit.testmode import test_mode
from kit.views import Displayed
from kit.views.graph import ordered
from kit.views.running import RunProgress, progress_page

__all__ = ["LiveRun", "RunRequest", "RunView", "start"]

REMOTE = re.compile(r"^(kubernetes|batch)\b")
QUICK, SLOW = 0.25, 1.0  # seconds between two looks, in the first half minute and then
LINGER = 1.0  # seconds for which the output of a run that has ended is waited for: what it left behind may hold it
ENDED = ("succeeded", "failed", "stopped")


@dataclass(frozen=True)
class RunRequest:
    """How a flow is to be run.

    Args:
        words: Parameters and options of Metaflow's, as its command line takes them.
        test: Whether it runs in test mode.
        tags: Tags for the run.
        decorators: Decorators for all steps, such as "retry:times=2" or "kubernetes".
        environment: Metaflow's environment; "" for the one that fits the flow's pins.
        resume: The step to resume from; "" for where the run failed; None for a new run.
        origin: The id of the run that is resumed; None for the latest.
    """

    words: tuple[str, ...] = ()
    test: bool = False
    tags: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    environment: str = ""
    resume: str | None = None
    origin: str | None = None


@dataclass(frozen=True, repr=False)
class RunView(Displayed):
    """A run as it stands at one moment.

    Args:
        progress: How far it has come.
    """

    progress: RunProgress

    def _page(self) -> Any:
        return progress_page(self.progress)


class LiveRun(Displayed):
    """A run in a process of its own. `run["fit"]["model"]` reads an artifact of it.

    Args:
        runs: The project's runs.
        loaded: The flow.
        command: What is executed.
        notes: What kit did that the user should know.
    """

    def __init__(self, runs: Runs, loaded: LoadedFlow, command: Sequence[str], notes: Sequence[str] = ()) -> None:
        self.flow, self.notes = loaded.info.name, tuple(notes)
        self._runs, self._graph = runs, _graph(loaded)
        self._log, self._lock = RunLog(), threading.Lock()
        self._started, self._ended = time.monotonic(), 0.0
        self._stopped = self._cloned_taken = False
        project = runs.project
        environ = {**os.environ, **user_environment(), **_modules_path(project, loaded)}
        _give_store(environ, project)
        self._group = ProcessGroup(command, project.root, environ)
        self._reader = threading.Thread(target=self._read, daemon=True, name=f"kit-{self.flow}")
        self._reader.start()

    # ------------------------------------------------------------------ how it stands

    @property
    def pathspec(self) -> str | None:
        """The run's address; None before it has one."""
        return None if self._log.run is None else str(Pathspec(self.flow, self._log.run))

    @property
    def status(self) -> str:
        """How it stands: "starting", "running", "succeeded", "failed" or "stopped"."""
        status = self._group.process.poll()
        if status is None:
            return "running" if self._log.run else "starting"
        self._close()
        if self._stopped:
            return "stopped"
        return "succeeded" if status == 0 else "failed"

    @property
    def seconds(self) -> float:
        """How long it has taken so far, or took."""
        return (self._ended or time.monotonic()) - self._started

    def view(self) -> RunView:
        """Give the picture of this moment, which stays as it is."""
        status = self.status
        self._take_cloned()
        with self._lock:
            running = () if status in ENDED else self._log.running()
            steps = self._log.steps()
        tasks = tuple(replace(each, task=f"{self.pathspec}/{each.task}") for each in running)
        return RunView(
            RunProgress(self.flow, self._log.run, status, self.seconds, self._graph, steps, tasks, self.notes)
        )

    def logs(self, step: str | None = None) -> str:
        """Give the last lines that its tasks printed, each behind its step and id.

        Args:
            step: Of this step's tasks alone.
        """
        with self._lock:
            return "\n".join(self._log.lines(step) or (() if step else self._log.rest()))

    @property
    def artifacts(self) -> ArtifactTable:
        """What it has produced so far.

        Raises:
            FlowRunError: It has not begun yet.
        """
        if self._log.run is None:
            raise FlowRunError(f"This run of {self.flow} has not begun yet.", "Wait for it: .wait().")
        return ArtifactTable(self._runs, Target(self._runs.run(self.flow, self._log.run)))

    def __getitem__(self, step: str) -> StepArtifacts:
        return self.artifacts[step]

    # ------------------------------------------------------------------ what can be done

    def stop(self) -> None:
        """End every process of the run; Metaflow ends its tasks on a cluster too."""
        if self._group.process.poll() is None:
            self._stopped = True
            self._group.stop(GENTLY)
        self._close()

    def wait(self, timeout: float | None = None) -> LiveRun:
        """Wait until it has ended.

        Args:
            timeout: For at most so many seconds; a run that still goes on then is not an error.

        Raises:
            FlowRunError: It failed; the error holds the failing task's own traceback.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        return self.watch(lambda _: None, deadline)

    def watch(self, show: Callable[[RunView], object], deadline: float | None = None) -> LiveRun:
        """Show how it goes on until it has ended; an interrupt ends it.

        Args:
            show: Is given the picture of the moment, at most four times a second, and at the end.
            deadline: When to leave it alone, by the monotonic clock.

        Raises:
            FlowRunError: It failed.
            KeyboardInterrupt: It was interrupted, here or by `stop`.
        """
        __tracebackhide__ = True
        try:
            while self.status not in ENDED:
                if deadline is not None and time.monotonic() >= deadline:
                    return self
                show(self.view())
                self._pause(deadline)
        except KeyboardInterrupt:
            self.stop()
            show(self.view())
            raise
        show(self.view())
        if self.status == "stopped":
            raise KeyboardInterrupt
        if self.status == "failed":
            raise self.error()
        return self

    def error(self) -> FlowRunError:
        """Say why it failed: the failing task's exception, and its traceback, of the user's own frames alone."""
        with self._lock:
            failed, rest = self._log.failed(), self._log.rest()
        if failed is None or self._log.run is None:
            words = [line.strip() for line in rest]
            said = next((line for line in reversed(words) if line.startswith("Error:")), words[-1] if words else "")
            what = f"{self.pathspec} failed" if self._log.run else f"{self.flow} could not be run"
            return FlowRunError(
                f"{what}: {said.removeprefix('Error: ')}", "What Metaflow said is below.", "\n".join(rest)
            )
        step, task = failed.task.split("/")
        pathspec = Pathspec(self.flow, self._log.run, step, task)
        said, lines = "", failed.lines
        with suppress(KitError, OSError):  # where the store cannot be read, what the run printed says it too
            run = self._runs.run(self.flow, self._log.run)
            steps = [each for each in self._runs.steps(run, step) if each.tasks]
            for failure in details.failures(self._runs, run, steps, most=len(lines) + 40):
                if failure.task == pathspec:
                    said, lines = failure.exception, failure.lines or lines
        return FlowRunError(
            f"{pathspec} failed{f': {said}' if said else ''}.",
            f"Replay it in the kernel, ready for %debug: %mf_run_step {pathspec}",
            "\n".join(lines),
        )

    # ------------------------------------------------------------------ inside

    def _page(self) -> Any:
        return self.view()._page()

    def _read(self) -> None:
        output = self._group.process.stdout
        assert output is not None  # it is a pipe  # noqa: S101
        with output:
            for line in output:
                with self._lock:
                    self._log.add(line)

    def _take_cloned(self) -> None:
        """Read, once, which tasks a resumed run has taken over."""
        if not self._log.cloned or self._log.run is None or self._cloned_taken:
            return
        self._cloned_taken = True
        cloned = []
        with suppress(KitError, OSError):  # it is a picture: the run goes on without it
            run = self._runs.run(self.flow, self._log.run)
            done = (task.pathspec for task in self._runs.tasks(run) if task.status == "succeeded")
            cloned = [(address.step or "", address.task or "") for address in done]
        with self._lock:
            self._log.take_cloned(cloned)

    def _pause(self, deadline: float | None) -> None:
        seconds = QUICK if self.seconds < 30 else SLOW
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - time.monotonic()))
        time.sleep(seconds) if self._reader.is_alive() else self._group.process.wait()

    def _close(self) -> None:
        """Take note, once, that it has ended."""
        if self._ended:
            return
        self._reader.join(LINGER)
        self._group.close()
        self._ended = time.monotonic()
        with self._lock:
            self._log.stop()


def start(runs: Runs, flow: str | FlowInfo, request: RunRequest) -> LiveRun:
    """Start a run of a flow.

    Args:
        runs: The project's runs.
        flow: The flow, or its name.
        request: How to run it.

    Raises:
        NotFoundError: There is no such flow, or no such run or step to resume.
        FlowFileError: The flow file does not load.
        ArgumentError: A word is neither a Parameter of the flow nor an option.
        FlowRunError: A step pins a package that cannot be had in test mode.
    """
    project = runs.project
    loaded = flowfile.load(project.flow(flow) if isinstance(flow, str) else flow)
    name = loaded.info.name
    mode = test_mode(project, loaded.info) if request.test else None
    passed = passed_words(name, request.words, _parameters(loaded), _decorator_options(loaded))
    environment, notes = _environment(loaded, request)
    command = [sys.executable, "-u", loaded.info.file, "--not-quiet", "--no-pylint", *environment]
    command += [word for each in request.decorators for word in ("--with", each)]
    command += [*(mode.options if mode else ()), *passed.before]
    tags = [word for tag in request.tags for word in ("--tag", tag)]
    if request.resume is not None:
        command += ["resume", *_origin(runs, loaded, request), *tags, *passed.after]
    else:
        command += ["run", *tags, *(mode.arguments if mode else ()), *passed.after]
    return LiveRun(runs, loaded, command, notes)


def _modules_path(project: Project, loaded: LoadedFlow) -> dict[str, str]:
    """Let a flow file that is not in the project's flows import what lies there."""
    folders = [str(project.flows_folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = project.flows_folder in Path(loaded.info.file).parents
    return {} if own else {"PYTHONPATH": os.pathsep.join(folders)}


def _give_store(environ: dict[str, str], project: Project) -> None:
    """Have a run written to the project's datastore, whichever folder this process is in."""
    if project.sysroot is not None:
        return
    store = project.stores()[0]
    environ.update(store_environment(store.parent))
    if store.parent == project.root:  # where it starts: Metaflow then finds the place of its cards by itself
        store.mkdir(exist_ok=True)
        del environ[CARD_VARIABLE]


def _origin(runs: Runs, loaded: LoadedFlow, request: RunRequest) -> list[str]:
    name = loaded.info.name
    run = runs.run(name, request.origin) if request.origin else runs.latest(name)[0]
    steps = [node.name for node in _graph(loaded).nodes]
    if request.resume and request.resume not in steps:
        raise NotFoundError(
            f"{name} has no step {request.resume}.", did_you_mean(request.resume, steps, f"steps of {name}")
        )
    return ["--origin-run-id", run.id, *([request.resume] if request.resume else [])]


def _environment(loaded: LoadedFlow, request: RunRequest) -> tuple[list[str], tuple[str, ...]]:
    """Choose Metaflow's environment: the one that was asked for, else one in which the flow's pins hold."""
    if request.environment:
        return ["--environment", request.environment], ()
    remote = any(REMOTE.match(spec) for spec in request.decorators)
    if remote or internals.config.DEFAULT_ENVIRONMENT not in (None, "local"):
        return [], ()
    if request.test:
        return stand_ins(loaded)
    with suppress(FlowFileError):  # pins that depend on a Config which the command line gives
        found = pins(loaded)
        if not found:
            return [], ()
        if not unmet(found):
            return ["--environment=unpinned"], ()  # the pins are what this interpreter has
    return ["--environment=pypi-uv"], ("steps with pins run in environments of their own: --environment=pypi-uv",)


def _graph(loaded: LoadedFlow) -> Graph:
    nodes = (GraphNode(node.name, tuple(node.out_funcs), step_type(node.type)) for node in loaded.cls._graph)
    return Graph(ordered(Graph(tuple(nodes))))


def _parameters(loaded: LoadedFlow) -> list[str]:
    return [parameter.name for _, parameter in loaded.cls._get_parameters()]


def _decorator_options(loaded: LoadedFlow) -> dict[str, bool]:
    groups = loaded.cls._flow_state[internals.FlowStateItems.FLOW_DECORATORS].values()
    specs = [(name, spec) for group in groups for decorator in group for name, spec in decorator.options.items()]
    return {name.replace("_", "-"): bool(spec.get("is_flag")) for name, spec in specs}
