"""Datastores of a replay: they read the recorded run, keep in memory what the replay makes, and write nothing.

Everything here derives from Metaflow's classes, so importing this module imports Metaflow; the engine does so at the
first replay.
"""

from __future__ import annotations

import hashlib
import sys
from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from types import ModuleType
from typing import Any

from kit import internals
from kit.comparison.equality import serialized
from kit.errors import ArtifactError
from kit.flowfile import as_script

__all__ = ["Blobs", "NullStorage", "ReplayFlowStore", "ReplayStore"]

SavedBlob = namedtuple("SavedBlob", "uri key")  # what Metaflow's ContentAddressedStore gives for each blob


class NullStorage(internals.DataStoreStorage):  # type: ignore[misc]
    """A storage that takes everything and keeps nothing.

    Args:
        root: The root of the recorded run's datastore, which the step may ask for.
    """

    TYPE = "local"

    def is_file(self, paths: list[str]) -> list[bool]:
        """Say that no file is there."""
        return [False for _ in paths]

    def info_file(self, path: str) -> tuple[bool, None]:
        """Say that the file is not there."""
        return False, None

    def size_file(self, path: str) -> None:
        """Give no size."""

    def list_content(self, paths: list[str]) -> list[Any]:
        """List nothing."""
        return []

    def save_bytes(self, path_and_bytes_iter: Iterator[Any], overwrite: bool = False, len_hint: int = 0) -> None:
        """Let the bytes be made, so that what cannot be serialized fails as it would, and drop them."""
        for _ in path_and_bytes_iter:
            pass

    def load_bytes(self, keys: list[str]) -> Any:
        """Find nothing."""
        return internals.CloseAfterUse(iter((key, None, None) for key in keys))


class Blobs:
    """Pickles by their SHA-1: those of the recorded run, and those that a replay makes, in memory.

    Stands where Metaflow has its ContentAddressedStore.

    Args:
        recorded: The ContentAddressedStore of the recorded run.
        keep: Whether to keep what a step makes, for the steps after it to read.
    """

    TYPE = "local"

    def __init__(self, recorded: Any, keep: bool) -> None:
        self._recorded = recorded
        self._keep = keep
        self._made: dict[str, bytes] = {}
        self.live: dict[str, Any] = {}  # what the user put in and no pickle holds, by a made-up key

    def save_blobs(
        self, blob_iter: Iterable[bytes], raw: bool = False, len_hint: int = 0, is_transfer: bool = False
    ) -> list[SavedBlob]:
        """Hash each blob, and keep it if a later step may read it."""
        saved = []
        for blob in blob_iter:
            key = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
            if self._keep:
                self._made[key] = blob
            saved.append(SavedBlob(f"memory:{key}" if raw else None, key))
        return saved

    def load_blobs(self, keys: Iterable[str], force_raw: bool = False, is_transfer: bool = False) -> Iterator[Any]:
        """Give blobs by their keys, the replay's own first."""
        wanted = list(keys)
        for key in wanted:
            if key in self._made:
                yield key, self._made[key]
        rest = [key for key in wanted if key not in self._made]
        if rest:
            yield from self._recorded.load_blobs(rest, force_raw=force_raw)

    def keep(self, key: str, blob: bytes) -> None:
        """Take a pickle that another process has made."""
        self._made[key] = blob

    def forget_but(self, keys: Iterable[str]) -> None:
        """Forget the pickles that were made here and are not needed any more."""
        needed = set(keys)
        self._made = {key: blob for key, blob in self._made.items() if key in needed}

    def put(self, name: str, value: Any) -> tuple[str, dict[str, Any]]:
        """Take a value as an artifact; gives its key and what Metaflow records about it.

        What cannot be pickled is taken as it is: a stand-in for a model or a connection need not be picklable.
        """
        try:
            blob, info = serialized(value)
        except Exception:  # whatever the value's own code raises
            key = f"live:{name}:{id(value)}"
            self.live[key] = value
            return key, {"type": str(type(value))}
        key = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
        self._made[key] = blob
        return key, info


class ReplayFlowStore(internals.FlowDataStore):  # type: ignore[misc]
    """Metaflow's FlowDataStore whose tasks are read from a recorded run and from memory.

    Args:
        flow_name: The name of the flow.
        blobs: Where pickles are.
        module: The flow file's module.
        root: The root of the recorded run's datastore.
        parts: What FlowDataStore takes besides: the environment, the logger, the monitor.
    """

    def __init__(self, flow_name: str, blobs: Blobs, module: ModuleType, root: str, **parts: Any) -> None:
        super().__init__(flow_name, storage_impl=NullStorage, ds_root=root, **parts)
        self.ca_store = blobs
        self.module = module
        self.output: Any = None  # the datastore of the task that is replayed, once it has begun

    def get_task_datastore(self, run_id: str, step_name: str, task_id: str, **options: Any) -> Any:
        """Open the datastore of a task, as Metaflow's own does."""
        known = ("attempt", "data_metadata", "mode", "allow_not_done", "persist")
        wanted = {name: options[name] for name in known if name in options}
        opened = ReplayStore(self, run_id, step_name, task_id, **wanted)
        if wanted.get("mode") == "w" and self.output is None:
            self.output = opened
        return opened

    def inputs(self, recorded: Any, overrides: Mapping[str, tuple[str, dict[str, Any]]]) -> Any:
        """Open another task's artifacts as the input of a replayed one.

        Args:
            recorded: Metaflow's TaskDataStore of the task before.
            overrides: What stands in for its artifacts, by name, as `Blobs.put` gives it.
        """
        objects, infos = dict(recorded._objects), dict(recorded._info)
        for name, (key, info) in overrides.items():
            objects[name], infos[name] = key, info
        return ReplayStore(
            self,
            recorded.run_id,
            recorded.step_name,
            recorded.task_id,
            attempt=recorded.attempt,
            data_metadata={"objects": objects, "info": infos},
        )


class ReplayStore(internals.TaskDataStore):  # type: ignore[misc]
    """Metaflow's TaskDataStore of one task of a replay."""

    def load_artifacts(self, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Give artifacts by name; what was pickled as a class of `__main__` is found in the flow file's module."""
        live = {name: self._ca_store.live[key] for name in names if (key := self._objects.get(name)) in self._live}
        in_place = sys.modules["__main__"] is self._parent.module  # while the step runs
        with nullcontext() if in_place else as_script(self._parent.module):
            return iter([*live.items(), *super().load_artifacts([name for name in names if name not in live])])

    @property
    def _live(self) -> dict[str, Any]:
        live: dict[str, Any] = self._ca_store.live
        return live

    def persist(self, flow: Any) -> None:
        """Take what the step left, as Metaflow does, and leave it on the flow object for the user to look at.

        Raises:
            ArtifactError: An artifact cannot be pickled.
        """
        if not flow._task_ok:
            return  # the step failed, or was not run: there is nothing to keep
        left = vars(flow)
        kept = dict(left)
        keys = {id(value): key for key, value in self._live.items()}
        unpicklable = {name: keys[id(value)] for name, value in kept.items() if id(value) in keys}
        for name in unpicklable:
            del left[name]
        try:
            super().persist(flow)
        except (internals.UnpicklableArtifactException, internals.DataException) as error:
            raise ArtifactError(
                f"{self.step_name} left an artifact that cannot be stored: {error}",
                "Metaflow pickles what is assigned to self: keep it in a local variable instead.",
            ) from error.__cause__
        finally:
            left.update(kept)
        for name, key in unpicklable.items():
            self._objects[name], self._info[name] = key, {"type": str(type(kept[name]))}
