"""Recorded runs: from a pathspec to the run, step and task it means. The one door to Metaflow's records.

Reads through Metaflow's metadata providers and datastores, and unpickles nothing of the user's: what Metaflow itself
pickled (the graph, foreach stacks) is read by an unpickler that knows plain values alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import islice
from os.path import getmtime
from pathlib import Path
from typing import Any

from kit.blobs import pickles
from kit.drafts import is_of_draft
from kit.errors import NotFoundError, did_you_mean
from kit.listing import PARAMETERS_STEP, life, own_artifact, read_tasks, status_of_run, steps_of
from kit.metadata import run_record, run_records
from kit.model import (
    OWN_ARTIFACTS,
    ArtifactInfo,
    FlowInfo,
    Graph,
    GraphNode,
    RunInfo,
    Status,
    StepInfo,
    TaskInfo,
    step_type,
)
from kit.project import Project
from kit.records import plain_value
from kit.scope import MINE, Scope, current_namespace
from kit.stores import Store
from kit.taskstores import MAX_KEPT_STEPS, TaskStores
from kit.views.graph import ordered

__all__ = ["MINE", "PARAMETERS_STEP", "Runs", "Scope", "Store", "current_namespace"]


class Runs(TaskStores):
    """The recorded runs of a project, in every datastore that it may have written to.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.join_orders: dict[str, tuple[str, ...]] = {}  # of joins of branches, found out by replaying them
        self._ended: dict[tuple[str, str, str], RunInfo] = {}  # runs that have succeeded: only their tags may change
        self._listed: dict[tuple[str, str, str, str | None], tuple[TaskInfo, ...]] = {}

    # ------------------------------------------------------------------ list

    def flows(self) -> tuple[str, ...]:
        """Name the flows that have been run, sorted."""
        found: set[str] = set()
        for source in self.sources:
            found |= {flow["flow_id"] for flow in source.records.get_object("root", "flow", {}, None) or ()}
        return tuple(sorted(found))

    def runs(
        self, flow: str, scope: Scope = MINE, limit: int | None = None, successful: bool = False
    ) -> tuple[tuple[RunInfo, ...], str]:
        """List the runs of a flow, newest first.

        Args:
            flow: The name of the flow.
            scope: Which of them.
            limit: At most so many.
            successful: Whether to pass over runs that did not succeed.

        Returns:
            The runs, and a sentence that says what is not among them ("" for nothing).
        """
        rows, note = self._scoped(flow, scope)
        infos = (self._run_info(flow, run, store) for run, store in rows)
        shown = tuple(islice((run for run in infos if not successful or run.status == "succeeded"), limit))
        older = len(rows) - len(shown)
        more = f"{older:,} more: --limit N." if older and not successful else ""
        return shown, " ".join(filter(None, (note, more)))

    def ids(self, flow: str) -> list[str]:
        """List the ids of a flow's runs, newest first, without looking into them."""
        return [_run_id(run) for run, _ in self._rows(flow)]

    def begun(self, flow: str) -> list[RunInfo]:
        """List the runs of a flow, newest first, without looking into them: none is known to have ended."""
        return [
            RunInfo(flow, _run_id(row), "running", _began(row), row.get("user_name") or "", (), None, store.root)
            for row, store in self._rows(flow)
        ]

    def _scoped(self, flow: str, scope: Scope) -> tuple[list[tuple[dict[str, Any], Store]], str]:
        """Give a flow's runs of a scope, newest first, and a sentence that says which ones were left out or let in."""
        rows = everything = self._rows(flow)
        if scope.tags:
            rows = [row for row in rows if set(scope.tags) <= _tags(row)]
        if scope.everyone:
            return rows, ""
        namespace = scope.namespace or current_namespace()
        if namespace is None:
            return rows, ""
        own = [row for row in rows if namespace in _tags(row)]
        if own or scope.namespace or scope.tags:
            others = len(rows) - len(own)
            return own, f"{others:,} of other namespaces: --all-namespaces shows them." if others else ""
        return rows, f"{namespace} has no runs of {flow}: these are of all users." if everything else ""

    def _rows(self, flow: str) -> list[tuple[dict[str, Any], Store]]:
        found = []
        for source in self.sources:
            dated = [run for run in run_records(source.records, flow) if "ts_epoch" in run]
            found += [(run, self.home(source, flow, _run_id(run))) for run in dated]
        return sorted(found, key=lambda row: float(row[0]["ts_epoch"]), reverse=True)

    def run(self, flow: str, run_id: str) -> RunInfo:
        """Find one run of a flow, whoever started it.

        Raises:
            NotFoundError: There is no such run.
        """
        for source in self.sources:
            run = run_record(source.records, flow, run_id)
            if run:
                return self._run_info(flow, run, self.home(source, flow, run_id))
        known = self.ids(flow)
        if known:
            raise NotFoundError(f"{flow} has no run {run_id}.", did_you_mean(run_id, known, f"runs of {flow}"))
        raise self._never_run(flow)

    def latest(self, flow: str, successful: bool = False, scope: Scope = MINE) -> tuple[RunInfo, str]:
        """Find the latest run of a flow: of the user's namespace, or where that has none, of any.

        Args:
            flow: The name of the flow.
            successful: Whether to pass over runs that did not succeed.
            scope: Among which runs.

        Returns:
            The run, and a sentence that says so where it is of another namespace ("" where not).

        Raises:
            NotFoundError: There is none.
        """
        rows, _ = self._scoped(flow, scope)
        namespace = current_namespace()
        for row, store in rows:
            run = self._run_info(flow, row, store)
            if not successful or run.status == "succeeded":
                strange = scope == MINE and namespace is not None and namespace not in _tags((row, store))
                return run, (f"{namespace} has no runs of {flow}: this is the latest of all users." if strange else "")
        if rows:
            raise NotFoundError(
                f"None of the {len(rows)} runs of {flow} has succeeded.",
                f"See what failed with %mf_artifacts {flow}/{_run_id(rows[0][0])}.",
            )
        if everything := self._rows(flow):
            tags = sorted(set().union(*map(_tags, everything)))
            raise NotFoundError(
                f"{flow} has no run of {scope}.",
                did_you_mean(scope.tags[0] if scope.tags else scope.namespace, tags, "tags"),
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

    def flow_file(self, run: RunInfo) -> FlowInfo:
        """Find the flow that a replay of a run takes: as it is today.

        A run of a notebook's cells is replayed with these, unless the project's own file of the flow is newer.

        Raises:
            FlowFileError, NotFoundError: As `Project.flow`.
        """
        info, draft = self.project.flow(run.flow), self.project.draft(run.flow)
        if draft is None or draft.file == info.file or getmtime(draft.file) <= getmtime(info.file):
            return info
        first = next(iter(self.tasks(run)), None)
        script = self.metadata(first.pathspec, run.store).get("script-name", "") if first else ""
        return draft if is_of_draft(script, Path(draft.file)) else info

    def tasks(self, run: RunInfo, step: str | None = None, task: str | None = None) -> tuple[TaskInfo, ...]:
        """List tasks of a run, ordered by step, foreach index and id, with their artifacts.

        Args:
            run: The run.
            step: Only this step; all but Metaflow's own by default.
            task: Only this task of the step; the others are not read.
        """
        key = (run.store, run.flow, run.id, step)
        if key in self._listed and task is None:
            return self._listed[key]
        storage, records = self.opened(run.store)
        steps = [step] if step else steps_of(storage, run.flow, run.id, records)
        steps = [name for name in steps if name != PARAMETERS_STEP]
        found = tuple(read_tasks(storage, run.flow, run.id, steps, task, records))
        tasks = tuple(sorted((self._placed(run, info) for info in found), key=_order))
        if run.status == "succeeded" and step is not None and task is None:
            while len(self._listed) >= MAX_KEPT_STEPS:
                del self._listed[next(iter(self._listed))]
            self._listed[key] = tasks
        return tasks

    def graph(self, run: RunInfo) -> Graph:
        """Read the graph that a run had, its steps from start on; without any where it was not recorded."""
        steps: dict[str, Any] = (self.parameters(run)[0] or {}).get("steps", {})
        nodes = (GraphNode(name, tuple(step["next"]), step_type(step["type"])) for name, step in steps.items())
        return Graph(ordered(Graph(tuple(nodes))))

    def parameters(self, run: RunInfo) -> tuple[Any, tuple[ArtifactInfo, ...]]:
        """Give what Metaflow recorded before the first step: the graph, and Parameters and constants."""
        storage, records = self.opened(run.store)
        graph = own_artifact(storage, run.flow, run.id, PARAMETERS_STEP, "_graph_info", provider=records)
        tasks = tuple(read_tasks(storage, run.flow, run.id, [PARAMETERS_STEP], provider=records))
        return graph, tuple(info for task in tasks for info in task.artifacts if info.name not in OWN_ARTIFACTS)

    def step_names(self, run: RunInfo) -> list[str]:
        """Name the steps of a run's graph, from start on."""
        return [node.name for node in self.graph(run).nodes]

    def steps(self, run: RunInfo, step: str | None = None) -> tuple[StepInfo, ...]:
        """List the steps of a run in the graph's order, those that have not started too; or one step alone."""
        by_step: dict[str, list[TaskInfo]] = {}
        for task in self.tasks(run, step):
            by_step.setdefault(task.pathspec.step or "", []).append(task)
        names = [*self.step_names(run), *by_step] if step is None else [step]
        return tuple(_step_info(name, tuple(by_step.get(name, ()))) for name in dict.fromkeys(names))

    def plain(self, run: RunInfo, info: ArtifactInfo) -> Any:
        """Read an artifact of plain data without running any code that its pickle may hold; None for any other."""
        ((_, content),) = pickles(self.storage(run.store), run.flow, [info.sha])
        return plain_value(content)

    def _placed(self, run: RunInfo, info: TaskInfo) -> TaskInfo:
        """Find the place of a task in its foreachs; of one that was killed, without artifacts, its metadata tells."""
        if info.artifacts or info.index or info.status == "succeeded":
            return info
        path = self.metadata(info.pathspec, run.store).get("foreach-execution-path", "")
        return replace(info, index=tuple(int(frame.rpartition(":")[2]) for frame in path.split(",") if frame))

    def _run_info(self, flow: str, run: dict[str, Any], store: Store) -> RunInfo:
        run_id, created = _run_id(run), _began(run)
        known = self._ended.get((store.root, flow, run_id))
        if known is not None:
            return replace(known, tags=tuple(sorted(run.get("tags") or ())))
        storage, records = self.opened(store)
        status, last = status_of_run(storage, flow, run_id, records)
        if status == "running" and not steps_of(storage, flow, run_id):
            other = self.strange(store, flow, run_id)
            if other is not None:
                return self._run_info(flow, run, other)
        ended = max((task.ended or self.done_at(task.pathspec, store) for task in last), default=0.0)
        beat, alive = life(storage, flow, run) if status != "succeeded" else (None, None)
        info = RunInfo(
            flow=flow,
            id=run_id,
            status=status,
            created=created,
            user=run.get("user_name") or "",
            tags=tuple(sorted(run.get("tags") or ())),
            seconds=ended - created.timestamp() if ended else None,
            store=store.root,
            system_tags=tuple(sorted(run.get("system_tags") or ())),
            beat=datetime.fromtimestamp(beat) if beat else None,
            alive=alive,
        )
        if status == "succeeded":
            self._ended[store.root, flow, run_id] = info
        return info


def _tags(row: tuple[dict[str, Any], Store]) -> set[str]:
    return {*(row[0].get("tags") or ()), *(row[0].get("system_tags") or ())}


def _began(run: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(run["ts_epoch"] / 1000)


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


def _order(task: TaskInfo) -> tuple[str, tuple[int, ...], int, str]:
    name = task.pathspec.task or ""
    number = int(name) if name.isdigit() else 1 << 62
    return task.pathspec.step or "", task.index, number, name
