"""Runs, their steps, tasks and artifacts, as they were recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kit.model.flows import Pathspec

__all__ = ["OWN_ARTIFACTS", "ArtifactInfo", "FlowRuns", "RunInfo", "Status", "StepInfo", "TaskInfo"]

OWN_ARTIFACTS = frozenset({"name"})  # Metaflow stores the flow's name as an artifact of every task

Status = Literal["succeeded", "failed", "running", "pending"]


@dataclass(frozen=True)
class RunInfo:
    """A recorded run.

    Args:
        flow: The name of its flow.
        id: The run's id.
        status: "succeeded", "failed" or "running".
        created: When it started, in local time.
        user: Who started it.
        tags: The user's tags, sorted.
        seconds: How long it took; None while it runs.
        store: Where its data is: the datastore's root.
        system_tags: The tags that Metaflow gave it, such as "project_branch:user.me", sorted.
        beat: The last sign of life of a run that has not ended: its heartbeat, or the last file that it wrote.
        alive: Whether that run still goes on; None where it has ended, or where there is no telling.
    """

    flow: str
    id: str
    status: Status
    created: datetime
    user: str
    tags: tuple[str, ...]
    seconds: float | None
    store: str
    system_tags: tuple[str, ...] = ()
    beat: datetime | None = None
    alive: bool | None = None

    @property
    def pathspec(self) -> Pathspec:
        """The address of the run."""
        return Pathspec(self.flow, self.id)


@dataclass(frozen=True)
class FlowRuns:
    """A flow and some of its runs.

    Args:
        name: The name of the flow.
        file: The file that defines it, from the project's root; None where no file of the project does.
        runs: Runs of it, newest first; and in `note`, what is not among them.
    """

    name: str
    file: str | None
    runs: tuple[RunInfo, ...]
    note: str = ""


@dataclass(frozen=True)
class StepInfo:
    """A step of a recorded run.

    Args:
        name: The name of the step.
        status: "succeeded" when all of its tasks did, "failed" when one failed, "running", or "pending".
        tasks: Its tasks, in the order of their foreach indices.
        seconds: From the start of its first task to the end of its last; None where that is not known.
    """

    name: str
    status: Status
    tasks: tuple[TaskInfo, ...]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A recorded task.

    Args:
        pathspec: Its address.
        status: "succeeded", "failed" or "running".
        attempt: The number of its last attempt, counted from 0.
        index: Its indices in the foreachs around it, outermost first; empty outside a foreach.
        values: The values that it was given by these foreachs, as Metaflow recorded them (as text).
        artifacts: The public artifacts that it left.
        variables: The artifacts that these foreachs went over, outermost first.
        ended: When its last attempt was done, in seconds since the epoch; None where that is not known.
    """

    pathspec: Pathspec
    status: Status
    attempt: int
    index: tuple[int, ...] = ()
    values: tuple[str | None, ...] = ()
    artifacts: tuple[ArtifactInfo, ...] = ()
    variables: tuple[str, ...] = ()
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """A recorded artifact, as the datastore's own metadata describes it; nothing is unpickled.

    Args:
        step: The step that the task belongs to; `task` is that task's id.
        name: The name of the artifact.
        type: The name of its type, such as "int" or "numpy.ndarray".
        size: The size of its pickle, in bytes.
        sha: The SHA-1 of its pickle: its address in the datastore.
        encoding: How Metaflow wrote it, such as "pickle-v4".
    """

    step: str
    task: str
    name: str
    type: str
    size: int
    sha: str
    encoding: str = ""
