"""Recorded runs: from a pathspec to the run, step and task it means. The one door to Metaflow's records.

Reads through Metaflow's metadata providers and datastores, and unpickles nothing of the user's: what Metaflow itself
pickled (the graph, foreach stacks) is read by an unpickler that knows plain values alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kit import internals
from kit.errors import ArtifactError, NotFoundError, did_you_mean
from kit.model import Pathspec, RunInfo, Status, StepInfo, TaskInfo
from kit.project import Project
from kit.records import RecentBlobs, plain, status_of, task_info

__all__ = ["PARAMETERS_STEP", "Runs", "Store", "current_namespace"]

RECENT = RecentBlobs(64_000_000)  # so that a step that is replayed again and again reads its inputs once
MAX_KEPT_STEPS = 32  # of runs that have succeeded
PARAMETERS_STEP = "_parameters"  # the task, before start, in which Metaflow records Parameters and constants


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
        self.join_orders: dict[str, tuple[str, ...]] = {}  # of joins of branches, found out by replaying them
        self._ended: dict[tuple[str, str, str], RunInfo] = {}  # runs that have succeeded: only their tags may change
        self._complete: dict[tuple[str, str, str, str | None], list[Any]] = {}

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
        opened = internals.FlowDataStore(flow, None, storage_impl=storage, ds_root=store.root)
        opened.ca_store.set_blob_cache(RECENT)
        return opened

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
        stores = self.task_stores(run, step, task)
        tasks = [self._task_info(run, ds) for ds in stores if ds.step_name != PARAMETERS_STEP]
        return tuple(sorted(tasks, key=lambda task: (task.pathspec.step or "", task.index, _order(task.pathspec))))

    def graph(self, run: RunInfo) -> dict[str, tuple[str, ...]]:
        """Read the graph that a run had: each step's next steps, from start on; empty where it was not recorded."""
        for ds in self.task_stores(run, PARAMETERS_STEP):
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

    def task_stores(self, run: RunInfo, step: str | None = None, task: str | None = None) -> list[Any]:
        """Open the datastores of a run's tasks, each at its last attempt (Metaflow's TaskDataStore).

        Args:
            run: The run.
            step: Only this step; all by default.
            task: Only this task of the step; the others are not read.
        """
        key = (run.store, run.flow, run.id, step)
        if key in self._complete and task is None:
            return self._complete[key]
        datastore = self.datastore(run.flow, run.store)
        if task is not None:
            return list(datastore.get_task_datastores(pathspecs=[f"{run.id}/{step}/{task}"], allow_not_done=True))
        found = list(datastore.get_task_datastores(run.id, steps=[step] if step else None, allow_not_done=True))
        if run.status == "succeeded" and step is not None:  # its records do not change any more
            while len(self._complete) >= MAX_KEPT_STEPS:
                del self._complete[next(iter(self._complete))]
            self._complete[key] = found
        return found

    def _task_info(self, run: RunInfo, ds: Any) -> TaskInfo:
        info = task_info(run.flow, ds)
        if info.status != "running":
            return info
        # A task that was killed has left no artifacts; its place in the foreachs is in its metadata.
        path = self.metadata(info.pathspec, run.store).get("foreach-execution-path", "")
        return replace(info, index=tuple(int(frame.rpartition(":")[2]) for frame in path.split(",") if frame))

    def _run_info(self, flow: str, run: dict[str, Any], store: Store) -> RunInfo:
        run_id, created = _run_id(run), run["ts_epoch"] / 1000
        known = self._ended.get((store.root, flow, run_id))
        if known is not None:
            return replace(known, tags=tuple(sorted(run.get("tags", ()))))
        datastore = self.datastore(flow, store)
        stores = list(datastore.get_task_datastores(run_id, steps=["end"], allow_not_done=True))
        everything = stores or list(datastore.get_task_datastores(run_id, allow_not_done=True))
        if not stores:  # it may have another name, or not have begun
            graph = next((plain(ds, "_graph_info") for ds in everything if ds.step_name == PARAMETERS_STEP), None) or {}
            stores = [ds for ds in everything if ds.step_name == graph.get("end_step", "end")]
        status: Status = "succeeded"
        if not any(status_of(ds) == "succeeded" for ds in stores):
            status = "failed" if any(status_of(ds) == "failed" for ds in everything) else "running"
        ended = [_ended(ds, store) for ds in stores] if status == "succeeded" else []
        info = RunInfo(
            flow=flow,
            id=run_id,
            status=status,
            created=datetime.fromtimestamp(created),
            user=run.get("user_name") or "",
            tags=tuple(sorted(run.get("tags", ()))),
            seconds=max(ended) - created if any(ended) else None,
            store=store.root,
            system_tags=tuple(sorted(run.get("system_tags", ()))),
        )
        if status == "succeeded":
            self._ended[store.root, flow, run_id] = info
        return info


def current_namespace() -> str | None:
    """Give the namespace that Metaflow's client uses: the user's own, or what `metaflow.namespace` set."""
    namespace = internals.client_core.current_namespace
    found: str | None = internals.resolve_identity() if namespace is False else namespace
    return found


def _run_id(run: dict[str, Any]) -> str:
    return str(run.get("run_id") or run["run_number"])


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
