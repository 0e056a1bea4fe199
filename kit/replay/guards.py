"""What would end the process ends the step alone: a task has a process of its own, a replay has the notebook's.

While a step runs, `os._exit`, `os.abort`, signals that it sends to itself and their like raise TaskEnded. Child
processes, and threads that were there before, call the real ones.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from kit.blame import is_users
from kit.errors import ReplayError
from kit.replay.interpreter import handlers_of_signals

__all__ = ["TaskEnded", "ended", "ends", "leave_child", "replay_error", "started_by_a_step"]

# What these do by default is to end the process when a timer or a limit strikes; the step sets them itself.
TIMERS = ("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGXFSZ")

# Signals that by default do not end a process, or whose handler is Python's own KeyboardInterrupt.
HARMLESS = ("SIGINT", "SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT", "SIGPIPE")

UNHANDLED = (signal.SIG_DFL, None)


class TaskEnded(BaseException):
    """A step called what ends a task's process. No `except Exception`, no @catch and no @retry takes it.

    Args:
        call: What it called, as it is written.
    """

    def __init__(self, call: str) -> None:
        super().__init__(call)
        self.call = call


class _Guard:
    """One replay's own: who belongs to it, and whether something ended it."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.thread = threading.get_ident()
        self.ended: TaskEnded | None = None
        main = threading.current_thread() is threading.main_thread()
        self.handlers = handlers_of_signals() if main else {}

    def owns_this_thread(self) -> bool:
        mine = threading.get_ident() == self.thread or _starter(threading.current_thread()) is self
        return mine and os.getpid() == self.process

    def end(self, call: str) -> None:
        error = TaskEnded(call)
        self.ended = self.ended or error
        raise error

    def is_deadly(self, number: int) -> bool:
        """Whether a signal ends or stops a process in which only the step's own handlers are set."""
        if number == 0 or number in {getattr(signal, name, None) for name in HARMLESS}:
            return False
        handler = signal.getsignal(number)
        if handler == signal.SIG_IGN:
            return False
        return handler in UNHANDLED or handler == self.handlers.get(number, handler)


_active: list[_Guard] = []


def ended() -> TaskEnded | None:
    """Give what ended the innermost replay's task, though the step may have caught it, or None."""
    return _active[-1].ended if _active else None


def started_by_a_step() -> bool:
    """Whether the calling thread was started by a step that is still being replayed."""
    return _starter(threading.current_thread()) in _active


def _starter(thread: threading.Thread) -> _Guard | None:
    return getattr(thread, "_kit_replay", None)


def _guard() -> _Guard | None:
    """Give the replay that the calling thread and process belong to."""
    return next((guard for guard in reversed(_active) if guard.owns_this_thread()), None)


def ends() -> Callable[[], object]:
    """Guard the process until the returned function is called."""
    guard = _Guard()
    undo = [_guarded(module, name, is_fatal) for module, name, is_fatal in FATAL if hasattr(module, name)]
    undo += [_marking_threads(), _cancelling_dumps()]
    if guard.handlers:
        for name in TIMERS:  # put back with all the signals
            number = getattr(signal, name, None)
            if number is not None and guard.handlers[number] == signal.SIG_DFL:
                signal.signal(number, _struck)
                guard.handlers[number] = _struck
    _active.append(guard)

    def put_back() -> None:
        _active.remove(guard)
        for one in undo:
            one()

    return put_back


def leave_child(failure: BaseException | None) -> None:
    """End a child process that the step forked and that came out of the step: it is no second notebook."""
    with suppress(Exception):
        if failure is not None and not isinstance(failure, SystemExit):
            traceback.print_exception(type(failure), failure, failure.__traceback__)
        sys.stdout.flush()
        sys.stderr.flush()
    status = getattr(failure, "code", 1) if failure is not None else 0
    os._exit(status if isinstance(status, int) else int(status is not None))


