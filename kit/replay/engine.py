"""The replay of one recorded task: Metaflow's own task runner, in this process, on the recorded inputs.

The route: load the flow file afresh, initialise its decorators as `python flow.py step ...` does (metaflow.cli.start),
and let MetaflowTask.run_step run the step, with the recorded task's identity and with stores that write nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit import flowfile
from kit.errors import ReplayError, did_you_mean
from kit.model import StepResult
from kit.pins import pins, replacements
from kit.replay.cards import collected, no_card_process
from kit.replay.frames import calling_user_code
from kit.replay.outcome import assigned_artifacts, outcome
from kit.replay.prepare import Prepared
from kit.replay.process import preserved
from kit.replay.streams import teed
from kit.resolve import Target, pick_task
from kit.runs import Runs

__all__ = ["Replay", "run_step"]


@dataclass(frozen=True)
class Replay:
    """A step that has been replayed.

    Args:
        result: What it left.
        flow: The flow object, as the step left it.
        assigned: The names of the artifacts that the step itself set.
    """

    result: StepResult
    flow: Any
    assigned: tuple[str, ...]


def run_step(
    runs: Runs,
    target: Target,
    overrides: Mapping[str, Any] | None = None,
    index: tuple[int, ...] | None = None,
    value: str | None = None,
) -> Replay:
    """Replay one recorded task in this process.

    Args:
        runs: The project's runs.
        target: The step, with its task or without.
        overrides: Values that stand in for recorded input artifacts or Parameters, by name.
        index: Which task of a foreach, by its indices or the innermost one.
        value: Which task of a foreach, by its value.

    Returns:
        The result, and the flow object.

    Raises:
        ReplayError: The step cannot be replayed.
        Exception: Whatever the step itself raises, untouched, from its own line.
    """
    __tracebackhide__ = True
    task, note = pick_task(runs, target, index, value)
    loaded = flowfile.load(runs.project.flow(target.run.flow))
    step = task.pathspec.step or ""
    if not hasattr(getattr(loaded.cls, step, None), "is_step"):
        steps = [node.name for node in loaded.cls._graph]
        raise ReplayError(
            f"{loaded.info.file} no longer has the step {step}.",
            did_you_mean(step, steps, f"steps of {loaded.info.name}"),
        )
    versions = replacements(pins(loaded)).get(step)  # before the decorators that pin are set aside
    unpinned = f"The step pins other packages than this kernel has: {versions}." if versions else ""
    prepared = Prepared(runs, target, task, loaded, dict(overrides or {}))
    with preserved(), flowfile.as_script(loaded.module), no_card_process():
        os.chdir(_working_folder(runs, target.run.store))
        runner, arguments = prepared.runner()
        with teed() as printed:
            started = time.perf_counter()
            calling_user_code(lambda: runner.run_step(**arguments))
            seconds = time.perf_counter() - started
        assigned = assigned_artifacts(runner.flow)
        notes = tuple(filter(None, (target.note, note, unpinned)))
        result = outcome(prepared, runner.flow, assigned, seconds, printed, collected(), notes)
    return Replay(result, runner.flow, tuple(sorted(assigned)))


def _working_folder(runs: Runs, store: str) -> Path:
    """Give the folder that the run was most likely started in: the one in the project that holds its `.metaflow`."""
    folder, root = Path(store).parent, runs.project.root
    return folder if root in folder.parents and folder.is_dir() else root
