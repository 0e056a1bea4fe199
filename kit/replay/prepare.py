"""A recorded task made ready to be replayed: its inputs, and Metaflow's task runner initialised for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kit import internals
from kit.errors import NotFoundError, ReplayError, did_you_mean
from kit.flowfile import LoadedFlow
from kit.lineage import parents
from kit.model import TaskInfo
from kit.resolve import Target
from kit.runs import Runs, plain

__all__ = ["Prepared"]

# Where a step runs, and in which environment, is not part of a replay in this process.
LEFT_OUT = frozenset({"pypi", "pypi_base", "conda", "conda_base", "batch", "kubernetes"})


class Prepared:
    """All that a replay needs to know before it starts.

    Args:
        runs: The project's runs.
        target: The run and step.
        task: The recorded task.
        loaded: The flow, loaded afresh.
        overrides: Values that stand in for recorded inputs.

    Raises:
        ReplayError: The task has no inputs, or is of a kind that cannot be replayed.
        NotFoundError: An override has nothing to stand in for.
    """

    def __init__(
        self, runs: Runs, target: Target, task: TaskInfo, loaded: LoadedFlow, overrides: dict[str, Any]
    ) -> None:
        self.runs, self.target, self.task, self.loaded = runs, target, task, loaded
        self.step = task.pathspec.step or ""
        self.node = loaded.cls._graph[self.step]
        self.datastore = runs.datastore(target.run.flow, target.run.store)
        self.recorded = runs.task_store(task.pathspec, target.run.store)
        self.metadata = runs.metadata(task.pathspec, target.run.store)
        split = loaded.cls._graph[self.node.split_parents[-1]].type if self.node.type == "join" else None
        iterations = plain(self.recorded, "_iteration_stack")
        iteration = iterations[-1] if iterations else None
        self.inputs = parents(self.datastore, target.run.id, self.node, task.index, iteration, split)
        self._check_inputs()
        self.overrides = self._checked(overrides)

    def _check_inputs(self) -> None:
        if not self.inputs:
            raise ReplayError(
                f"{self.task.pathspec} has no recorded inputs.",
                f"The tasks before it did not finish: see %mf_artifacts {self.target.run.pathspec}.",
            )
        if self.node.parallel_step or any(plain(ds, "_unbounded_foreach") for ds in self.inputs):
            raise ReplayError(
                f"{self.task.pathspec} is part of an unbounded foreach (@parallel), which cannot be replayed.",
                "Replay a step before or after it.",
            )

    def _checked(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Make sure that each override has something to stand in for; constants are set on the class at once."""
        known = {name for ds in self.inputs for name in ds if not name.startswith("_")}
        constants = {}
        for name in overrides:
            if name not in known:
                raise NotFoundError(
                    f"{self.task.pathspec} has no input artifact or parameter {name}.",
                    did_you_mean(name, sorted(known), f"inputs of {self.step}"),
                )
            attribute = getattr(self.loaded.cls, name, None)
            if attribute is not None and not hasattr(attribute, "IS_CONFIG_PARAMETER"):
                constants[name] = overrides[name]
        for name, value in constants.items():
            setattr(self.loaded.cls, name, value)
        return overrides

    def runner(self) -> tuple[Any, dict[str, Any]]:
        """Build Metaflow's task runner, initialised as its command line would; gives it and run_step's arguments."""
        from kit.replay.task import InputStore, NullStorage, ReplayTask, null_metadata

        cls, run = self.loaded.cls, self.target.run
        with internals.parameters.flow_context(cls):
            configs = self._configs()
            cls._process_config_decorators(configs)
            flow = cls(use_cli=False)
            environment = internals.MetaflowEnvironment(flow)
            logger = internals.LOGGING_SIDECARS["nullSidecarLogger"](flow=flow, env=environment)
            monitor = internals.MONITOR_SIDECARS["nullSidecarMonitor"](flow=flow, env=environment)
            internals.system._system_logger.init_system_logger(flow.name, logger)
            internals.system._system_monitor.init_system_monitor(flow.name, monitor)
            with self.runs.reading(self.runs.stores[0]) as provider:
                info = str(Path(run.store).parent) if provider.TYPE == "local" else provider.INFO
            metadata = null_metadata(provider, info)(environment, flow, logger, monitor)
            metadata.sticky_tags = set(run.tags)
            store = internals.FlowDataStore(
                flow.name, environment, None, logger, monitor, storage_impl=NullStorage, ds_root=run.store
            )
            store.ca_store = self.datastore.ca_store  # what merge_artifacts passes on is read from the recorded run
            self._initialise(flow, environment, store, metadata)
            values = {**self._defaults_of_new_parameters(), **self.overrides}
            inputs = [InputStore(ds, values, self.loaded.module) for ds in self.inputs]
            runner = ReplayTask(
                flow, store, metadata, environment, internals.logger, logger, monitor, None, inputs=inputs
            )
        origin = self.metadata.get("origin-run-id")
        forked = plain(self.inputs[0], "_foreach_var") is not None and self.node.type != "join"
        return runner, {
            "step_name": self.step,
            "run_id": run.id,
            "task_id": self.task.pathspec.task,
            "origin_run_id": None if origin in (None, "None") else origin,
            "input_paths": [ds.pathspec for ds in self.inputs],
            "split_index": self.task.index[-1] if forked else None,
            "retry_count": self.task.attempt,
            "max_user_code_retries": _retries(getattr(flow, self.step).decorators),
            "persist": False,
        }

    def _configs(self) -> dict[str, Any]:
        """Give each Config of the flow the value that the recorded run had."""
        cls, options = self.loaded.cls, {}
        for name, parameter in cls._get_parameters():
            if parameter.IS_CONFIG_PARAMETER:
                recorded = self.inputs[0][name]
                cls._flow_state[internals.FlowStateItems.CONFIGS][parameter.name] = (recorded, False)
                wrapped = internals.ConfigValue(recorded) if isinstance(recorded, dict) else recorded
                options[parameter.name.replace("-", "_").lower()] = wrapped
        return options

    def _defaults_of_new_parameters(self) -> dict[str, Any]:
        """Give the Parameters that the flow has got since it was run their defaults."""
        from metaflow import JSONType

        defaults = {}
        for name, parameter in self.loaded.cls._get_parameters():
            if name not in self.inputs[0] and not parameter.IS_CONFIG_PARAMETER:
                value = internals.parameters.deploy_time_eval(parameter.kwargs.get("default"))
                is_json = isinstance(value, str) and parameter.kwargs.get("type") is JSONType
                defaults[name] = json.loads(value) if is_json else value
        return defaults

    def _initialise(self, flow: Any, environment: Any, store: Any, metadata: Any) -> None:
        """Do what metaflow.cli.start does between loading a flow and running one of its steps."""
        cls, graph, echo = self.loaded.cls, flow._graph, internals.echo_dev_null
        internals.system_context._update(
            phase=internals.ExecutionPhase.TASK,
            flow=flow,
            graph=graph,
            environment=environment,
            flow_datastore=store,
            metadata=metadata,
            logger=internals.logger,
        )
        flow_decorators = cls._flow_state[internals.FlowStateItems.FLOW_DECORATORS]
        for name in LEFT_OUT & set(flow_decorators):
            del flow_decorators[name]
        decorators = internals.decorators
        decorators._init_flow_decorators(
            flow, graph, environment, store, metadata, internals.logger, echo, {}, False, False
        )
        internals.current._set_env(flow=flow, is_running=False)
        internals.parameters.set_parameter_context(flow.name, echo, store, {})
        for step in cls._steps:  # only the replayed step's own decorators run, as in its own process
            keep = [d for d in step.decorators if d.name not in LEFT_OUT and step.__name__ == self.step]
            step.decorators[:] = keep
        decorators._init_step_decorators(flow, graph, environment, store, internals.logger, False, False)
        for decorator in getattr(flow, self.step).decorators:
            if decorator.name == "environment":  # acts in Metaflow's launcher, not in the task
                os.environ.update({key: str(value) for key, value in decorator.attributes["vars"].items()})


def _retries(decorators: list[Any]) -> int:
    """Give how often the user's code would be retried, as the scheduler computes it (metaflow.runtime.Task)."""
    counts = [decorator.step_task_retry_count()[0] for decorator in decorators]
    return max([count for count in counts if count is not None], default=0)
