"""The tasks of a run, read in bulk through Metaflow's storage: two files a task, and nothing of the user's unpickled.

Metaflow's own `get_task_datastores` asks for 18 files a task (6 attempts, 3 files each) and keeps what it has read.
Here a task costs two requests, its list of artifacts is condensed at once, and S3 is asked for many at a time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kit import internals
from kit.blobs import fetch, pickles
from kit.model import ArtifactInfo, Pathspec, Status, TaskInfo
from kit.records import plain_value, status_by, type_name

__all__ = [
    "PARAMETERS_STEP",
    "life",
    "noted_end",
    "own_artifact",
    "read_tasks",
    "status_of_run",
    "steps_of",
    "task_data",
    "task_ids",
]

PARAMETERS_STEP = "_parameters"  # the task, before start, in which Metaflow records Parameters and constants
TASKS_AT_ONCE = 500  # so that what was read of a wide foreach is condensed before more is read
HEARTBEAT = 60  # seconds; the metadata service is told every ten that a run is alive
ABSENT: dict[str, Any] = {}


def steps_of(storage: Any, flow: str, run: str, provider: Any = None) -> list[str]:
    """Name the steps of a run that have begun, Metaflow's own among them.

    Args:
        storage: Metaflow's DataStoreStorage.
        flow: The name of the flow.
        run: The run's id.
        provider: The metadata provider, where it lists what there is faster than the storage does.
    """
    if provider is not None:
        found = provider.get_object("run", "step", {}, None, flow, run) or ()
        return [str(step["step_name"]) for step in found]
    entries = storage.list_content([storage.path_join(flow, run)])
    names = (entry.path.rstrip("/").rpartition("/")[2] for entry in entries if not entry.is_file)
    return [name for name in names if name != "_meta"]


def read_tasks(
    storage: Any, flow: str, run: str, steps: Iterable[str], task: str | None = None, provider: Any = None
) -> Iterator[TaskInfo]:
    """Read the tasks of some steps, each at its last attempt, in no certain order.

    A task whose list of artifacts is damaged is one without artifacts that still runs, as far as anyone can tell.

    Args:
        storage: Metaflow's DataStoreStorage.
        flow: The name of the flow.
        run: The run's id.
        steps: The names of the steps.
        task: Only this task.
        provider: The metadata provider, where it lists what there is faster than the storage does.
    """
    tasks = _task_folders(storage, flow, run, list(steps), task, provider)
    for start in range(0, len(tasks), TASKS_AT_ONCE):
        yield from _described(storage, flow, _attempts(storage, tasks[start : start + TASKS_AT_ONCE]))


@dataclass(frozen=True)
class TaskData:
    """What the datastore lists of a task's last attempt.

    Args:
        step: The name of the step.
        task: The task's id.
        attempt: The number of the attempt, from 0 on.
        data: Its artifacts as Metaflow lists them: "objects" (addresses by name), and "info" about each.
    """

    step: str
    task: str
    attempt: int
    data: dict[str, Any]


def task_data(
    storage: Any, flow: str, run: str, steps: Iterable[str], task: str | None = None, provider: Any = None
) -> Iterator[TaskData]:
    """Read the lists of artifacts of some steps' tasks, each at its last attempt, in no certain order.

    Args:
        storage: Metaflow's DataStoreStorage.
        flow: The name of the flow.
        run: The run's id.
        steps: The names of the steps.
        task: Only this task.
        provider: The metadata provider, where it lists what there is faster than the storage does.
    """
    for folder, (attempt, data) in _attempts(storage, _task_folders(storage, flow, run, steps, task, provider)).items():
        step, name = folder.split("/")[-2:]
        yield TaskData(sys.intern(step), name, attempt, {"objects": _addresses(data), "info": _infos(data)})


def task_ids(storage: Any, flow: str, run: str, steps: Iterable[str], provider: Any = None) -> list[str]:
    """List the ids of the tasks of some steps; arguments as of `task_data`."""
    return [folder.rpartition("/")[2] for folder in _task_folders(storage, flow, run, steps, None, provider)]


def _task_folders(
    storage: Any, flow: str, run: str, steps: Iterable[str], task: str | None = None, provider: Any = None
) -> list[str]:
    if task is not None:
        return [storage.path_join(flow, run, step, task) for step in steps]
    if provider is None:
        entries = storage.list_content([storage.path_join(flow, run, step) for step in steps])
        paths = (entry.path.rstrip("/") for entry in entries if not entry.is_file)
        return [path for path in paths if path.rpartition("/")[2] != "_meta"]
    found = ((step, provider.get_object("step", "task", {}, None, flow, run, step) or ()) for step in steps)
    return [storage.path_join(flow, run, step, str(_id(each))) for step, tasks in found for each in tasks]


def _id(task: Mapping[str, Any]) -> object:
    return task.get("task_name") or task["task_id"]


def own_artifact(
    storage: Any, flow: str, run: str, step: str, name: str, task: str | None = None, provider: Any = None
) -> Any:
    """Read an artifact that Metaflow itself wrote in a task of a step; None where it is absent or not plain data.

    Args:
        storage: Metaflow's DataStoreStorage.
        flow: The name of the flow.
        run: The run's id.
        step: The name of the step.
        name: The artifact's name, such as "_graph_info".
        task: Which task; the first that is found by default.
        provider: The metadata provider, where it lists what there is faster than the storage does.
    """
    folders = _task_folders(storage, flow, run, [step], task, provider)
    for _, data in _attempts(storage, folders[:1]).values():
        for _, content in pickles(storage, flow, filter(None, [_addresses(data).get(name)])):
            return plain_value(content)
    return None


def _attempts(storage: Any, tasks: Sequence[str]) -> dict[str, tuple[int, dict[str, Any]]]:
    """Find the last attempt of each task, and its list of artifacts."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    pending = list(tasks)
    for attempt in range(internals.config.MAX_ATTEMPTS):
        data, later = f"{attempt}.data.json", f"{attempt + 1}.attempt.json"
        wanted = [storage.path_join(path, name) for path in pending for name in (data, later)]
        again, without = [], set(pending)
        for path, content in fetch(storage, wanted):
            if content is None:
                continue
            folder, _, name = path.rpartition("/")
            if name == later:
                again.append(folder)
            else:
                without.discard(folder)
                found[folder] = (attempt, _read_json(content))
        for folder in without:
            found.pop(folder, None)
        begun = [storage.path_join(path, f"{attempt}.attempt.json") for path in sorted(without)]
        for path, content in fetch(storage, begun):
            if content is not None:
                found[path.rpartition("/")[0]] = (attempt, ABSENT)
        pending = again
        if not pending:
            break
    return found


