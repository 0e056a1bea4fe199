"""What the flows of the matrix share: common.py, and the files that they read."""

COMMON = '''
    """What the flows share."""

    from collections import namedtuple

    from metaflow import current

    NAMES = (
        *("flow_name", "run_id", "step_name", "task_id", "pathspec", "retry_count", "origin_run_id", "namespace"),
        *("username", "is_running_flow", "project_name", "branch_name", "project_flow_name", "is_user_branch"),
        *("is_production", "parameter_names", "trigger", "is_parallel", "card", "nothing_of_that_name"),
    )
    NOTED = ("known", "tags", "client", "graph", "stack", "itself")

    Pair = namedtuple("Pair", ["first", "second"])


    class Point:
        """A class without an equality of its own."""

        def __init__(self, x, y):
            self.x, self.y = x, y


    class Countdown:
        """An iterable that has no indices."""

        def __init__(self, start):
            self.start = start

        def __iter__(self):
            yield from range(self.start, 0, -1)


    def note(flow):
        """Keep what a task knows of itself."""
        flow.known = {name: current.get(name) for name in NAMES}
        flow.tags = sorted(current.tags)
        flow.client = {
            "run": current.run.pathspec,
            "task": current.task.pathspec,
            "tags": sorted(current.run.tags),
        }
        flow.graph = sorted(current.graph["steps"]), sorted(current.graph_info["steps"]), current.graph["file"]
        flow.stack = flow.index, flow.input, flow.foreach_stack()
        flow.itself = str(flow), flow.name, type(flow).__name__, type(flow).__module__, "run_id" in current
'''

FILES = {
    "flows/common.py": COMMON,
    "flows/late.py": "VALUE = 'imported inside a step'\n",
    "flows/base.py": """
        from metaflow import FlowSpec, Parameter, step


        class Base(FlowSpec):
            '''Steps and a Parameter that flows inherit.'''

            rate = Parameter("rate", default=0.5)
            inherited = "constant"

            @step
            def start(self):
                self.begun = self.scaled(4)
                self.next(self.work)

            @step
            def end(self):
                self.ended = self.scaled(8)

            def scaled(self, x):
                return self.rate * x
        """,
    "flows/steps.py": """
        from metaflow import StepMutator, FlowMutator, USER_SKIP_STEP, UserStepDecorator, user_step_decorator


        @user_step_decorator
        def shared(step_name, flow, inputs, attributes):
            flow.shared = step_name, sorted(attributes.items())
            yield
            flow.after = sorted(attributes)
        """,
    "data/words.txt": "two words\nümlaut\n",
    "data/bytes.bin": "\\x00 binary",
    "data/settings.json": '{"rounds": 3, "nested": {"rate": 0.25, "names": ["a", "b"]}, "key": null}',
    "data/other.json": '{"rounds": 1, "nested": {"names": ["other"]}}',
    "data/settings.ini": "rounds = 7\nname = ini\n",
    "pyproject.toml": "[tool.kit]\nflows = 'flows'\n",
}
