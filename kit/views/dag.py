"""Where the steps of a graph are drawn: left to right, layer by layer, without crossings where none are needed.

The method is that of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures"
(1981): layers by the longest path, long edges cut at each layer, an order within the layers, then coordinates. A
depth-first order has no crossings where splits and joins nest, as Metaflow's do; where switches leave some, layers are
ordered by the mean of their neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kit.model import Graph
from kit.views.graph import Edge, edges, ordered, walk
from kit.views.heights import Item, Near, heights, neighbours

__all__ = ["Box", "Layout", "Line", "layout"]

MARGIN = 10
ROW_GAP = 22  # between two boxes of a layer
LINE_GAP = 14  # between a box and a line that passes it
COLUMN_GAP = 34
WIDEST_GAP = 96
LOOP_HEIGHT = 18
ORDER_ROUNDS = 12

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """Where a step is drawn: its name, the left and upper ends, width and height."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """Where an edge is drawn.

    Args:
        edge: The edge.
        points: Its ends, and between them both ends of each straight piece that passes a column.
    """

    edge: Edge
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """A laid out graph: the whole size, the steps and the edges."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def layout(graph: Graph, sizes: Mapping[str, tuple[float, float]]) -> Layout:
    """Say where each step and each edge of a graph is drawn.

    Args:
        graph: The graph.
        sizes: The width and height of each step's box; all boxes of a column get the width of the widest.
    """
    if not graph.nodes:
        return Layout(0, 0, (), ())
    links = edges(graph)
    again = {edge.source for edge in links if edge.kind == "again"}
    forward = [edge for edge in links if edge.kind != "again"]
    layer = _layers([node.name for node in ordered(graph)], forward)
    chains = {edge: _chain(edge, layer) for edge in forward}
    pairs = [pair for chain in chains.values() for pair in pairwise(chain)]
    columns = _uncrossed(_columns([(name, "", at) for name, at in layer.items()], pairs), pairs)
    middle = heights(columns, pairs, _apart(sizes, again))
    over = {name: sizes[name][1] / 2 + (LOOP_HEIGHT if name in again else 0) for name in layer}
    top = min(y - (0 if item[1] else over[item[0]]) for item, y in middle.items()) - MARGIN
    middle = {item: float(round(y - top)) for item, y in middle.items()}

    span = {column[0][2]: max(sizes[name][0] for name, target, _ in column if not target) for column in columns}
    left = _lefts(columns, pairs, middle, span)
    boxes = tuple(
        Box(name, left[at], middle[name, "", at] - sizes[name][1] / 2, span[at], sizes[name][1])
        for name, at in layer.items()
    )
    by_name = {box.name: box for box in boxes}
    lines = []
    for edge in links:
        if edge.kind == "again":
            lines.append(Line(edge, _arc(by_name[edge.source], by_name[edge.target])))
        else:
            passed = [
                (x, middle[item]) for item in chains[edge] for x in (left[item[2]], left[item[2]] + span[item[2]])
            ]
            lines.append(Line(edge, tuple(passed[1:-1])))
    width = max(box.x + box.width for box in boxes) + MARGIN
    height = max([box.y + box.height for box in boxes] + [y for line in lines for _, y in line.points]) + MARGIN
    return Layout(width, height, boxes, tuple(lines))


def _layers(names: Sequence[str], forward: Iterable[Edge]) -> dict[str, int]:
    """Give each step's layer: the length of the longest path to it."""
    by_source: dict[str, list[str]] = {}
    for edge in forward:
        by_source.setdefault(edge.source, []).append(edge.target)
    layer = dict.fromkeys(names, 0)
    for name in names:
        for target in by_source.get(name, ()):
            layer[target] = max(layer[target], layer[name] + 1)
    return layer


def _chain(edge: Edge, layer: Mapping[str, int]) -> tuple[Item, ...]:
    first, last = layer[edge.source], layer[edge.target]
    passed = ((edge.source, edge.target, at) for at in range(first + 1, last))
    return ((edge.source, "", first), *passed, (edge.target, "", last))


# ------------------------------------------------------------------ the order within layers


def _columns(items: Sequence[Item], pairs: Sequence[tuple[Item, Item]]) -> list[list[Item]]:
    targets: dict[Item, list[Item]] = {item: [] for item in items}
    for source, target in pairs:
        targets.setdefault(source, []).append(target)
        targets.setdefault(target, [])
    columns: dict[int, list[Item]] = {}
    for item in walk(targets)[0]:
        columns.setdefault(item[2], []).append(item)
    return [columns[at] for at in sorted(columns)]


def _uncrossed(columns: list[list[Item]], pairs: Sequence[tuple[Item, Item]]) -> list[list[Item]]:
    """Reorder the layers by the mean place of their neighbours, as long as edges cross; the best order is kept."""
    before, after = neighbours(pairs)
    best, fewest = columns, _crossings(columns, after)
    columns = [list(column) for column in columns]
    for turn in range(ORDER_ROUNDS):
        if not fewest:
            break
        forth = turn % 2 == 0
        beside = before if forth else after
        steps = range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1)
        for at in steps:
            place = {item: i for i, item in enumerate(columns[at - 1 if forth else at + 1])}
            columns[at] = _by_mean(columns[at], beside, place)
        count = _crossings(columns, after)
        if count < fewest:
            best, fewest = [list(column) for column in columns], count
    return best


def _by_mean(column: list[Item], beside: Near, place: Mapping[Item, int]) -> list[Item]:
    means = {
        item: sum(place[near] for near in beside[item]) / len(beside[item]) if beside.get(item) else float(i)
        for i, item in enumerate(column)
    }
    return sorted(column, key=means.__getitem__)


def _crossings(columns: Sequence[Sequence[Item]], after: Near) -> int:
    count = 0
    for column, following in pairwise(columns):
        place = {item: i for i, item in enumerate(following)}
        seen: list[int] = []
        for item in column:
            ends = sorted(place[target] for target in after.get(item, ()))
            count += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


# ------------------------------------------------------------------ coordinates


def _apart(sizes: Mapping[str, tuple[float, float]], again: set[str]) -> Callable[[Item, Item], float]:
    """Say how far the middles of two items of a layer are apart at least."""

    def apart(upper: Item, lower: Item) -> float:
        halves = sum(sizes[item[0]][1] / 2 for item in (upper, lower) if not item[1])
        loop = LOOP_HEIGHT if not lower[1] and lower[0] in again else 0
        return halves + loop + (LINE_GAP if upper[1] or lower[1] else ROW_GAP)

    return apart


def _lefts(
    columns: Sequence[Sequence[Item]],
    pairs: Sequence[tuple[Item, Item]],
    middle: Mapping[Item, float],
    span: Mapping[int, float],
) -> dict[int, float]:
    """Give each column's left end: further from the one before where edges between them are steep."""
    steepest: dict[int, float] = {}
    for source, target in pairs:
        steepest[target[2]] = max(steepest.get(target[2], 0.0), abs(middle[target] - middle[source]))
    left: dict[int, float] = {}
    x = float(MARGIN)
    for at in range(len(columns)):
        if at:
            x += round(min(WIDEST_GAP, COLUMN_GAP + 0.12 * steepest.get(at, 0.0)))
        left[at] = x
        x += span[at]
    return left


def _arc(source: Box, target: Box) -> tuple[Point, ...]:
    """Lead an edge back over the top of the boxes: its ends, and between them its highest points."""
    start, end = source.x + source.width * 0.7, target.x + target.width * 0.3
    top = min(source.y, target.y) - LOOP_HEIGHT
    return (start, source.y), (start, top), (end, top), (end, target.y)