def _struck(number: int, _frame: FrameType | None) -> None:
    guard = _guard()
    if guard is not None:
        guard.end(f"{signal.Signals(number).name}, which nothing handled")
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _guarded(module: Any, name: str, is_fatal: Callable[..., bool]) -> Callable[[], object]:
    original = getattr(module, name)
    call = _wrapped(module, name, is_fatal, original)
    setattr(module, name, call)
    return lambda: setattr(module, name, original) if getattr(module, name) is call else None


@functools.cache
def _wrapped(module: Any, name: str, is_fatal: Callable[..., bool], original: Callable[..., Any]) -> Any:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        guard = _guard()
        if guard is not None and is_fatal(guard, *args, **kwargs):
            given = ", ".join([*(_short(value) for value in args), *(f"{key}=..." for key in kwargs)])
            guard.end(f"{module.__name__}.{name}({given})")
        return original(*args, **kwargs)

    call.__module__, call.__qualname__ = module.__name__, name  # pickled by its name, a child gets the real one
    return call


def _short(value: Any) -> str:
    return value.name if isinstance(value, signal.Signals) else repr(value)[:40]


def _is_fatal_kill(guard: _Guard, process: int, number: int) -> bool:
    group = os.getpgrp() if hasattr(os, "getpgrp") else None
    doomed = {guard.process, os.getppid(), 0, -1, *([-group] if group is not None else [])}
    return process in doomed and guard.is_deadly(number)


def _always(_guard: _Guard, *_args: Any, **_kwargs: Any) -> bool:
    return True


FATAL: tuple[tuple[Any, str, Callable[..., bool]], ...] = (
    (os, "_exit", _always),
    (os, "abort", _always),
    (os, "execv", _always),
    (os, "execve", _always),
    (os, "kill", _is_fatal_kill),
    (os, "killpg", lambda guard, group, number: group in (0, os.getpgrp()) and guard.is_deadly(number)),
    (signal, "raise_signal", lambda guard, number: guard.is_deadly(number)),
    (signal, "pthread_kill", lambda guard, _thread, number: guard.is_deadly(number)),
)


def _marking_threads() -> Callable[[], object]:
    """Note on each thread that a step starts whose it is."""
    original = threading.Thread.start

    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        self._kit_replay = _guard()  # type: ignore[attr-defined]
        original(self)

    threading.Thread.start = start  # type: ignore[method-assign]

    def put_back() -> None:
        if threading.Thread.start is start:
            threading.Thread.start = original  # type: ignore[method-assign]

    return put_back


def _cancelling_dumps() -> Callable[[], object]:
    """Cancel faulthandler's watchdog, which may exit the process, if the step has set it."""
    faulthandler: Any = sys.modules.get("faulthandler")
    if faulthandler is None:
        return lambda: None
    original, calls = faulthandler.dump_traceback_later, []

    @functools.wraps(original)
    def later(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    faulthandler.dump_traceback_later = later

    def put_back() -> None:
        faulthandler.dump_traceback_later = original
        if calls:
            faulthandler.cancel_dump_traceback_later()

    return put_back


def replay_error(error: BaseException) -> ReplayError:
    """Say what a step did that ends a task's process, and where; the user's frames go below.

    Args:
        error: The step's SystemExit, or a TaskEnded, with the user's frames alone.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f" ({f.filename}, line {f.lineno})" for f in reversed(frames) if is_users(f.filename)), "")
    if isinstance(error, SystemExit):
        call, status = f"sys.exit({'' if error.code is None else repr(error.code)})", error.code
        hint = "A task that ends so has failed: raise an exception that says why."
        if status in (None, 0):
            hint = "A task that ends so is not successful, and no step follows it: let the step return."
    else:
        call = str(error)
        hint = "A task that ends so has failed, whatever it stored before: let the step return or raise."
    return ReplayError(f"The step ended its own process: {call}{place}.", hint, "".join(traceback.format_list(frames)))
