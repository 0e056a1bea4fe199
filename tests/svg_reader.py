"""Reads the picture of a graph as a viewer sees it: boxes, texts in them, lines, and which lines cross."""

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

from kit.views import svg

SVG = "{http://www.w3.org/2000/svg}"


class Drawn:
    """Reads the SVG as a viewer does: boxes by step, curves by edge, texts by step."""

    def __init__(self, graph):
        source, self.width, self.height = svg.draw(graph)
        self.root = ElementTree.fromstring(source)  # noqa: S314 (kit's own)
        self.titles, self.boxes, self.texts, self.behind = {}, {}, {}, []
        for rect in self.root.iter(f"{SVG}rect"):
            box, title = tuple(float(rect.get(key)) for key in ("x", "y", "width", "height")), rect.find(f"{SVG}title")
            if title is not None:
                name = re.split(r" (?:→|[^\w ])", title.text)[0]
                self.titles[name], self.boxes[name] = title.text, box
            elif rect.get("fill") is None:
                self.behind.append(box)
        for each in self.root.iter(f"{SVG}text"):
            x, y = float(each.get("x")), float(each.get("y"))
            (name,) = [n for n, (bx, by, w, h) in self.boxes.items() if bx < x < bx + w and by < y < by + h + 8]
            self.texts.setdefault(name, []).append((y, each.text))
        self.texts = {name: [text for _, text in sorted(found)] for name, found in self.texts.items()}
        self.lines = [points(path.get("d")) for path in self.root.findall(f"{SVG}g/{SVG}path")]


def points(path, pieces=12):
    """Flatten a path of M, C and H into points."""
    found = []
    for command, numbers in re.findall(r"([MCH])([^MCH]*)", path):
        at = [float(number) for number in numbers.split()]
        if command == "M":
            found.append((at[0], at[1]))
        elif command == "H":
            found.append((at[0], found[-1][1]))
        else:
            corners = [found[-1], *zip(at[::2], at[1::2], strict=True)]
            for i in range(1, pieces + 1):
                t = i / pieces
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                found.append(tuple(sum(w * c[k] for w, c in zip(weights, corners, strict=True)) for k in (0, 1)))
    return found


def crossings(lines):
    """Count the pairs of lines that cross; lines that only meet at an end do not."""
    return sum(
        any(cross(a, b, c, d) for a, b in pairwise(one) for c, d in pairwise(other))
        for one, other in combinations(lines, 2)
    )


def cross(a, b, c, d):
    if max(a[0], b[0]) < min(c[0], d[0]) or max(c[0], d[0]) < min(a[0], b[0]):
        return False
    if max(a[1], b[1]) < min(c[1], d[1]) or max(c[1], d[1]) < min(a[1], b[1]):
        return False
    return side(a, b, c) * side(a, b, d) < -1e-6 and side(c, d, a) * side(c, d, b) < -1e-6


def side(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def joined(drawn):
    """Give the pairs of steps that lines join, as a viewer sees it: by where the lines begin and end."""
    found = set()
    for line in drawn.lines:
        (x, y), (to_x, to_y) = line[0], line[-1]
        if y == to_y and to_x < x:  # over the top, back to where it came from
            (name,) = [n for n, (bx, by, w, _) in drawn.boxes.items() if by == y and bx < to_x < x < bx + w]
            found.add((name, name))
            continue
        (source,) = [n for n, (bx, by, w, h) in drawn.boxes.items() if 0 <= x - bx - w <= 8 and by < y < by + h]
        (target,) = [n for n, (bx, by, _, h) in drawn.boxes.items() if to_x == bx and by < to_y < by + h]
        found.add((source, target))
    return found
