"""A task made ready to be replayed: the flow and its decorators initialised as Metaflow's command line would."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kit import internals
from kit.configured import set_configs
from kit.errors import NotFoundError, ReplayError, did_you_mean
from kit.flowfile import LoadedFlow
from kit.records import plain
from kit.replay.body import Body, put
from kit.replay.flow_options import flow_options
from kit.replay.job import Job
from kit.replay.parameters import default, given
from kit.replay.stores import Blobs, ReplayFlowStore
from kit.replay.task import ReplayTask, node_environment, null_metadata
from kit.runs import Runs

__all__ = [
    "LEFT_OUT",
    "Prepared",
    "Settings",
    "attached",
    "config_values",
    "configs",
    "constants_of",
    "new_parameters",
    "retries",
]

# Where a step runs, and in which environment, is not part of a replay in this process.
LEFT_OUT = frozenset({"pypi", "pypi_base", "conda", "conda_base", "uv_base", "batch", "kubernetes"})


@dataclass(frozen=True)
class Settings:
    """How a task is replayed, where it is not as it was recorded.

    Args:
        overrides: Values that stand in for recorded input artifacts or Parameters, by name.
        attempt: The number of the attempt, counted from 0; the recorded one by default.
        flow_options: Options of flow decorators, such as {"branch": "test"}, by their names on the command line.
        body: What stands in for the step's body.
    """

    overrides: Mapping[str, Any] = field(default_factory=dict)
    attempt: int | None = None
    flow_options: Mapping[str, Any] = field(default_factory=dict)
    body: Body | None = None


class Prepared:
    """Metaflow's task runner, ready to run one step.

    Make it and use it where the flow file is the process's script (`flowfile.as_script`) and what it changes in the
    process is put back (`process.preserved`).

    Args:
        runs: The project's runs.
        job: The task.
        loaded: The flow, loaded afresh.
        settings: What is not as it was recorded.
        blobs: Where pickles are read and kept.

    Raises:
        NotFoundError: An override or an option has nothing to stand in for.
        ReplayError: The task is of a kind that cannot be replayed.
    """

    def __init__(self, runs: Runs, job: Job, loaded: LoadedFlow, settings: Settings, blobs: Blobs) -> None:
        self.runs, self.job, self.loaded, self.blobs = runs, job, loaded, blobs
        self.node = loaded.cls._graph[job.step]
        if job.unbounded and job.node is None and job.split in (None, -1):
            raise ReplayError(
                f"{job.origin} is the control task of an unbounded foreach: it starts the other tasks itself.",
                "Replay one of the tasks that it started, or the join after them.",
            )
        self.attempt = job.identity.attempt if settings.attempt is None else settings.attempt
        self.given = settings.overrides
        for name, value in constants_of(loaded, job, settings.overrides).items():
            setattr(loaded.cls, name, value)
        parameters = dict(loaded.cls._get_parameters())
        self.overrides = {
            name: blobs.put(name, given(parameters.get(name), value)) for name, value in settings.overrides.items()
        }
        self._recorded: Any = None
        self.runner = self._runner(settings.flow_options)
        if settings.body is not None:  # now that Metaflow has read the graph from the flow file
            put(loaded, job.step, settings.body)
            self.runner.goes_on_by_itself = True

    def run(self) -> None:
        """Run the step, its decorators around it."""
        __tracebackhide__ = True
        job, step = self.job, self.job.step
        self.runner.run_step(
            step_name=step,
            run_id=job.identity.run,
            task_id=job.identity.task,
            origin_run_id=job.identity.origin_run,
            input_paths=[ds.pathspec for ds in job.inputs],
            split_index=job.split,
            retry_count=self.attempt,
            max_user_code_retries=retries(getattr(self.runner.flow, step).decorators),
        )

    @cached_property
    def output(self) -> Any:
        """What the step left: Metaflow's TaskDataStore of the task, to be read."""
        return self.store.inputs(self.store.output, {})

    def recorded_artifact(self, name: str) -> Any:
        """Load what the recorded task left under a name."""
        if self._recorded is None:
            task = self.runs.task_store(self.job.origin, self.job.run.store)
            self._recorded = self.store.inputs(task, {})
        return self._recorded[name]

    @property
    def mapper_tasks(self) -> list[str]:
        """The pathspecs, from the run on, of the tasks of a @parallel step's nodes."""
        tasks = self.job.node.tasks if self.job.node else ()
        return [f"{self.job.identity.run}/{self.job.step}/{task}" for task in tasks]

    def _runner(self, options: Mapping[str, Any]) -> Any:
        """Build Metaflow's task runner, initialised as its command line would (metaflow.cli.start)."""
        job, cls = self.job, self.loaded.cls
        with internals.parameters.flow_context(cls):
            for decorator in cls._flow_state[internals.FlowStateItems.FLOW_MUTATORS]:
                decorator.external_init()
            changed = cls._process_config_decorators(self._configs())
            flow = (changed or cls)(use_cli=False)
            step = getattr(flow, job.step)
            present = {decorator.name for decorator in step.decorators} | LEFT_OUT
            step.decorators.extend(attached(job, present))
            environment = internals.MetaflowEnvironment(flow)
            logger = internals.LOGGING_SIDECARS["nullSidecarLogger"](flow=flow, env=environment)
            monitor = internals.MONITOR_SIDECARS["nullSidecarMonitor"](flow=flow, env=environment)
            internals.system._system_logger.init_system_logger(flow.name, logger)
            internals.system._system_monitor.init_system_monitor(flow.name, monitor)
            metadata = self._metadata()(environment, flow, logger, monitor)
            metadata.sticky_tags = set(job.identity.tags)
            store = ReplayFlowStore(
                flow.name,
                self.blobs,
                self.loaded.module,
                job.run.store,
                environment=environment,
                event_logger=logger,
                monitor=monitor,
            )
            self._initialise(flow, environment, store, metadata, flow_options(flow, job.identity, options))
            overrides = {**self._defaults_of_new_parameters(), **self.overrides}
            self.store, self.inputs = store, [store.inputs(ds, overrides) for ds in job.inputs]
            return ReplayTask(
                flow,
                store,
                metadata,
                environment,
                internals.logger,
                logger,
                monitor,
                self._unbounded_context(),
                inputs=self.inputs,
            )

    def _metadata(self) -> type[Any]:
        run = self.job.run
        provider = self.runs.provider
        return null_metadata(provider, str(Path(run.store).parent) if provider.TYPE == "local" else provider.INFO)

    def _unbounded_context(self) -> str | None:
        """Say what Metaflow's launcher calls the task in an unbounded foreach: its control task, or another."""
        if not self.job.unbounded:
            return None
        node = self.job.node
        if node is not None:
            node_environment(len(node.tasks), node.index, node.tasks[0])
        return "ubf_control" if node is not None and node.index == 0 else "ubf_task"

    def _configs(self) -> dict[str, Any]:
        """Give each Config of the flow the value that the recorded run had."""
        return set_configs(self.loaded.cls, configs(self.loaded.cls, self.job, self.given))

    def _defaults_of_new_parameters(self) -> dict[str, tuple[str, dict[str, Any]]]:
        missing = new_parameters(self.loaded.cls, self.job, self.overrides)
        return {name: self.blobs.put(name, default(parameter)) for name, parameter in missing.items()}

    def _initialise(
        self, flow: Any, environment: Any, store: Any, metadata: Any, deco_options: Mapping[str, Any]
    ) -> None:
        """Do what metaflow.cli.start does between loading a flow and running one of its steps."""
        cls, graph, echo = flow.__class__, flow._graph, internals.echo_dev_null
        internals.system_context._update(
            phase=internals.ExecutionPhase.TASK,
            flow=flow,
            graph=graph,
            environment=environment,
            flow_datastore=store,
            metadata=metadata,
            logger=internals.logger,
        )
        state = internals.FlowStateItems
        flow_decorators = cls._flow_state[state.FLOW_DECORATORS]
        for name in LEFT_OUT & set(flow_decorators):
            del flow_decorators[name]
        decorators = internals.decorators
        decorators._init_flow_decorators(
            flow, graph, environment, store, metadata, internals.logger, echo, deco_options, False, False
        )
        internals.current._set_env(flow=flow, is_running=False)
        values = {
            name: value if is_plain or value is None else internals.ConfigValue(value)
            for name, (value, is_plain) in cls._flow_state[state.CONFIGS].items()
        }
        internals.parameters.set_parameter_context(flow.name, echo, store, values)
        _leave_out(cls)
        with _idle_where_left_out():
            decorators._init_step_decorators(flow, graph, environment, store, internals.logger, False, False)
        _leave_out(cls)  # those that a mutator has added
        for decorator in getattr(flow, self.job.step).decorators:
            if decorator.name == "environment":  # acts in Metaflow's launcher, not in the task
                os.environ.update({key: str(value) for key, value in decorator.attributes["vars"].items()})


