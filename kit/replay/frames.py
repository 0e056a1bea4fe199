"""The traceback of a failing step: the user's own frames alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from kit import internals

__all__ = ["calling_user_code"]


def calling_user_code(function: Callable[[], None]) -> None:
    """Call; let an exception pass with the user's own frames alone."""
    __tracebackhide__ = True
    try:
        function()
    except Exception as error:
        raise error.with_traceback(_user_frames(error.__traceback__))  # noqa: B904  # its own context stays


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Skip the frames of kit and of Metaflow that lie above the user's."""
    own = tuple(f"{folder}{os.sep}" for folder in (Path(__file__).parents[1], Path(internals.cli.__file__).parent))
    frame = traceback
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(own):
        frame = frame.tb_next
    return frame or traceback
