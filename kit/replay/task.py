"""Metaflow's own task runner, fed from a recorded run and registering nothing.

Everything here derives from Metaflow's classes, so importing this module imports Metaflow; the engine does so at the
first replay.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kit import internals
from kit.replay.cell_code import go_on

__all__ = ["ReplayTask", "Stopped", "node_environment", "null_metadata", "one_node"]


class Stopped(BaseException):
    """The task is at the point at which its step's body would begin."""


class ReplayTask(internals.MetaflowTask):  # type: ignore[misc]
    """Metaflow's task runner on given inputs, instead of those that it would look up by their paths.

    Args:
        inputs: The datastores of the parent tasks, in order.
        args: What MetaflowTask takes.
    """

    def __init__(self, *args: Any, inputs: list[Any]) -> None:
        super().__init__(*args)
        self._inputs = inputs
        self.stops_before_body = False
        self.goes_on_by_itself = False  # where the body does not call self.next
        self.step_inputs: Any = None  # what a join is given
        self.raised: Exception | None = None  # what the step's body raised, also where a decorator handles it

    def _init_data(self, run_id: str, join_type: str | None, input_paths: list[str]) -> list[Any]:
        return self._inputs

    def _exec_step_function(
        self, step_function: Callable[..., None], orig_step_func: Any, input_obj: Any = None
    ) -> None:
        __tracebackhide__ = True
        self.step_inputs = input_obj
        if self.stops_before_body:
            raise Stopped

        def recording(*args: Any) -> None:
            __tracebackhide__ = True
            try:
                step_function(*args)
            except Exception as error:
                self.raised = error
                raise
            if self.goes_on_by_itself and self.flow._transition is None:
                go_on(self.flow, self.flow._graph[orig_step_func.name])

        super()._exec_step_function(recording, orig_step_func, input_obj)


@contextmanager
def one_node(mapper_tasks: list[str]) -> Iterator[None]:
    """Let the control task of a @parallel step run as one node, without starting the others.

    Args:
        mapper_tasks: The pathspecs, from the run on, of the tasks of all nodes; the control task's first.
    """
    module = internals.parallel_decorator
    before = module._local_multinode_control_task_step_func

    def alone(flow: Any, _environment: Any, step_func: Callable[[], None], *_: Any) -> None:
        flow._control_mapper_tasks = list(mapper_tasks)
        step_func()

    module._local_multinode_control_task_step_func = alone
    try:
        yield
    finally:
        module._local_multinode_control_task_step_func = before


def node_environment(nodes: int, index: int, control_task: str) -> None:
    """Set what Metaflow's launcher tells one node of a @parallel step about itself."""
    os.environ.update(
        MF_PARALLEL_NUM_NODES=str(nodes),
        MF_PARALLEL_NODE_INDEX=str(index),
        MF_PARALLEL_MAIN_IP="127.0.0.1",
        MF_PARALLEL_CONTROL_TASK_ID=control_task,
    )


class _Silent:
    """What a metadata provider does when it registers something: here, nothing."""

    def _nothing(self, *args: Any, **kwargs: Any) -> bool:
        return False

    _new_run = _new_task = register_run_id = register_task_id = _nothing
    register_metadata = register_data_artifacts = start_task_heartbeat = stop_heartbeat = _nothing


def null_metadata(provider: type[Any], info: str) -> type[Any]:
    """Derive a metadata provider that answers as another does and registers nothing.

    Args:
        provider: The class of the provider that the recorded run used.
        info: Where it keeps its records: what follows the @ in `metadata("local@...")`.
    """
    derived = type("ReplayMetadata", (_Silent, provider), {"TYPE": provider.TYPE})
    derived._INFO = info  # type: ignore[attr-defined]
    return derived
