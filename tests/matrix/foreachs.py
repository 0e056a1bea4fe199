"""The shapes of flows with a foreach, or with @parallel."""

from matrix.table import Graph

_FOREACH = """
    @step
    def start(self):
        {items}
        <start>
        self.next(self.work, foreach="items")

    <decorators>
    @step
    def work(self):
        self.value = self.input
        <work>
        self.next(self.join)

    @step
    def join(self, inputs):
        self.values = [task.value for task in inputs]
        self.first = inputs[0].value
        <join>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """


def foreach(name: str, items: str) -> Graph:
    """Make a foreach over what a statement puts in `self.items`."""
    return Graph(f"Foreach{name}", _FOREACH.format(items=items))


FOREACH = foreach("", "self.items = [3, 4, 5]")

FOREACHS = (
    foreach("Strings", "self.items = ['a', 'b b', 'ü/%']"),
    foreach("Tuple", "self.items = ('x', 2.5)"),
    foreach("Dict", "self.items = {0: 'zero', 1: 'one'}"),
    foreach("Dicts", "self.items = [{'a': 1}, {'a': 2}]"),
    foreach("Range", "self.items = range(4, 8, 2)"),
    foreach("Set", "self.items = {7, 8}"),
    foreach("Array", "import numpy; self.items = numpy.arange(4.0).reshape(2, 2)"),
    foreach("Falsy", "self.items = [0, None, '']"),
    foreach("Objects", "self.items = [common.Point(1, 2), common.Point(3, 4)]"),
    foreach("Generated", "self.items = common.Countdown(2)"),
    foreach("One", "self.items = ['only']"),
    foreach("Text", "self.items = 'ab'"),
    foreach("Twelve", "self.items = list(range(12))"),
)
WIDE = foreach("Wide", "self.items = list(range(120))")

VIEW = Graph(
    "ForeachView",
    """
    table = {"a": 1, "b": 2}

    @property
    def items(self):
        return self.table.items()
"""
    + _FOREACH.format(items="self.before = 1"),
)

NESTED = Graph(
    "Nested",
    """
    @step
    def start(self):
        self.outer = ["a", "b"]
        <start>
        self.next(self.middle, foreach="outer")

    @step
    def middle(self):
        self.letter = self.input
        self.inner = [1, 2] if self.letter == "a" else [3]
        self.next(self.work, foreach="inner")

    <decorators>
    @step
    def work(self):
        self.value = self.letter, self.input, self.index
        <work>
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.values = [task.value for task in inputs]
        self.place = self.index, self.input
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

THREE_DEEP = Graph(
    "ThreeDeep",
    """
    @step
    def start(self):
        self.xs = [1, 2]
        <start>
        self.next(self.x, foreach="xs")

    @step
    def x(self):
        self.ys = ["p", "q"][: self.input]
        self.next(self.y, foreach="ys")

    @step
    def y(self):
        self.zs = (True, False)
        self.next(self.work, foreach="zs")

    <decorators>
    @step
    def work(self):
        self.path = [value for _, _, value in self.foreach_stack()]
        <work>
        self.next(self.join_z)

    @step
    def join_z(self, inputs):
        self.paths = [task.path for task in inputs]
        self.merge_artifacts(inputs, include=["xs", "ys"])
        self.next(self.join_y)

    @step
    def join_y(self, inputs):
        self.paths = [task.paths for task in inputs]
        self.merge_artifacts(inputs, include=["xs"])
        <join>
        self.next(self.join_x)

    @step
    def join_x(self, inputs):
        self.paths = [task.paths for task in inputs]
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

CHAINED = Graph(
    "Chained",
    """
    @step
    def start(self):
        self.items = [1, 2]
        <start>
        self.next(self.work, foreach="items")

    <decorators>
    @step
    def work(self):
        self.value = self.input
        <work>
        self.next(self.more)

    @step
    def more(self):
        self.value = self.value + self.input + self.index
        self.next(self.join)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs, exclude=["value", *common.NOTED])
        self.again = [task.value for task in inputs] + self.items
        <join>
        self.next(self.between)

    @step
    def between(self):
        self.next(self.second, foreach="again")

    @step
    def second(self):
        self.value = self.input
        self.next(self.second_join)

    @step
    def second_join(self, inputs):
        self.sum = sum(task.value for task in inputs)
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)

PARALLEL = Graph(
    "Parallel",
    """
    @step
    def start(self):
        <start>
        self.next(self.work, num_parallel=3)

    @parallel
    <decorators>
    @step
    def work(self):
        self.node = current.parallel.node_index, current.parallel.num_nodes, current.parallel.main_ip
        self.control = current.parallel.control_task_id
        self.flag = current.is_parallel
        <work>
        self.next(self.join)

    @step
    def join(self, inputs):
        self.nodes = [task.node for task in inputs]
        self.controls = {task.control for task in inputs}
        <join>
        self.next(self.end)

    @step
    def end(self):
        <end>
    """,
)
