"""What a graph says, in words: the steps in the order they run, how each goes on, and what became of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from kit.model import Graph, GraphNode, StepInfo
from kit.views.page import GLYPHS, count, visible

__all__ = [
    "JOINED",
    "TYPE_WORDS",
    "Edge",
    "Row",
    "alternative",
    "edges",
    "enclosing",
    "ordered",
    "rows",
    "walk",
    "with_status",
]

TYPE_WORDS = {"foreach": "foreach", "parallel": "num_parallel", "switch": "switch"}
JOINED = frozenset({"split", "foreach", "parallel"})  # what a later join closes; a switch has none

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Edge:
    """One step that leads to another.

    Args:
        source: The step that names the other in its `self.next`.
        target: The other step.
        kind: "switch" where only one of its kin is taken, "again" where it leads back, else "next".
    """

    source: str
    target: str
    kind: Literal["next", "switch", "again"]


@dataclass(frozen=True)
class Row:
    """A step in words.

    Args:
        name: Its name.
        depth: How many splits and foreachs it is inside of.
        words: Its name and what it leads to, such as "start → fit (foreach)".
        status: Its status as a glyph and a word; "" for none.
        note: What else there is to say of it.
    """

    name: str
    depth: int
    words: str
    status: str
    note: str

    @property
    def parts(self) -> tuple[str, ...]:
        """What it says, without what it leaves empty."""
        return tuple(part for part in (self.words, self.status, self.note) if part)


def rows(graph: Graph) -> tuple[Row, ...]:
    """Say a graph in words, a row a step, in the order of `ordered`."""
    inside, targets = enclosing(graph), _targets(graph)
    return tuple(
        Row(
            name=node.name,
            depth=len(inside[node.name]),
            words=visible(_words(node, targets[node.name])),
            status=visible(f"{GLYPHS.get(node.status, '')} {node.status}".strip()),
            note=visible(node.note),
        )
        for node in ordered(graph)
    )


def alternative(graph: Graph) -> str:
    """Say a graph in one line: the words of its rows, for those who cannot see the picture."""
    return "; ".join(" ".join(row.parts) for row in rows(graph))


def with_status(graph: Graph, steps: Iterable[StepInfo]) -> Graph:
    """Give the graph of a run, each step with its status and, where it has several tasks, how many and how they fare.

    Args:
        graph: The run's graph.
        steps: Its steps; those that are not among them are pending.
    """
    by_name = {step.name: step for step in steps}
    nodes = []
    for node in graph.nodes:
        step = by_name.get(node.name)
        note = ""
        if step is not None and len(step.tasks) > 1:
            parts = [count(len(step.tasks), "task")]
            for status in ("failed", "running"):
                number = sum(task.status == status for task in step.tasks)
                parts += [f"{number} {status}"] if number else []
            note = ", ".join(parts)
        nodes.append(replace(node, status=step.status if step else "pending", note=note))
    return Graph(tuple(nodes))


def ordered(graph: Graph) -> tuple[GraphNode, ...]:
    """Order the steps: each after those that lead to it, a branch whole before the next one begins."""
    by_name = {node.name: node for node in graph.nodes}
    return tuple(by_name[name] for name in walk(_targets(graph))[0])


def edges(graph: Graph) -> tuple[Edge, ...]:
    """List what leads to what, each pair once, in the order of `ordered`."""
    targets = _targets(graph)
    back = walk(targets)[1]
    return tuple(
        Edge(node.name, name, "again" if (node.name, name) in back else "switch" if node.type == "switch" else "next")
        for node in ordered(graph)
        for name in targets[node.name]
    )


def enclosing(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Give the types of the splits and foreachs that each step is inside of, outermost first."""
    targets = _targets(graph)
    found: dict[str, tuple[str, ...]] = {}
    for node in ordered(graph):
        around = found.setdefault(node.name, ())
        if node.type == "join":
            around = found[node.name] = around[:-1]
        for target in targets[node.name]:
            found.setdefault(target, (*around, node.type) if node.type in JOINED else around)
    return found


def walk(targets: Mapping[Name, Sequence[Name]]) -> tuple[list[Name], set[tuple[Name, Name]]]:
    """Order a graph depth first, and find the edges that lead back.

    Args:
        targets: What each node leads to.

    Returns:
        The nodes, each after all that lead to it, branches one after another; and the edges that close a loop.
    """
    led_to = {target for name, nexts in targets.items() for target in nexts if target != name}
    order: list[Name] = []
    seen: set[Name] = set()
    back: set[tuple[Name, Name]] = set()
    for roots in ([name for name in targets if name not in led_to], list(targets)):
        finished: list[Name] = []
        for root in reversed(roots):
            if root not in seen:
                _descend(root, targets, seen, finished, back)
        order = finished[::-1] + order  # what no root reaches leads to the rest, never the other way
    return order, back


def _descend(
    root: Name,
    targets: Mapping[Name, Sequence[Name]],
    seen: set[Name],
    finished: list[Name],
    back: set[tuple[Name, Name]],
) -> None:
    path = {root: iter(targets[root][::-1])}
    seen.add(root)
    while path:
        name = next(reversed(path))
        for target in path[name]:
            if target in path:
                back.add((name, target))
            elif target not in seen:
                seen.add(target)
                path[target] = iter(targets[target][::-1])
                break
        else:
            del path[name]
            finished.append(name)


def _targets(graph: Graph) -> dict[str, tuple[str, ...]]:
    names = {node.name for node in graph.nodes}
    return {node.name: tuple(name for name in dict.fromkeys(node.next) if name in names) for node in graph.nodes}


def _words(node: GraphNode, targets: Sequence[str]) -> str:
    if not targets:
        return node.name
    kind = f" ({TYPE_WORDS[node.type]})" if node.type in TYPE_WORDS else ""
    return f"{node.name} → {(' or ' if node.type == 'switch' else ', ').join(targets)}{kind}"
