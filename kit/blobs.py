"""Files of a datastore and the pickles in it, through Metaflow's storage: many at once where each is waited for."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kit.records import RECENT

__all__ = ["fetch", "pickles"]

READERS = 32  # threads, for a storage that answers one request after another


def fetch(storage: Any, paths: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
    """Read files of a datastore; many at once where each has to be waited for.

    Args:
        storage: Metaflow's DataStoreStorage.
        paths: The files, from the datastore's root.

    Returns:
        Each path with what the file holds, in no certain order; None where there is no such file.
    """
    if storage.TYPE == "local":  # a file of this machine is there to be opened: looking first takes three times as long
        yield from ((path, _content(storage.full_uri(path))) for path in paths)
        return
    if storage.TYPE != "s3" or len(paths) < 2:
        yield from _loaded(storage, paths)
        return
    # Of S3, Metaflow reads up to ten files one by one, and more in a process that takes a second to start.
    with ThreadPoolExecutor(min(READERS, len(paths))) as pool:
        for found in pool.map(lambda path: list(_loaded(storage, [path])), paths):
            yield from found


def _loaded(storage: Any, paths: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
    with storage.load_bytes(list(paths)) as results:
        yield from ((key, None if path is None else _content(path)) for key, path, _ in results)


def _content(file: str) -> bytes | None:
    try:
        with open(file, "rb", buffering=0) as opened:
            return opened.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def pickles(storage: Any, flow: str, shas: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
    """Read pickles by their addresses, as Metaflow's ContentAddressedStore lays them out; None for what is not there.

    Args:
        storage: Metaflow's DataStoreStorage.
        flow: The name of the flow.
        shas: The addresses.
    """
    wanted = list(dict.fromkeys(shas))
    if storage.TYPE != "local":  # where each has to be waited for, those that were read last are kept
        kept = {sha: blob for sha in wanted if (blob := RECENT.load_key(sha)) is not None}
        yield from kept.items()
        wanted = [sha for sha in wanted if sha not in kept]
    paths = {storage.path_join(flow, "data", sha[:2], sha): sha for sha in wanted}
    for path, content in fetch(storage, list(paths)):
        sha = paths[path]
        if content is not None and content[:2] == b"\x1f\x8b":
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError):
                content = None
        if content is not None and storage.TYPE != "local":
            RECENT.store_key(sha, content)
        yield sha, content
