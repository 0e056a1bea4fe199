"""What a failed task raised, as Metaflow recorded it: the user's own frames, and the line of the step."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from kit.details import failures
from kit.listing import own_artifact
from kit.model import RunInfo, StepInfo, TaskInfo
from kit.runs import Runs
from kit.tracebacks import is_metaflows

__all__ = ["Frame", "Recorded", "recorded"]

FRAME = re.compile(r'^(?P<margin>[ |]*)  File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)$')
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CAUGHT = "metaflow.exception.MetaflowExceptionWrapper"  # what @catch keeps as its var
MAX_LINES = 60
MAX_TRACEBACK, MAX_LINE = 120, 1000  # lines, and characters of one
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
        caught: The artifact in which @catch kept the exception; "" where it was not caught.
        printed: Whether the traceback is what was printed, since no exception was recorded.
    """

    said: str
    traceback: str
    frames: tuple[Frame, ...] = ()
    caught: str = ""
    printed: bool = False

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
    caught = next((info.name for info in task.artifacts if info.type == CAUGHT), "")
    name = caught if task.status == "succeeded" else "_exception"
    raised = (
        own_artifact(runs.storage(run.store), run.flow, run.id, address.step or "", name, address.task)
        if name
        else None
    )
    trace = str(getattr(raised, "stacktrace", None) or "")
    if trace:
        lines, frames = _own(trace)
        kind = str(getattr(raised, "type", "")).removeprefix("builtins.").removeprefix("__main__.")
        said = _short(f"{kind}: {getattr(raised, 'exception', '')}")
        return Recorded(said, _cut(lines), tuple(frames), caught=caught if name == caught else "")
    found = failures(runs, run, [StepInfo(address.step or "", task.status, (task,))], MAX_LINES)
    if not found:
        return Recorded("", "")
    lines, frames = _own("\n".join(found[0].lines))
    return Recorded(_short(found[0].exception), _cut(lines), tuple(frames), printed=True)


def _short(said: str) -> str:
    lines = [" ".join(line.split()) for line in ANSI.sub("", said).strip(": \n").splitlines() if line.strip()]
    text = " ".join(lines)
    if len(text) > MAX_SAID and lines and len(lines[0]) < MAX_SAID:  # its first line says what, the others where
        return f"{lines[0]} …"
    return text if len(text) <= MAX_SAID else f"{text[: MAX_SAID - 1]}…"


def _cut(lines: list[str]) -> str:
    """Leave out the middle of a long traceback, and the ends of its long lines."""
    left_out = len(lines) - MAX_TRACEBACK
    if left_out > 0:
        half = MAX_TRACEBACK // 2
        lines = [*lines[:half], f"… {left_out:,} lines …", *lines[-half:]]
    shown = (ANSI.sub("", line) for line in lines)
    return "\n".join(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in shown)


def _own(trace: str) -> tuple[list[str], list[Frame]]:
    """Leave Metaflow's own frames out of a traceback; the frames are those of the exception that came last."""
    kept: list[str] = []
    frames: list[Frame] = []
    skipping = is_own = False
    margin = outermost = None  # what an exception group draws before each line
    for line in trace.rstrip().split("\n"):
        found = FRAME.match(line)
        if found:
            margin = found["margin"]
            outermost = margin if outermost is None else outermost
            skipping = is_metaflows(found["file"])
            is_own = not skipping and len(margin) <= len(outermost)
            if is_own:
                frames.append(Frame(found["file"], int(found["line"]), found["function"]))
        elif margin is None or not line.startswith(f"{margin}    "):
            skipping = is_own = False
        elif is_own and not frames[-1].text:
            frames[-1] = replace(frames[-1], text=line[len(margin) :].strip())
        if not skipping:
            kept.append(line)
    return kept, frames
