"""The process that a step is replayed in: what a task's own process would have, and everything put back afterwards."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any

from kit.errors import ReplayError
from kit.replay import debugger, guards, interpreter, libraries, runtime
from kit.replay.guards import TaskEnded

__all__ = ["alone", "preserved"]

# Each makes one thing as a task's own process would have it, and gives what puts it back.
KEEPERS: tuple[Callable[[], Callable[[], object]], ...] = (
    *interpreter.KEEPERS,
    *libraries.KEEPERS,
    *runtime.KEEPERS,
    debugger.breakpoints,
    guards.ends,
)

_turn = threading.RLock()


def alone() -> AbstractContextManager[Any]:
    """Let one replay run at a time, since they share the process: another thread waits, a nested replay goes on.

    Raises:
        ReplayError: The calling thread was started by a step that is being replayed, and would wait for itself.
    """
    if guards.started_by_a_step():
        raise ReplayError(
            "A thread that a step started cannot replay a step while that one runs.",
            "Replay it in the step's own thread, or after the step.",
        )
    return _turn


def preserved() -> AbstractContextManager[None]:
    """Run what a process of its own would run, and leave this one as it was.

    Put back: environment, working folder, signal handlers and timers, warning filters, hooks, import machinery,
    logging, random states, settings of common libraries, the asyncio loop, and what Metaflow keeps for a whole process;
    `flowfile.as_script` does argv, sys.path and `__main__`. What would end or stop the process ends the step alone.

    Raises:
        ReplayError: Something called what ends a task's process, and nobody else turned that into an error.
    """
    return _Preserved()


class _Preserved(AbstractContextManager[None]):
    """A class, not a generator, whose frame would stay in every traceback."""

    def __init__(self) -> None:
        self._put_back: list[Callable[[], object]] = []

    def __enter__(self) -> None:
        turn = alone()
        turn.__enter__()
        self._put_back.append(lambda: turn.__exit__(None, None, None))
        try:
            self._put_back.append(interpreter.signals())
            with _uninterrupted():
                for keeper in KEEPERS:
                    self._put_back.append(keeper())
        except BaseException:
            self._undo()
            raise

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._undo()
        if isinstance(error, TaskEnded):
            raise guards.replay_error(error) from None

    def _undo(self) -> None:
        """Put everything back, the last first; what cannot be put back does not keep the rest from it."""
        errors: list[Exception] = []
        with _uninterrupted():
            while self._put_back:
                try:
                    self._put_back.pop()()
                except Exception as error:
                    errors.append(error)
        if errors:
            raise errors[0]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold an interrupt back until all is in its place."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pending: list[Any] = []

    def hold(number: int, frame: Any) -> None:
        pending.append((number, frame))

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is hold:
            signal.signal(signal.SIGINT, handler)
    if pending:
        handler(*pending[0])
