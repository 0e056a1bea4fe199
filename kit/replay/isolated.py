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
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kit import envs, internals, stepenvs
from kit.envs import Environment
from kit.errors import ReplayError
from kit.flowfile import LoadedFlow
from kit.records import plain
from kit.replay import isolated_task
from kit.replay.engine import Replay, working_folder
from kit.replay.flow_options import flow_options
from kit.replay.isolated_cards import read_cards
from kit.replay.job import Job
from kit.replay.launch import run_task
from kit.replay.mirror import mirror, override
from kit.replay.outcome import outcome
from kit.replay.parameters import given
from kit.replay.placeholder import Placeholder
from kit.replay.prepare import LEFT_OUT, Settings, attached, configs, retries
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
                yield from super().load_artifacts([name])
            except Exception as error:  # whatever unpickling runs into
                kind = str(self._info.get(name, {}).get("type", ""))
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
    specs, said = stepenvs.wanted(loaded)
    if job.step not in specs:
        raise ReplayError(
            f"{job.step} pins no packages: it has no environment of its own.", "Replay it without --isolated."
        )
    if not Path(job.run.store).is_absolute() or job.node is not None or settings.body is not None:
        raise ReplayError(
            f"{job.origin} cannot be replayed in its environment: kit does so for steps as the flow file has them, "
            "without @parallel, of runs in a local datastore.",
            "Install the pins (%mf_install_deps --flow), or replay it with what is here: --unpinned.",
        )
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
        self.task = (job.run.flow, job.identity.run, job.step, job.identity.task)
        self.runner = SimpleNamespace(flow=loaded.cls(use_cli=False), raised=None)
        self._reader = ReplayFlowStore(job.run.flow, blobs, loaded.module, job.run.store, environment=None)
        self._left: Any = None

    @property
    def output(self) -> Any:
        """What the task left."""
        return self._left

    def replay(self, environment: Environment, notes: list[str]) -> Replay:
        """Run the task, read what it left, and compare it."""
        __tracebackhide__ = True
        mirror(Path(self.job.run.store), self.store, self.task)
        self._override()
        report_file = self.folder / "report.json"
        request = {
            "flow_file": self.loaded.info.file,
            "arguments": self._arguments(),
            "report": str(report_file),
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
            self._raise(report, status, printed.stderr)
        notes.append(f"It ran as a process of its own: Python {report['python']}, environment {environment.key}.")
        self._read_output()
        self.runner.raised = _exception(report)
        cards = read_cards(self.store, self.task, report["cards"])
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

    def _local(self) -> Any:
        return internals.FlowDataStore(
            self.job.run.flow, environment=None, storage_impl=internals.LocalStorage, ds_root=str(self.store)
        )

    def _override(self) -> None:
        """Put the pickles of the overrides into the mirror."""
        parameters = dict(self.loaded.cls._get_parameters())
        made = {
            name: self.blobs.put(name, given(parameters.get(name), value))
            for name, value in self.settings.overrides.items()
        }
        for name, (key, _) in made.items():
            if key in self.blobs.live:
                raise ReplayError(
                    f"{name} cannot be pickled, so it cannot go to another process.", "Give a value that can be."
                )
        if not made:
            return
        keys = [key for key, _ in made.values()]
        self._local().ca_store.save_blobs([blob for _, blob in self.blobs.load_blobs(keys)])
        for store in self.job.inputs:
            task = (self.job.run.flow, store.run_id, store.step_name, store.task_id)
            override(self.store, task, store.attempt, made)

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
        words += ["--max-user-code-retries", str(retries(getattr(self.loaded.cls, job.step).decorators))]
        paths = self.folder / "input-paths"
        paths.write_text(",".join(store.pathspec for store in job.inputs), encoding="utf-8")
        words += ["--input-paths-filename", str(paths), "--namespace", f"user:{identity.user}"]
        words += ["--ubf-context", "ubf_task" if job.unbounded else "none"]
        words += [] if job.split is None else ["--split-index", str(job.split)]
        words += ["--clone-run-id", identity.origin_run] if identity.origin_run else []
        return [*words, *(word for tag in identity.tags for word in ("--tag", tag))]

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
        for decorator in getattr(self.loaded.cls, self.job.step).decorators:
            if decorator.name == "environment":
                variables.update({name: str(value) for name, value in decorator.attributes["vars"].items()})
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
        new = [key for key in dict(left.items()).values() if not self._blob(key).is_symlink()]
        for key, blob in local.ca_store.load_blobs(dict.fromkeys(new)):
            self.blobs.keep(key, blob)
        self._left = self._opened(left)
        self.runner.flow._set_datastore(self.output)
        self.runner.flow._transition = plain(left, "_transition")

    def _blob(self, key: str) -> Path:
        return self.store / self.task[0] / "data" / key[:2] / key

    def _raise(self, report: Mapping[str, Any], status: int, printed: str) -> None:
        """Raise what ended the task."""
        __tracebackhide__ = True
        found = report.get("exception")
        if found is None:
            raise ReplayError(
                f"{self.job.origin} ended with status {status} in its environment.",
                "What it printed follows.",
                details=printed[-10_000:],
            )
        error = _exception(report)
        if error is not None and not isinstance(error, _UnknownError):
            raise error from _ElsewhereError(f"\n{found['traceback'].rstrip()}")
        raise ReplayError(
            f"{self.job.origin} failed in its environment: {found['type']}: {found['message']}",
            "Mend the step; its traceback follows.",
            details=found["traceback"],
        )


class _ElsewhereError(Exception):
    """The traceback of another process, shown above an exception that came from there."""


class _UnknownError(Exception):
    """An exception whose class this process does not have."""


def _exception(report: Mapping[str, Any]) -> BaseException | None:
    """Give the exception that a report describes, or one that stands for it."""
    found = report.get("exception")
    if not found:
        return None
    try:
        error = pickle.loads(base64.b64decode(found["pickle"]))  # noqa: S301  # of the user's own step
    except Exception:  # its class is not here, or does not unpickle
        return _UnknownError(f"{found['type']}: {found['message']}")
    return error if isinstance(error, BaseException) else None
