"""The frozen data that passes between rooms.

Nothing here reads a file or imports Metaflow: views draw these, so they can be drawn anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

__all__ = [
    "OWN_ARTIFACTS",
    "ArtifactInfo",
    "Difference",
    "DifferenceKind",
    "Downstream",
    "FlowInfo",
    "FlowRuns",
    "Graph",
    "GraphNode",
    "LazyArtifacts",
    "Pathspec",
    "Pin",
    "RunInfo",
    "Status",
    "StepInfo",
    "StepResult",
    "StepType",
    "TaskInfo",
    "Verdict",
    "step_type",
]

OWN_ARTIFACTS = frozenset({"name"})  # Metaflow stores the flow's name as an artifact of every task

Status = Literal["succeeded", "failed", "running", "pending"]
StepType = Literal["start", "linear", "split", "foreach", "parallel", "switch", "join", "end"]


@dataclass(frozen=True, slots=True)
class Pathspec:
    """Metaflow's address of a flow, a run, a step or a task.

    Args:
        flow: The name of the flow.
        run: The run's id, or None for the flow itself.
        step: The step's name, or None.
        task: The task's id, or None.
    """

    flow: str
    run: str | None = None
    step: str | None = None
    task: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.flow, self.run, self.step, self.task) if part is not None)


@dataclass(frozen=True)
class FlowInfo:
    """A flow of the project, as its source says, without importing it.

    Args:
        name: The name of the class.
        file: The path of the file that defines it.
        line: The line of the class statement, counted from 1.
        steps: The names of its steps, in the order of the source.
        parameters: The names of its Parameters, as its command line takes them.
        after: The flows of the project whose runs it reads.
    """

    name: str
    file: str
    line: int
    steps: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class GraphNode:
    """A step in the picture of a flow.

    Args:
        name: The name of the step.
        next: The steps that its `self.next` names, in that order; a step that names itself is run again by a switch.
        type: How it goes on ("linear", "split", "foreach", "parallel", "switch"), or "start", "join" or "end".
        status: What became of it, a word that views know ("succeeded", "failed", "same", "skipped" ...); "" for none.
        note: A few words more, such as "12 tasks, 1 failed".
    """

    name: str
    next: tuple[str, ...] = ()
    type: StepType = "linear"
    status: str = ""
    note: str = ""


@dataclass(frozen=True)
class Graph:
    """A flow's steps and how they lead to one another.

    Args:
        nodes: The steps. The first of those that nothing leads to is drawn as the start.
    """

    nodes: tuple[GraphNode, ...]


def step_type(recorded: str) -> StepType:
    """Turn the type that Metaflow records for a step (`_graph_info`), or gives it in a FlowGraph, into a GraphNode's.

    Args:
        recorded: Such as "linear", "split-foreach", "split-static" or "join".
    """
    word = recorded.removeprefix("split-").replace("static", "split")
    known: tuple[StepType, ...] = ("start", "split", "foreach", "parallel", "switch", "join", "end")
    return next((each for each in known if each == word), "linear")


@dataclass(frozen=True)
class Pin:
    """A package that a step pins, beside what is installed.

    Args:
        step: The step whose decorator pins it.
        name: The name of the distribution, or "python".
        wanted: The pinned version.
        had: The installed version, or None.
    """

    step: str
    name: str
    wanted: str
    had: str | None


class LazyArtifacts(Mapping[str, Any]):
    """A mapping of names to artifacts that reads each one when it is asked for.

    Args:
        names: The names, in order.
        read: Gives the value of one name.
    """

    def __init__(self, names: tuple[str, ...], read: Callable[[str], Any]) -> None:
        self._names = names
        self._read = read
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._values:
            self._values[name] = self._read(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<{len(self)} artifacts: {', '.join(self._names)}>"


DifferenceKind = Literal[
    "number", "time", "text", "bytes", "array", "frame", "mapping", "sequence", "set", "object", "type"
]


@dataclass(frozen=True)
class Difference:
    """What differs between a recorded artifact and the replayed one.

    Args:
        kind: What the two values are; "type" where they are of different types.
        summary: What differs, in one line.
        lines: What differs in detail: a diff of a text, the first cells of an array, the paths of an object's parts.
    """

    kind: DifferenceKind
    summary: str
    lines: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "\n".join((self.summary, *(f"  {line}" for line in self.lines)))


@dataclass(frozen=True)
class Downstream:
    """What became of the steps on the way from a replayed task to a later one.

    Args:
        graph: The flow, with a status for each step of the way: "changed", "new", "same" or "skipped".
        results: What each task that was run again left, by its pathspec, in the order in which they ran.
        skipped: The pathspecs of the recorded tasks that were not run again, as nothing that they take in has changed.
        gone: How many recorded tasks the flow no longer has: of a foreach that shrank, or off the way of a switch.
    """

    graph: Graph
    results: Mapping[str, StepResult]
    skipped: tuple[str, ...]
    gone: int = 0


@dataclass(frozen=True)
class StepResult:
    """What a replayed step left, beside what the recorded task had left.

    Args:
        origin: The pathspec of the recorded task.
        step: The name of the step.
        artifacts: The public artifacts after the step, by name; inherited ones are read when asked for.
        same: Names of artifacts equal to the recorded ones, or None where nothing was recorded.
        changed: Names of artifacts that differ, or None.
        added: Names that the recorded task does not have, or None.
        missing: Names that only the recorded task has, or None.
        next_steps: The steps that `self.next` chose.
        exception: What a decorator such as @catch handled, or None.
        seconds: How long the step's body and its decorators took.
        stdout: What it printed.
        stderr: What it printed to the standard error.
        cards: The components that it appended to its cards, by the card's id ("" for the one without).
        notes: What kit has to say about the replay, a line each.
        differences: What differs in each changed artifact; computed when it is asked for or shown.
        types: The names of the types of added and missing artifacts, where they are known.
        downstream: What became of the steps on the way, where the replay went on to a later one.
    """

    origin: str
    step: str
    artifacts: Mapping[str, Any]
    same: frozenset[str] | None
    changed: frozenset[str] | None
    added: frozenset[str] | None
    missing: frozenset[str] | None
    next_steps: tuple[str, ...]
    exception: BaseException | None
    seconds: float
    stdout: str = ""
    stderr: str = ""
    cards: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: Mapping[str, Difference] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    downstream: Downstream | None = None

    def __repr__(self) -> str:
        from kit.views import replayed, text  # data first: what draws it is loaded when it is drawn

        return text.render(replayed.step_page(self))

    def _repr_html_(self) -> str:
        from kit.views import html, replayed

        return html.render(replayed.step_page(self))


@dataclass(frozen=True)
class Verdict:
    """What became of one notebook, or of one flow that the notebooks need.

    Args:
        name: The notebook's path from the project's root, or the flow's name.
        kind: "flow" or "notebook".
        status: "passed", "failed", or "not run".
        seconds: How long it took.
        detail: The run's pathspec, or the path of the executed notebook, or why it was not run.
        report: The failing cell's source and traceback, or the failing task's log; empty when it passed.
        notes: What kit did that the user should know, a line each.
    """

    name: str
    kind: Literal["flow", "notebook"]
    status: Literal["passed", "failed", "not run"]
    seconds: float
    detail: str = ""
    report: str = ""
    notes: tuple[str, ...] = ()
