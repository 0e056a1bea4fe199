"""The replay of one task in its step's own pinned environment: as another process, on the recorded inputs.

The kernel cannot have the step's packages, and the step's Python may be one that kit does not know. So Metaflow's own
`step` command runs there, in a mirror of the recorded datastore, and what it leaves is read back and compared here.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kit import envs, internals, stepenvs
from kit.configured import attributes_of, configured
from kit.envs import Environment
from kit.errors import ReplayError
from kit.flowfile import LoadedFlow
from kit.records import plain, type_name
from kit.replay import cell_code, isolated_task
from kit.replay.body import put
from kit.replay.cards import ReplayedCards
from kit.replay.engine import Replay, working_folder
from kit.replay.flow_options import flow_options
from kit.replay.isolated_cards import read_cards
from kit.replay.isolated_failure import handled, raise_failure
from kit.replay.job import Job
from kit.replay.launch import run_task
from kit.replay.mirror import give, mirror
from kit.replay.mirror import given as given_keys
from kit.replay.outcome import outcome
from kit.replay.parameters import Included, default, given
from kit.replay.placeholder import Placeholder
from kit.replay.prepare import (
    LEFT_OUT,
    Settings,
    attached,
    config_values,
    configs,
    constants_of,
    new_parameters,
    retries,
)
from kit.replay.stores import Blobs, ReplayFlowStore, ReplayStore
from kit.replay.streams import teed
from kit.runs import Runs

__all__ = ["replay_isolated"]


class IsolatedStore(ReplayStore):
    """What a task left, where this process may lack the classes: a placeholder stands for what does not load."""

    def load_artifacts(self, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Give artifacts by name."""
        for name in names:
            try:
                for key, value in super().load_artifacts([name]):
                    yield key, value.decode(name) if isinstance(value, internals.IncludedFile) else value
            except Exception as error:  # whatever unpickling runs into
                kind = type_name(self._info.get(name, {}))
                yield name, Placeholder(name, kind, self._objects[name], f"{type(error).__name__}: {error}")


def replay_isolated(
    runs: Runs, job: Job, loaded: LoadedFlow, settings: Settings, blobs: Blobs, notes: Sequence[str]
) -> Replay:
    """Replay one task in the environment that its step pins, building it where it is not there.

    Args:
        runs: The project's runs.
        job: The task.
        loaded: The flow, loaded afresh.
        settings: What is not as it was recorded.
        blobs: Where pickles are read and kept.
        notes: What there is to say about the replay.

    Returns:
        The result, and a flow object that has the artifacts; nothing of the step itself ran in this process.

    Raises:
        ReplayError: The step pins nothing, or cannot be replayed in this way.
        RequirementError: Its environment cannot be built.
        Exception: What the step raised, where this process knows its class.
    """
    __tracebackhide__ = True
    known = config_values(loaded, job, settings.overrides)
    specs, said = stepenvs.wanted(loaded, known)
    if job.step not in specs:
        raise ReplayError(
            f"{job.step} pins no packages: it has no environment of its own.", "Replay it without --isolated."
        )
    if job.node is not None or (job.unbounded and job.split in (None, -1)):
        raise ReplayError(
            f"{job.origin} is one of the nodes of a @parallel step: kit starts no such nodes in their environment.",
            "Replay it with what is here: --unpinned. Or run the flow with --environment=pypi-uv.",
        )
    if settings.body is not None:
        put(loaded, job.step, settings.body)  # what is wrong with it is told before anything is built
    environment = envs.build(specs[job.step], job.step)
    with tempfile.TemporaryDirectory(prefix="kit-isolated-") as folder:
        return _Isolated(runs, job, loaded, settings, blobs, Path(folder)).replay(environment, [*notes, *said])


