"""Flow files that the tests run: small, and each with its own shape."""

COMMON = '''
    """What the flows share."""

    class Model:
        def __init__(self, weight):
            self.weight = weight

        def predict(self, x):
            return self.weight * x


    def scale(x):
        return 2 * x
'''

LINEAR = '''
    import os
    import sys

    from metaflow import FlowSpec, JSONType, Parameter, current, step

    import common


    class Local:
        """A class of the flow file itself: pickled as one of __main__."""

        def __init__(self, value):
            self.value = value


    class LinearFlow(FlowSpec):
        number = Parameter("number", type=int, default=3)
        table = Parameter("table", type=JSONType, default='{"a": [1, 2]}')
        constant = "fixed"

        @step
        def start(self):
            self.model = common.Model(self.number)
            self.local = Local(self.table["a"])
            self.items = [1]
            self.next(self.middle)

        @step
        def middle(self):
            print("in the middle")
            print("of it", file=sys.stderr)
            self.items.append(common.scale(self.number))
            self.where = current.pathspec
            self.module = __name__
            self.tags = sorted(current.tags)
            self.next(self.end)

        @step
        def end(self):
            self.nothing = None
            self.prediction = self.model.predict(10) + self.local.value[0]


    if __name__ == "__main__":
        LinearFlow()
'''

BRANCH = """
    from metaflow import FlowSpec, step


    class BranchFlow(FlowSpec):
        @step
        def start(self):
            self.shared = "shared"
            self.both = 0
            self.next(self.left, self.right)

        @step
        def left(self):
            self.both = 1
            self.only_left = "left"
            self.next(self.join)

        @step
        def right(self):
            self.both = 2
            self.next(self.join)

        @step
        def join(self, inputs):
            self.total = inputs.left.both + inputs.right.both
            self.merge_artifacts(inputs, exclude=["both"])
            self.seen = self.shared + self.only_left
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        BranchFlow()
"""

FOREACH = """
    from metaflow import FlowSpec, step


    class ForeachFlow(FlowSpec):
        @step
        def start(self):
            self.depths = [3, 5]
            self.next(self.outer, foreach="depths")

        @step
        def outer(self):
            self.widths = list("abc")
            self.depth = self.input
            self.next(self.inner, foreach="widths")

        @step
        def inner(self):
            self.name_of_task = f"{self.depth}{self.input}{self.index}"
            self.stack = [frame[2] for frame in self.foreach_stack()]
            self.next(self.inner_join)

        @step
        def inner_join(self, inputs):
            self.names = [i.name_of_task for i in inputs]
            self.merge_artifacts(inputs, include=["depth"])
            self.next(self.outer_join)

        @step
        def outer_join(self, inputs):
            self.names = [name for i in inputs for name in i.names]
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        ForeachFlow()
"""

DECORATED = """
    import os
    import warnings

    from metaflow import FlowSpec, Parameter, card, catch, current, environment, resources, retry, step, timeout
    from metaflow.cards import Markdown


    class DecoratedFlow(FlowSpec):
        fail = Parameter("fail", type=bool, default=False)

        @environment(vars={"KIT_TEST_VARIABLE": "set"})
        @step
        def start(self):
            self.variable = os.environ["KIT_TEST_VARIABLE"]
            os.environ["KIT_TEST_LEAK"] = "leaked"
            warnings.simplefilter("error")
            self.next(self.report)

        @card(type="blank")
        @card(type="blank", id="second")
        @resources(cpu=1)
        @timeout(seconds=60)
        @step
        def report(self):
            current.card.append(Markdown("# first"))
            current.card["second"].append(Markdown("# second"))
            self.next(self.attempt)

        @retry(times=1, minutes_between_retries=0)
        @step
        def attempt(self):
            self.attempts = current.retry_count
            if self.attempts == 0:
                raise RuntimeError("not yet")
            self.next(self.last)

        @step
        def last(self):
            self.before = "set before the failure"
            if self.fail:
                raise ValueError("as it should be")
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        DecoratedFlow()
"""

SWITCH = """
    from metaflow import Config, FlowSpec, IncludeFile, Parameter, step


    class SwitchFlow(FlowSpec):
        settings = Config("settings", default="flows/settings.json")
        words = IncludeFile("words", default="flows/words.txt")
        rounds = Parameter("rounds", type=int, default=settings.rounds)

        @step
        def start(self):
            self.way = "long" if self.settings.nested.long else "short"
            self.count = len(self.words.split())
            self.next({"short": self.short, "long": self.long}, condition="way")

        @step
        def short(self):
            self.next(self.loop)

        @step
        def long(self):
            self.next(self.loop)

        @step
        def loop(self):
            self.count += 1
            self.go = "on" if self.count < self.rounds else "out"
            self.next({"on": self.loop, "out": self.end}, condition="go")

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        SwitchFlow()
"""

PROJECT = {
    "flows/switch.py": SWITCH,
    "flows/settings.json": '{"rounds": 5, "nested": {"long": true}}',
    "flows/words.txt": "two words",
    "flows/common.py": COMMON,
    "flows/linear.py": LINEAR,
    "flows/branch.py": BRANCH,
    "flows/loops.py": FOREACH,
    "flows/decorated.py": DECORATED,
}

GRID = '''
    import sys

    from metaflow import FlowSpec, JSONType, Parameter, card, step


    class Huge:
        """Its repr raises."""

        def __repr__(self):
            raise RuntimeError("no repr")


    class GridFlow(FlowSpec):
        rate = Parameter("rate", type=float, default=0.5)
        options = Parameter("options", type=JSONType, default='{"a": 1}')
        broken = Parameter("broken", type=int, default=0)

        @step
        def start(self):
            self.depths = [3, 5]
            self.next(self.fit, foreach="depths")

        @card(type="blank")
        @step
        def fit(self):
            self.depth = self.input
            self.widths = [{"w": 1, "name": "narrow"}, {"w": 2, "name": "a wide one with a long name"}]
            self.next(self.inner, foreach="widths")

        @step
        def inner(self):
            print("inner works on", self.input["w"])
            print("a warning", file=sys.stderr)
            self.score = self.depth * 10 + self.input["w"]
            self.huge = Huge()
            if self.broken == self.depth:
                raise ValueError(f"depth {self.depth * 1 * 1} is too deep")
            self.next(self.collect)

        @step
        def collect(self, inputs):
            self.scores = [i.score for i in inputs]
            self.next(self.gathered)

        @step
        def gathered(self, inputs):
            self.scores = [score for i in inputs for score in i.scores]
            self.next(self.end)

        @step
        def end(self):
            pass


    if __name__ == "__main__":
        GridFlow()
'''
