"""The jupyter_client kernel provisioner `kit`: kernels forked from a warm server, else ordinary ones.

Registered as an entry point, so that `JUPYTER_DEFAULT_PROVISIONER_NAME=kit` gives warm kernels to anything that starts
kernels through jupyter_client: papermill, nbclient, nbconvert, nbmake, Jupyter itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from kit.kernels import forkserver
from kit.kernels.forkserver import Request, WarmKernelError

__all__ = ["KitProvisioner"]

START_TIMEOUT = 60.0  # seconds; a server that is just starting imports everything first
POLL = 0.005
PROMPT = 0.09  # seconds: a little less than jupyter_client sleeps between two looks

_told: set[str] = set()


class KitProvisioner(LocalProvisioner):
    """Starts a kernel by forking it from a server that has imported everything already."""

    fallback = ""  # why an ordinary kernel was started
    _connection: socket.socket | None = None
    _status: int | None = None
    _received = b""
    _ready = _ending = False

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork a kernel, or start an ordinary one and say why."""
        self.fallback, self._status, self._received = "", None, b""
        self._ready = self._ending = False
        environ, folder = dict(kwargs.get("env") or os.environ), os.path.abspath(kwargs.get("cwd") or os.getcwd())
        request = Request(tuple(cmd), environ, folder)
        why = forkserver.why_not(request)
        if not why:
            try:
                await self._fork(request, kwargs)
            except WarmKernelError as error:
                why = error.message
            else:
                self.cwd = folder
                return self.connection_info
        self._disconnect()
        self.fallback = why
        if why not in _told:
            _told.add(why)
            self.log.warning("kit: an ordinary kernel was started, not a warm one: %s", why)
        return await super().launch_kernel(cmd, **kwargs)

    async def _fork(self, request: Request, kwargs: dict[str, Any]) -> None:
        with open(os.devnull, "r+b") as nothing:
            defaults = (nothing.fileno(), 1, 2)
            streams = [
                _descriptor(kwargs.get(name), default, nothing.fileno())
                for name, default in zip(("stdin", "stdout", "stderr"), defaults, strict=True)
            ]
            for afresh in (False, True):  # a server that was killed gets a successor, too
                try:
                    self._connection = forkserver.submit(request, streams, afresh)
                    self._connection.setblocking(False)
                    if await self._forked():
                        return
                except BrokenPipeError:
                    pass
                self._disconnect()
                self._status, self._received = None, b""
        raise WarmKernelError("The fork server ended twice.", "Start an ordinary kernel.")

    async def _forked(self) -> bool:
        """Wait for a kernel to be there; False where another server is needed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT
        while not self._ready:
            said = self._read()
            if said:
                raise WarmKernelError(said, "Start an ordinary kernel.")
            if said == "" or self._status is not None:
                return False
            if loop.time() > deadline:
                raise WarmKernelError("The fork server does not answer.", "Start an ordinary kernel.")
            await asyncio.sleep(POLL)
        return True

    def _read(self) -> str | None:
        """Take in what the server has said; gives why there is no kernel, "" where it must begin afresh."""
        while self._connection is not None and self._status is None:
            try:
                data = self._connection.recv(4096)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data = b""
            if not data:
                self._status = -signal.SIGKILL  # it ends with its server
                break
            *lines, self._received = (self._received + data).split(b"\n")
            for line in lines:
                kind, value = line[:1], line[1:].decode(errors="replace")
                if kind == b"P":
                    self.pid = self.pgid = int(value)
                elif kind == b"R":
                    self._ready = True
                elif kind == b"X":
                    self._status = os.waitstatus_to_exitcode(int(value))
                elif kind == b"S":
                    return ""
                elif kind == b"E":
                    return value
        return None

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ---------------------------------------------------------------- what jupyter_client asks

    @property
    def has_process(self) -> bool:
        """Whether there is a kernel."""
        return self._connection is not None or super().has_process

    async def poll(self) -> int | None:
        """Give the exit status; None as long as the kernel runs."""
        if self._connection is None:
            return await super().poll()
        self._read()
        if self._status is None and self._ending:  # jupyter_client would look again only after a tenth of a second
            for _ in range(int(PROMPT / POLL)):
                await asyncio.sleep(POLL)
                self._read()
                if self._status is not None:
                    break
        return self._status

    async def wait(self) -> int | None:
        """Wait for the kernel's end."""
        if self._connection is None:
            return await super().wait()
        while await self.poll() is None:
            await asyncio.sleep(POLL)
        self._disconnect()
        return self._status

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group."""
        if self._connection is None:
            await super().send_signal(signum)
            return
        self._read()
        if self._status is None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                try:
                    os.killpg(self.pid, signum)
                except ProcessLookupError:  # it has not made its group yet
                    os.kill(self.pid, signum)

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel."""
        if self._connection is None:
            await super().kill(restart)
            return
        self._ending = True
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel's process to end."""
        if self._connection is None:
            await super().terminate(restart)
            return
        self._ending = True
        await self.send_signal(signal.SIGTERM)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Take note that the kernel was asked to end."""
        self._ending = True
        await super().shutdown_requested(restart)


def _descriptor(stream: Any, default: int, nothing: int) -> int:
    """Give the descriptor of what Popen takes for a stream."""
    if stream is None or stream == subprocess.PIPE:
        return default
    if stream == subprocess.DEVNULL:
        return nothing
    return stream if isinstance(stream, int) else int(stream.fileno())
