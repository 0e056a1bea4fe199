"""The shapes of flows with a switch, or with a step that leads to itself."""

from matrix.table import Graph

_SWITCH = """
    @step
    def start(self):
        self.way = {way}
        <start>
        self.next({{{cases}}}, condition="way")

    <decorators>
    @step
    def left(self):
        self.taken = "left"
        <work>
        self.next(self.end)

    @step
    def right(self):
        self.taken = "right"
        self.next(self.end)

    @step
    def end(self):
        self.reached = self.taken
        <end>
    """


_SKIP = """
    @step
    def skip(self):
        self.taken = "skip"
        self.next(self.end)
    """


def switching(name: str, way: str, cases: str, more: str = "") -> Graph:
    """Make a switch that goes one way."""
    return Graph(f"Switch{name}", _SWITCH.format(way=way, cases=cases) + more)


SWITCHES = (
    switching("Left", '"l"', '"l": self.left, "r": self.right'),
    switching("Right", '"r"', '"l": self.left, "r": self.right'),
    switching("Number", "2", "1: self.left, 2: self.right"),
    switching("Three", '"none"', '"l": self.left, "r": self.right, "none": self.skip', _SKIP),
)

SWITCH_BRANCH = Graph(
    "SwitchBranch",
    """
    @step
    def start(self):
        self.way = "wide"
        <start>
        self.next({"wide": self.wide, "narrow": self.narrow}, condition="way")

    @step
    def wide(self):
        self.next(self.a, self.b)

    <decorators>
    @step
    def a(self):
        self.x = 1
        <work>
        self.next(self.join)

    @step
    def b(self):
        self.x = 2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.x = sorted(branch.x for branch in inputs)
        <join>
        self.next(self.end)

    @step
    def narrow(self):
        self.x = []
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

SWITCH_IN_BRANCH = Graph(
    "SwitchInBranch",
    """
    @step
    def start(self):
        <start>
        self.next(self.choose, self.other)

    @step
    def choose(self):
        self.way = "b"
        self.next({"a": self.a, "b": self.b}, condition="way")

    @step
    def a(self):
        self.x = "a"
        self.next(self.after)

    <decorators>
    @step
    def b(self):
        self.x = "b"
        <work>
        self.next(self.after)

    @step
    def after(self):
        self.next(self.join)

    @step
    def other(self):
        self.x = "other"
        self.next(self.join)

    @step
    def join(self, inputs):
        self.found = sorted(branch.x for branch in inputs)
        <join>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

RECURSION = Graph(
    "Recursion",
    """
    @step
    def start(self):
        self.count = 0
        <start>
        self.next(self.work)

    @step
    def work(self):
        self.count += 1
        self.go = "on" if self.count < 4 else "out"
        <work>
        self.next({"on": self.work, "out": self.end}, condition="go")

    @step
    def end(self):
        <end>
    """,
)
