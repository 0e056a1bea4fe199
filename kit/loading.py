"""Artifacts unpickled: with the flow's modules in reach, many of them in one go, and saying what is missing."""

from __future__ import annotations

import gzip
import io
import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from kit import flowfile, internals
from kit.blobs import pickles
from kit.errors import ArtifactError, KitError
from kit.model import ArtifactInfo, Pathspec
from kit.runs import Runs
from kit.taskstores import missing

__all__ = ["load", "load_many"]

AT_ONCE = 1000  # artifacts whose pickles are held while they are loaded
HELD = 64_000_000  # bytes of them, by what is recorded of their sizes
PART = 1 << 20  # bytes that are unpacked at a time
LARGE = 8_000_000  # bytes: from here on, a pickle is read as a stream, so that it is not in memory beside its value


class _FlowMain(ModuleType):
    """Stands in for `__main__` while an artifact is read: loads the flow file once a class of it is asked for."""

    def __init__(self, runs: Runs, flow: str) -> None:
        super().__init__("__main__")
        info = runs.project.scan().flows.get(flow)
        self.__file__ = info.file if info else str(runs.project.flows_folder / f"{flow}.py")
        self.__dict__["_load"] = lambda: flowfile.load_cached(runs.project.flow(flow)).module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._load(), name)


def load(runs: Runs, pathspec: Pathspec, info: ArtifactInfo, store: str) -> Any:
    """Unpickle one artifact.

    Args:
        runs: The project's runs.
        pathspec: The address of its task.
        info: The artifact.
        store: The root of the datastore that holds it.

    Raises:
        ArtifactError: It cannot be read; the message says what is missing.
    """
    ((_, value),) = load_many(runs, pathspec.flow, [(pathspec, info)], store)
    return value


def load_many(
    runs: Runs, flow: str, wanted: Sequence[tuple[Pathspec, ArtifactInfo]], store: str
) -> list[tuple[ArtifactInfo, Any]]:
    """Unpickle artifacts of one flow, in their order; their pickles are read together, and equal ones once.

    Raises:
        ArtifactError: One of them cannot be read.
    """
    storage, found = runs.storage(store), []
    with flowfile.as_script(_FlowMain(runs, flow)):
        for part in _parts(wanted):
            small = [info.sha for _, info in part if info.size < LARGE and _pickled(info)]
            blobs = dict(pickles(storage, flow, small))
            for pathspec, info in part:
                found.append((info, _value(runs, storage, pathspec, info, store, blobs)))
    return found


def _parts(wanted: Sequence[tuple[Pathspec, ArtifactInfo]]) -> Iterator[Sequence[tuple[Pathspec, ArtifactInfo]]]:
    """Split what is wanted into parts whose pickles fit into memory beside their values."""
    start, size, shas = 0, 0, set[str]()
    for end, (_, info) in enumerate(wanted):
        more = info.size if info.sha not in shas and info.size < LARGE else 0
        if end - start >= AT_ONCE or (size + more > HELD and end > start):
            yield wanted[start:end]
            start, size, shas = end, 0, set()
        size += more
        shas.add(info.sha)
    yield wanted[start:]


def _pickled(info: ArtifactInfo) -> bool:
    return info.encoding.startswith(("pickle-v", "gzip+pickle-v"))


def _value(
    runs: Runs, storage: Any, pathspec: Pathspec, info: ArtifactInfo, store: str, blobs: dict[str, bytes | None]
) -> Any:
    try:
        if not _pickled(info):  # written by a serializer of the user's
            return runs.load(pathspec, [info.name], store)[info.name]
        if info.sha not in blobs:
            return _streamed(storage, pathspec, info)
        blob = blobs[info.sha]
        if blob is None:
            raise missing(pathspec, info.name, storage.full_uri(_path(storage, pathspec, info)))
        value = pickle.loads(blob)  # noqa: S301  # loading is what the user asked for
        if isinstance(value, internals.IncludedFile):  # what IncludeFile stores is where the content is
            return value.decode(info.name)
        return value
    except (KitError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        looked = ", ".join(path for path in [str(runs.project.flows_folder), *sys.path] if path and Path(path).is_dir())
        raise ArtifactError(
            f"{pathspec}: {info.name} is a {info.type}, and the module {error.name!r} that it needs is gone.",
            f"Put {error.name} back or install it; it was looked for in {looked}.",
        ) from error
    except AttributeError as error:
        raise ArtifactError(
            f"{pathspec}: {info.name} is a {info.type}, and that class is gone: {error}.",
            "Give the class its old name and module back, or run the step again.",
        ) from error
    except Exception as error:
        raise ArtifactError(
            f"{pathspec}: {info.name} is a {info.type} that does not unpickle: {type(error).__name__}: {error}",
            "It may have been written with other versions of its packages: compare them with the run's.",
        ) from error


class _Inflated(io.RawIOBase):
    """Reads what is packed into the memory that it is to be in: gzip's own `readinto` makes a second copy first."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._unpacked = gzip.GzipFile(fileobj=packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._unpacked.read1(min(len(buffer), PART))
        buffer[: len(part)] = part
        return len(part)


def _path(storage: Any, pathspec: Pathspec, info: ArtifactInfo) -> str:
    return str(storage.path_join(pathspec.flow, "data", info.sha[:2], info.sha))


def _streamed(storage: Any, pathspec: Pathspec, info: ArtifactInfo) -> Any:
    with storage.load_bytes([_path(storage, pathspec, info)]) as results:
        for _, file, _ in results:
            if file is None:
                break
            with open(file, "rb") as raw:
                packed = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                return pickle.load(io.BufferedReader(_Inflated(raw)) if packed else raw)  # noqa: S301
    raise missing(pathspec, info.name, storage.full_uri(_path(storage, pathspec, info)))
