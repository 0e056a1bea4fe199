"""What ended a step that ran in its own environment, raised here as if it had run here."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn

from kit.errors import ReplayError

__all__ = ["handled", "raise_failure"]

SHOWN = 10_000  # characters of what a process printed that said nothing else


class ElsewhereError(Exception):
    """What an exception of another process was raised from, as that process wrote it."""


class UnknownError(Exception):
    """An exception whose class this process does not have."""


def handled(report: Mapping[str, Any]) -> BaseException | None:
    """Give what a step's body raised and a decorator handled, or what stands for it; None for nothing.

    Args:
        report: What the process has written.
    """
    found = report.get("exception")
    return None if not found else _loaded(found) or UnknownError(f"{found['type']}: {found['message']}")


def raise_failure(origin: str, report: Mapping[str, Any], status: int, printed: str) -> NoReturn:
    """Raise what ended a task, from the step's own lines.

    Args:
        origin: The task.
        report: What its process has written.
        status: Its exit status.
        printed: What it printed to its standard error.

    Raises:
        ReplayError: The process gave no exception, or one whose class this process does not have.
        Exception: What the step raised.
    """
    __tracebackhide__ = True
    found = report.get("exception")
    if found is None:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        raise ReplayError(f"{origin} {how} in its environment.", "What it printed follows.", details=printed[-SHOWN:])
    error = _loaded(found)
    if error is None:
        raise ReplayError(
            f"{origin} failed in its environment: {found['type']}: {found['message']}",
            "Mend the step; its traceback follows.",
            details=found["traceback"],
        )
    raised = error.with_traceback(_traceback(found["frames"]))
    if found["cause"]:
        raise raised from ElsewhereError(f"\n{found['cause'].rstrip()}")
    raise raised


def _loaded(found: Mapping[str, Any]) -> BaseException | None:
    try:
        error = pickle.loads(base64.b64decode(found["pickle"]))  # noqa: S301  # of the user's own step
    except Exception:  # its class is not here, or does not unpickle
        return None
    return error if isinstance(error, BaseException) else None


def _traceback(frames: Sequence[tuple[str, int, str]]) -> TracebackType | None:
    """Make a traceback of frames that another process had: files, lines and functions, without their variables."""
    made: TracebackType | None = None
    for file, line, name in reversed(frames):
        code = compile("\n" * (line - 1) + "raise stop", file, "exec").replace(co_name=name)
        try:
            exec(code, {"stop": StopIteration(), "__name__": "__main__", "__file__": file})  # noqa: S102
        except StopIteration as stop:
            here = stop.__traceback__.tb_next if stop.__traceback__ else None
            if here is not None:
                made = TracebackType(made, here.tb_frame, here.tb_lasti, line)
    return made
