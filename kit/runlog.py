"""What a run's own output says of how far it has come, line by line: Metaflow's scheduler reports each task there.

The lines are the same for every datastore and for tasks on a cluster, and they come at once.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kit.tracebacks import KILLED, without_metaflow
from kit.views.running import StepProgress, TaskLines

__all__ = ["FailedTask", "RunLog"]

TIME = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* "
TASK = r"(?P<path>(?P<run>[^/\s\]]+)/(?P<step>\w+)/(?P<task>[^/\s\]]+))"
TASK_LINE = re.compile(TIME + rf"\[{TASK} \(pid (?P<pid>\d+)\)\] ?(?P<text>.*)$")
RUN_LINE = re.compile(TIME + r"Workflow starting \(run-id (?P<run>[^\s)]+)\)")
CLONED_LINE = re.compile(r"\w+/\S+ cloned!$")  # threads that clone tasks write into one another's lines
STARTED = re.compile(r"Task is starting( \(retry\))?\.$|Task fallback is starting")
SPLIT = re.compile(r"Foreach yields (\d+) child steps\.$")
FAILED = re.compile(r"Task failed( with a segmentation fault)?\.$")
ENDING = re.compile(TIME + r"(Terminating \d+ active tasks|Workflow (failed|interrupted)\b)")
SUCCEEDED = "Task finished successfully."
STORE_LINE = re.compile(r"Creating local datastore in current directory")
MAX_LINES = 60  # of what Metaflow itself says
MAX_TASK_LINES = 200  # of a task: a traceback with Metaflow's frames
MAX_LAST = 10  # of a running task
MAX_RECENT = 1000  # of all tasks together
MAX_TEXT = 10_000  # characters of a line


STATES = ("running", "succeeded", "failed", "stopped")


@dataclass
class _Task:
    """A task: how it stands ("running", "succeeded", "failed", "stopped"), when that began, what it printed."""

    step: str
    process: int = 0
    state: str = "running"
    cloned: bool = False
    started: float = 0.0
    ended: float | None = None
    retried: bool = False
    crashed: bool = False
    splits: int | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_TASK_LINES))


@dataclass(frozen=True)
class FailedTask:
    """A task that failed.

    Args:
        step: Its step.
        task: Its id.
        lines: The last lines that it printed, without Metaflow's own frames in tracebacks.
        crashed: Whether a segmentation fault ended it.
    """

    step: str
    task: str
    lines: tuple[str, ...]
    crashed: bool

    @property
    def raised(self) -> str:
        """The exception that it printed, in one line; "" where its process ended without one."""
        begun = next((i for i, line in enumerate(self.lines) if "Traceback (most recent call last):" in line), None)
        return "" if begun is None else self.lines[-1].strip(" |+-")

    @property
    def why(self) -> str:
        """The exception that it printed, or how its process ended without one."""
        return self.raised or f"its process ended {'with a segmentation fault' if self.crashed else 'by itself'}"


class RunLog:
    """What a run has said so far.

    Attributes:
        run: The run's id; None before it has one.
        cloned: Whether tasks of another run have been cloned; which, the run does not say.
    """

    def __init__(self) -> None:
        self.run: str | None = None
        self.cloned = False
        self._tasks: dict[str, _Task] = {}  # by step/task
        self._ending = False  # whether the scheduler ends the tasks that run
        self._other: deque[str] = deque(maxlen=MAX_LINES)
        self._recent: deque[tuple[str, str]] = deque(maxlen=MAX_RECENT)

    def add(self, line: str) -> None:
        """Take in a line of the run's output."""
        line = line.rstrip("\n")
        found = TASK_LINE.match(line) or RUN_LINE.match(line)
        if found is None:
            self.cloned = self.cloned or CLONED_LINE.search(line) is not None
            self._ending = self._ending or ENDING.match(line) is not None
            self._other.append(line)
            return
        self.run = found["run"]
        if found.re is RUN_LINE:
            return
        step, now = found["step"], time.monotonic()
        name = f"{step}/{found['task']}"
        task = self._tasks.setdefault(name, _Task(step, started=now))
        self._task_line(name, task, int(found["pid"]), found["text"], now)

    def take_cloned(self, tasks: Iterable[tuple[str, str]], splits: Mapping[tuple[str, str], int]) -> None:
        """Take in the tasks that were cloned.

        Args:
            tasks: The step and the id of each.
            splits: How many tasks those lead to that are split by a foreach.
        """
        now = time.monotonic()
        for each in tasks:
            cloned = _Task(each[0], 0, "succeeded", True, now, now, splits=splits.get(each))
            self._tasks.setdefault("/".join(each), cloned)
        self._tasks = dict(sorted(self._tasks.items(), key=lambda item: not item[1].cloned))

    def _task_line(self, name: str, task: _Task, process: int, text: str, now: float) -> None:
        """Take in a line of a task; it may print itself what the scheduler says when its process has begun or ended."""
        split, begun, gone = SPLIT.match(text), process != task.process, not _runs(process)
        task.process = process
        if begun and STARTED.match(text):
            task.retried = task.retried or task.ended is not None
            task.state, task.ended, task.crashed = "running", None, False
            task.lines.clear()  # those of the attempt before
        elif gone and split:
            task.splits = int(split[1])
        elif gone and FAILED.match(text):
            task.state, task.ended, task.crashed = "failed", now, "segmentation" in text
        elif self._ending and text == KILLED:
            task.state, task.ended = "stopped", now
        elif gone and text == SUCCEEDED:  # Metaflow says so of a task that it has killed, too
            task.state, task.ended = ("stopped" if task.state == "stopped" else "succeeded"), now
            task.lines.clear()  # a run may have many thousands
        else:
            text = text.rstrip("\r").rpartition("\r")[2][:MAX_TEXT]  # of a progress bar, how it stands
            task.lines.append(text)
            self._recent.append((name, text))

    def steps(self) -> dict[str, StepProgress]:
        """Say how far each step has come, in the order in which they began."""
        grouped: dict[str, list[_Task]] = {}
        for task in self._tasks.values():
            grouped.setdefault(task.step, []).append(task)
        return {step: self._step(step, tasks) for step, tasks in grouped.items()}

    def _step(self, step: str, tasks: list[_Task]) -> StepProgress:
        number = {state: sum(task.state == state for task in tasks) for state in STATES}
        ends, splits = [task.ended for task in tasks], [task.splits for task in tasks if task.splits is not None]
        last = time.monotonic() if None in ends else max(end for end in ends if end is not None)
        return StepProgress(
            **number,
            cloned=sum(task.cloned for task in tasks),
            retried=sum(task.retried for task in tasks),
            splits=sum(splits) if splits else None,
            seconds=last - min(task.started for task in tasks),
        )

    def running(self) -> tuple[TaskLines, ...]:
        """Say what each running task printed last, in the order in which they began."""
        return tuple(
            TaskLines(name, tuple(without_metaflow(task.lines)[-MAX_LAST:]))
            for name, task in self._tasks.items()
            if task.state == "running"
        )

    def failed(self) -> FailedTask | None:
        """Give the first task that failed; None where none did."""
        for name, task in self._tasks.items():
            if task.state == "failed":
                step, _, number = name.partition("/")
                return FailedTask(step, number, tuple(without_metaflow(task.lines)), task.crashed)
        return None

    def stop(self) -> None:
        """Let the tasks that ran be stopped ones: the run has ended."""
        for task in self._tasks.values():
            if task.state == "running":
                task.state, task.ended = "stopped", time.monotonic()

    def rest(self) -> tuple[str, ...]:
        """Give the last lines that are of no task: what Metaflow itself said."""
        return tuple(line for line in self._other if line.strip() and not STORE_LINE.match(line))

    def lines(self, step: str | None = None) -> tuple[str, ...]:
        """Give the last lines that tasks printed, each behind its step and id.

        Args:
            step: Of this step's tasks alone.
        """
        return tuple(f"{name}: {line}" for name, line in self._recent if step in (None, name.partition("/")[0]))


def _runs(process: int) -> bool:
    """Whether a process is there: the scheduler says how a task's process ended when that is gone."""
    try:
        os.kill(process, 0)
    except OSError:  # also one of another user, which is not the task's
        return False
    return True
