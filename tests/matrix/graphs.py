"""The shapes of flows without a foreach: lines, branches, joins, merges.

Metaflow gives a join its branches in an order that changes from run to run (metaflow.runtime, _queue_task_join: it goes
through a set of names), and records it nowhere: what these joins keep does not hang on it.
"""

from matrix.table import Graph

LINEAR = Graph(
    "Linear",
    """
    @step
    def start(self):
        <start>
        self.next(self.work)

    <decorators>
    @step
    def work(self):
        <work>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

ENDS = Graph(
    "Ends",
    """
    <decorators>
    @step
    def start(self):
        <work>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

SINGLE = Graph(
    "Single",
    """
    <decorators>
    @step(start=True, end=True)
    def only(self):
        <work>
    """,
)

NAMED_ENDS = Graph(
    "NamedEnds",
    """
    @step(start=True)
    def first(self):
        <start>
        self.next(self.work)

    <decorators>
    @step
    def work(self):
        <work>
        self.next(self.last)

    @step(end=True)
    def last(self):
        <end>
    """,
)

LONG = Graph(
    "Long",
    """
    @step
    def start(self):
        self.total = 1
        <start>
        self.next(self.second)

    @step
    def second(self):
        self.total += 1
        self.next(self.third)

    @step
    def third(self):
        self.total += 1
        self.next(self.work)

    <decorators>
    @step
    def work(self):
        self.total += 1
        <work>
        self.next(self.end)

    @step
    def end(self):
        self.total += 1
        <end>
    """,
)

BRANCH = Graph(
    "Branch",
    """
    @step
    def start(self):
        self.shared = "shared"
        <start>
        self.next(self.left, self.right)

    <decorators>
    @step
    def left(self):
        self.side = "left"
        self.only_left = 1
        <work>
        self.next(self.join)

    <decorators>
    @step
    def right(self):
        self.side = "right"
        <work>
        self.next(self.join)

    @step
    def join(self, inputs):
        self.by_name = [inputs.left.side, inputs.right.side]
        self.by_index = sorted([inputs[0].side, inputs[1].side])
        self.by_iteration = sorted(branch.side for branch in inputs)
        self.lacking = sorted(hasattr(branch, "only_left") for branch in inputs)
        self.absent = getattr(inputs.right, "only_left", "absent")
        <join>
        self.next(self.end)

    @step
    def end(self):
        self.lost = hasattr(self, "shared"), getattr(self, "side", None)
        <end>
    """,
)

NESTED_BRANCH = Graph(
    "NestedBranch",
    """
    @step
    def start(self):
        <start>
        self.next(self.outer, self.other)

    @step
    def outer(self):
        self.depth = 1
        self.next(self.inner, self.sibling)

    <decorators>
    @step
    def inner(self):
        self.depth += 1
        <work>
        self.next(self.inner_join)

    @step
    def sibling(self):
        self.depth += 2
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.depth = inputs.inner.depth + inputs.sibling.depth
        <join>
        self.next(self.join)

    @step
    def other(self):
        self.depth = -1
        self.next(self.join)

    @step
    def join(self, inputs):
        self.depths = sorted(branch.depth for branch in inputs)
        self.names = inputs.inner_join.depth, inputs.other.depth
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

SIX_BRANCHES = Graph(
    "SixBranches",
    """
    @step
    def start(self):
        <start>
        self.next(self.a, self.b, self.c, self.d, self.e, self.f)
"""
    + "".join(
        f"""
    @step
    def {name}(self):
        self.letter = "{name}"
        self.next(self.join)
"""
        for name in "abcdef"
    )
    + """
    @step
    def join(self, inputs):
        self.letters = sorted(branch.letter for branch in inputs)
        self.named = inputs.c.letter + inputs.f.letter
        <join>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

TWICE_BRANCHED = Graph(
    "TwiceBranched",
    """
    @step
    def start(self):
        <start>
        self.next(self.a, self.b)

    @step
    def a(self):
        self.value = 1
        self.next(self.middle)

    @step
    def b(self):
        self.value = 2
        self.next(self.middle)

    @step
    def middle(self, inputs):
        self.value = sum(branch.value for branch in inputs)
        <join>
        self.next(self.between)

    @step
    def between(self):
        self.next(self.c, self.d)

    <decorators>
    @step
    def c(self):
        self.value *= 10
        <work>
        self.next(self.join)

    @step
    def d(self):
        self.value *= 100
        self.next(self.join)

    @step
    def join(self, inputs):
        self.value = inputs.c.value + inputs.d.value
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)


def merging(name: str, merge: str) -> Graph:
    """Make a branch whose join merges, and then reads what it merged."""
    return Graph(
        f"Merge{name}",
        f"""
    @step
    def start(self):
        self.kept, self.shared = [1, 2], {{"a": 1}}
        self.next(self.left, self.right)

    @step
    def left(self):
        self.number, self.only_left = 1, "left"
        self.next(self.join)

    @step
    def right(self):
        self.number, self.only_right = 2, "right"
        self.next(self.join)

    @step
    def join(self, inputs):
        <join>
        {merge}
        self.read = sorted(name for name in ("kept", "shared", "number", "only_left") if hasattr(self, name))
        self.copy = getattr(self, "kept", None)
        self.next(self.end)

    @step
    def end(self):
        self.seen = getattr(self, "shared", None), getattr(self, "number", None)
        <end>
    """,
    )


MERGES = (
    merging("Solved", "self.number = max(i.number for i in inputs); self.merge_artifacts(inputs)"),
    merging("Include", "self.merge_artifacts(inputs, include=['kept', 'only_left'])"),
    merging("Exclude", "self.merge_artifacts(inputs, exclude=['number', 'only_right'])"),
    merging("Read", "self.merge_artifacts(inputs, exclude=['number']); self.kept.append(self.shared['a'])"),
    merging("Changed", "self.merge_artifacts(inputs, exclude=['number']); self.shared = {**self.shared, 'b': 2}"),
)
MERGE_CONFLICT = merging("Conflict", "self.merge_artifacts(inputs)")
