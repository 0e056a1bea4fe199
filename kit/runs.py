"""Recorded runs: from a pathspec to the run, step and task it means. The one door to Metaflow's records.

Reads through Metaflow's metadata providers and datastores, and unpickles nothing of the user's: what Metaflow itself
pickled (the graph, foreach stacks) is read by an unpickler that knows plain values alone.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kit import internals
from kit.errors import ArtifactError, NotFoundError, did_you_mean
from kit.model import ArtifactInfo, Pathspec, RunInfo, Status, StepInfo, TaskInfo
from kit.project import Project

__all__ = ["Runs", "Store", "plain"]

PARAMETERS_STEP = "_parameters"  # the task, before start, in which Metaflow records Parameters and constants
FALSE_SHAS = frozenset(hashlib.sha1(pickle.dumps(False, protocol)).hexdigest() for protocol in range(6))  # noqa: S324
TRUE_SHAS = frozenset(hashlib.sha1(pickle.dumps(True, protocol)).hexdigest() for protocol in range(6))  # noqa: S324


@dataclass(frozen=True)
class Store:
    """A datastore with its metadata.

    Args:
        kind: Metaflow's name of the datastore, such as "local" or "s3".
        root: Its root: a folder or a URL.
    """

    kind: str
    root: str


class Runs:
    """The recorded runs of a project, in every datastore that it may have written to.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    # ------------------------------------------------------------------ where

    @property
    def stores(self) -> tuple[Store, ...]:
        """The datastores, the one that new runs go to first."""
        config = internals.config
        if config.DEFAULT_DATASTORE == "local" and config.DEFAULT_METADATA == "local":
            return tuple(Store("local", str(path)) for path in self.project.stores())
        storage = next(impl for impl in internals.DATASTORES if impl.TYPE == config.DEFAULT_DATASTORE)
        root = storage.get_datastore_root_from_config(lambda *_, **__: None, create_on_absent=False)
        return (Store(config.DEFAULT_DATASTORE, str(root)),)

    @contextmanager
    def reading(self, store: Store) -> Iterator[Any]:
        """Point Metaflow's metadata provider at a store, and back; gives the provider."""
        provider = next(p for p in internals.METADATA_PROVIDERS if p.TYPE == internals.config.DEFAULT_METADATA)
        storage = internals.LocalStorage
        before = storage.datastore_root
        if store.kind == "local":
            storage.datastore_root = store.root
        try:
            yield provider
        finally:
            storage.datastore_root = before

    def datastore(self, flow: str, store: Store | str) -> Any:
        """Open the datastore of a flow.

        Args:
            flow: The name of the flow.
            store: The store, or the root of one.

        Returns:
            Metaflow's FlowDataStore.
        """
        if isinstance(store, str):
            store = next((s for s in self.stores if s.root == store), Store("local", store))
        storage = next(impl for impl in internals.DATASTORES if store.kind == impl.TYPE)
        return internals.FlowDataStore(flow, None, storage_impl=storage, ds_root=store.root)

    # ------------------------------------------------------------------ list

    def flows(self) -> tuple[str, ...]:
        """Name the flows that have been run, sorted."""
        found: set[str] = set()
        for store in self.stores:
            with self.reading(store) as provider:
                found |= {flow["flow_id"] for flow in provider.get_object("root", "flow", {}, None) or ()}
        return tuple(sorted(found))

    def runs(self, flow: str, namespace: str | None = None, limit: int | None = None) -> tuple[RunInfo, ...]:
        """List the runs of a flow, newest first.

        Args:
            flow: The name of the flow.
            namespace: Only runs of this namespace; None for all of them.
            limit: At most so many.
        """
        return tuple(self._run_info(flow, run, store) for run, store in self._rows(flow, namespace)[:limit])

    def ids(self, flow: str) -> list[str]:
        """List the ids of a flow's runs, newest first, without looking into them."""
        return [_run_id(run) for run, _ in self._rows(flow, None)]

    def _rows(self, flow: str, namespace: str | None) -> list[tuple[dict[str, Any], Store]]:
        found = []
        for store in self.stores:
            with self.reading(store) as provider:
                for run in provider.get_object("flow", "run", {}, None, flow) or ():
                    tags = {*run.get("tags", ()), *run.get("system_tags", ())}
                    if namespace is None or namespace in tags:
                        found.append((run, store))
        return sorted(found, key=lambda row: float(row[0]["ts_epoch"]), reverse=True)

    def run(self, flow: str, run_id: str) -> RunInfo:
        """Find one run of a flow, whoever started it.

        Raises:
            NotFoundError: There is no such run.
        """
        for store in self.stores:
            with self.reading(store) as provider:
                run = provider.get_object("run", "self", {}, None, flow, run_id)
            if run:
                return self._run_info(flow, run, store)
        known = self.ids(flow)
        if known:
            raise NotFoundError(f"{flow} has no run {run_id}.", did_you_mean(run_id, known, f"runs of {flow}"))
        raise self._never_run(flow)

    def latest(self, flow: str, successful: bool = False) -> tuple[RunInfo, str]:
        """Find the latest run of a flow: of the user's namespace, or where that has none, of any.

        Args:
            flow: The name of the flow.
            successful: Whether to pass over runs that did not succeed.

        Returns:
            The run, and a sentence that says so where it is of another namespace ("" where not).

        Raises:
            NotFoundError: There is none.
        """
        namespace = current_namespace()
        rows, note = self._rows(flow, namespace), ""
        if not rows and namespace is not None:
            rows, note = self._rows(flow, None), f"{namespace} has no runs of {flow}: this is the latest of all users."
        for row, store in rows:
            run = self._run_info(flow, row, store)
            if not successful or run.status == "succeeded":
                return run, note
        if rows:
            raise NotFoundError(
                f"None of the {len(rows)} runs of {flow} has succeeded.",
                f"See what failed with %mf_artifacts {flow}/{_run_id(rows[0][0])}.",
            )
        raise self._never_run(flow)

    def _never_run(self, flow: str) -> NotFoundError:
        source = self.project.scan().flows
        file = source[flow].file if flow in source else f"{flow}.py"
        looked = ", ".join(store.root for store in self.stores)
        return NotFoundError(
            f"{flow} has not been run: there are no runs of it in {looked}.",
            f"Run it: python {self.project.relative(file)} run",
        )

    # ------------------------------------------------------------------ look into a run

    def tasks(self, run: RunInfo, step: str | None = None, task: str | None = None) -> tuple[TaskInfo, ...]:
        """List tasks of a run, ordered by step, foreach index and id, with their artifacts.

        Args:
            run: The run.
            step: Only this step; all but Metaflow's own by default.
            task: Only this task of the step; the others are not read.
        """
        stores = self._task_stores(run, step, task)
        tasks = [task_info(run.flow, ds) for ds in stores if ds.step_name != PARAMETERS_STEP]
        return tuple(sorted(tasks, key=lambda task: (task.pathspec.step or "", task.index, _order(task.pathspec))))

    def graph(self, run: RunInfo) -> dict[str, tuple[str, ...]]:
        """Read the graph that a run had: each step's next steps, from start on; empty where it was not recorded."""
        for ds in self._task_stores(run, PARAMETERS_STEP):
            steps: dict[str, Any] = (plain(ds, "_graph_info") or {}).get("steps", {})
            return _from_start({name: tuple(step["next"]) for name, step in steps.items()})
        return {}

    def steps(self, run: RunInfo, step: str | None = None) -> tuple[StepInfo, ...]:
        """List the steps of a run in the graph's order, those that have not started too; or one step alone."""
        by_step: dict[str, list[TaskInfo]] = {}
        for task in self.tasks(run, step):
            by_step.setdefault(task.pathspec.step or "", []).append(task)
        names = [*self.graph(run), *by_step] if step is None else [step]
        return tuple(_step_info(name, tuple(by_step.get(name, ()))) for name in dict.fromkeys(names))

    def load(self, pathspec: Pathspec, names: Sequence[str], store: str) -> dict[str, Any]:
        """Unpickle artifacts of one task. The caller puts the project's modules in reach.

        Args:
            pathspec: The address of the task.
            names: The artifacts' names.
            store: The datastore's root.

        Raises:
            ArtifactError: The datastore does not give one of them.
        """
        ds = self.task_store(pathspec, store)
        try:
            return dict(ds.load_artifacts(names))
        except (internals.DataException, OSError) as error:
            raise ArtifactError(
                f"{pathspec} has an artifact that cannot be read ({', '.join(names)}): {error}",
                "Its data is missing or damaged in the datastore; run the step again.",
            ) from error

    def task_store(self, pathspec: Pathspec, store: str) -> Any:
        """Open the datastore of one task at its last attempt (Metaflow's TaskDataStore)."""
        return self.datastore(pathspec.flow, store).get_task_datastore(
            pathspec.run, pathspec.step, pathspec.task, allow_not_done=True
        )

    def metadata(self, pathspec: Pathspec, store: str) -> dict[str, str]:
        """Read the metadata that Metaflow recorded for a task: the latest value of each field."""
        with self.reading(Store("local", store) if Path(store).is_absolute() else self.stores[0]) as provider:
            rows = provider.get_object("task", "metadata", {}, None, *str(pathspec).split("/")) or ()
        return {row["field_name"]: row["value"] for row in sorted(rows, key=lambda row: row["ts_epoch"])}

    def _task_stores(self, run: RunInfo, step: str | None = None, task: str | None = None) -> list[Any]:
        datastore = self.datastore(run.flow, run.store)
        if task is not None:
            return list(datastore.get_task_datastores(pathspecs=[f"{run.id}/{step}/{task}"], allow_not_done=True))
        return list(datastore.get_task_datastores(run.id, steps=[step] if step else None, allow_not_done=True))

    def _run_info(self, flow: str, run: dict[str, Any], store: Store) -> RunInfo:
        run_id, created = _run_id(run), run["ts_epoch"] / 1000
        datastore = self.datastore(flow, store)
        stores = list(datastore.get_task_datastores(run_id, steps=["end"], allow_not_done=True))
        status: Status = "succeeded"
        if not any(_status(ds) == "succeeded" for ds in stores):
            everything = datastore.get_task_datastores(run_id, allow_not_done=True)
            status = "failed" if any(_status(ds) == "failed" for ds in everything) else "running"
        ended = [_ended(ds, store) for ds in stores] if status == "succeeded" else []
        return RunInfo(
            flow=flow,
            id=run_id,
            status=status,
            created=datetime.fromtimestamp(created),
            user=run.get("user_name") or "",
            tags=tuple(sorted(run.get("tags", ()))),
            seconds=max(ended) - created if any(ended) else None,
            store=store.root,
        )


