"""Where runs are: the datastores of a project, and Metaflow's own doors to them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from kit import internals
from kit.metadata import Folders, Served
from kit.model import RunInfo
from kit.project import Project
from kit.records import RECENT

__all__ = ["Source", "Store", "Stores"]


@dataclass(frozen=True)
class Store:
    """A datastore.

    Args:
        kind: Metaflow's name of the datastore, such as "local" or "s3".
        root: Its root: a folder or a URL.
    """

    kind: str
    root: str


@dataclass(frozen=True)
class Source:
    """Metadata, and where the artifacts of its runs may be.

    Args:
        records: What answers as Metaflow's metadata provider does.
        stores: The datastores; a run is in one of them.
    """

    records: Any
    stores: tuple[Store, ...]


class Stores:
    """The datastores that the runs of a project may have been written to.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._storages: dict[tuple[str, str], Any] = {}
        self._strange: dict[str, Store] = {}  # where runs of the metadata service are that were written elsewhere

    @property
    def sources(self) -> tuple[Source, ...]:
        """The metadata of the project's runs, with their datastores, those first that new runs go to."""
        config = internals.config
        folders = tuple(str(path) for path in self.project.stores())
        local = config.DEFAULT_METADATA == "local"
        if config.DEFAULT_DATASTORE != "local":
            storage = _storage_class(config.DEFAULT_DATASTORE)
            root = storage.get_datastore_root_from_config(lambda *_, **__: None, create_on_absent=False)
            stores: tuple[Store, ...] = (Store(config.DEFAULT_DATASTORE, str(root)),)
        else:
            stores = tuple(Store("local", folder) for folder in folders)
            if local:
                return tuple(Source(Folders([store.root]), (store,)) for store in stores)
        return (Source(Folders(folders) if local else Served(self.provider), stores),)

    @property
    def stores(self) -> tuple[Store, ...]:
        """The datastores, the one that new runs go to first."""
        return tuple(store for source in self.sources for store in source.stores)

    @property
    def provider(self) -> Any:
        """Metaflow's metadata provider, a class."""
        return _provider(internals.config.DEFAULT_METADATA)

    def folder_of(self, run: RunInfo) -> str | None:
        """Give the folder in which the metadata of a run is; None where the metadata service has it."""
        records = self.records(run.store)
        return records.folder_of(run.flow, run.id) if isinstance(records, Folders) else None

    def records(self, store: Store | str) -> Any:
        """Give the metadata of the runs in a datastore: what answers as Metaflow's metadata provider does."""
        store = self._store(store)
        for source in self.sources:
            if store in source.stores or isinstance(source.records, Served):
                return source.records
        return Folders([store.root])

    def datastore(self, flow: str, store: Store | str) -> Any:
        """Open the datastore of a flow.

        Args:
            flow: The name of the flow.
            store: The store, or the root of one.

        Returns:
            Metaflow's FlowDataStore.
        """
        store = self._store(store)
        opened = internals.FlowDataStore(flow, None, storage_impl=_storage_class(store.kind), ds_root=store.root)
        opened.ca_store.set_blob_cache(RECENT)
        return opened

    def storage(self, store: Store | str, below: str = "") -> Any:
        """Open the files of a store, or of a folder of it (Metaflow's DataStoreStorage)."""
        store = self._store(store)
        root = "/".join(filter(None, (store.root.rstrip("/"), below)))
        if (store.kind, root) not in self._storages:  # to make a client of S3 takes half a second
            self._storages[store.kind, root] = _storage_class(store.kind)(root)
        return self._storages[store.kind, root]

    def opened(self, store: Store | str) -> tuple[Any, Any]:
        """Open the files of a store, and the metadata where that lists runs faster: a folder is listed by itself."""
        store = self._store(store)
        return self.storage(store), None if store.kind == "local" else self.records(store)

    def home(self, source: Source, flow: str, run: str) -> Store:
        """Find the datastore of a source that holds a run; nothing but folders of this machine is looked into."""
        if len(source.stores) == 1:
            return source.stores[0]
        held = Folders([store.root for store in source.stores]).folder_of(flow, run)
        return next(store for store in source.stores if store.root == held)

    def strange(self, store: Store, flow: str, run: str) -> Store | None:
        """Find the datastore of a run that its source's own has nothing of: the metadata service knows where it is."""
        records = self.records(store)
        if not isinstance(records, Served):
            return None
        for step in records.get_object("run", "step", {}, None, flow, run) or ():
            address = flow, run, str(step["step_name"])
            for task in islice(records.get_object("step", "task", {}, None, *address) or (), 1):
                rows = records.get_object("task", "metadata", {}, None, *address, str(task["task_id"])) or ()
                said = {row["field_name"]: row["value"] for row in rows}
                found = Store(said.get("ds-type") or store.kind, said.get("ds-root") or store.root)
                if found != store and any(found.kind == impl.TYPE for impl in internals.DATASTORES):
                    return self._strange.setdefault(found.root, found)
        return None

    def _store(self, store: Store | str) -> Store:
        if isinstance(store, Store):
            return store
        known = self._strange.get(store) or next((known for known in self.stores if known.root == store), None)
        return known or Store("local", store)


def _storage_class(kind: str) -> Any:
    return next(impl for impl in internals.DATASTORES if kind == impl.TYPE)


def _provider(kind: str) -> Any:
    return next(provider for provider in internals.METADATA_PROVIDERS if kind == provider.TYPE)