class _Isolated:
    """A replay in a temporary folder; for `outcome`, what Prepared is for a replay in this process."""

    def __init__(
        self, runs: Runs, job: Job, loaded: LoadedFlow, settings: Settings, blobs: Blobs, folder: Path
    ) -> None:
        self.runs, self.job, self.loaded, self.settings, self.blobs = runs, job, loaded, settings, blobs
        self.folder, self.store = folder, folder / str(internals.LocalStorage.DATASTORE_DIR)
        self.attempt = job.identity.attempt if settings.attempt is None else settings.attempt
        self.mutated = configured(loaded, config_values(loaded, job, settings.overrides))
        self.task = (job.run.flow, job.identity.run, job.step, job.identity.task)
        self.runner = SimpleNamespace(flow=loaded.cls(use_cli=False), raised=None)
        self._reader = ReplayFlowStore(job.run.flow, blobs, loaded.module, job.run.store, environment=None)
        self._left: Any = None
        self._taken: set[str] = set()  # the keys of what it takes in
        self._included: dict[str, str | bytes | None] = {}  # content that stands in for files

    @property
    def output(self) -> Any:
        """What the task left."""
        return self._left

    def replay(self, environment: Environment, notes: list[str]) -> Replay:
        """Run the task, read what it left, and compare it."""
        __tracebackhide__ = True
        mirror(self._records(), self.store, self.task)
        self._give_inputs()
        report_file = self.folder / "report.json"
        body = self.settings.body
        constants = constants_of(self.loaded, self.job, self.settings.overrides)
        request = {
            "flow_file": self.loaded.info.file,
            "arguments": self._arguments(),
            "report": str(report_file),
            "step": self.job.step,
            "body": None if body is None else asdict(body),
            "cell_code": cell_code.__file__,
            "constants": {name: base64.b64encode(pickle.dumps(value)).decode() for name, value in constants.items()},
            "runner": internals.NAMES["MetaflowTask"],
            "current": internals.NAMES["current"],
        }
        request_file = self.folder / "request.json"
        request_file.write_text(json.dumps(request), encoding="utf-8")
        command = [environment.interpreter, isolated_task.__file__, str(request_file)]
        with teed() as printed:
            status = run_task(command, working_folder(self.runs, self.job.run.store), self._environ(environment))
        report = json.loads(report_file.read_text(encoding="utf-8")) if report_file.exists() else {}
        if status != 0:
            raise_failure(str(self.job.origin), report, status, printed.stderr)
        notes.append(f"It ran as a process of its own: Python {report['python']}, environment {environment.key}.")
        self._read_output()
        self.runner.raised = handled(report)
        cards = ReplayedCards(read_cards(self.store, self.task, report["cards"]))
        result = outcome(self, report.get("seconds", 0.0), printed, cards, notes)
        before = {} if len(self.job.inputs) > 1 else dict(self.job.inputs[0].items())
        assigned = [name for name, key in self.output.items() if name[0] != "_" and before.get(name) != key]
        return Replay(result, self.runner.flow, tuple(sorted(assigned)), self.output)

    def recorded_artifact(self, name: str) -> Any:
        """Load what the recorded task left under a name, or give a placeholder."""
        return self._opened(self.runs.task_store(self.job.origin, self.job.run.store))[name]

    def _opened(self, store: Any) -> Any:
        content = {"objects": dict(store._objects), "info": dict(store._info)}
        return IsolatedStore(
            self._reader, store.run_id, store.step_name, store.task_id, attempt=store.attempt, data_metadata=content
        )

    def _records(self) -> Path:
        """Give the local folder that has the run's metadata; one that is not there where a service has it."""
        return Path(self.runs.folder_of(self.job.run) or os.devnull)

    def _give_inputs(self) -> None:
        """Put what the task takes in into the mirror, where that is not what a local run has recorded."""
        made = self._made()
        flow, local = self.job.run.flow, self._local()
        for store in self.job.inputs:
            objects, info = dict(store._objects), dict(store._info)
            for name, (key, about) in made.items():
                objects[name], info[name] = key, about
            live = [name for name, key in objects.items() if key in self.blobs.live]
            if live:
                raise ReplayError(
                    f"{live[0]} cannot be pickled, so it cannot go to another process.", "Give a value that can be."
                )
            task, attempt = (flow, store.run_id, store.step_name, store.task_id), store.attempt or 0
            if given_keys(self.store, task, attempt) != objects:
                give(self.store, task, attempt, objects, info)
            absent = [key for key in dict.fromkeys(objects.values()) if not self._blob(key).exists()]
            local.ca_store.save_blobs(blob for _, blob in self.blobs.load_blobs(absent))
            self._taken |= set(objects.values())

    def _made(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Pickle what stands in for the inputs: what the user gives, and defaults of Parameters that are new."""
        cls, overrides = self.loaded.cls, self.settings.overrides
        parameters = dict(cls._get_parameters())
        values = {name: given(parameters.get(name), value) for name, value in overrides.items()}
        missing = new_parameters(cls, self.job, overrides)
        if missing:
            internals.parameters.set_parameter_context(cls.__name__, internals.echo_dev_null, self._reader, {})
            with internals.parameters.flow_context(cls):
                for parameter in missing.values():
                    parameter.init(False)
                values |= {name: default(parameter) for name, parameter in missing.items()}
        for name, value in values.items():
            if isinstance(value, Included):
                self._included[name], values[name] = value.content, self._file(name, value.content)
        return {name: self.blobs.put(name, value) for name, value in values.items()}

    def _file(self, name: str, content: str | bytes | None) -> Any:
        """Write a file's content where the other process finds it, as Metaflow's IncludedFile."""
        if content is None:
            return None
        path = self.folder / f"included-{name}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        address = {"type": "external", "url": f"local://{path}", "is_text": isinstance(content, str)}
        return internals.IncludedFile({**address, "encoding": "utf-8"})

    def _local(self) -> Any:
        return internals.FlowDataStore(
            self.job.run.flow, environment=None, storage_impl=internals.LocalStorage, ds_root=str(self.store)
        )

    def _arguments(self) -> list[str]:
        """Write Metaflow's command line for one task, as its scheduler does (metaflow.runtime.CLIArgs)."""
        job, identity = self.job, self.job.identity
        options = flow_options(self.runner.flow, identity, self.settings.flow_options)
        words = ["--quiet", "--no-pylint", "--metadata", "local", "--datastore", "local", "--environment", "pypi-uv"]
        words += ["--datastore-root", str(self.store)]
        words += ["--event-logger", "nullSidecarLogger", "--monitor", "nullSidecarMonitor"]
        for name, value in options.items():
            flag = name.replace("_", "-")
            words += [f"--{flag}"] if value is True else [] if value in (None, False) else [f"--{flag}", str(value)]
        words += self._configs()
        words += [word for one in attached(job, LEFT_OUT) for word in ("--with", one.make_decorator_spec())]
        words += ["step", job.step]
        words += ["--run-id", identity.run, "--task-id", identity.task, "--retry-count", str(self.attempt)]
        words += ["--max-user-code-retries", str(retries(getattr(self.mutated, job.step).decorators))]
        paths = self.folder / "input-paths"
        paths.write_text(",".join(store.pathspec for store in job.inputs), encoding="utf-8")
        words += ["--input-paths-filename", str(paths), "--namespace", f"user:{identity.user}"]
        words += ["--ubf-context", "ubf_task" if job.unbounded else "none"]
        words += [] if job.split is None else ["--split-index", str(job.split)]
        words += ["--clone-run-id", identity.origin_run] if identity.origin_run else []
        return [*words, *(word for tag in identity.tags for word in ("--tag", tag))]

    def _decorators(self, name: str) -> Iterator[Any]:
        step = getattr(self.mutated, self.job.step)
        return (decorator for decorator in step.decorators if decorator.name == name)

    def _configs(self) -> list[str]:
        """Hand the flow's Configs over as the recorded run had them."""
        values, words = {}, []
        for parameter, recorded in configs(self.loaded.cls, self.job, self.settings.overrides):
            is_dict = isinstance(recorded, Mapping)
            values[parameter.name] = (dict(recorded) if is_dict else recorded, not is_dict)
            words += ["--config-value", parameter.name, f"kv.{parameter.name}"]
        if not values:
            return []
        file = self.folder / "configs.json"
        file.write_text(json.dumps({"user_configs": values}), encoding="utf-8")
        return ["--local-config-file", str(file), *words]

    def _environ(self, environment: Environment) -> dict[str, str]:
        """Give the process its variables: as Metaflow's launcher would, and Metaflow itself from where it is here."""
        identity, variables = self.job.identity, dict(os.environ)
        code = envs.linked_packages(environment, ("metaflow", "metaflow_extensions", "kit"))
        for decorator in self._decorators("environment"):
            wanted = attributes_of(self.mutated, decorator)["vars"]
            variables.update({name: str(value) for name, value in wanted.items()})
        token = identity.system_tag("production")
        return variables | {
            **({"METAFLOW_PRODUCTION_TOKEN": token} if token else {}),
            **({"METAFLOW_USER": identity.user} if identity.user else {}),
            "METAFLOW_RUN_ID": identity.run,
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(self.folder),
            "METAFLOW_CARD_LOCALROOT": str(self.store),
            "PATH": os.pathsep.join([str(Path(environment.interpreter).parent), os.environ.get("PATH", "")]),
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": str(code),
            # Byte code of this environment's files for another Python: kept, but not among them.
            "PYTHONPYCACHEPREFIX": str(environment.folder / "byte-code"),
            "PYTHONUNBUFFERED": "1",
        }

    def _read_output(self) -> None:
        """Take what the task left out of the mirror, before that is removed."""
        _, run, step, task = self.task
        local = self._local()
        left = local.get_task_datastore(run, step, task, attempt=self.attempt)
        new = dict.fromkeys(key for _, key in left.items() if key not in self._taken)
        for key, blob in local.ca_store.load_blobs(new):
            self.blobs.keep(key, blob)
        for name, content in self._included.items():
            left._objects[name], left._info[name] = self.blobs.put(name, content)
        self._left = self._opened(left)
        cls, overrides = type(self.runner.flow), self.settings.overrides
        for name, _ in list(cls._get_parameters()):  # on the class, which is this replay's own, they hide the values
            setattr(cls, name, _read_from(self.output, name))
        for name, value in constants_of(self.loaded, self.job, overrides).items():
            setattr(cls, name, value)
        self.runner.flow._set_datastore(self.output)
        self.runner.flow._transition = plain(left, "_transition")

    def _blob(self, key: str) -> Path:
        return self.store / self.task[0] / "data" / key[:2] / key


def _read_from(store: Any, name: str) -> property:
    return property(lambda _flow: store[name])
