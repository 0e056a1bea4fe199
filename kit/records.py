"""What the datastore says of one task, read without unpickling anything of the user's.

What Metaflow itself pickled (the graph, foreach stacks) is read by an unpickler that knows plain values alone.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections import OrderedDict
from typing import Any

from kit import internals
from kit.model import ArtifactInfo, Pathspec, Status, TaskInfo

__all__ = ["RecentBlobs", "plain", "status_of", "task_info", "type_name"]

FALSE_SHAS = frozenset(hashlib.sha1(pickle.dumps(False, protocol)).hexdigest() for protocol in range(6))  # noqa: S324
TRUE_SHAS = frozenset(hashlib.sha1(pickle.dumps(True, protocol)).hexdigest() for protocol in range(6))  # noqa: S324


MAX_PLAIN = 4096

# Plain values by their addresses; they are read, never changed.
_plain: dict[str, Any] = {}


class RecentBlobs:
    """The pickles that were read last, by their SHA-1, for Metaflow's ContentAddressedStore to ask first.

    What an address holds never changes, so nothing here is ever stale.

    Args:
        limit: How many bytes to keep; of one pickle, at most a quarter of it.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._blobs: OrderedDict[str, bytes] = OrderedDict()

    def load_key(self, key: str) -> bytes | None:
        """Give a pickle, or None where it is not kept."""
        blob = self._blobs.get(key)
        if blob is not None:
            self._blobs.move_to_end(key)
        return blob

    def store_key(self, key: str, blob: bytes) -> None:
        """Keep a pickle, in the place of those that were not read for the longest time."""
        if len(blob) > self._limit // 4 or key in self._blobs:
            return
        self._blobs[key] = blob
        self._size += len(blob)
        while self._size > self._limit:
            self._size -= len(self._blobs.popitem(last=False)[1])


def task_info(flow: str, ds: Any) -> TaskInfo:
    """Describe a task by what its datastore's metadata says.

    Args:
        flow: The name of the flow.
        ds: Metaflow's TaskDataStore of the task.
    """
    frames = plain(ds, "_foreach_stack") or ()
    infos, objects = getattr(ds, "_info", {}), getattr(ds, "_objects", {})  # absent where a task was killed
    return TaskInfo(
        pathspec=Pathspec(flow, ds.run_id, ds.step_name, ds.task_id),
        status=status_of(ds),
        attempt=ds.attempt or 0,
        index=tuple(frame.index if frame.index is not None else -1 for frame in frames),
        values=tuple(frame.value for frame in frames),
        artifacts=tuple(
            ArtifactInfo(ds.step_name, ds.task_id, name, type_name(info), info.get("size", 0), objects[name])
            for name, info in sorted(infos.items())
            if not name.startswith("_") and name in objects
        ),
    )


class _PlainUnpickler(pickle.Unpickler):
    """Reads plain values and Metaflow's own frames, and refuses every other class."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "ForeachFrame" and module in ("__main__", "metaflow.tuple_util"):
            return internals.ForeachFrame
        if (module, name) == ("metaflow.flowspec", "ParallelUBF"):
            return internals.ParallelUBF
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")


def plain(ds: Any, name: str) -> Any:
    """Read an artifact that Metaflow itself wrote, without running any code that its pickle may hold.

    Args:
        ds: Metaflow's TaskDataStore.
        name: The artifact's name, such as "_foreach_stack".

    Returns:
        The value; None where it is absent or not plain data.
    """
    sha = getattr(ds, "_objects", {}).get(name)
    if sha is None:
        return None
    if sha in _plain:
        return _plain[sha]
    try:
        ((_, blob),) = ds.parent_datastore.load_data([sha])
        value = _PlainUnpickler(io.BytesIO(blob)).load()
    except (pickle.UnpicklingError, OSError, EOFError, internals.DataException):
        return None
    if len(_plain) >= MAX_PLAIN:
        _plain.clear()
    _plain[sha] = value
    return value


def status_of(ds: Any) -> Status:
    """Say how a task ended, by the artifact in which Metaflow keeps it."""
    sha = getattr(ds, "_objects", {}).get("_task_ok")
    if sha in TRUE_SHAS:
        return "succeeded"
    return "failed" if sha in FALSE_SHAS else "running"


def type_name(info: dict[str, Any]) -> str:
    """Name an artifact's type, such as "numpy.ndarray", by what the datastore records beside it."""
    text = str(info.get("type", "object"))
    return text[len("<class '") : -len("'>")] if text.startswith("<class '") else text
