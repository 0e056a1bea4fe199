"""From what the user asks for to the replay of a task, or of all that comes after it."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from itertools import islice, permutations
from pathlib import Path
from typing import Any

from kit.drafts import drafts_folder
from kit.errors import FlowFileError, KitError, NotFoundError, ReplayError
from kit.flowfile import LoadedFlow
from kit.lineage import Place
from kit.model import StepResult
from kit.pins import pins, replacements
from kit.records import plain
from kit.replay.body import Body
from kit.replay.downstream import Walk, between
from kit.replay.engine import Replay, load, replay
from kit.replay.job import Job, new_ids, places_of, recorded_job, virtual_job
from kit.replay.prepare import Settings, config_values
from kit.replay.process import preserved
from kit.replay.stores import Blobs
from kit.resolve import Target, pick_task
from kit.runs import Runs

__all__ = ["Request", "chosen", "run_step"]

PINNING = frozenset({"pypi", "conda"})
REMOTE = frozenset({"batch", "kubernetes"})
ORDERS_SECONDS = 3.0  # for all the orders of a join's branches; one that takes longer is tried in one alone


@dataclass(frozen=True)
class Request:
    """Which task of a step is replayed, and how.

    Args:
        overrides: Values that stand in for recorded input artifacts or Parameters, by name.
        index: Which task of a foreach, by its indices or the innermost one.
        value: Which task of a foreach, by its value, as text; with `inputs`, the value itself.
        to: The step to go on to; None for the task alone.
        attempt: The number of the attempt, counted from 0; the recorded one by default.
        flow_options: Options of flow decorators, such as {"branch": "test"}.
        unpinned: Whether the step may run with other packages than it pins.
        isolated: Whether the step runs in its own pinned environment, as another process.
        body: What stands in for the step's body.
        inputs: What the task takes in, where no run is to be read: artifacts by name; a list of them for a join.
    """

    overrides: Mapping[str, Any] = field(default_factory=dict)
    index: tuple[int, ...] | None = None
    value: Any = None
    to: str | None = None
    attempt: int | None = None
    flow_options: Mapping[str, Any] = field(default_factory=dict)
    unpinned: bool = False
    isolated: bool = False
    body: Body | None = None
    inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None


def run_step(runs: Runs, target: Target, request: Request) -> Replay:
    """Replay one task in this process, and go on from it where that is asked for.

    Args:
        runs: The project's runs.
        target: The step, with its task or without.
        request: Which task, and how.

    Returns:
        The result, and the flow object.

    Raises:
        ReplayError: The step cannot be replayed.
        Exception: Whatever the step itself raises, untouched, from its own line.
    """
    __tracebackhide__ = True
    with preserved():
        job, loaded, settings, blobs, notes = chosen(runs, target, request)
        graph = loaded.cls._graph
        lasting = {name: value for name, value in request.overrides.items() if hasattr(loaded.cls, name)}
        done = None if request.isolated else _in_recorded_order(runs, job, loaded, settings, blobs, notes)
    if done is None:
        done = _isolated(runs, job, loaded, settings, blobs, notes, request.to)
    if request.to is None:
        return done
    later = Settings(lasting, None, request.flow_options)

    def go_on(job: Job) -> Replay:
        __tracebackhide__ = True
        with preserved():
            loaded = load(runs, job.run, job.step, only_read=request.isolated)
            if not request.isolated:
                return replay(runs, job, loaded, later, blobs)
        return _isolated(runs, job, loaded, later, blobs, (), request.to)

    return Walk(runs, job.run, graph, go_on).go(job, done, request.to)


def _isolated(
    runs: Runs,
    job: Job,
    loaded: LoadedFlow,
    settings: Settings,
    blobs: Blobs,
    notes: Sequence[str],
    to: str | None,
) -> Replay:
    """Replay a task in its step's environment; on the way to a later step also one that pins nothing, here."""
    __tracebackhide__ = True
    from kit import stepenvs  # no other replay needs environments
    from kit.replay.isolated import replay_isolated

    if to is None or job.step in stepenvs.asked(loaded, config_values(loaded, job, settings.overrides)):
        return replay_isolated(runs, job, loaded, settings, blobs, notes)
    with preserved():
        return replay(runs, job, load(runs, job.run, job.step), settings, blobs, notes)


