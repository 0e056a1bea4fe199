"""What the matrix is made of, and the source of the flow file that each of its rows becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent, indent

FILE = """\
<future>
import common
from metaflow import FlowSpec, current, step

<head>


<on_flow>
class <flow>(<base>):
    <attributes>

    <steps>


if __name__ == "__main__":
    <main>
    <flow>()
"""


@dataclass(frozen=True)
class Graph:
    """The shape of a flow.

    Args:
        name: What its flows are called first.
        steps: The source of its steps; a line `<slot>` in it is where a body puts its lines.
    """

    name: str
    steps: str


@dataclass(frozen=True)
class Body:
    """What the steps of a flow do.

    Args:
        name: What its flows are called last.
        work: Lines of the step or steps that the graph is about.
        start: Lines of the first step.
        join: Lines of a join.
        end: Lines of the last step.
        decorators: Decorators of the work steps.
        attributes: Lines of the class.
        head: Lines before the class.
        on_flow: Decorators of the class.
        base: The class's bases.
        main: What the file does before the flow starts.
        future: The file's first line.
    """

    name: str
    work: str = "pass"
    start: str = "pass"
    join: str = "pass"
    end: str = "pass"
    decorators: str = ""
    attributes: str = ""
    head: str = ""
    on_flow: str = ""
    base: str = "FlowSpec"
    main: str = "pass"
    future: str = ""


@dataclass(frozen=True)
class Launch:
    """How a flow is started: `python FILE <options> <command> <arguments>`.

    Args:
        arguments: What follows the command.
        options: What precedes it.
        environ: Variables of its environment.
        lasting: Variables of its environment that its replays find too.
        command: "run" or "resume".
        succeeds: Whether it must.
    """

    arguments: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    lasting: Mapping[str, str] = field(default_factory=dict)
    command: str = "run"
    succeeds: bool = True


@dataclass(frozen=True)
class Row:
    """One flow of the matrix, and what is expected of its replays where that is not that they are equal.

    Args:
        graph: Its shape.
        body: What its steps do.
        launches: How it is run, one after the other.
        raises: The exceptions of steps whose tasks failed: the name of the type, and the message.
        unrecorded: What a replay leaves of tasks that ended before they left anything: step to {name: value}.
    """

    graph: Graph
    body: Body
    launches: tuple[Launch, ...] = (Launch(),)
    raises: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unrecorded: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def flow(self) -> str:
        """The name of the flow's class."""
        return f"{self.graph.name}{self.body.name}"

    @property
    def file(self) -> str:
        """The flow's file, from the project's root."""
        return f"flows/{self.flow.lower()}.py"


def source(row: Row) -> str:
    """Write a row's flow file."""
    body = row.body
    slots = {
        **{name: getattr(body, name) for name in ("future", "head", "on_flow", "attributes", "main")},
        "steps": row.graph.steps,
    }
    text = _filled(FILE, slots)
    inner = {name: getattr(body, name) for name in ("work", "start", "join", "end", "decorators")}
    return _filled(text, inner).replace("<flow>", row.flow).replace("<base>", body.base)


def _filled(template: str, slots: Mapping[str, str]) -> str:
    """Put lines where a line holds the name of their slot alone, as deep as it stands."""
    lines = []
    for line in template.splitlines():
        name = line.strip()[1:-1] if line.strip().startswith("<") and line.strip().endswith(">") else None
        if name in slots:
            depth = line[: len(line) - len(line.lstrip())]
            lines.append(indent(dedent(slots[name]).strip("\n"), depth))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"
