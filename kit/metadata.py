"""The metadata of runs: in folders of this machine, or with the metadata service; read by Metaflow's own providers."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from kit import internals
from kit.errors import StoreError

__all__ = ["Folders", "Served", "pointed_at", "pointing", "run_record", "run_records"]

TIMEOUT = (5, 60)  # seconds to connect, and for an answer to begin: Metaflow's own requests wait for ever
DOWN = 500  # an answer from here on is no answer

REASONS = {  # what requests says in the middle of many words
    "timed out": "nothing comes from there",
    "refused": "connection refused",
    "Remote end closed": "it hangs up",
    "reset by peer": "it hangs up",
    "Name or service not known": "there is no such host",
    "name resolution": "there is no such host",
    "nodename nor servname": "there is no such host",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted",
}


# Metaflow keeps the folder of its local metadata on a class, for all threads: held while that is another one.
_pointing = threading.RLock()


def _after_fork() -> None:
    global _pointing
    _pointing = threading.RLock()  # the thread that held the old one is not in the child


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def pointing() -> Iterator[None]:
    """Keep other threads of kit's from pointing Metaflow's local metadata elsewhere."""
    with _pointing:
        yield


@contextmanager
def pointed_at(folder: str) -> Iterator[Any]:
    """Point Metaflow's local metadata provider at a `.metaflow`, and back; gives the provider."""
    storage = internals.LocalStorage
    with pointing():
        before, storage.datastore_root = storage.datastore_root, folder
        try:
            yield internals.LocalMetadataProvider
        finally:
            storage.datastore_root = before


class Folders:
    """Metadata that Metaflow keeps in folders of this machine.

    Args:
        folders: The `.metaflow` folders; a run is in one of them.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = tuple(folders)

    def get_object(self, kind: str, what: str, filters: dict[str, Any], attempt: int | None, *address: str) -> Any:
        """Ask as one asks a MetadataProvider of Metaflow's: for one object, or for a list; None for what is not there.

        Raises:
            ValueError: A record is damaged.
        """
        found: list[Any] = []
        for folder in self.folders:
            with pointed_at(folder) as provider:
                answer = provider.get_object(kind, what, filters, attempt, *address)
            if what != "self":
                found += answer or ()
            elif answer:
                return answer
        return found or None

    def folder_of(self, flow: str, run: str) -> str:
        """Give the folder that has a run; the first where none has."""
        held = (folder for folder in self.folders if os.path.isdir(os.path.join(folder, flow, run)))
        return next(held, self.folders[0])

    def names(self, flow: str) -> list[str]:
        """Name the folders of a flow's runs, whatever is in them."""
        found = []
        for folder in self.folders:
            with pointed_at(folder):
                entries = internals.LocalStorage().list_content([flow])
            found += [entry.path.rpartition("/")[2] for entry in entries if not entry.is_file]
        return [name for name in found if name != "data"]


class Served:
    """Metadata that a service keeps, or whatever else a provider of Metaflow's or of an extension's asks.

    Args:
        provider: Metaflow's MetadataProvider.
    """

    def __init__(self, provider: Any) -> None:
        self.provider = _prompt(provider) if provider.TYPE == "service" else provider

    def get_object(self, kind: str, what: str, filters: dict[str, Any], attempt: int | None, *address: str) -> Any:
        """Ask as one asks a MetadataProvider of Metaflow's; None for what is not there.

        Raises:
            StoreError: It does not answer, or refuses to.
        """
        try:
            return self.provider.get_object(kind, what, filters, attempt, *address)
        except (internals.MetaflowException, OSError, ValueError) as error:  # requests' own errors are OSErrors
            raise _silent(self.provider, error) from error


@cache
def _prompt(provider: Any) -> Any:
    """Derive a client of the service that says at once that it is down; Metaflow's own tries for half a minute."""
    import requests  # Metaflow brings it

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, *args: Any, **options: Any) -> Any:
            try:
                response = super().send(*args, **{**options, "timeout": TIMEOUT})
            except requests.RequestException as error:  # of all exceptions, Metaflow's provider lets this one through
                raise internals.MetaflowInternalError(_reason(error)) from error
            if response.status_code >= DOWN:
                raise internals.MetaflowInternalError(f"it answers {response.status_code} {response.reason or ''}")
            return response

    class PromptProvider(provider):  # type: ignore[misc]
        TYPE = provider.TYPE
        _session = requests.Session()

        @classmethod
        def default_info(cls) -> Any:
            return provider.INFO

    for scheme in ("http://", "https://"):
        PromptProvider._session.mount(scheme, Adapter(pool_connections=4, pool_maxsize=20, max_retries=0))
    return PromptProvider


def _reason(error: BaseException) -> str:
    text = str(error)
    return next((said for sign, said in REASONS.items() if sign in text), type(error).__name__)


def _silent(provider: Any, error: BaseException) -> StoreError:
    """Say in two lines why the service does not answer."""
    if not provider.INFO:
        return StoreError(
            "Metaflow is told to keep its metadata with the metadata service, but not where that is.",
            "Set METAFLOW_SERVICE_URL, or METAFLOW_DEFAULT_METADATA=local for the runs of this machine.",
        )
    parts = urlsplit(str(provider.INFO))
    where = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # without a password
    code = getattr(error, "http_code", None)
    if code is not None:
        return StoreError(
            f"The metadata service at {where} refuses to answer ({code}).",
            "Look at METAFLOW_SERVICE_URL, METAFLOW_SERVICE_AUTH_KEY and METAFLOW_SERVICE_HEADERS.",
        )
    known = isinstance(error, internals.MetaflowInternalError)
    why = " ".join(str(error).split()) if known else f"what comes from there is not its own ({type(error).__name__})"
    return StoreError(
        f"The metadata service at {where} does not answer: {why}.",
        "Start it, or mend METAFLOW_SERVICE_URL; METAFLOW_DEFAULT_METADATA=local reads the runs of this machine.",
    )


def run_records(records: Any, flow: str) -> list[dict[str, Any]]:
    """List the runs that the metadata has; those whose own record is damaged are passed over.

    Args:
        records: `Folders`, or `Served`.
        flow: The name of the flow.
    """
    try:
        return list(records.get_object("flow", "run", {}, None, flow) or ())
    except ValueError:  # one record that cannot be read must not hide the others
        found = (run_record(records, flow, name) for name in records.names(flow))
        return [run for run in found if run]


def run_record(records: Any, flow: str, run_id: str) -> dict[str, Any] | None:
    """Give what the metadata says of one run; None where it has none, or a damaged one."""
    try:
        record: dict[str, Any] | None = records.get_object("run", "self", {}, None, flow, run_id)
    except ValueError:
        return None
    return record
