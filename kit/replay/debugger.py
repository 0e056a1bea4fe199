"""`breakpoint()` in a step that is replayed in a kernel: the debugger's prompt below the cell, at the user's line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from kit.replay.frames import is_own
from kit.replay.streams import untold

__all__ = ["breakpoints"]

VARIABLE = "PYTHONBREAKPOINT"
NOT_STEPPED_INTO = ("kit", "kit.*", "metaflow", "metaflow.*")


def breakpoints() -> Callable[[], object]:
    """Let `breakpoint()` open IPython's debugger: in a kernel it does nothing as long as no debugger is connected.

    Nothing is changed outside IPython, where a debugger is connected (JupyterLab's, VS Code's), or where
    PYTHONBREAKPOINT says what to do.
    """
    before = sys.breakpointhook
    shell = _shell()
    opened: list[Any] = []

    def hook(*_args: Any, header: str | None = None, **_kwargs: Any) -> None:
        if os.environ.get(VARIABLE) != "0":
            opened.append(_opened(shell, sys._getframe(1), header))

    if shell is not None and not os.environ.get(VARIABLE) and not _is_client_connected():
        sys.breakpointhook = hook

    def put_back() -> None:
        sys.breakpointhook = before
        if getattr(sys.gettrace(), "__self__", None) in opened:
            sys.settrace(None)

    return put_back


def _opened(shell: Any, frame: FrameType, header: str | None) -> Any:
    outermost = frame
    while outermost.f_back is not None and not is_own(outermost.f_back):
        outermost = outermost.f_back
    base: Any = shell.debugger_cls

    class StepDebugger(base):  # type: ignore[misc]
        """Stops in the step and in what it calls; who goes on stepping at its end lets it go."""

        def stop_here(self, frame: FrameType) -> bool:
            return bool(super().stop_here(frame)) and _is_below(frame, outermost)

    debugger = StepDebugger(stdout=untold(sys.stdout), skip=NOT_STEPPED_INTO)
    debugger.use_rawinput = True  # which a stream of its own turns off: a kernel's prompt is its `input`
    if header is not None:
        debugger.message(header)
    debugger.set_trace(frame)
    return debugger


def _is_below(frame: FrameType | None, other: FrameType) -> bool:
    while frame is not None and frame is not other:
        frame = frame.f_back
    return frame is other


def _shell() -> Any:
    """Give the shell of this kernel or terminal, without importing IPython where it is not."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _is_client_connected() -> bool:
    debugpy = sys.modules.get("debugpy")
    return bool(debugpy is not None and debugpy.is_client_connected())
