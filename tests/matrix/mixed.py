"""The shapes of flows with a foreach and a branch, a switch or a recursion, one in the other."""

from matrix.table import Graph

IN_BRANCH = Graph(
    "ForeachInBranch",
    """
    @step
    def start(self):
        <start>
        self.next(self.split, self.other)

    @step
    def split(self):
        self.items = ["a", "b"]
        self.next(self.work, foreach="items")

    <decorators>
    @step
    def work(self):
        self.value = self.input * 2
        <work>
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.value = [task.value for task in inputs]
        self.next(self.join)

    @step
    def other(self):
        self.value = "other"
        self.next(self.join)

    @step
    def join(self, inputs):
        self.value = [inputs.gather.value, inputs.other.value]
        <join>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

BRANCH_IN = Graph(
    "BranchInForeach",
    """
    @step
    def start(self):
        self.items = [10, 20]
        <start>
        self.next(self.split, foreach="items")

    @step
    def split(self):
        self.base = self.input
        self.next(self.left, self.right)

    <decorators>
    @step
    def left(self):
        self.value = self.base + 1, self.index
        <work>
        self.next(self.inner_join)

    @step
    def right(self):
        self.value = self.base + 2, self.input
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.values = inputs.left.value, inputs.right.value
        <join>
        self.next(self.join)

    @step
    def join(self, inputs):
        self.values = [task.values for task in inputs]
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

RECURSION_IN = Graph(
    "RecursionInForeach",
    """
    @step
    def start(self):
        self.items = [1, 3]
        <start>
        self.next(self.prepare, foreach="items")

    @step
    def prepare(self):
        self.count = 0
        self.next(self.work)

    @step
    def work(self):
        self.count += 1
        self.go = "on" if self.count < self.input else "out"
        <work>
        self.next({"on": self.work, "out": self.after}, condition="go")

    @step
    def after(self):
        self.value = self.count * 100
        self.next(self.join)

    @step
    def join(self, inputs):
        self.values = [task.value for task in inputs]
        <join>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

SWITCH_IN = Graph(
    "SwitchInForeach",
    """
    @step
    def start(self):
        self.items = [1, 2, 3]
        <start>
        self.next(self.choose, foreach="items")

    @step
    def choose(self):
        self.way = "odd" if self.input % 2 else "even"
        self.next({"odd": self.odd, "even": self.even}, condition="way")

    <decorators>
    @step
    def odd(self):
        self.value = "odd", self.input
        <work>
        self.next(self.after)

    @step
    def even(self):
        self.value = "even", self.input
        self.next(self.after)

    @step
    def after(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.values = [task.value for task in inputs]
        <join>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

AFTER_SWITCH = Graph(
    "ForeachAfterSwitch",
    """
    @step
    def start(self):
        self.way = "many"
        self.next({"many": self.many, "few": self.few}, condition="way")

    @step
    def many(self):
        self.items = [1, 2]
        <start>
        self.next(self.work, foreach="items")

    @step
    def few(self):
        self.values = []
        self.next(self.end)

    <decorators>
    @step
    def work(self):
        self.value = self.input
        <work>
        self.next(self.join)

    @step
    def join(self, inputs):
        self.values = [task.value for task in inputs]
        <join>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)
