"""What a task knows of itself: `metaflow.current`, its foreachs, tags, namespace, project; on every shape of flow."""

from matrix import foreachs, graphs, mixed, switches
from matrix.table import Body, Graph, Launch, Row

NOTE = "common.note(self)"


def noting(name: str = "", **more: str) -> Body:
    """Make a body whose every step keeps what its task knows of itself."""
    return Body(f"Noted{name}", work=NOTE, start=NOTE, join=NOTE, end=NOTE, **more)


SHAPES = (
    graphs.LINEAR,
    graphs.ENDS,
    graphs.SINGLE,
    graphs.NAMED_ENDS,
    graphs.LONG,
    graphs.BRANCH,
    graphs.NESTED_BRANCH,
    graphs.SIX_BRANCHES,
    graphs.TWICE_BRANCHED,
    *graphs.MERGES,
    *switches.SWITCHES,
    switches.SWITCH_BRANCH,
    switches.SWITCH_IN_BRANCH,
    switches.RECURSION,
    foreachs.FOREACH,
    *foreachs.FOREACHS,
    foreachs.VIEW,
    foreachs.NESTED,
    foreachs.THREE_DEEP,
    mixed.IN_BRANCH,
    mixed.BRANCH_IN,
    mixed.RECURSION_IN,
    mixed.SWITCH_IN,
    mixed.AFTER_SWITCH,
    foreachs.CHAINED,
)

WIDE = Launch(arguments=("--max-num-splits", "200"))

PROJECT = "from metaflow import project"
PARALLEL = "from metaflow import parallel"


def project(name: str, graph: Graph, *options: str, decorator: str = '@project(name="forecast")') -> Row:
    """Make a flow of a project, run with options of its decorator."""
    return Row(graph, noting(f"Project{name}", head=PROJECT, on_flow=decorator), (Launch(options=options),))


ROWS = (
    *(Row(graph, noting()) for graph in SHAPES),
    Row(foreachs.WIDE, Body("Plain"), (WIDE,)),
    Row(foreachs.PARALLEL, noting(head=PARALLEL)),
    Row(
        foreachs.PARALLEL, noting("Retried", head="from metaflow import parallel, retry", decorators="@retry(times=1)")
    ),
    Row(graphs.LINEAR, noting("Tagged"), (Launch(arguments=("--tag", "mine", "--tag", "a:b")),)),
    Row(graphs.LINEAR, noting("Namespace"), (Launch(arguments=("--namespace", "user:somebody")),)),
    Row(graphs.ENDS, noting("NoNamespace"), (Launch(arguments=("--namespace=",)),)),
    Row(graphs.ENDS, noting("User"), (Launch(environ={"USERNAME": "somebody"}),)),
    Row(foreachs.FOREACH, noting("Retry"), (Launch(options=("--with", "retry")),)),
    project("", graphs.LINEAR),
    project("Branch", foreachs.FOREACH, "--branch", "new_model"),
    project("Production", graphs.BRANCH, "--production"),
    project("Both", graphs.ENDS, "--production", "--branch", "candidate"),
    project("Fixed", graphs.ENDS, decorator='@project(name="forecast", branch="fixed", production=True)'),
)
