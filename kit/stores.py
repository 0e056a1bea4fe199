"""Where runs are: the datastores of a project, and Metaflow's own doors to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kit import internals
from kit.project import Project
from kit.records import RecentBlobs

__all__ = ["Store", "Stores"]

RECENT = RecentBlobs(64_000_000)  # so that a step that is replayed again and again reads its inputs once


@dataclass(frozen=True)
class Store:
    """A datastore with its metadata.

    Args:
        kind: Metaflow's name of the datastore, such as "local" or "s3".
        root: Its root: a folder or a URL.
        records: The folder of the metadata that is kept beside other datastores than a local one; "" for none.
    """

    kind: str
    root: str
    records: str = ""


class Stores:
    """The datastores that the runs of a project may have been written to.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._storages: dict[tuple[str, str], Any] = {}

    @property
    def stores(self) -> tuple[Store, ...]:
        """The datastores, the one that new runs go to first."""
        config = internals.config
        if config.DEFAULT_DATASTORE == "local" and config.DEFAULT_METADATA == "local":
            return tuple(Store("local", str(path)) for path in self.project.stores())
        storage = next(impl for impl in internals.DATASTORES if impl.TYPE == config.DEFAULT_DATASTORE)
        root = storage.get_datastore_root_from_config(lambda *_, **__: None, create_on_absent=False)
        if config.DEFAULT_METADATA != "local":
            return (Store(config.DEFAULT_DATASTORE, str(root)),)
        return tuple(Store(config.DEFAULT_DATASTORE, str(root), str(path)) for path in self.project.stores())

    @contextmanager
    def reading(self, store: Store) -> Iterator[Any]:
        """Point Metaflow's metadata provider at a store, and back; gives the provider."""
        provider = next(p for p in internals.METADATA_PROVIDERS if p.TYPE == internals.config.DEFAULT_METADATA)
        storage = internals.LocalStorage
        before = storage.datastore_root
        if store.records or store.kind == "local":
            storage.datastore_root = store.records or store.root
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
        store = self._store(store)
        storage = next(impl for impl in internals.DATASTORES if store.kind == impl.TYPE)
        opened = internals.FlowDataStore(flow, None, storage_impl=storage, ds_root=store.root)
        opened.ca_store.set_blob_cache(RECENT)
        return opened

    def storage(self, store: Store | str, below: str = "") -> Any:
        """Open the files of a store, or of a folder of it (Metaflow's DataStoreStorage)."""
        store = self._store(store)
        root = "/".join(filter(None, (store.root.rstrip("/"), below)))
        if (store.kind, root) not in self._storages:  # to make a client of S3 takes half a second
            storage = next(impl for impl in internals.DATASTORES if store.kind == impl.TYPE)
            self._storages[store.kind, root] = storage(root)
        return self._storages[store.kind, root]

    @contextmanager
    def opened(self, store: Store | str) -> Iterator[tuple[Any, Any]]:
        """Open the files of a store, and the metadata where that lists runs faster: a folder is listed by itself."""
        store = self._store(store)
        with self.reading(store) as provider:
            yield self.storage(store), None if store.kind == "local" else provider

    def _store(self, store: Store | str) -> Store:
        if isinstance(store, Store):
            return store
        return next((known for known in self.stores if known.root == store), Store("local", store))