def _read_json(content: bytes) -> dict[str, Any]:
    try:
        read = json.loads(content)
    except ValueError:  # half written, or damaged
        return ABSENT
    return read if isinstance(read, dict) else ABSENT


def _frames(stack: Any) -> list[Any]:
    """Give the foreachs around a task; none where the record is damaged."""
    whole = isinstance(stack, list) and all(isinstance(frame, internals.ForeachFrame) for frame in stack)
    return stack if whole else []


def _described(storage: Any, flow: str, attempts: dict[str, tuple[int, dict[str, Any]]]) -> Iterator[TaskInfo]:
    stacks = {folder: _addresses(data).get("_foreach_stack") for folder, (_, data) in attempts.items()}
    values: dict[str, Any] = {}
    for sha, content in pickles(storage, flow, (sha for sha in stacks.values() if sha)):
        values[sha] = plain_value(content)
    statuses = {folder: status_by(_addresses(data).get("_task_ok")) for folder, (_, data) in attempts.items()}
    silent = {folder: attempts[folder][0] for folder, status in statuses.items() if status == "running"}
    for folder, noted in noted_end(storage, silent).items():
        if noted.get("success") is False and not noted.get("killed"):  # else it was well, until another one failed
            statuses[folder] = "failed"
    for folder, (attempt, data) in attempts.items():
        _, run, step, task = folder.split("/")[-4:]
        frames = _frames(values.get(stacks[folder] or ""))
        yield TaskInfo(
            pathspec=Pathspec(flow, run, sys.intern(step), task),
            status=statuses[folder],
            attempt=attempt,
            index=tuple(frame.index if frame.index is not None else -1 for frame in frames),
            values=tuple(frame.value for frame in frames),
            artifacts=tuple(_artifacts(sys.intern(step), task, data)),
            variables=tuple(str(frame.var) for frame in frames),
            ended=_ended(storage, folder, attempt) if data else None,
        )


