"""The datastores of recorded tasks, as Metaflow's own task runner takes them: opened in bulk, by two files a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kit import internals
from kit.errors import ArtifactError
from kit.listing import steps_of, task_data, task_ids
from kit.model import Pathspec, RunInfo
from kit.project import Project
from kit.stores import Store, Stores

__all__ = ["MAX_KEPT_STEPS", "TaskStores", "missing"]

MAX_KEPT_STEPS = 32  # of runs that have succeeded


class TaskStores(Stores):
    """Opens the datastores of recorded tasks.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._complete: dict[tuple[str, str, str, str | None], list[Any]] = {}

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
        found = self._opened(run.flow, run.id, run.store, step, task)
        if run.status == "succeeded" and step is not None and task is None:  # its records do not change any more
            while len(self._complete) >= MAX_KEPT_STEPS:
                del self._complete[next(iter(self._complete))]
            self._complete[key] = found
        return found

    def task_store(self, pathspec: Pathspec, store: str) -> Any:
        """Open the datastore of one task at its last attempt (Metaflow's TaskDataStore).

        Raises:
            ArtifactError: There is nothing of it.
        """
        flow, run, step, task = str(pathspec).split("/")
        for opened in self._opened(flow, run, store, step, task):
            return opened
        raise ArtifactError(f"{pathspec} has left nothing in {store}.", "It never began, or was cleaned away since.")

    def task_ids(self, run: RunInfo) -> list[str]:
        """List the ids of all tasks of a run; none of them is looked into."""
        storage, records = self.opened(run.store)
        return task_ids(storage, run.flow, run.id, steps_of(storage, run.flow, run.id, records), records)

    def load(self, pathspec: Pathspec, names: Sequence[str], store: str) -> dict[str, Any]:
        """Load artifacts of one task as Metaflow does. The caller puts the project's modules in reach.

        Args:
            pathspec: The address of the task.
            names: The artifacts' names.
            store: The datastore's root.

        Raises:
            ArtifactError: The datastore does not give one of them.
        """
        ds, storage = self.task_store(pathspec, store), self.storage(store)
        for name, sha in zip(names, map(str, ds.keys_for_artifacts(names)), strict=True):
            path = storage.path_join(pathspec.flow, "data", sha[:2], sha)
            if not storage.is_file([path])[0]:  # of a blob that is missing, Metaflow opens None
                raise missing(pathspec, name, storage.full_uri(path))
        try:
            return dict(ds.load_artifacts(names))
        except (internals.DataException, OSError, EOFError) as error:
            unknown = "deserializer" in str(error)
            raise ArtifactError(
                f"{pathspec} has an artifact that cannot be read ({', '.join(names)}): {error}",
                "Install the Metaflow extension whose serializer wrote it."
                if unknown
                else "Its data is missing or damaged in the datastore; run the step again.",
            ) from error

    def metadata(self, pathspec: Pathspec, store: str) -> dict[str, str]:
        """Read the metadata that Metaflow recorded for a task: the latest value of each field."""
        rows = self._metadata_rows(pathspec, store)
        return {row["field_name"]: row["value"] for row in sorted(rows, key=lambda row: row["ts_epoch"])}

    def done_at(self, pathspec: Pathspec, store: Store) -> float:
        """Give the time at which a task was done, in seconds since the epoch; 0 where its metadata says nothing."""
        rows = self._metadata_rows(pathspec, store)
        return max((row["ts_epoch"] / 1000 for row in rows if row["field_name"] == "attempt-done"), default=0.0)

    def _metadata_rows(self, pathspec: Pathspec, store: Store | str) -> Sequence[dict[str, Any]]:
        return self.records(store).get_object("task", "metadata", {}, None, *str(pathspec).split("/")) or ()

    def _opened(self, flow: str, run: str, store: str, step: str | None, task: str | None) -> list[Any]:
        storage, records = self.opened(store)
        steps = [step] if step else steps_of(storage, flow, run, records)
        datastore = self.datastore(flow, store)
        return [
            datastore.get_task_datastore(
                run, found.step, found.task, attempt=found.attempt, data_metadata=found.data, allow_not_done=True
            )
            for found in task_data(storage, flow, run, steps, task, records)
        ]


def missing(pathspec: Pathspec, name: str, where: str) -> ArtifactError:
    """Say that the data of an artifact is gone.

    Args:
        pathspec: The address of its task.
        name: The artifact's name.
        where: Where its data should be: a file or a URL.
    """
    return ArtifactError(
        f"{pathspec}: the data of {name} is missing or damaged in the datastore.",
        f"Run the step again, or bring back {where}.",
    )
