"""A real run of a flow, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit import flowfile
from kit.errors import FlowFileError, FlowRunError
from kit.flowfile import LoadedFlow
from kit.model import FlowInfo, Pathspec
from kit.pins import pins, replacements
from kit.processes import ProcessGroup
from kit.project import Project, path_of_interpreter, user_environment
from kit.runlog import RunLog

__all__ = ["FinishedRun", "run_flow", "stand_ins"]

MAX_LINES = 60
STOP_SECONDS = 0.3  # how long a run goes on after `stop` was set


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended.

    Args:
        flow: The flow's name.
        pathspec: The run's address; None where it failed before it had one.
        succeeded: Whether it did.
        seconds: How long it took.
        log: What the failing task printed, or the end of all that was printed; "" when it succeeded.
        notes: What kit did that the user should know.
    """

    flow: str
    pathspec: Pathspec | None
    succeeded: bool
    seconds: float
    log: str
    notes: tuple[str, ...]


def run_flow(
    project: Project,
    flow: FlowInfo,
    arguments: Sequence[str] = (),
    options: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> FinishedRun:
    """Run a flow to its end.

    Args:
        project: The project; the run is started from its root.
        flow: The flow.
        arguments: What follows `run` on Metaflow's command line.
        options: What precedes it.
        environ: Variables to add to the environment.
        stop: Ends the run when it is set, by another thread.

    Returns:
        What became of it; a run that fails is not an exception here.

    Raises:
        FlowFileError: The flow file does not load, or runs another flow.
        FlowRunError: A step pins a package that is not installed here at all.
    """
    elsewhere = any(option.startswith("--environment") for option in options)
    pinning: list[str] = []
    notes: tuple[str, ...] = ()
    if not elsewhere:
        loaded = flowfile.load(flow)
        flowfile.require_started(loaded)
        pinning, notes = stand_ins(loaded)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kit-run-") as folder:
        id_file = Path(folder, "run-id")
        command = [sys.executable, flow.file, "--no-pylint", *pinning, *options, "run", "--run-id-file", str(id_file)]
        everything = {**os.environ, **user_environment(), **path_of_interpreter(), **(environ or {})}
        status, output = _output([*command, *arguments], project.root, everything, stop or threading.Event())
        run_id = id_file.read_text().strip() if id_file.exists() else None
    return FinishedRun(
        flow=flow.name,
        pathspec=Pathspec(flow.name, run_id) if run_id else None,
        succeeded=status == 0,
        seconds=time.perf_counter() - started,
        log="" if status == 0 else _failure(output),
        notes=notes,
    )


def stand_ins(loaded: LoadedFlow) -> tuple[list[str], tuple[str, ...]]:
    """Give the options that let Metaflow run a flow with pinned steps on this interpreter's packages, and say so.

    Args:
        loaded: The flow.

    Returns:
        Options that precede `run`; and, for each step, what stands in for what it pins.

    Raises:
        FlowRunError: A step pins a package of which there is no version here.
    """
    name = loaded.info.name
    try:
        found = pins(loaded)
    except FlowFileError:  # they depend on a Config that the command line gives
        return ["--environment=unpinned"], ()
    absent = [pin for pin in found if pin.had is None]
    if absent:
        wanted = ", ".join(dict.fromkeys(f"{pin.name}=={pin.wanted}" for pin in absent))
        bare = " ".join(dict.fromkeys(pin.name for pin in absent))
        raise FlowRunError(
            f"{name}/{absent[0].step} pins {wanted}, of which no version is installed here.",
            f"Install it: %mf_install_deps {bare}",
        )
    notes = tuple(f"{name}/{step} ran without its pins: {what}" for step, what in replacements(found).items())
    return (["--environment=unpinned"] if found else []), notes


def _output(command: list[str], folder: Path, environ: dict[str, str], stop: threading.Event) -> tuple[int, str]:
    """Run a command in a process group of its own; an interrupt, or `stop`, ends the whole group."""
    with ProcessGroup(command, folder, environ) as group:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, _ = group.process.communicate(timeout=STOP_SECONDS)
                return group.process.returncode, output
            if stop.is_set():
                raise KeyboardInterrupt


def _failure(output: str) -> str:
    """Find what the failing task printed, and last why it failed; where no task failed, the end of the output."""
    log = RunLog()
    for line in output.split("\n"):
        log.add(line)
    failed = log.failed()
    if failed is None:
        return "\n".join(output.splitlines()[-MAX_LINES:])
    return "\n".join(
        [f"{log.run}/{failed.step}/{failed.task}:", *failed.lines, *([] if failed.raised else [failed.why])]
    )