def task_info(flow: str, ds: Any) -> TaskInfo:
    """Describe a task by what its datastore's metadata says.

    Args:
        flow: The name of the flow.
        ds: Metaflow's TaskDataStore of the task.
    """
    frames = plain(ds, "_foreach_stack") or ()
    metadata = ds.ds_metadata
    infos, objects = metadata["info"], metadata["objects"]
    return TaskInfo(
        pathspec=Pathspec(flow, ds.run_id, ds.step_name, ds.task_id),
        status=_status(ds),
        attempt=ds.attempt or 0,
        index=tuple(frame.index if frame.index is not None else -1 for frame in frames),
        values=tuple(frame.value for frame in frames),
        artifacts=tuple(
            ArtifactInfo(ds.step_name, ds.task_id, name, _type_name(info), info.get("size", 0), objects[name])
            for name, info in sorted(infos.items())
            if not name.startswith("_") and name in objects
        ),
    )


def current_namespace() -> str | None:
    """Give the namespace that Metaflow's client uses: the user's own, or what `metaflow.namespace` set."""
    namespace = internals.client_core.current_namespace
    found: str | None = internals.resolve_identity() if namespace is False else namespace
    return found


class _PlainUnpickler(pickle.Unpickler):
    """Reads plain values and Metaflow's own frames, and refuses every other class."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("__main__", "ForeachFrame"), ("metaflow.tuple_util", "ForeachFrame")}:
            return internals.ForeachFrame
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")


def plain(ds: Any, name: str) -> Any:
    """Read an artifact that Metaflow itself wrote, without running any code that its pickle may hold.

    Args:
        ds: Metaflow's TaskDataStore.
        name: The artifact's name, such as "_foreach_stack".

    Returns:
        The value; None where it is absent or not plain data.
    """
    sha = ds.ds_metadata["objects"].get(name)
    if sha is None:
        return None
    try:
        ((_, blob),) = ds.parent_datastore.load_data([sha])
        return _PlainUnpickler(io.BytesIO(blob)).load()
    except (pickle.UnpicklingError, OSError, EOFError, internals.DataException):
        return None


def _run_id(run: dict[str, Any]) -> str:
    return str(run.get("run_id") or run["run_number"])


def _status(ds: Any) -> Status:
    sha = ds.ds_metadata["objects"].get("_task_ok")
    if sha in TRUE_SHAS:
        return "succeeded"
    return "failed" if sha in FALSE_SHAS else "running"


def _step_info(name: str, tasks: tuple[TaskInfo, ...]) -> StepInfo:
    statuses = {task.status for task in tasks}
    status: Status = "pending"
    for candidate in ("failed", "running", "succeeded"):
        if candidate in statuses:
            status = candidate
            break
    return StepInfo(name, status, tasks)


def _ended(ds: Any, store: Store) -> float:
    """Give the time at which a task was marked done, in seconds since the epoch; 0 where that is not known."""
    if store.kind != "local":
        return 0.0
    done = Path(store.root, ds.parent_datastore.flow_name, ds.run_id, ds.step_name, ds.task_id)
    try:
        return os.stat(done / f"{ds.attempt}.{internals.TaskDataStore.METADATA_DONE_SUFFIX}").st_mtime
    except OSError:
        return 0.0


def _type_name(info: dict[str, Any]) -> str:
    """Turn "<class 'numpy.ndarray'>" into "numpy.ndarray"."""
    text = str(info.get("type", "object"))
    return text[len("<class '") : -len("'>")] if text.startswith("<class '") else text


def _order(pathspec: Pathspec) -> tuple[int, str]:
    task = pathspec.task or ""
    return (int(task), "") if task.isdigit() else (1 << 62, task)


def _from_start(graph: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Order a graph's steps so that each comes after those that lead to it."""
    ordered: dict[str, tuple[str, ...]] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        for target in reversed(graph.get(name, ())):
            if target not in ordered and target not in path:
                visit(target, (*path, name))
        ordered[name] = graph.get(name, ())

    targets = {target for name, nexts in graph.items() for target in nexts if target != name}
    for name in [name for name in graph if name not in targets]:
        visit(name, ())
    return {name: ordered[name] for name in reversed(ordered)}