def chosen(runs: Runs, target: Target, request: Request) -> tuple[Job, LoadedFlow, Settings, Blobs, list[str]]:
    """Choose the task that is asked for, and load its flow afresh.

    Returns:
        The task, the flow, how the task is replayed, where pickles are, and what there is to say.

    Raises:
        ReplayError: The step cannot be replayed.
    """
    loaded = load(runs, target.run, _step(target), only_read=request.isolated)
    graph = loaded.cls._graph
    job, said = _job(runs, target, request, graph)
    steps = between(graph, job.step, request.to) if request.to else [job.step]
    notes = [*filter(None, (target.note, said, _which_file(runs, loaded))), *_pin_notes(loaded, job, steps, request)]
    blobs = Blobs(runs.datastore(job.run.flow, job.run.store).ca_store, keep=request.to is not None)
    settings = Settings(request.overrides, request.attempt, request.flow_options, request.body)
    return job, loaded, settings, blobs, notes


def _which_file(runs: Runs, loaded: LoadedFlow) -> str:
    """Say so where a run of a notebook's cells is replayed with these, though the project has a file of the flow."""
    own = runs.project.scan().flows.get(loaded.info.name)
    if own is None or drafts_folder(runs.project.root) not in Path(loaded.info.file).parents:
        return ""
    file = runs.project.relative(own.file)
    return f"It is a run of the notebook's cells, and replayed with these: {file} is older."


def _step(target: Target) -> str:
    if target.step is None:
        raise ReplayError(f"{target.pathspec} is a whole run.", f"Name a step: {target.pathspec}/start.")
    return target.step


def _job(runs: Runs, target: Target, request: Request, graph: Any) -> tuple[Job, str]:
    """Choose the task: one that was recorded, or one that the run would have had next."""
    step = _step(target)
    try:
        task, note = pick_task(runs, target, request.index, request.value)
    except NotFoundError:
        waiting = _waiting(runs, target, request, graph)
        if not waiting:
            raise
        job = virtual_job(target.run, step, waiting[0], next(new_ids(runs, target.run)))
        which = f" Of {len(waiting)} tasks that it would have, this is the first." if len(waiting) > 1 else ""
        return job, f"{target.run.pathspec}/{step} has not run: there is nothing to compare with.{which}"
    return recorded_job(runs, target.run, graph, task), note


def _waiting(runs: Runs, target: Target, request: Request, graph: Any) -> list[Place]:
    """List the tasks that a step would have in the recorded run, and has not."""
    if target.task is not None:
        return []
    places = places_of(runs, target.run, graph, target.step or "")
    there = {task.index for task in runs.tasks(target.run, target.step)}
    return [
        place
        for (index, _), place in places.items()
        if place.complete and index not in there and _asked_for(place, index, request)
    ]


def _asked_for(place: Place, index: tuple[int, ...], request: Request) -> bool:
    if request.index is not None and request.index not in (index, index[-len(request.index) :]):
        return False
    values = plain(place.inputs[0].store, "_foreach_values") or ()
    return request.value is None or (bool(index) and request.value in values[index[-1] : index[-1] + 1])


def _pin_notes(loaded: LoadedFlow, job: Job, steps: list[str], request: Request) -> Iterator[str]:
    """Say which pins are not met; refuse where the recorded run had them.

    A run of `--environment=unpinned` set them aside, and its graph does not name them.
    """
    unmet: dict[str, str] = {}
    if not request.isolated:
        with suppress(FlowFileError):  # what only a run's own Configs say
            unmet = replacements(pins(loaded, config_values(loaded, job, request.overrides)))
    recorded = (plain(job.inputs[0], "_graph_info") or {}).get("steps", {})
    for step in steps:
        elsewhere = _elsewhere(getattr(loaded.cls, step))
        if elsewhere and not request.unpinned:
            raise ReplayError(f"{step} {elsewhere}.", "Replay it with what is here: --unpinned (unpinned=True).")
        if elsewhere:
            yield f"{step} {elsewhere}: here it ran without."
        if step not in unmet:
            continue
        pinned = [
            decorator
            for decorator in recorded.get(step, {}).get("decorators", ())
            if decorator["name"] in PINNING and not decorator["attributes"].get("disabled")
        ]
        if pinned and not request.unpinned:
            raise ReplayError(
                f"{step} pins other packages than this kernel has: {unmet[step]}.",
                "Replay it in its own environment: --isolated (isolated=True). Or with what is here: --unpinned "
                f"(unpinned=True). Or install its pins: %mf_install_deps --flow {loaded.info.name} --step {step}",
            )
        yield f"{step} pins other packages than this kernel has: {unmet[step]}."


