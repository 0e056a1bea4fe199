"""Metaflow's own task runner, fed from a recorded run and writing nowhere.

Everything here derives from Metaflow's classes, so importing this module imports Metaflow; the engine does so at the
first replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from kit import internals
from kit.flowfile import as_script

__all__ = ["InputStore", "NullStorage", "ReplayTask", "null_metadata"]


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


class InputStore:
    """A recorded task's datastore, some of its artifacts replaced, that can be read at any time.

    Args:
        recorded: Metaflow's TaskDataStore of the recorded task.
        overrides: The values that stand in for recorded ones, by name.
        module: The flow file's module: what is pickled as a class of `__main__` is found in it.
    """

    def __init__(self, recorded: Any, overrides: Mapping[str, Any], module: ModuleType) -> None:
        self._recorded = recorded
        self._overrides = overrides
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorded, name)

    def __getitem__(self, name: str) -> Any:
        if name in self._overrides:
            return self._overrides[name]
        with as_script(self._module):
            return self._recorded[name]

    def __contains__(self, name: str) -> bool:
        return name in self._overrides or name in self._recorded

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._recorded, *self._overrides]))

    def get(self, name: str, default: Any = None) -> Any:
        """Give an artifact, or a default where it is absent."""
        return self[name] if name in self else default  # noqa: SIM401  # this is the `get`

    def is_none(self, name: str) -> bool:
        """Whether an artifact is absent or None."""
        if name in self._overrides:
            return self._overrides[name] is None
        return bool(self._recorded.is_none(name))


class ReplayTask(internals.MetaflowTask):  # type: ignore[misc]
    """Metaflow's task runner on given inputs, instead of those that it would look up by their paths.

    Args:
        inputs: The datastores of the parent tasks, in order.
        args: What MetaflowTask takes.
        kwargs: What MetaflowTask takes.
    """

    def __init__(self, *args: Any, inputs: list[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inputs = inputs

    def _init_data(self, run_id: str, join_type: str | None, input_paths: list[str]) -> list[Any]:
        return self._inputs


class _Silent:
    """What a metadata provider does when it registers something: here, nothing."""

    def _nothing(self, *args: Any, **kwargs: Any) -> bool:
        return False

    _new_run = _new_task = register_run_id = register_task_id = _nothing
    register_metadata = register_data_artifacts = start_task_heartbeat = stop_heartbeat = _nothing


def null_metadata(provider: type[Any], info: str) -> type[Any]:
    """Derive a metadata provider that answers as another does and registers nothing.

    Args:
        provider: The class of the provider that the recorded run used.
        info: Where it keeps its records: what follows the @ in `metadata("local@...")`.
    """
    derived = type("ReplayMetadata", (_Silent, provider), {"TYPE": provider.TYPE})
    derived._INFO = info  # type: ignore[attr-defined]
    return derived
