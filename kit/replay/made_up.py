"""A step on inputs that the user makes up: no run is read, as in a unit test."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kit import flowfile, internals
from kit.errors import ArgumentError
from kit.flowfile import LoadedFlow
from kit.foreach import recorded_as
from kit.model import RunInfo
from kit.replay.engine import Replay, load, replay
from kit.replay.job import Identity, Job
from kit.replay.parameters import constants
from kit.replay.prepare import Settings
from kit.replay.process import preserved
from kit.replay.steps import Request
from kit.replay.stores import Blobs, ReplayFlowStore
from kit.runs import PARAMETERS_STEP, Runs

__all__ = ["run_made_up"]

RUN, TASK = "0", "1"


def run_made_up(runs: Runs, flow: str, step: str, request: Request) -> Replay:
    """Run one step on inputs that are given, with the defaults of the Parameters that are not.

    Args:
        runs: The project's runs; none of them is read.
        flow: The name of the flow.
        step: The name of the step.
        request: Its `inputs`, its `overrides` (Parameters among them), and for a task of a foreach its value.

    Raises:
        ArgumentError: The inputs are not those of such a step.
        ReplayError: A Parameter that is required is not given.
        Exception: Whatever the step itself raises.
    """
    __tracebackhide__ = True
    store = runs.stores[0]
    run = RunInfo(flow, RUN, "running", datetime.now(), "", (), None, store.root)
    blobs = Blobs(runs.datastore(flow, store).ca_store, keep=False)
    settings = Settings(request.overrides, request.attempt, request.flow_options, request.body)
    with preserved():
        loaded = load(runs, run, step, only_read=request.isolated)
        with flowfile.as_script(loaded.module):
            os.chdir(runs.project.root)
            job = _job(run, loaded, step, request, blobs)
        if not request.isolated:
            return replay(runs, job, load(runs, run, step), settings, blobs)
        loaded = load(runs, run, step, only_read=True)
    from kit.replay.isolated import replay_isolated  # no other replay needs environments

    return replay_isolated(runs, job, loaded, settings, blobs, ())


def _job(run: RunInfo, loaded: LoadedFlow, step: str, request: Request, blobs: Blobs) -> Job:
    graph = loaded.cls._graph
    node = graph[step]
    made = _inputs(node, request.inputs)
    first_values = {**made[0][1], **request.overrides}
    flow_store = ReplayFlowStore(run.flow, blobs, loaded.module, run.store)
    internals.parameters.set_parameter_context(run.flow, internals.echo_dev_null, flow_store, {})
    with internals.parameters.flow_context(loaded.cls):
        for _, parameter in loaded.cls._get_parameters():
            parameter.init(False)
        recorded = constants(loaded.cls, first_values)
    closes = node.type == "join" and graph[node.split_parents[-1]].type == "foreach"
    begins = _foreach_before(graph, node)
    outer = [_frame(graph, name) for name in node.split_parents if graph[name].type == "foreach"]
    if begins is not None:
        outer = outer[:-1] if outer else outer
    position = request.index[-1] if request.index else 0
    stores = []
    for number, (before, values) in enumerate(made):
        stack = [*outer, _frame(graph, node.split_parents[-1], number, len(made))] if closes else outer
        own = {
            "_current_step": before,
            "_foreach_stack": stack,
            "_foreach_var": None,
            "_iteration_stack": [],
            "_transition": ([step], None),
        }
        if begins is not None:
            own |= _foreach(begins, values, request, position)
        artifacts = {**recorded, **values, **own}
        entries = {name: blobs.put(name, value) for name, value in artifacts.items()}
        metadata = {
            "objects": {name: key for name, (key, _) in entries.items()},
            "info": {name: info for name, (_, info) in entries.items()},
        }
        stores.append(flow_store.get_task_datastore(run.id, before, str(number + 2), attempt=0, data_metadata=metadata))
    index = tuple(frame.index for frame in outer) + ((position,) if begins is not None else ())
    identity = Identity(RUN, TASK, 0, None, "", (), ())
    return Job(run, step, identity, index, tuple(stores), position if begins is not None else None)


def _inputs(node: Any, given: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Give the step that each of the inputs comes from, and its artifacts."""
    before = sorted(name for name in node.in_funcs if name != node.name) or [PARAMETERS_STEP]
    if node.type != "join":
        if not isinstance(given, Mapping):
            raise ArgumentError(
                f"{node.name} is not a join: it takes one set of inputs.", "Give a dict: {name: value}."
            )
        return [(before[0], given)]
    if isinstance(given, Mapping) and set(given) <= set(before) and all(isinstance(v, Mapping) for v in given.values()):
        return [(name, given[name]) for name in before if name in given]
    if isinstance(given, Mapping) or not isinstance(given, Sequence) or not given:
        raise ArgumentError(
            f"{node.name} is a join: it takes the artifacts of each task before it.",
            f"Give a list of dicts, or a dict by the name of the step: {', '.join(before)}.",
        )
    names = before * len(given) if len(before) == 1 else before
    return list(zip(names, given, strict=False))


def _foreach_before(graph: Any, node: Any) -> Any:
    """Give the node that splits into this step, if it does so by a foreach."""
    nodes = [graph[name] for name in node.in_funcs if graph[name].type == "foreach"]
    return nodes[0] if nodes and node.type != "join" else None


def _foreach(split: Any, values: Mapping[str, Any], request: Request, position: int) -> dict[str, Any]:
    """Give what the step before a foreach leaves: the items, or one that the request names."""
    name = split.foreach_param
    items = values.get(name, [request.value] * (position + 1))
    return {
        name: items,
        "_foreach_var": name,
        "_foreach_num_splits": len(list(items)),
        "_foreach_values": [recorded_as(item) for item in items],
    }


def _frame(graph: Any, split: str, index: int = 0, count: int = 1) -> Any:
    node = graph[split]
    return internals.ForeachFrame(node.out_funcs[0], node.foreach_param, count, index, "")