def _elsewhere(step: Any) -> str:
    """Say what a step's own place has that this process has not: an image, GPUs; "" where there is nothing."""
    for decorator in step.decorators:
        wanted = decorator.attributes if decorator.name in REMOTE else {}
        found = [f"the image {wanted['image']}"] if wanted.get("image") else []
        found += [f"{wanted['gpu']} GPU(s)"] if wanted.get("gpu") else []
        if found:
            return f"runs on @{decorator.name} with {' and '.join(found)}"
    return ""


def _in_recorded_order(
    runs: Runs, job: Job, loaded: LoadedFlow, settings: Settings, blobs: Blobs, notes: list[str]
) -> Replay:
    """Replay a task; a join of branches with its inputs in the order that the recorded run had.

    Metaflow gives a join its branches in the order of a set of names, which is another one in each run, and does not
    record it. So where the step looks at that order and what comes out is not what was recorded, others are tried.
    """
    __tracebackhide__ = True
    order = runs.join_orders.get(str(job.origin))
    if order:
        job = replace(job, inputs=tuple(sorted(job.inputs, key=lambda ds: order.index(ds.step_name))))
    if order or not _has_other_orders(job, loaded, settings):
        return replay(runs, job, loaded, settings, blobs, notes)
    first, failure = None, None
    started = time.monotonic()
    try:
        first = replay(runs, job, loaded, settings, blobs, notes)
        if not (first.result.changed or first.result.missing):
            return first
    except KitError:
        raise
    except Exception as error:
        failure = error
    for inputs in islice(permutations(job.inputs), 1, None):
        if time.monotonic() - started > ORDERS_SECONDS:
            break
        names = ", ".join(ds.step_name for ds in inputs)
        said = f"Metaflow gives a join its branches in no fixed order. The recorded run had {names}."
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), preserved():
                fresh = load(runs, job.run, job.step)
                other = replay(runs, replace(job, inputs=inputs), fresh, settings, blobs, [*notes, said])
        except Exception:  # noqa: S112  # this order is not the recorded one
            continue
        if not (other.result.changed or other.result.missing or other.result.added):
            runs.join_orders[str(job.origin)] = tuple(ds.step_name for ds in inputs)
            return other
    if first is None:
        raise failure or ReplayError(f"{job.origin} left nothing.", "Replay it again.")
    said = "Metaflow gives a join its branches in no fixed order: the recorded run may have had another one."
    return replace(first, result=_noted(first.result, said))


def _has_other_orders(job: Job, loaded: LoadedFlow, settings: Settings) -> bool:
    """Whether a task is a recorded join of branches that looks at their order, and nothing else was changed."""
    node = loaded.cls._graph[job.step]
    if node.type != "join" or loaded.cls._graph[node.split_parents[-1]].type == "foreach":
        return False
    if job.recorded is None or job.recorded.status != "succeeded" or settings.overrides or settings.body:
        return False
    source = loaded.source(job.step)
    argument = re.search(r"def\s+\w+\(\s*\w+\s*,\s*(\w+)", source)
    if argument is None:
        return False
    name = argument[1]
    body = re.sub(rf"merge_artifacts\(\s*{name}\b", "", source[argument.end() :])
    return re.search(rf"\b{name}\b(?!\s*\.\s*(?!flows\b)\w)", body) is not None


def _noted(result: StepResult, note: str) -> StepResult:
    return replace(result, notes=(*result.notes, note))
