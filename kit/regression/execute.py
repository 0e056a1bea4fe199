"""One notebook executed: papermill reads it, injects its parameters and writes it; kit's own client runs its cells."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.regression.discover import require_declared

if TYPE_CHECKING:
    from kit.kernels.cells import Failure, Limits

__all__ = ["Executed", "Job", "execute", "run_managed"]

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
DEFAULT_KERNEL, DEFAULT_LANGUAGE = "python3", "python"
PENDING = "pending"
CAPTURE = "kit.regression.outputs.capture"  # the extension that says what a figure draws, and measures coverage


@dataclass(frozen=True)
class Job:
    """A notebook to execute.

    Args:
        source: Its path, or anything that papermill reads.
        output: Where to write the executed copy.
        environ: The whole environment of its kernel.
        parameters: The values to inject.
        limits: What it may take.
        retries: How often it is executed again where its kernel has died.
    """

    source: str
    output: str
    environ: Mapping[str, str]
    limits: Limits
    parameters: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0


@dataclass(frozen=True)
class Executed:
    """What became of a notebook.

    Args:
        seconds: How long it took.
        error: What went wrong in one line; "" when every cell ran.
        report: The failing cell's source and its traceback, without colours.
        notebook: The executed copy; None where it was not read.
        cell: The index of the failing cell in the executed copy; None where there is none.
        notes: What else the user should know, a line each.
    """

    seconds: float
    error: str = ""
    report: str = ""
    notebook: Any = None
    cell: int | None = None
    notes: tuple[str, ...] = ()


async def execute(job: Job, log: int | None = None, endings: set[asyncio.Future[None]] | None = None) -> Executed:
    """Execute a notebook in its own folder and write the executed copy, whatever becomes of it.

    Args:
        job: What to execute.
        log: A file descriptor for what the kernel's process prints by itself.
        endings: Takes the task of ending the kernel; without it, the kernel has ended when this returns.
    """
    started = time.perf_counter()
    try:
        prepared, kernel = _prepare(job)
    except KitError as error:
        return Executed(time.perf_counter() - started, error.message, error.hint)
    failure: Failure | None = None
    notes: list[str] = []
    for attempt in range(job.retries + 1):
        node = copy.deepcopy(prepared)
        try:
            failure, said = await _attempt(job, node, kernel, log, endings)
        except asyncio.CancelledError:  # Ctrl-C: what there is by then is worth a look
            _write(node, job.output)
            raise
        notes += said
        if failure is None or failure.kind != "died" or attempt == job.retries:
            break
        notes.append(f"{failure.message}; executed again ({attempt + 1} of {job.retries})")
    unwritten = _write(node, job.output)
    seconds = time.perf_counter() - started
    if failure is None:
        return Executed(seconds, unwritten, "", node, None, tuple(notes))
    source = "" if failure.index is None else f"{node.cells[failure.index].source}\n\n"
    report = source + ANSI.sub("", "\n".join(failure.traceback))
    notes += [unwritten] if unwritten else []
    return Executed(seconds, ANSI.sub("", failure.message), report.rstrip(), node, failure.index, tuple(notes))


def _prepare(job: Job) -> tuple[Any, str]:
    """Read a notebook and inject its parameters; gives it and the name of its kernel.

    Raises:
        KitError: It cannot be read, or does not declare the parameters.
    """
    from papermill.exceptions import PapermillException
    from papermill.execute import prepare_notebook_metadata, remove_error_markers
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without an id: they are given one
            node = load_notebook_node(job.source)
    except FileNotFoundError as error:
        raise KitError("the notebook is gone", "Something has deleted it since this began.") from error
    except Exception as error:  # papermill's handlers raise what they like
        raise KitError(f"the notebook cannot be read: {_first_line(str(error))}", "Open it in JupyterLab.") from error
    require_declared(node, job.parameters)
    spec = node.metadata.get("kernelspec", {})
    kernel = spec.get("name") or DEFAULT_KERNEL
    language = spec.get("language") or node.metadata.get("language_info", {}).get("name") or DEFAULT_LANGUAGE
    if job.parameters:
        try:
            node = parameterize_notebook(node, dict(job.parameters), kernel_name=kernel, language=language)
        except PapermillException as error:
            raise KitError(_first_line(str(error)), "papermill cannot write parameters in that language.") from error
    node = prepare_notebook_metadata(node, job.source, job.output)
    return remove_error_markers(node), kernel


async def _attempt(
    job: Job, node: Any, kernel: str, log: int | None, endings: set[asyncio.Future[None]] | None
) -> tuple[Failure | None, tuple[str, ...]]:
    from jupyter_client.kernelspec import NoSuchKernel
    from papermill.engines import NotebookExecutionManager

    from kit.kernels.cells import Failure

    manager = NotebookExecutionManager(node, output_path=None, progress_bar=False)
    folder = Path(job.source).parent
    where = str(folder.resolve()) if folder.is_dir() else os.getcwd()
    try:
        return await run_managed(
            manager, kernel, where, job.environ, job.limits, log=log, endings=endings, extensions=(CAPTURE,)
        )
    except NoSuchKernel:
        what = f"there is no kernel {kernel!r}: choose one of `jupyter kernelspec list`, or install it"
        return Failure("start", what), ()
    except (RuntimeError, TimeoutError, asyncio.TimeoutError, OSError) as error:
        return Failure("start", f"the kernel {kernel!r} did not start: {_first_line(str(error))}"), ()


async def run_managed(
    manager: Any,
    kernel: str,
    folder: str,
    environ: Mapping[str, str],
    limits: Limits,
    *,
    patience: float = 60.0,
    log: int | None = None,
    endings: set[asyncio.Future[None]] | None = None,
    extensions: Sequence[str] = (),
) -> tuple[Failure | None, tuple[str, ...]]:
    """Execute the notebook of one of papermill's managers.

    Args:
        manager: The NotebookExecutionManager.
        kernel: The kernel's name.
        folder: Its working directory.
        environ: Its environment.
        limits: What the cells may take.
        patience: Seconds for the kernel to start.
        log: A file descriptor for what the kernel's process prints by itself.
        endings: Takes the task of ending the kernel.
        extensions: IPython extensions for it to load.

    Returns:
        Why it did not run to its end, None where it did; and what else there is to say.

    Raises:
        NoSuchKernel: There is no such kernel.
        RuntimeError: The kernel died at its start.
        TimeoutError: The kernel did not start in time.
    """
    from kit.kernels.cells import run_cells
    from kit.kernels.kernel import start_kernel

    manager.notebook_start()
    try:
        async with start_kernel(kernel, folder, environ, patience, log, endings, extensions) as running:
            manager.nb.metadata["language_info"] = running.language_info
            failure, notes = await run_cells(running, manager, limits)
            ordinary = (f"an ordinary kernel, not a warm one: {running.note}",) if running.note else ()
            return failure, (*ordinary, *notes)
    finally:
        manager.cleanup_pbar()
        never = [cell for cell in manager.nb.cells if cell.metadata.papermill["status"] == PENDING]
        manager.notebook_complete()
        for cell in never:  # papermill calls them completed
            cell.metadata.papermill["status"] = PENDING
        if never:
            manager.save()


def _write(node: Any, output: str) -> str:
    """Write the executed copy; gives what went wrong, "" where nothing did."""
    from papermill.iorw import write_ipynb

    try:
        if "://" not in output:
            Path(output).parent.mkdir(parents=True, exist_ok=True)
        write_ipynb(node, output)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(output).unlink()  # half a notebook opens nowhere
        return f"the executed copy could not be written: {error.strerror or error}"
    return ""


def _first_line(text: str) -> str:
    return next((line for line in ANSI.sub("", text).splitlines() if line.strip()), "")
