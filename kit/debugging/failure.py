"""What a failed task raised, as Metaflow recorded it: the user's own frames, and the line of the step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from kit.details import failures
from kit.listing import own_artifact
from kit.model import RunInfo, StepInfo, TaskInfo
from kit.runs import Runs
from kit.tracebacks import is_metaflows

__all__ = ["Frame", "Recorded", "recorded"]

FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)$')
MAX_LINES = 60
MAX_SAID = 300  # characters of a message that stand in a line


@dataclass(frozen=True)
class Frame:
    """A frame of a recorded traceback.

    Args:
        file: The file, as it was called where the task ran.
        line: The line, counted from 1.
        function: The function.
        text: What the line said.
    """

    file: str
    line: int
    function: str
    text: str = ""


@dataclass(frozen=True)
class Recorded:
    """What a task raised.

    Args:
        said: The type and message of the exception, in one line; "" where the task did not record one.
        traceback: Its traceback with the user's own frames alone; else the last lines that the task wrote to stderr.
        frames: The user's own frames.
    """

    said: str
    traceback: str
    frames: tuple[Frame, ...] = ()

    def in_step(self, step: str, path: str) -> Frame | None:
        """Give the innermost frame that is in the step itself; None where the exception did not pass through it.

        Args:
            step: The name of the step.
            path: The file that defines it.
        """
        name = PurePosixPath(path).name
        inside = [f for f in self.frames if f.function == step and re.split(r"[/\\]", f.file)[-1] == name]
        return inside[-1] if inside else None


def recorded(runs: Runs, run: RunInfo, task: TaskInfo) -> Recorded:
    """Read what a task raised; nothing of the user's is unpickled."""
    address = task.pathspec
    step = address.step or ""
    raised = own_artifact(runs.storage(run.store), run.flow, run.id, step, "_exception", address.task)
    trace = str(getattr(raised, "stacktrace", None) or "")
    if trace:
        lines, frames = _own(trace)
        kind = str(getattr(raised, "type", "")).removeprefix("builtins.")
        return Recorded(_short(f"{kind}: {getattr(raised, 'exception', '')}"), "\n".join(lines), tuple(frames))
    found = failures(runs, run, [StepInfo(step, task.status, (task,))], MAX_LINES)
    if not found:
        return Recorded("", "")
    return Recorded(_short(found[0].exception), "\n".join(found[0].lines))


def _short(said: str) -> str:
    text = " ".join(said.strip(": \n").split())
    return text if len(text) <= MAX_SAID else f"{text[: MAX_SAID - 1]}…"


def _own(trace: str) -> tuple[list[str], list[Frame]]:
    """Leave Metaflow's own frames out of a traceback."""
    kept: list[str] = []
    frames: list[Frame] = []
    skipping = is_own = False
    for line in trace.rstrip().split("\n"):
        found = FRAME.match(line)
        if found:
            skipping = is_metaflows(found["file"])
            is_own = not skipping
            if is_own:
                frames.append(Frame(found["file"], int(found["line"]), found["function"]))
        elif not line.startswith("    "):
            skipping = is_own = False
        elif is_own and not frames[-1].text:
            frames[-1] = Frame(frames[-1].file, frames[-1].line, frames[-1].function, line.strip())
        if not skipping:
            kept.append(line)
    return kept, frames
