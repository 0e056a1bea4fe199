"""A graph as an SVG image, to be shown by an <img>: no script, no style sheet, no font but the system's."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from kit.model import Graph, GraphNode
from kit.views.dag import Box, Line, Point, layout
from kit.views.graph import TYPE_WORDS, Row, alternative, enclosing, rows
from kit.views.page import GLYPHS, visible
from kit.views.template import template

__all__ = ["Picture", "draw", "graph_picture"]

WIDEST_NAME, WIDEST_NOTE = 180, 190
NAME_SIZE, STATUS_SIZE, NOTE_SIZE, BADGE_SIZE = 12, 11, 10, 9
PADDING = 10
LINE_HEIGHTS = (28, 42, 56)  # of a box with one, two and three lines
BEHIND, MOST_BEHIND = 4, 2  # how far a box behind another reaches out; boxes behind a step of nested foreachs

# An <img> cannot see the notebook's theme: boxes are light with dark text in both, lines of a middle grey.
GOOD = ("#e9f5ec", "#2e8540", "#1c6a2e")
BAD = ("#fdecec", "#d13438", "#a3262a")
BUSY = ("#e7f1fc", "#1a73c7", "#0f5494")
OTHER = ("#fcf3de", "#b7791f", "#7a5106")
QUIET = ("#f1f3f5", "#878d96", "#4a515b")
COLOURS = {
    **dict.fromkeys(("succeeded", "passed", "same"), GOOD),
    **dict.fromkeys(("failed", "missing"), BAD),
    **dict.fromkeys(("running", "added", "new"), BUSY),
    **dict.fromkeys(("changed", "stale"), OTHER),
}


@dataclass(frozen=True)
class Picture:
    """An image of a graph, ready for an <img>.

    Args:
        source: The image as a data URI.
        alt: What it says, in one line.
        width: Its natural width, in pixels.
        height: Its natural height, in pixels.
    """

    source: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Step:
    """What is drawn of one step: its foremost box and how far behind it others lie, its lines of text, its badge."""

    x: int
    y: int
    width: int
    height: int
    behind: tuple[int, ...]
    colours: tuple[str, str, str]
    title: str
    name: str
    status: str
    note: str
    badge: str
    badge_width: int

    @property
    def middle(self) -> int:
        """The middle of the box, from the left."""
        return self.x + self.width // 2


def graph_picture(graph: Graph) -> Picture:
    """Draw a graph as an image for an <img>, with the words that say the same."""
    drawn, width, height = draw(graph)
    source = "data:image/svg+xml;base64," + b64encode(drawn.encode()).decode("ascii")
    return Picture(source, alternative(graph), width, height)


def draw(graph: Graph) -> tuple[str, int, int]:
    """Draw a graph as SVG.

    Returns:
        The SVG, its width and its height.
    """
    behind = {
        name: min(sum(kind in ("foreach", "parallel") for kind in kinds), MOST_BEHIND)
        for name, kinds in enclosing(graph).items()
    }
    said = {row.name: row for row in rows(graph)}
    nodes = {node.name: node for node in graph.nodes}
    placed = layout(graph, {name: _size(node, said[name], behind[name]) for name, node in nodes.items()})
    steps = [_step(box, nodes[box.name], said[box.name], behind[box.name]) for box in placed.boxes]
    width, height = round(placed.width), round(placed.height)
    drawn = template("dag.svg.j2").render(
        width=width,
        height=height,
        steps=steps,
        lines=[(_path(line), line.edge.kind == "switch") for line in placed.lines if line.edge.kind != "again"],
        loops=[_path(line) for line in placed.lines if line.edge.kind == "again"],
    )
    return drawn, width, height


def _size(node: GraphNode, row: Row, behind: int) -> tuple[float, float]:
    texts = (
        (node.name, NAME_SIZE * 1.06, WIDEST_NAME),  # bold
        (row.status, STATUS_SIZE, WIDEST_NAME),
        (row.note, NOTE_SIZE, WIDEST_NOTE),
    )
    widest = max(min(_width(visible(text), size), most) for text, size, most in texts)
    height = LINE_HEIGHTS[bool(row.status) + bool(row.note)]
    return round(widest) + 2 * PADDING + BEHIND * behind, height


def _step(box: Box, node: GraphNode, row: Row, behind: int) -> Step:
    badge = TYPE_WORDS.get(node.type, "") if node.next else ""
    return Step(
        x=round(box.x),
        y=round(box.y),
        width=round(box.width) - BEHIND * behind,
        height=round(box.height),
        behind=tuple(BEHIND * i for i in range(behind, -1, -1)),
        colours=COLOURS.get(node.status, QUIET),
        title=" ".join(row.parts),
        name=_fit(visible(node.name), NAME_SIZE * 1.06, WIDEST_NAME),
        status=_fit(row.status, STATUS_SIZE, WIDEST_NAME),
        note=_fit(row.note, NOTE_SIZE, WIDEST_NOTE),
        badge=badge,
        badge_width=round(_width(badge, BADGE_SIZE)) + 8,
    )


def _path(line: Line) -> str:
    """Write the line as a path: curves between columns, straight across them."""
    if line.edge.kind == "again":
        return _loop(line.points)
    (x, y), *rest = line.points
    path, flat = f"M{x:g} {y:g}", False
    for to_x, to_y in rest:
        if to_y != y:
            half = round((x + to_x) / 2)
            path += f"{f'H{x:g}' if flat else ''}C{half} {y:g} {half} {to_y:g} {to_x:g} {to_y:g}"
        flat = to_y == y
        x, y = to_x, to_y
    return path + (f"H{x:g}" if flat else "")


def _loop(points: Sequence[Point]) -> str:
    (x, y), (_, top), _, (to_x, to_y) = points
    return f"M{x:.0f} {y:.0f}C{x + 4:.0f} {top:.0f} {to_x - 4:.0f} {top:.0f} {to_x:.0f} {to_y:.0f}"


def _width(text: str, size: float) -> float:
    """Estimate how wide a text is drawn, by the widest of the usual system fonts."""
    return size * sum(map(_advance, text))


def _advance(char: str) -> float:
    if east_asian_width(char) in "WF":
        return 1.05
    if char in "iljI.,:;|!'()[]ft ":
        return 0.38
    if char in "mwMW@%…→":
        return 0.95
    return 0.72 if char.isupper() or char in GLYPHS.values() else 0.62


def _fit(text: str, size: float, most: float) -> str:
    """Shorten a text in the middle until it is as wide as it may be."""
    if _width(text, size) <= most:
        return text
    keep = len(text) - 1
    while keep > 2 and _width(short := text[: (keep + 1) // 2] + "…" + text[-(keep // 2) :], size) > most:
        keep = min(keep - 1, int(keep * most / _width(short, size)) + 1)
    return text[: (keep + 1) // 2] + "…" + text[-(keep // 2) :]
