"""Executes a notebook's cells in a kernel, with limits, and with a clear word on every end.

nbclient reads the kernel's messages; time, death and too much output are kit's own matter. papermill's
NotebookExecutionManager keeps the state of each cell, in the format that papermill writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass
from typing import Any, Literal

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat.v4 import new_output

from kit.kernels.kernel import Kernel

__all__ = ["Failure", "Limits", "run_cells"]

INTERRUPT_PATIENCE = 3.0  # seconds for a cell to end that was interrupted
IDLE_PATIENCE = 5.0  # seconds for the last output after the kernel's reply
RAISES, SKIP = "raises-exception", "skip-execution"
NO_STDIN = "StdinNotImplementedError"


@dataclass(frozen=True)
class Limits:
    """What a notebook may take.

    Args:
        cell: Seconds for a cell; None for no limit.
        notebook: Seconds for all of them; None for no limit.
        output: Characters of a cell's outputs that are kept.
    """

    cell: float | None = None
    notebook: float | None = None
    output: int = 10_000_000


@dataclass(frozen=True)
class Failure:
    """Why a notebook did not run to its end.

    Args:
        kind: A cell's error, a time limit, the kernel's death, or a kernel that did not start.
        message: What happened, in one line.
        index: The cell's index in the executed notebook; None where it was none of them.
        traceback: The traceback, with the colours of the kernel.
    """

    kind: Literal["error", "limit", "died", "start"]
    message: str
    index: int | None = None
    traceback: tuple[str, ...] = ()


class _Ended(Exception):  # noqa: N818  # it is a signal, not an error
    """The kernel has ended by itself."""


class _Reader(NotebookClient):
    """Reads messages into outputs: pieces of a stream are put together, and what is beyond the limit is left out."""

    limit = 0
    kept: int
    left_out: int

    def begin(self, cell: Any) -> None:
        """Get ready for a cell's outputs."""
        self.kept = self.left_out = 0
        self.clear_before_next_output = False
        cell.outputs = []

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Put an output to the others, as a notebook's front end does."""
        content = msg["content"]
        size = len(content.get("text", "")) + sum(len(str(value)) for value in content.get("data", {}).values())
        if msg["msg_type"] != "error" and self.kept + size > self.limit:
            if msg["msg_type"] == "stream":
                room = self.limit - self.kept
                self.left_out += size - room
                size, content["text"] = room, content["text"][:room]
            else:
                self.left_out += size
                return None
        self.kept += size
        last = outs[-1] if outs and not self.clear_before_next_output else {}
        hooked = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if msg["msg_type"] == "stream" and not hooked:
            if last.get("output_type") == "stream" and last["name"] == content["name"]:
                last["text"] += content["text"]
                return last
            if not content["text"]:
                return None
        return super().output(outs, msg, display_id, cell_index)


async def run_cells(kernel: Kernel, manager: Any, limits: Limits) -> tuple[Failure | None, tuple[str, ...]]:
    """Execute a notebook's cells one after the other, up to the first that fails.

    Cells tagged `skip-execution` are not executed, those tagged `raises-exception` may raise.

    Args:
        kernel: The kernel.
        manager: papermill's NotebookExecutionManager, which holds the notebook and keeps the state of its cells.
        limits: What the cells may take.

    Returns:
        Why it did not run to its end, None where it did; and what else there is to say, a line each.
    """
    run = _Run(kernel, manager, limits)
    watch = asyncio.ensure_future(kernel.death())
    try:
        for index, cell in enumerate(manager.nb.cells):
            manager.cell_start(cell, index)
            failure = await run.cell(index, cell, watch) if _is_executed(cell) else None
            if failure is not None:
                manager.cell_exception(cell, index)
            manager.cell_complete(cell, index)
            if failure is not None or run.ended:
                return failure, tuple(run.notes)
    finally:
        watch.cancel()
        run.reader.set_widgets_metadata()
    return None, tuple(run.notes)


def _is_executed(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip()) and SKIP not in cell.metadata.get("tags", ())