def config_values(loaded: LoadedFlow, job: Job, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the Configs of a flow were in the recorded run, or what the user gives, by their names.

    Args:
        loaded: The flow.
        job: The task.
        given: Values by the Configs' names in the class.
    """
    found = {}
    for name, parameter in loaded.cls._get_parameters():
        if parameter.IS_CONFIG_PARAMETER and (name in given or name in job.inputs[0]):
            found[parameter.name] = given[name] if name in given else job.inputs[0][name]
    return found


def new_parameters(cls: type[Any], job: Job, given: Collection[str]) -> dict[str, Any]:
    """Choose the Parameters that the flow has got since it was run, by name.

    Args:
        cls: The flow's class.
        job: The task.
        given: The names of those that the user gives values for.
    """
    known = {*job.inputs[0], *given}
    return {name: parameter for name, parameter in cls._get_parameters() if name not in known}


def constants_of(loaded: LoadedFlow, job: Job, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the overrides that stand in for constants of the flow's class.

    Args:
        loaded: The flow.
        job: The task.
        overrides: Values by name.

    Raises:
        NotFoundError: One of the overrides has nothing to stand in for.
    """
    cls = loaded.cls
    known = {name for ds in job.inputs for name in ds if not name.startswith("_")}
    known |= {name for name, _ in cls._get_parameters()}
    for name in overrides:
        if name not in known and not re.search(rf"\.{re.escape(name)}\b", loaded.text):
            raise NotFoundError(
                f"{job.origin} has no input artifact or parameter {name}.",
                did_you_mean(name, sorted(known), f"inputs of {job.step}"),
            )
    others = (internals.parameters.Parameter, property)
    return {
        name: value
        for name, value in overrides.items()
        if hasattr(cls, name) and not isinstance(getattr(cls, name), others)
    }


def _leave_out(cls: type[Any]) -> None:
    for step in cls._steps:
        step.decorators[:] = [decorator for decorator in step.decorators if decorator.name not in LEFT_OUT]


@contextmanager
def _idle_where_left_out() -> Iterator[None]:
    """Let the decorators that are left out not look whether this process is a place for them."""
    kinds = [kind for kind in internals.STEP_DECORATORS if kind.name in LEFT_OUT]
    before = [(kind, vars(kind).get("step_init")) for kind in kinds]
    for kind in kinds:
        kind.step_init = lambda *_args, **_kwargs: None
    try:
        yield
    finally:
        for kind, step_init in before:
            if step_init is None:
                del kind.step_init
            else:
                kind.step_init = step_init


def configs(cls: type[Any], job: Job, given: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Give a flow's Configs, each with the value that the recorded run had, or that the user gives.

    Args:
        cls: The flow's class.
        job: The task.
        given: Values by the Configs' names in the class.
    """
    before = job.inputs[0]
    for name, parameter in cls._get_parameters():
        if parameter.IS_CONFIG_PARAMETER:
            recorded = before[name] if name in before else default(parameter)
            yield parameter, given.get(name, recorded)


def attached(job: Job, present: Collection[str]) -> Iterator[Any]:
    """Make the decorators that `run --with` attached: the recorded graph says so, the flow file does not.

    Args:
        job: The task.
        present: The names of those that its step has, or is not to have.
    """
    info = plain(job.inputs[0], "_graph_info") or {}
    known = {decorator.name: decorator for decorator in internals.STEP_DECORATORS}
    for recorded in info.get("steps", {}).get(job.step, {}).get("decorators", ()):
        name = recorded["name"]
        by_the_file = recorded["statically_defined"] or recorded.get("inserted_by") or name in present
        if not by_the_file and name in known:
            yield known[name](attributes=dict(recorded["attributes"]))


def retries(decorators: list[Any]) -> int:
    """Give how often the user's code would be retried, as the scheduler computes it (metaflow.runtime.Task)."""
    counts = [decorator.step_task_retry_count()[0] for decorator in decorators]
    return max([count for count in counts if count is not None], default=0)
