"""The traceback of a failing step: the user's own frames alone."""

from __future__ import annotations

import contextvars
import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from kit import internals
from kit.errors import ReplayError
from kit.replay import guards

__all__ = ["calling_user_code", "is_own"]

# Set and asked below what a class may override: a frozen dataclass that is an exception refuses the usual way.
_FIELDS: Any = vars(BaseException)


def calling_user_code(function: Callable[[], None]) -> None:
    """Call, in a context of its own; let an exception pass with the user's own frames alone.

    Raises:
        ReplayError: The step ended its process: a SystemExit would let the cell and papermill succeed.
        BaseException: Whatever else the step raises.
    """
    __tracebackhide__ = True
    failure = _failure_of(function)
    if failure is None:
        return
    _clean(failure)
    try:
        if isinstance(failure, (SystemExit, guards.TaskEnded)):
            cause = failure if isinstance(failure, SystemExit) else None
            raise guards.replay_error(failure).with_traceback(failure.__traceback__) from cause
        _explain(failure)
        raise failure
    finally:
        del failure  # a frame that holds its own exception is a cycle


def _failure_of(function: Callable[[], None]) -> BaseException | None:
    """Call, and give what was raised, or what had ended the task although the step caught it."""
    process = os.getpid()
    failure: BaseException | None = None
    try:
        contextvars.copy_context().run(function)
    except BaseException as error:  # raised above, where it gets no other context
        failure = _first(error)
    if os.getpid() != process:
        guards.leave_child(failure)
    return guards.ended() or failure


def _first(error: BaseException) -> BaseException:
    """Give what the step raised, where Metaflow failed again when it said so: it names the task's foreach item too."""
    from metaflow import FlowSpec

    entry = _FIELDS["__traceback__"].__get__(error)
    while entry is not None and entry.tb_next is not None:
        if entry.tb_next.tb_frame.f_code is FlowSpec.__str__.__code__ and is_own(entry.tb_frame):
            return _FIELDS["__context__"].__get__(error) or error
        entry = entry.tb_next
    return error


def _explain(error: BaseException) -> None:
    """Say what Metaflow's ValueError about signals means: the step has @timeout, and this is not the main thread."""
    main = threading.current_thread() is threading.main_thread()
    if type(error) is ValueError and not main and "main thread" in str(error):
        raise ReplayError(
            "A step with @timeout is replayed in the main thread alone, where its alarm can be set.",
            "Replay it there, or with @timeout taken away.",
        ) from error


def _clean(error: BaseException) -> None:
    """Take kit's and Metaflow's frames out of an exception's traceback, and of those that it is chained to."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        _FIELDS["__traceback__"].__set__(found, _user_frames(_FIELDS["__traceback__"].__get__(found)))
        chained = [_FIELDS["__cause__"].__get__(found), _FIELDS["__context__"].__get__(found), *_members(found)]
        pending += [other for other in chained if other is not None]


def _members(error: BaseException) -> list[BaseException]:
    """Give the exceptions of an exception group: Python's own, or the backport's for 3.10."""
    try:
        return [member for member in error.exceptions if isinstance(member, BaseException)]  # type: ignore[attr-defined]
    except Exception:  # no group
        return []


def is_own(frame: FrameType) -> bool:
    """Whether a frame is of kit's or Metaflow's code."""
    return frame.f_code.co_filename.startswith(_folders())


@functools.cache
def _folders() -> tuple[str, ...]:
    return tuple(f"{folder}{os.sep}" for folder in (Path(__file__).parents[1], Path(internals.cli.__file__).parent))


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of kit and of Metaflow; where nothing else is left, they are what there is to see."""
    entries, entry = [], traceback
    while entry is not None:
        if not is_own(entry.tb_frame):
            entries.append(entry)
        entry = entry.tb_next
    kept: TracebackType | None = None
    for entry in reversed(entries):
        kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept or traceback
