"""What a run's page says besides its steps and their artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kit.model import ArtifactInfo, Graph, Pathspec

__all__ = ["ArtifactChange", "Failure", "Log", "ParameterInfo", "RunDetails"]


@dataclass(frozen=True)
class ParameterInfo:
    """A Parameter of a recorded run.

    Args:
        name: Its name.
        type: The name of its value's type.
        size: The size of the value's pickle, in bytes.
        value: The value as text; None where it is not a plain, small one: those are not unpickled.
        sha: The address of its pickle.
    """

    name: str
    type: str
    size: int
    value: str | None
    sha: str = ""


@dataclass(frozen=True)
class Failure:
    """What a failed task said.

    Args:
        task: Its address.
        exception: The type and message of its exception; "" where it was killed before it could record one.
        lines: The last lines of its traceback and of its standard error.
    """

    task: Pathspec
    exception: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Log:
    """What a task printed.

    Args:
        task: Its address.
        stream: "stdout" or "stderr".
        lines: The last lines.
        left_out: How many lines were before them.
    """

    task: Pathspec
    stream: str
    lines: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True)
class RunDetails:
    """What a run's page says besides its steps.

    Args:
        graph: Its graph; None where it is not shown.
        parameters: Its Parameters.
        failures: What its failed tasks said; of the first few.
        logs: What its tasks printed, where that was asked for.
        cards: The cards of its tasks, by the tasks' addresses, where they were asked for.
        previews: Values as text, by step and name, where they were asked for.
    """

    graph: Graph | None = None
    parameters: tuple[ParameterInfo, ...] = ()
    failures: tuple[Failure, ...] = ()
    logs: tuple[Log, ...] = ()
    cards: tuple[tuple[str, str], ...] = ()
    previews: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class ArtifactChange:
    """An artifact that differs between two runs, steps or tasks, by its content hash.

    Args:
        step: The step that left it.
        name: The name of the artifact.
        status: "changed", "added" or "missing".
        tasks: In how many tasks it is so.
        total: How many tasks of the step have it, on either side.
        old: The artifact of the side that is compared with, in the first of these tasks; None where it is not there.
        new: The artifact of the other side; None where it is not there.
    """

    step: str
    name: str
    status: str
    tasks: int
    total: int
    old: ArtifactInfo | None
    new: ArtifactInfo | None
