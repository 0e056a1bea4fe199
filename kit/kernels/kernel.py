"""A kernel that executes a notebook: started, warm where it can be, watched, and ended whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from kit.kernels.provisioner import KitProvisioner

__all__ = ["Kernel", "start_kernel"]

LOOK = 0.05  # seconds between two looks whether the kernel lives
SHUTDOWN_PATIENCE = 5.0  # seconds for a kernel to end that was asked to
MAX_FOLDER_PATH = 60  # bytes: a socket's path has 107 at most


@dataclass
class Kernel:
    """A running kernel.

    Args:
        manager: Its manager.
        client: Its channels.
        language_info: What it says of its language.
        note: Why it is an ordinary one, "" where it is warm.
    """

    manager: Any
    client: Any = None
    language_info: Any = None
    note: str = ""

    async def end(self, now: bool = False) -> None:
        """Ask it to end, and see to it that it does."""
        manager = self.manager
        try:
            if self.client is not None:
                self.client.stop_channels()
            if not now and await manager.is_alive():
                await manager.request_shutdown()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(manager.provisioner.wait(), SHUTDOWN_PATIENCE)
        finally:
            if manager.has_kernel:
                await manager.provisioner.kill()
                await manager.provisioner.wait()
            await manager.cleanup_resources()

    async def death(self) -> None:
        """Wait for the end that nobody asked for."""
        while await self.manager.is_alive():
            await asyncio.sleep(LOOK)

    async def last_words(self) -> str:
        """Say how it ended."""
        status = await self.manager.provisioner.poll()
        if status is not None and status < 0:
            try:
                name = signal.Signals(-status).name
            except ValueError:
                name = str(-status)
            return f"was killed by {name}" + (", as when memory runs out" if -status == signal.SIGKILL else "")
        return f"ended with status {status}" if status else "ended"


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """Make a folder for sockets, with a path that is short enough for them."""
    base = None if len(os.fsencode(tempfile.gettempdir())) < MAX_FOLDER_PATH else "/tmp"  # noqa: S108  # mkdtemp makes it safe
    folder = tempfile.mkdtemp(prefix="kit-kernel-", dir=base)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def start_kernel(
    name: str,
    folder: str,
    environ: Mapping[str, str],
    patience: float = 60.0,
    log: int | None = None,
    endings: set[asyncio.Future[None]] | None = None,
    extensions: Sequence[str] = (),
) -> AsyncIterator[Kernel]:
    """Start a kernel, and end it.

    Args:
        name: The kernel's name.
        folder: Its working directory.
        environ: Its environment.
        patience: How many seconds it may take to start.
        log: A file descriptor for what its process prints by itself.
        endings: Takes the task of ending the kernel; without it, the block ends when the kernel has.
        extensions: IPython extensions for it to load, where it is IPython's.

    Raises:
        NoSuchKernel: There is no kernel of that name.
        TimeoutError: It does not start.
        RuntimeError: It dies at its start.
    """
    with contextlib.ExitStack() as stack:
        manager = AsyncKernelManager(kernel_name=name)
        spec: Any = manager.kernel_spec  # raises where there is none
        if os.name == "posix":
            sockets = stack.enter_context(_own_folder())
            manager.transport, manager.connection_file = "ipc", str(sockets / "k.json")
            manager.ip = str(sockets / "s")  # the default is relative, and the same for all
        if not spec.metadata.get("kernel_provisioner"):
            manager.kernel_id = sockets.name if os.name == "posix" else "kit"
            manager.provisioner = KitProvisioner(kernel_id=manager.kernel_id, kernel_spec=spec, parent=manager)
        streams = {} if log is None else {"stdout": log, "stderr": log}
        own = ["--HistoryManager.hist_file=:memory:", *(f"--ext={name}" for name in extensions)]
        extra = own if "ipykernel" in " ".join(spec.argv) else []
        kernel = Kernel(manager)
        calm = False
        try:
            await manager.start_kernel(cwd=folder, env=dict(environ), extra_arguments=extra, **streams)
            kernel.note = getattr(manager.provisioner, "fallback", "")
            kernel.client = manager.client()
            kernel.client.start_channels(stdin=False, hb=False, control=False)
            kernel.language_info = await _ready(kernel, patience)
            yield kernel
            calm = True
        finally:
            stack = stack.pop_all()
            ending = asyncio.ensure_future(_end(kernel, stack, now=not calm))
            if endings is not None and calm:
                endings.add(ending)
                ending.add_done_callback(endings.discard)
            else:
                await asyncio.shield(ending)


async def _end(kernel: Kernel, stack: contextlib.ExitStack, now: bool) -> None:
    with stack:
        await kernel.end(now)


async def _ready(kernel: Kernel, patience: float) -> Any:
    """Wait until the kernel answers and its outputs come through; gives its language_info."""
    deadline = asyncio.get_running_loop().time() + patience
    client = kernel.client
    while True:
        wanted = client.kernel_info()
        reply, idle = await asyncio.gather(
            _message(client.shell_channel, wanted, lambda message: True),
            _message(client.iopub_channel, wanted, lambda m: m["content"].get("execution_state") == "idle"),
        )
        if reply is not None and idle is not None:
            return reply["content"].get("language_info", {})
        if not await kernel.manager.is_alive():
            raise RuntimeError(f"the kernel {await kernel.last_words()} as it started")
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"the kernel did not answer within {patience:g} s")


async def _message(channel: Any, parent: str, wanted: Any) -> Any:
    """Wait a second for a message of a request; None where it does not come."""
    deadline = asyncio.get_running_loop().time() + 1
    while (left := deadline - asyncio.get_running_loop().time()) > 0:
        try:
            message = await channel.get_msg(timeout=left)
        except Empty:
            return None
        if message["parent_header"].get("msg_id") == parent and wanted(message):
            return message
    return None