class _Run:
    """The execution of a notebook's cells."""

    def __init__(self, kernel: Kernel, manager: Any, limits: Limits) -> None:
        self._kernel, self._limits = kernel, limits
        self.reader = _Reader(manager.nb, km=kernel.manager, record_timing=False)
        self.reader.kc, self.reader.limit = kernel.client, limits.output
        self._clock = asyncio.get_running_loop().time
        self._deadline = None if limits.notebook is None else self._clock() + limits.notebook
        self._position = itertools.count(1)
        self.notes: list[str] = []
        self.ended = False  # by the notebook itself

    async def cell(self, index: int, cell: Any, watch: asyncio.Future[None]) -> Failure | None:
        """Execute a cell; gives why it failed."""
        count = next(self._position)
        self.reader.begin(cell)
        tolerant = RAISES in cell.metadata.get("tags", ())
        parent = self._kernel.client.execute(cell.source, allow_stdin=False, stop_on_error=not tolerant)
        work = asyncio.ensure_future(self._work(parent, index, cell))
        seconds, what = self._patience(count)
        try:
            reply = await self._race(work, watch, seconds)
        except _Ended:
            return await self._died(index, cell, count, work)
        except asyncio.TimeoutError:
            return await self._too_long(index, cell, work, watch, what)
        finally:
            if not work.done():
                work.cancel()
            self._close(cell, count)
        return self._judge(index, cell, count, reply["content"], tolerant)

    def _patience(self, count: int) -> tuple[float | None, str]:
        """Give the seconds that a cell has, and what to say when they are over."""
        cell, whole = self._limits.cell, self._limits.notebook
        left = None if self._deadline is None else max(self._deadline - self._clock(), 0.001)
        if left is not None and (cell is None or left < cell):
            return left, f"cell [{count}]: the notebook took longer than {whole:g} s"
        return cell, f"cell [{count}] took longer than {cell:g} s" if cell else ""

    async def _race(self, work: asyncio.Future[Any], watch: asyncio.Future[None], seconds: float | None) -> Any:
        done, _ = await asyncio.wait({work, watch}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if work in done:
            return work.result()
        if watch in done:
            await asyncio.wait({work}, timeout=0.3)  # what it said last may still be on its way
            raise _Ended
        raise asyncio.TimeoutError

    async def _work(self, parent: str, index: int, cell: Any) -> dict[str, Any]:
        """Take in a cell's outputs and its reply."""
        outputs = asyncio.ensure_future(self._outputs(parent, index, cell))
        try:
            while True:
                reply: dict[str, Any] = await self._kernel.client.shell_channel.get_msg(timeout=None)
                if reply["parent_header"].get("msg_id") == parent:
                    break
            while not outputs.done():
                before = self.reader.kept + self.reader.left_out
                done, _ = await asyncio.wait({outputs}, timeout=IDLE_PATIENCE)
                if not done and before == self.reader.kept + self.reader.left_out:
                    return reply  # the message that nothing more comes was lost
            outputs.result()
            return reply
        finally:
            outputs.cancel()

    async def _outputs(self, parent: str, index: int, cell: Any) -> None:
        while True:
            message = await self._kernel.client.iopub_channel.get_msg(timeout=None)
            if message["parent_header"].get("msg_id") == parent:
                try:
                    self.reader.process_message(message, cell, index)
                except CellExecutionComplete:
                    return

    def _close(self, cell: Any, count: int) -> None:
        if self.reader.left_out:
            what = f"{self.reader.left_out:,} characters of the outputs of cell [{count}] were not kept"
            self.notes.append(what)
            _add_text(cell, f"\n[kit: {what}]\n")

    # ---------------------------------------------------------------- how it ends

    def _judge(self, index: int, cell: Any, count: int, reply: dict[str, Any], tolerant: bool) -> Failure | None:
        if any(item.get("source") == "ask_exit" for item in reply.get("payload") or ()):
            self._left(count)
            return None
        if reply.get("status") != "error":
            return None
        name, value = str(reply.get("ename", "")), str(reply.get("evalue", ""))
        if name == "SystemExit" and value in ("", "0"):
            self._left(count)
            return None
        if tolerant:
            return None
        if not any(output.output_type == "error" for output in cell.outputs):  # a handler of its own swallowed it
            _add_error(cell, name, value, reply.get("traceback") or [])
        message = f"cell [{count}]: {name}: {_first_line(value)}".removesuffix(": ")
        if name == NO_STDIN:
            message = f"cell [{count}]: it asks for input, and there is nobody to give it"
        return Failure("error", message, index, tuple(reply.get("traceback") or ()))

    def _left(self, count: int) -> None:
        self.ended = True
        self.notes.append(f"cell [{count}] ended the notebook: the cells after it were not run")

    async def _too_long(
        self, index: int, cell: Any, work: asyncio.Future[Any], watch: asyncio.Future[None], what: str
    ) -> Failure:
        """Interrupt a cell, so that its traceback says where it was."""
        traceback: list[str] = []
        await self._kernel.manager.interrupt_kernel()
        with contextlib.suppress(asyncio.TimeoutError, _Ended):
            reply = await self._race(work, watch, INTERRUPT_PATIENCE)
            traceback = reply["content"].get("traceback") or []
        _add_error(cell, "CellTimeoutError", what, [])
        return Failure("limit", what, index, tuple(traceback))

    async def _died(self, index: int, cell: Any, count: int, work: asyncio.Future[Any]) -> Failure:
        how = f"cell [{count}]: the kernel {await self._kernel.last_words()}"
        _add_error(cell, "DeadKernelError", how, [])
        return Failure("died", how, index)


def _add_text(cell: Any, text: str) -> None:
    cell.outputs.append(new_output("stream", name="stderr", text=text))


def _add_error(cell: Any, name: str, value: str, traceback: list[str]) -> None:
    cell.outputs.append(new_output("error", ename=name, evalue=value, traceback=traceback))


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")
