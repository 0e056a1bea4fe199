"""Graphs of every kind that Metaflow runs: nested splits and foreachs, drawn by lot too, switches and recursion."""

import random
from itertools import pairwise

from kit.model import Graph, GraphNode

TOP = 4  # how deep splits and foreachs nest
STATUSES = ["succeeded", "failed", "running", "pending", "same", "changed", "skipped", "not run", ""]


class Grown:
    """Grows a flow of nested splits and foreachs, as Metaflow allows them: a flow of `size` steps, or so."""

    def __init__(self, seed, size, depth=TOP):
        self.random, self.left, self.nodes = random.Random(seed), size - 2, []  # noqa: S311 (no secret)
        inner = self.block("end", depth)
        self.nodes.append(node("start", [inner], "start"))
        self.nodes.append(node("end", [], "end"))
        self.random.shuffle(self.nodes)
        self.graph = Graph(tuple(self.nodes))

    def block(self, following, depth):
        """Add steps that end at `following`; give the first of them."""
        while self.left > 0 and (depth == TOP or self.random.random() < 0.75):
            name = f"step_{self.left}"
            if depth and self.left > 4 and self.random.random() < 0.5:
                kind = self.random.choice(["split", "split", "foreach", "parallel"])
                self.left -= 2
                self.nodes.append(node(f"{name}_join", [following], "join"))
                count = self.random.randint(2, 5) if kind == "split" else 1
                self.nodes.append(node(name, [self.branch(f"{name}_join", depth - 1) for _ in range(count)], kind))
            else:
                self.left -= 1
                self.nodes.append(node(name, [following]))
            following = name
        return following

    def branch(self, join, depth):
        self.left -= 1
        last = node(f"last_{len(self.nodes)}", [join])
        self.nodes.append(last)
        return self.block(last.name, depth)


def node(name, following, kind="linear", status=None, note=None):
    number = sum(map(ord, name))
    status = STATUSES[number % len(STATUSES)] if status is None else status
    note = ("", "12 tasks, 1 failed")[number % 2] if note is None else note
    return GraphNode(name, tuple(following), kind, status, note)


def linear(count):
    names = ["start", *(f"step_{i}" for i in range(count - 2)), "end"]
    return Graph((*(node(a, [b]) for a, b in pairwise(names)), node("end", [], "end")))


def graph(**nexts):
    """Build a graph of names and "type: next next"."""
    kinds = {name: said.partition(":") for name, said in nexts.items()}
    return Graph(tuple(node(name, following.split(), kind) for name, (kind, _, following) in kinds.items()))


FOREACH = graph(start="foreach: fit", fit="linear: join", join="join: end", end="end:")
NESTED = {
    "foreach": FOREACH,
    "branch": graph(start="split: a b", a="linear: join", b="linear: join", join="join: end", end="end:"),
    "uneven branches": graph(
        start="split: a b c",
        a="linear: a2",
        a2="linear: a3",
        a3="linear: join",
        b="linear: join",
        c="linear: c2",
        c2="linear: join",
        join="join: end",
        end="end:",
    ),
    "foreach in a branch": graph(
        start="split: a b",
        a="linear: join",
        b="foreach: each",
        each="foreach: deep",
        deep="linear: deep_join",
        deep_join="join: b_join",
        b_join="join: join",
        join="join: end",
        end="end:",
    ),
    "split in a foreach": graph(
        start="foreach: each",
        each="split: a b",
        a="linear: ab",
        b="linear: ab",
        ab="join: join",
        join="join: end",
        end="end:",
    ),
    "parallel": graph(start="parallel: train", train="linear: join", join="join: end", end="end:"),
    "wide": graph(
        start="split: " + " ".join(f"b{i}" for i in range(20)),
        join="join: end",
        end="end:",
        **{f"b{i}": "linear: join" for i in range(20)},
    ),
    "one step": Graph((node("start", [], "end"),)),
    **{f"linear {count}": linear(count) for count in (2, 3, 10, 60)},
    **{f"grown {seed}": Grown(seed, size=seed * 2).graph for seed in range(3, 31)},
}
RECURSIVE = graph(start="foreach: loop", loop="switch: loop leave", leave="linear: join", join="join: end", end="end:")
SWITCHING = {
    "switch": graph(
        start="start: route", route="switch: cheap dear end", cheap="linear: report", dear="linear: report",
        report="linear: end", end="end:",
    ),
    "recursive switch": graph(start="start: loop", loop="switch: loop end", end="end:"),
    "recursive switch in a foreach": RECURSIVE,
    "recursive switch in a branch": graph(
        start="split: a b", a="linear: join", b="switch: b leave", leave="linear: join", join="join: end", end="end:"
    ),
    "switches that skip": graph(
        start="start: s1", s1="switch: s2 x", s2="switch: s3 x", s3="switch: x y end", x="linear: y", y="linear: end",
        end="end:",
    ),
    "switches that need crossings": graph(
        start="start: s", s="switch: a b c", a="switch: x y z", b="switch: x y z", c="switch: x y z", x="linear: end",
        y="linear: end", z="linear: end", end="end:",
    ),
}  # fmt: skip
GRAPHS = {**NESTED, **SWITCHING}
