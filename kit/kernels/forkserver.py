"""The fork servers of this process: one for each interpreter and environment that kernels are wanted for."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError

__all__ = ["SWITCH", "Request", "WarmKernelError", "close_all", "prepare", "submit", "why_not"]

ZYGOTE = str(Path(__file__).with_name("zygote.py"))
SWITCH = "KIT_WARM_KERNELS"  # 0 switches warm kernels off
MORE = "KIT_PRELOAD"  # further modules to import before the fork, with commas
LAUNCHERS = ("ipykernel_launcher", "ipykernel")
MAX_SERVERS = 4  # each holds some 100 MB

# What kernels and most notebooks import; not what starts threads or must not be forked (polars, torch, grpc, pyarrow
# and so pandas).
MODULES = (
    *("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger"),
    *("IPython.extensions.storemagic", "IPython.core.completerlib", "IPython.core.oinspect", "IPython.core.logger"),
    *("IPython.core.pylabtools", "sqlite3", "psutil", "numpy", "numpy.random"),
    *("matplotlib.pyplot", "matplotlib_inline.config", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"),
    *("metaflow", "metaflow.cards"),
)

# What differs from kernel to kernel, and what no import looks at.
OWN = frozenset(
    {"JPY_PARENT_PID", "JPY_SESSION_NAME", "PYTEST_CURRENT_TEST", "PWD", "OLDPWD", "SHLVL", "_", SWITCH}
    | {"COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"}
)


class WarmKernelError(KitError):
    """A kernel cannot be forked; an ordinary one can be started instead."""


@dataclass(frozen=True)
class Request:
    """A kernel that is wanted.

    Args:
        command: The command that starts an ordinary one: an interpreter and its options, `-m ipykernel_launcher`, and
            the kernel's own arguments.
        environ: Its environment.
        folder: Its working directory.
    """

    command: tuple[str, ...]
    environ: Mapping[str, str]
    folder: str

    @property
    def interpreter(self) -> tuple[str, ...]:
        """What precedes `-m` on the command."""
        return self.command[: self.command.index("-m")]

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the module on the command."""
        return self.command[self.command.index("-m") + 2 :]


def why_not(request: Request) -> str:
    """Say why a kernel cannot be forked, as far as that can be known beforehand; "" where it may well be."""
    if request.environ.get(SWITCH, os.environ.get(SWITCH, "")) == "0":
        return f"{SWITCH} is 0"
    if not sys.platform.startswith("linux"):
        return "kernels are forked on Linux alone"
    command = request.command
    if not any(pair[0] == "-m" and pair[1] in LAUNCHERS for pair in itertools.pairwise(command)):
        return "it is not an ipykernel"
    path = request.environ.get("PYTHONPATH", "")
    if path and not all(os.path.isabs(part) for part in path.split(os.pathsep)):
        return "PYTHONPATH has folders that depend on the working directory"
    if os.path.exists(os.path.join(request.folder, "matplotlibrc")):
        return "matplotlib reads the matplotlibrc in the notebook's folder when it is imported"
    return ""


class _Server:
    """A fork server, started; it ends when this process does, whichever way."""

    def __init__(self, interpreter: Sequence[str], environ: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair()
        more = [name.strip() for name in environ.get(MORE, "").split(",") if name.strip()]
        with theirs:
            self._process = subprocess.Popen(
                [*interpreter, ZYGOTE, str(theirs.fileno()), *MODULES, *more],
                env=dict(environ),
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the one who asked for kernels
            )
        self._lock = threading.Lock()

    def submit(self, request: Request, streams: Sequence[int]) -> socket.socket:
        """Ask for a kernel; gives the socket on which the answers come."""
        ours, theirs = socket.socketpair()
        content = {
            "argv": request.arguments,
            "command": request.command,
            "env": {name: value for name, value in request.environ.items() if name != SWITCH},
            "cwd": request.folder,
        }
        data = json.dumps(content).encode()
        try:
            with theirs, self._lock:
                socket.send_fds(self._control, [struct.pack("!I", len(data))], [theirs.fileno(), *streams])
                self._control.sendall(data)
        except BaseException:
            ours.close()
            raise
        return ours

    def close(self) -> None:
        """End the server and all its kernels."""
        self._control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Servers:
    """The servers of one process; a process that was forked off has none yet."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.by_key: dict[object, _Server] = {}
        self.all: list[_Server] = []


_servers = _Servers()


def prepare(request: Request) -> None:
    """Start the server that a kernel needs: what it imports is then there when the kernel is wanted.

    Raises:
        WarmKernelError: There are too many servers already, or it does not start.
    """
    _server(request)


def submit(request: Request, streams: Sequence[int], afresh: bool = False) -> socket.socket:
    """Ask for a kernel.

    Args:
        request: What is wanted.
        streams: The file descriptors of its stdin, stdout and stderr.
        afresh: Whether another server is needed: what this one imported is no longer what is installed, or it ended.

    Returns:
        The socket on which the lines come that kit/kernels/zygote.py lists; closing it ends the kernel.

    Raises:
        WarmKernelError: No kernel can be forked.
        BrokenPipeError: The server has ended: ask another one, `afresh`.
    """
    return _server(request, afresh).submit(request, streams)


def close_all() -> None:
    """End the servers of this process and all their kernels."""
    if _servers.pid != os.getpid():
        return
    with _servers.lock:
        servers = list(_servers.all)
        _servers.all.clear()
        _servers.by_key.clear()
    for server in servers:
        with contextlib.suppress(OSError):
            server.close()


def _server(request: Request, afresh: bool = False) -> _Server:
    global _servers
    if _servers.pid != os.getpid():
        _servers = _Servers()
    environ = {name: value for name, value in request.environ.items() if name not in OWN}
    key = (request.interpreter, frozenset(environ.items()))
    with _servers.lock:
        if afresh:
            _servers.by_key.pop(key, None)  # it ends by itself after its last kernel
        known = _servers.by_key.get(key)
        if known is None:
            if len(_servers.by_key) >= MAX_SERVERS:
                raise WarmKernelError(
                    f"There are {MAX_SERVERS} fork servers for other environments.", "Start an ordinary kernel."
                )
            try:
                known = _Server(request.interpreter, environ)
            except OSError as error:
                raise WarmKernelError(f"No fork server starts: {error}.", "Start an ordinary kernel.") from error
            _servers.by_key[key] = known
            _servers.all.append(known)
    return known


atexit.register(close_all)
