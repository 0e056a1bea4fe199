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
from kit.model import Status

__all__ = ["RECENT", "RecentBlobs", "plain", "plain_value", "sha_of", "status_by", "status_of", "type_name"]

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


RECENT = RecentBlobs(64_000_000)  # so that a step that is replayed again and again reads its inputs once


class _PlainUnpickler(pickle.Unpickler):
    """Reads plain values and Metaflow's own frames, and refuses every other class."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "ForeachFrame" and module in ("__main__", "metaflow.tuple_util"):
            return internals.ForeachFrame
        if (module, name) == ("metaflow.flowspec", "ParallelUBF"):
            return internals.ParallelUBF
        if (module, name) == ("metaflow.exception", "MetaflowExceptionWrapper"):
            return internals.MetaflowExceptionWrapper  # its state is text
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
    except (OSError, EOFError, TypeError, internals.DataException):  # of a blob that is missing, Metaflow opens None
        return None
    value = plain_value(blob)
    if len(_plain) >= MAX_PLAIN:
        _plain.clear()
    _plain[sha] = value
    return value


def plain_value(blob: bytes | None) -> Any:
    """Unpickle plain values alone: None for anything that is not, or that is damaged."""
    if blob is None:
        return None
    try:
        return _PlainUnpickler(io.BytesIO(blob)).load()
    except Exception:  # damaged bytes raise nearly anything
        return None


def sha_of(value: Any, encoding: str = "pickle-v4") -> str:
    """Give the address at which Metaflow would keep a plain value: what is equal to it can be found without reading."""
    protocol = int(encoding.rpartition("v")[2] or 4) if encoding[-1:].isdigit() else 4
    return hashlib.sha1(pickle.dumps(value, protocol=protocol)).hexdigest()  # noqa: S324  # Metaflow's addresses


def status_by(task_ok: str | None) -> Status:
    """Say how a task ended, by the address of the artifact in which Metaflow keeps it."""
    if task_ok in TRUE_SHAS:
        return "succeeded"
    return "failed" if task_ok in FALSE_SHAS else "running"


def status_of(ds: Any) -> Status:
    """Say how the task of one of Metaflow's TaskDataStores ended."""
    return status_by(getattr(ds, "_objects", {}).get("_task_ok"))


def type_name(info: dict[str, Any]) -> str:
    """Name an artifact's type, such as "numpy.ndarray", by what the datastore records beside it."""
    text = str(info.get("type", "object"))
    return text[len("<class '") : -len("'>")] if text.startswith("<class '") else text
