"""What a replay or a test left: artifacts, how they differ from the recorded ones, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kit.model.flows import Graph

__all__ = ["Difference", "DifferenceKind", "Downstream", "LazyArtifacts", "StepResult", "Verdict"]


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
