"""A flow of the project, its graph and its pins; and the address of what it left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FlowInfo", "Graph", "GraphNode", "Pathspec", "Pin", "StepType", "step_type"]

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
        configs: The names of its Configs.
    """

    name: str
    file: str
    line: int
    steps: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()


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
