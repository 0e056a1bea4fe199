"""Decorators that a project writes itself: of steps and of flows."""

from matrix import foreachs, graphs
from matrix.table import Body, Launch, Row

STEP = "from metaflow import USER_SKIP_STEP, StepMutator, UserStepDecorator, environment, retry, user_step_decorator"

WRAPPED = Body(
    "Wrapped",
    head=f"""
        {STEP}
        from steps import shared


        @user_step_decorator
        def noted(step_name, flow, inputs, attributes):
            flow.entered = step_name, type(inputs).__name__
            yield
            flow.left = hasattr(flow, "body")
    """,
    decorators="@noted\n@shared(a=1, b='two')",
    work="self.body = self.entered, self.shared",
)

SKIPPED = Body(
    "Skipped",
    head=f"""
        {STEP}


        @user_step_decorator
        def skipped(step_name, flow, inputs):
            flow.skipped = True
            yield USER_SKIP_STEP


        class SkipNothing(UserStepDecorator):
            def init(self, *args, **kwargs):
                self.word = kwargs["word"]

            def pre_step(self, step_name, flow, inputs=None):
                flow.word = self.word
                self.skip_step = self.word == "skip"

            def post_step(self, step_name, flow, exception=None):
                return exception, {{}} if self.skip_step else None
    """,
    start="self.body = 'of start'",
    decorators='@skipped\n@SkipNothing(word="stay")',
    work="self.body = 'of work'",
    end="self.seen = self.body",
)

SKIP_CLASS = Body(
    "SkipClass",
    head=SKIPPED.head,
    decorators='@SkipNothing(word="skip")',
    work="self.body = 'of work'",
    end="self.seen = hasattr(self, 'body'), self.word",
)

REPLACED = Body(
    "Replaced",
    head=f"""
        {STEP}


        def instead(flow):
            flow.body = "instead"
            return True


        @user_step_decorator
        def replacing(step_name, flow, inputs):
            yield instead
            flow.after = flow.body
    """,
    decorators="@replacing",
    work="self.body = 'of work'",
)

RESCUED = Body(
    "Rescued",
    head=f"""
        {STEP}


        @user_step_decorator
        def rescued(step_name, flow, inputs):
            try:
                yield
            except ValueError as error:
                flow.rescued = str(error)


        class Twice(UserStepDecorator):
            def post_step(self, step_name, flow, exception=None):
                flow.post = type(exception).__name__
                return exception
    """,
    decorators="@Twice\n@rescued",
    work="self.before = 1\nraise ValueError('lost')",
)

FOREACH_CHANGED = Body(
    "ForeachChanged",
    head=f"""
        {STEP}


        @user_step_decorator
        def entered(step_name, flow, inputs):
            flow.seen = step_name, flow.input
            yield
            flow.value = flow.value * 2
    """,
    decorators="@entered",
)

JOIN_WRAPPED = Body(
    "Wrapped",
    head=f"""
        {STEP}


        @user_step_decorator
        def sided(step_name, flow, inputs):
            yield
            flow.side = flow.side.upper()
    """,
    decorators="@sided",
)

MUTATED_STEP = Body(
    "MutatedStep",
    head=f"""
        import os

        {STEP}


        class WithVariable(StepMutator):
            def init(self, *args, **kwargs):
                self.value = kwargs.get("value", "none")

            def pre_mutate(self, mutable_step):
                mutable_step.add_decorator(environment, deco_kwargs={{"vars": {{"MATRIX_MUTATED": self.value}}}})

            def mutate(self, mutable_step):
                mutable_step.add_decorator("retry", deco_kwargs={{"times": 1, "minutes_between_retries": 0}})
    """,
    decorators='@WithVariable(value="set")',
    work="""
        self.variable = os.environ["MATRIX_MUTATED"]
        self.tries = current.retry_count
        if not self.tries:
            raise RuntimeError("not yet")
    """,
)

MUTATED_FLOW = Body(
    "MutatedFlow",
    head=f"""
        import os

        from metaflow import Config, FlowMutator, Parameter
        {STEP}


        @user_step_decorator
        def counted(step_name, flow, inputs):
            flow.counted = getattr(flow, "counted", 0) + 1
            yield


        class Everywhere(FlowMutator):
            def init(self, *args, **kwargs):
                self.extra = kwargs["extra"]

            def pre_mutate(self, mutable_flow):
                rounds = dict(mutable_flow.configs)["settings"].rounds
                mutable_flow.add_parameter("added", Parameter("added", type=int, default=rounds + self.extra))
                for _, step in mutable_flow.steps:
                    step.add_decorator(counted)

            def mutate(self, mutable_flow):
                for name, step in mutable_flow.steps:
                    step.add_decorator(environment, deco_kwargs={{"vars": {{"MATRIX_STEP": name}}}})
    """,
    on_flow="@Everywhere(extra=2)",
    attributes='settings = Config("settings", default="data/settings.json")',
    work='self.got = self.added, os.environ["MATRIX_STEP"], self.settings.rounds',
    end='self.last = os.environ["MATRIX_STEP"], sorted(current.parameter_names)',
)

MUTATED_PROJECT = Body(
    "MutatedProject",
    head="""
        from metaflow import FlowMutator, project


        class InProject(FlowMutator):
            def pre_mutate(self, mutable_flow):
                mutable_flow.add_decorator(project, deco_kwargs={"name": "mutated"})
    """,
    on_flow="@InProject",
    work="self.project = current.project_name, current.branch_name, current.is_user_branch, current.project_flow_name",
)

WITH = Body("With", head="import os", work='self.word = os.environ.get("MATRIX_WITH"), current.retry_count')

FLOW_DECORATORS = Body(
    "FlowDecorators",
    head="from metaflow import exit_hook, schedule, trigger, trigger_on_finish",
    on_flow='@schedule(daily=True)\n@trigger(event="arrived")',
    work='self.trigger = current.get("trigger"), sorted(d["name"] for d in self._graph_info["decorators"])',
)

ROWS = (
    Row(graphs.LINEAR, WRAPPED),
    Row(foreachs.FOREACH, WRAPPED),
    Row(graphs.LINEAR, SKIPPED),
    Row(graphs.LINEAR, SKIP_CLASS),
    Row(graphs.LINEAR, REPLACED),
    Row(graphs.LINEAR, RESCUED),
    Row(foreachs.FOREACH, FOREACH_CHANGED),
    Row(graphs.BRANCH, JOIN_WRAPPED),
    Row(graphs.LINEAR, MUTATED_STEP),
    Row(graphs.LINEAR, MUTATED_FLOW),
    Row(graphs.LINEAR, MUTATED_PROJECT),
    Row(graphs.LINEAR, WITH, (Launch(options=("--with", 'environment:vars={"MATRIX_WITH": "given"}')),)),
    Row(graphs.ENDS, FLOW_DECORATORS),
)
