"""`--inputs`: a step's body in the notebook, line by line, on what the step would find."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit import internals
from kit.errors import ReplayError
from kit.replay import runtime
from kit.replay.body import body_of, names_of
from kit.replay.engine import bind
from kit.replay.process import preserved
from kit.replay.steps import Request, chosen
from kit.resolve import Target
from kit.runs import Runs
from kit.views import Displayed
from kit.views.page import Cell, Page

__all__ = ["StepInputs", "step_inputs"]


@dataclass(frozen=True)
class Surroundings:
    """What a step finds in its process.

    Args:
        folder: The working folder.
        variables: The environment variables that this process does not have, or has otherwise.
        current: What `metaflow.current` says.
    """

    folder: str
    variables: Mapping[str, str]
    current: Any

    def enter(self) -> None:
        """Make them this process's, for lines of the step's that are run one by one."""
        os.chdir(self.folder)
        os.environ.update(self.variables)
        runtime.wear(self.current)


@dataclass(frozen=True, repr=False)
class StepInputs(Displayed):
    """What a step's body needs, to be run line by line.

    Args:
        origin: The pathspec of the task.
        flow: The flow object: `self` in the body.
        inputs: What a join is given, by the name that the step gives it; empty for any other step.
        globals: What the body uses of the flow file's globals, by name.
        body: The statements of the step, dedented.
        notes: What there is to say, a line each.
        surroundings: What of the process is the step's own; None where it is not known.
    """

    origin: str
    flow: Any
    inputs: Mapping[str, Any]
    globals: Mapping[str, Any]
    body: str
    notes: tuple[str, ...] = ()
    surroundings: Surroundings | None = None

    def names(self) -> dict[str, Any]:
        """Give all that a notebook needs for the body, by name."""
        return {**self.globals, **self.inputs, "self": self.flow}

    def _page(self) -> Page:
        bound = ", ".join(["self", *self.inputs, *self.globals])
        title = (
            Cell(self.origin, code=True),
            Cell("ready to be run line by line; bound here:"),
            Cell(bound, code=True),
        )
        return Page(title, notes=self.notes)


def step_inputs(runs: Runs, target: Target, request: Request) -> StepInputs:
    """Bind what a step would find, and take its body out of the flow file; runs nothing of the step itself.

    Args:
        runs: The project's runs.
        target: The step, with its task or without.
        request: Which task, and how.

    Raises:
        ReplayError: The step cannot be replayed.
    """
    if request.isolated:
        raise ReplayError(
            "--inputs makes the step's body ready for this kernel, and --isolated is another process.",
            "Leave one of them out; or start a kernel with the step's pins: %mf_install_deps --flow FLOW --isolated.",
        )
    before = dict(os.environ)
    with preserved():
        job, loaded, settings, blobs, notes = chosen(runs, target, request)
        body, found = body_of(loaded, job.step), names_of(loaded, job.step)
        code = loaded.function(job.step).__code__
        bound = bind(runs, job, loaded, settings, blobs)
        variables = {name: value for name, value in os.environ.items() if before.get(name) != value}
        surroundings = Surroundings(os.getcwd(), variables, bound.current)
    own = {name: bound.current if value is internals.current else value for name, value in found.items()}
    inputs = {} if bound.inputs is None else {code.co_varnames[1]: bound.inputs}
    return StepInputs(str(job.origin), bound.flow, inputs, own, body, tuple(notes), surroundings)
