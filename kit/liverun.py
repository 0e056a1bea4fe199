"""A run that is watched while it goes on: started, followed, stopped; and the error of one that failed."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from io import TextIOWrapper
from typing import Any, BinaryIO, cast

from kit import details
from kit.artifact_table import ArtifactTable, StepArtifacts
from kit.errors import ArgumentError, FlowRunError, KitError, NotFoundError, did_you_mean
from kit.flowfile import LoadedFlow
from kit.lineage import finished
from kit.model import Graph, GraphNode, Pathspec, step_type
from kit.processes import GENTLY, ProcessGroup
from kit.resolve import Target
from kit.runcommand import RunCommand
from kit.runlog import RunLog
from kit.runs import Runs
from kit.views import Displayed
from kit.views.graph import ordered
from kit.views.running import ENDED, RunProgress, progress_page

__all__ = ["LiveRun", "RunView"]

QUICK, SLOW = 0.34, 1.0  # seconds between two looks, in the first half minute and then; the last comes at once
STREAMS = ("stdout", "stderr")
MAX_LINES = 1000  # of the logs
LINGER = 1.0  # seconds for which the output of a run that has ended is waited for: what it left behind may hold it


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
        command: What is executed.
    """

    def __init__(self, runs: Runs, command: RunCommand) -> None:
        self.flow, self.notes = command.loaded.info.name, command.notes
        self._runs, self._graph = runs, _graph(command.loaded)
        self._log, self._lock = RunLog(), threading.Lock()
        self._started, self._ended = time.monotonic(), 0.0
        self._stopped = self._cloned_taken = False
        self._group = ProcessGroup(command.words, runs.project.root, command.environ)
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

    def logs(self, step: str | None = None, stream: str | None = None) -> str:
        """Give the last lines that its tasks printed, each behind its step and id.

        Args:
            step: Of this step's tasks alone.
            stream: "stdout" or "stderr" alone: of the tasks that have ended, as the datastore has it.

        Raises:
            NotFoundError: The flow has no such step.
            ArgumentError: There is no such stream.
        """
        steps = [node.name for node in self._graph.nodes]
        if step is not None and step not in steps:
            what = f"steps of {self.flow}"
            raise NotFoundError(f"{self.flow} has no step {step}.", did_you_mean(step, steps, what))
        if stream not in (None, *STREAMS):
            raise ArgumentError(f"There is no stream {stream}.", did_you_mean(str(stream), STREAMS, "streams"))
        if stream is not None:
            return "\n".join(self._printed(step, stream)[-MAX_LINES:])
        with self._lock:
            return "\n".join(self._log.lines(step) or (() if step else self._log.rest()))

    def _printed(self, step: str | None, stream: str) -> list[str]:
        if self._log.run is None:
            return []
        run = self._runs.run(self.flow, self._log.run)
        tasks = [task for each in self._runs.steps(run, step) for task in each.tasks if task.status != "running"]
        return [
            f"{task.pathspec.step}/{task.pathspec.task}: {line}"
            for task in tasks
            for line in details.printed(self._runs, run, task, stream)
        ]

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
            KeyboardInterrupt: It was interrupted here, and its processes have ended.
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
            raise self._interrupted() from None
        show(self.view())
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
        pathspec = Pathspec(self.flow, self._log.run, failed.step, failed.task)
        said, lines = failed.raised, failed.lines
        with suppress(KitError, OSError):  # where the store cannot be read, what the run printed says it too
            run = self._runs.run(self.flow, self._log.run)
            steps = self._runs.steps(run, failed.step)
            own = [replace(step, tasks=tuple(t for t in step.tasks if t.pathspec == pathspec)) for step in steps]
            for failure in details.failures(self._runs, run, own, most=len(lines) + 40):
                said, lines = failure.exception or said, failure.lines or lines
        hint = f"Replay it in the kernel, ready for %debug: %mf_run_step {pathspec}"
        if failed.crashed:
            hint = f"A replay would end the kernel too. What it printed: %mf_artifacts {pathspec} --logs"
        elif not failed.raised:
            hint = f"Did it call exit, or need too much memory? %mf_run_step {pathspec} says where it exits."
        error = FlowRunError(f"{pathspec} failed: {(said or failed.why).rstrip('.')}.", hint, "\n".join(lines))
        error.pathspec, error.exception = str(pathspec), said if failed.raised else ""
        return error

    # ------------------------------------------------------------------ inside

    def _interrupted(self) -> KeyboardInterrupt:
        """Make an interrupt that IPython shows without frames, as it shows kit's errors."""
        error = KeyboardInterrupt(f"{self.pathspec or self.flow} was stopped.")
        error.__dict__["_render_traceback_"] = lambda: [f"KeyboardInterrupt: {error}"]
        return error

    def _page(self) -> Any:
        return self.view()._page()

    def _read(self) -> None:
        output = cast(TextIOWrapper, self._group.process.stdout)
        with output:
            for line in cast(BinaryIO, output.buffer):  # as text, a progress bar's \r would end lines
                with self._lock:
                    self._log.add(line.decode("utf-8", "replace"))

    def _take_cloned(self) -> None:
        """Read, once, which tasks a resumed run has taken over."""
        if not self._log.cloned or self._log.run is None or self._cloned_taken:
            return
        self._cloned_taken = True
        cloned: list[tuple[str, str]] = []
        splits: dict[tuple[str, str], int] = {}
        with suppress(KitError, OSError):  # it is a picture: the run goes on without it
            run = self._runs.run(self.flow, self._log.run)
            done = (task.pathspec for task in self._runs.tasks(run) if task.status == "succeeded")
            cloned = [(address.step or "", address.task or "") for address in done]
            split = {node.name for node in self._graph.nodes if node.type in ("foreach", "parallel")}
            tasks = [task for step in split & dict(cloned).keys() for task in finished(self._runs, run, step)]
            splits = {(task.step, str(task.store.task_id)): task.splits for task in tasks if task.splits is not None}
        with self._lock:
            self._log.take_cloned(cloned, splits)

    def _pause(self, deadline: float | None) -> None:
        seconds = QUICK if self.seconds < 30 else SLOW
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - time.monotonic()))
        if self._reader.is_alive():
            self._reader.join(seconds)  # its output ends when it does
            return
        with suppress(subprocess.TimeoutExpired):
            self._group.process.wait(seconds)

    def _close(self) -> None:
        """Take note, once, that it has ended."""
        if self._ended:
            return
        self._reader.join(LINGER)
        self._group.close()
        self._ended = time.monotonic()
        with self._lock:
            self._log.stop()


def _graph(loaded: LoadedFlow) -> Graph:
    nodes = (GraphNode(node.name, tuple(node.out_funcs), step_type(node.type)) for node in loaded.cls._graph)
    return Graph(ordered(Graph(tuple(nodes))))
