"""Where a suite keeps its things: the executed notebooks, the runs' datastore; and the environment of its kernels."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from kit.kernels.forkserver import Request, WarmKernelError, close_all, prepare, why_not
from kit.project import Project, datastore_environment, own_folder, user_environment

__all__ = [
    "Place",
    "fork_servers",
    "inside",
    "kernel_environment",
    "opened",
    "session_folder",
    "temporary_datastore",
    "warm_up",
]

KEPT_SESSIONS = 5
LAUNCHER = "ipykernel_launcher"


def session_folder(project: Project) -> Path:
    """Name a folder for the executed notebooks of this session, and forget the oldest ones."""
    sessions = own_folder(project.root) / "test"
    older = sorted(sessions.iterdir()) if sessions.is_dir() else []
    for folder in older[: -(KEPT_SESSIONS - 1)]:
        shutil.rmtree(folder, ignore_errors=True)
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    again = (f"{name}-{number}" for number in count(2))  # another session within the second
    return next(sessions / each for each in chain([name], again) if not (sessions / each).exists())


@contextmanager
def fork_servers() -> Iterator[None]:
    """End the fork servers, and so all that the kernels have left, when the suite is over."""
    try:
        yield
    finally:
        close_all()


@contextmanager
def temporary_datastore(keep: bool) -> Iterator[Path]:
    """Make a folder for the runs' datastore: never the user's own."""
    folder = Path(tempfile.mkdtemp(prefix="kit-test-")).resolve()
    (folder / ".metaflow").mkdir()
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def kernel_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of the kernels: sets of text have one order in all of them, and in all sessions."""
    return {"PYTHONHASHSEED": "0", **os.environ, **environ, **user_environment()}


@dataclass(frozen=True)
class Place:
    """Where a suite runs.

    Args:
        folder: The folder of its datastore.
        environ: What its flows have in their environments besides this process's own.
        kernels: The environment of its kernels.
    """

    folder: Path
    environ: Mapping[str, str]
    kernels: Mapping[str, str]


@contextmanager
def opened(environ: Iterable[tuple[str, str]], keep: bool) -> Iterator[Place]:
    """Make the place where a suite runs, and start the fork server of its kernels.

    Args:
        environ: Further variables, for flows and kernels.
        keep: Whether the datastore stays when the suite is over.
    """
    with temporary_datastore(keep) as folder, fork_servers():
        everything = {**datastore_environment(folder), **dict(environ)}
        place = Place(folder, everything, kernel_environment(everything))
        warm_up(place.kernels)
        yield place


def warm_up(environ: Mapping[str, str]) -> None:
    """Start the fork server: while the flows run it imports what the kernels need."""
    request = Request((sys.executable, "-m", LAUNCHER), environ, os.getcwd())
    with contextlib.suppress(WarmKernelError):  # the kernels will say why they are ordinary ones
        if not why_not(request):
            prepare(request)


def inside(name: str) -> Path:
    """Give the path of an executed copy below the session's folder; a notebook elsewhere has an absolute path."""
    path = Path(name.replace("://", "/", 1))
    return Path("elsewhere", *path.parts[1:]) if path.is_absolute() else path
