"""The replay of one recorded task: Metaflow's own task runner, in this process, on the recorded inputs.

The route: load the flow file afresh, initialise its decorators as `python flow.py step ...` does (metaflow.cli.start),
and let MetaflowTask.run_step run the step, with the recorded task's identity and with stores that write nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from kit import flowfile, internals
from kit.errors import ReplayError, did_you_mean
from kit.model import StepResult
from kit.pins import pins, replacements
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
    with preserved(), flowfile.as_script(loaded.module), _no_card_process():
        os.chdir(_working_folder(runs, target.run.store))
        runner, arguments = prepared.runner()
        with teed() as printed:
            started = time.perf_counter()
            _call(lambda: runner.run_step(**arguments))
            seconds = time.perf_counter() - started
        assigned = assigned_artifacts(runner.flow)
        notes = tuple(filter(None, (target.note, note, unpinned)))
        result = outcome(prepared, runner.flow, assigned, seconds, printed, _cards(), notes)
    return Replay(result, runner.flow, tuple(sorted(assigned)))


def _working_folder(runs: Runs, store: str) -> Path:
    """Give the folder that the run was most likely started in: the one in the project that holds its `.metaflow`."""
    folder, root = Path(store).parent, runs.project.root
    return folder if root in folder.parents and folder.is_dir() else root


def _call(function: Callable[[], None]) -> None:
    """Call; let an exception pass with the user's own frames alone."""
    __tracebackhide__ = True
    try:
        function()
    except Exception as error:
        raise error.with_traceback(_user_frames(error.__traceback__))  # noqa: B904  # its own context stays


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Skip the frames of kit and of Metaflow that lie above the user's."""
    own = tuple(f"{folder}{os.sep}" for folder in (Path(__file__).parents[1], Path(internals.cli.__file__).parent))
    frame = traceback
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(own):
        frame = frame.tb_next
    return frame or traceback


@contextmanager
def _no_card_process() -> Iterator[None]:
    """Keep @card from starting the process, of two to three seconds, that renders and stores a card."""
    creator = internals.CardCreator
    before = creator._run_cards_subprocess
    creator._run_cards_subprocess = lambda *_args, **_kwargs: None
    try:
        yield
    finally:
        creator._run_cards_subprocess = before


def _cards() -> dict[str, tuple[Any, ...]]:
    """Give the components of the step's cards, by the card's id ("" for a card without one)."""
    collector = internals.current.get("card")
    if collector is None:
        return {}
    ids = {uuid: name for name, uuid in collector._card_id_map.items()}
    return {
        str(ids.get(uuid, "")): tuple(manager.components) for uuid, manager in collector._card_component_store.items()
    }