def noted_end(storage: Any, attempts: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Read what Metaflow's scheduler noted of the ends of tasks' processes: "return_code", "killed", "success".

    Args:
        storage: Metaflow's DataStoreStorage.
        attempts: The tasks' folders in the datastore, and which attempt of each.
    """
    paths = {storage.path_join(folder, f"{attempt}.runtime"): folder for folder, attempt in attempts.items()}
    return {paths[path]: _read_json(content) for path, content in fetch(storage, list(paths)) if content is not None}


def _addresses(data: dict[str, Any]) -> dict[str, str]:
    objects = data.get("objects")
    return objects if isinstance(objects, dict) else {}


def _infos(data: dict[str, Any]) -> dict[str, Any]:
    infos = data.get("info")
    return infos if isinstance(infos, dict) else {}


def _artifacts(step: str, task: str, data: dict[str, Any]) -> Iterator[ArtifactInfo]:
    infos, objects = _infos(data), _addresses(data)
    for name in sorted(objects):
        if not name.startswith("_"):
            info = infos.get(name, {})
            kind, encoding = sys.intern(type_name(info)), sys.intern(str(info.get("encoding", "gzip+pickle-v2")))
            yield ArtifactInfo(step, task, sys.intern(name), kind, info.get("size", 0), objects[name], encoding)


def _ended(storage: Any, folder: str, attempt: int) -> float | None:
    """Give the time at which an attempt was marked done; other datastores than the local one do not say."""
    if storage.TYPE != "local":
        return None
    try:
        return os.stat(os.path.join(storage.datastore_root, folder, f"{attempt}.DONE.lock")).st_mtime
    except OSError:
        return None


def status_of_run(storage: Any, flow: str, run: str, provider: Any = None) -> tuple[Status, tuple[TaskInfo, ...]]:
    """Say how a run stands, by its last step where that is called "end", else by all of them.

    Returns:
        The status, and the tasks of the last step where it has succeeded.
    """
    ends = tuple(read_tasks(storage, flow, run, ["end"], provider=provider))
    if any(task.status == "succeeded" for task in ends):
        return "succeeded", ends
    steps = steps_of(storage, flow, run, provider)
    last = "end"
    if PARAMETERS_STEP in steps and not ends:  # the last step may have another name
        graph = own_artifact(storage, flow, run, PARAMETERS_STEP, "_graph_info", provider=provider)
        last = str((graph or {}).get("end_step", "end"))
    status: Status = "running"
    ends = ()
    others = [name for name in steps if name != PARAMETERS_STEP]
    for task in read_tasks(storage, flow, run, others, provider=provider):
        if task.status == "failed":
            status = "failed"
        elif task.status == "succeeded" and task.pathspec.step == last:
            ends = (*ends, task)
    return ("succeeded", ends) if ends else (status, ())


def life(storage: Any, flow: str, run: Mapping[str, Any]) -> tuple[float | None, bool | None]:
    """Look for signs of life of a run that has not ended.

    The metadata service keeps a heartbeat. Without it, a run on this machine is alive while one of its tasks' processes
    is, or while it writes.

    Args:
        storage: Metaflow's DataStoreStorage.
        flow: The name of the flow.
        run: The run, as the metadata provider describes it.

    Returns:
        When the last sign was seen, in seconds since the epoch, and whether the run is alive; None for what is unknown.
    """
    beat = run.get("last_heartbeat_ts")
    if beat is not None:
        return float(beat), time.time() - float(beat) < HEARTBEAT
    if storage.TYPE != "local":
        return None, None
    run_id = str(run.get("run_id") or run["run_number"])
    last = _last_write(os.path.join(storage.datastore_root, flow, run_id))
    if last is None or time.time() - last < HEARTBEAT:
        return last, None if last is None else True
    return last, _has_process(run_id)


def _last_write(folder: str) -> float | None:
    """Give the time at which a file was last made in the folders of a run's tasks."""
    times = []
    try:
        with os.scandir(folder) as steps:
            for step in steps:
                times.append(step.stat().st_mtime)
                if step.is_dir() and step.name != "_meta":
                    with os.scandir(step.path) as tasks:
                        times += [task.stat().st_mtime for task in tasks]
    except OSError:  # the run is being written, or cleaned away
        pass
    return max(times, default=None)


def _has_process(run_id: str) -> bool | None:
    """Say whether a process of this machine was started for a task of a run."""
    try:
        import psutil  # type: ignore[import-untyped]  # the IPython kernel brings it
    except ImportError:
        return None
    return any(run_id in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
