"""The replay of one task: Metaflow's own task runner, in this process, on the recorded inputs.

The route: load the flow file afresh, initialise its decorators as `python flow.py step ...` does (metaflow.cli.start),
and let MetaflowTask.run_step run the step, with the recorded task's identity and with stores that write nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit import flowfile, internals
from kit.errors import FlowFileError, ReplayError, did_you_mean
from kit.flowfile import LoadedFlow
from kit.model import Pathspec, RunInfo, StepResult, TaskInfo
from kit.pins import pins
from kit.replay.cards import CardSource, collected, no_card_process
from kit.replay.frames import calling_user_code
from kit.replay.job import Job
from kit.replay.outcome import assigned, outcome
from kit.replay.prepare import Prepared, Settings
from kit.replay.stores import Blobs
from kit.replay.streams import teed
from kit.replay.task import Stopped, one_node
from kit.runs import Runs

__all__ = ["Bound", "Replay", "bind", "load", "replay", "working_folder"]


@dataclass(frozen=True)
class Replay:
    """A step that has been replayed.

    Args:
        result: What it left.
        flow: The flow object, as the step left it.
        assigned: The names of the artifacts that the step itself set.
        output: The datastore of what it left, for the steps after it to read.
    """

    result: StepResult
    flow: Any
    assigned: tuple[str, ...]
    output: Any


def load(runs: Runs, run: RunInfo, step: str, *, only_read: bool = False) -> LoadedFlow:
    """Load the flow afresh, and make sure that it still has a step.

    Args:
        runs: The project's runs.
        run: The run whose flow it is.
        step: The step's name.
        only_read: Whether it is run elsewhere, so that this process may lack what the file imports.

    Raises:
        FlowFileError: The file does not load.
        ReplayError: It does not have the step.
    """
    info = runs.flow_file(run)
    try:
        loaded = flowfile.read(info) if only_read else flowfile.load(info)
    except FlowFileError as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and pins(flowfile.read(info)):
            hint = (
                f"Install what it pins: %mf_install_deps --flow {run.flow}. Or replay a step where it is: --isolated."
            )
            raise FlowFileError(error.message, hint, error.details) from error.__cause__
        raise
    if not hasattr(getattr(loaded.cls, step, None), "is_step"):
        steps = [node.name for node in loaded.cls._graph]
        raise ReplayError(
            f"{loaded.info.file} no longer has the step {step}.",
            did_you_mean(step, steps, f"steps of {loaded.info.name}"),
        )
    return loaded


def replay(
    runs: Runs, job: Job, loaded: LoadedFlow, settings: Settings, blobs: Blobs, notes: Sequence[str] = ()
) -> Replay:
    """Replay one task in this process.

    Load the flow and call this within one `process.preserved()`: what the flow file does when it is loaded holds in the
    step, and not after it.

    Args:
        runs: The project's runs.
        job: The task.
        loaded: The flow, loaded afresh: a replay leaves marks on its class.
        settings: What is not as it was recorded.
        blobs: Where pickles are read and kept.
        notes: What there is to say about the replay.

    Returns:
        The result, and the flow object.

    Raises:
        ReplayError: The step cannot be replayed.
        Exception: Whatever the step itself raises, untouched, from its own line.
    """
    __tracebackhide__ = True
    done: list[StepResult] = []
    with flowfile.as_script(loaded.module), no_card_process(), job.identity.worn():
        os.chdir(working_folder(runs, job.run.store))
        prepared = Prepared(runs, job, loaded, settings, blobs)
        with one_node(prepared.mapper_tasks), teed() as printed:
            started = time.perf_counter()
            calling_user_code(prepared.run)
            seconds = time.perf_counter() - started
        source = CardSource(runs, job.run, _task(job), prepared.runner.flow, loaded.module, lambda: done[0])
        done.append(outcome(prepared, seconds, printed, collected(source), notes))
    return Replay(done[0], prepared.runner.flow, assigned(prepared), prepared.output)


@dataclass(frozen=True)
class Bound:
    """A task at the point at which its step's body would begin.

    Args:
        job: The task.
        flow: The flow object: `self` in the body.
        inputs: What a join is given; None for any other step.
        current: What `metaflow.current` says there.
    """

    job: Job
    flow: Any
    inputs: Any
    current: Any


def bind(runs: Runs, job: Job, loaded: LoadedFlow, settings: Settings, blobs: Blobs) -> Bound:
    """Make everything ready for a step's body, and stop there; takes what `replay` takes."""
    with flowfile.as_script(loaded.module), no_card_process(), job.identity.worn():
        os.chdir(working_folder(runs, job.run.store))
        prepared = Prepared(runs, job, loaded, settings, blobs)
        runner = prepared.runner
        runner.stops_before_body = True
        with one_node(prepared.mapper_tasks), suppress(Stopped):
            prepared.run()
        flow, current = runner.flow, _current_here()
        prepared.store.output._is_done_set = False  # the body may still pass artifacts on, by merge_artifacts
    goes_to = flow.next

    def next_step(*steps: Any, **options: Any) -> None:
        """Record the transition, as often as the cell is run."""
        flow._transition = None
        goes_to(*steps, **options)

    flow.next = next_step
    return Bound(job, flow, runner.step_inputs, current)


def _current_here() -> Any:
    """Give an object that says what `metaflow.current` says now, also when that is put back."""
    properties = {name: value for name, value in vars(internals.Current).items() if isinstance(value, property)}
    here: Any = object.__new__(type("Current", (internals.Current,), properties))
    vars(here).update(vars(internals.current))
    return here


def working_folder(runs: Runs, store: str) -> Path:
    """Give the folder that the run was most likely started in: the one in the project that holds its `.metaflow`."""
    folder, root = Path(store).parent, runs.project.root
    return folder if root in folder.parents and folder.is_dir() else root


def _task(job: Job) -> TaskInfo:
    """Describe the task, also where the run has no record of it."""
    address = Pathspec(job.run.flow, job.run.id, job.step, job.identity.task)
    return job.recorded or TaskInfo(address, "pending", job.identity.attempt, job.index)
