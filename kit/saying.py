"""Lines for the user about what takes long: printed, or given to whoever shows them otherwise, as a notebook does.

A line that ends with "..." says what is being done, and means nothing afterwards. Standard library alone at import.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Optional

__all__ = ["heard_by", "say", "speaker", "tell"]

_listener: ContextVar[Optional[Callable[[str], None]]] = ContextVar("listener", default=None)  # noqa: UP045  # Python 3.9


def say(line: str) -> None:
    """Say a line: to the listener, else to the standard output."""
    speaker()(line)


def tell(line: str) -> None:
    """Say what is too small to be printed: to the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(line)


def speaker() -> Callable[[str], None]:
    """Give what takes lines now, for a thread to use."""
    return _listener.get() or (lambda line: print(line, flush=True))  # noqa: T201


@contextlib.contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Let a function have the lines.

    Args:
        listener: Takes a line.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
