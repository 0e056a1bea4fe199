"""What a step prints: live to where it always goes, and kept.

Kept is what Python prints. What another process writes to the file descriptors 1 and 2 goes where theirs go.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

__all__ = ["Printed", "teed", "untold"]


class Printed:
    """What was printed so far."""

    def __init__(self) -> None:
        self._stdout, self._stderr = io.StringIO(), io.StringIO()

    @property
    def stdout(self) -> str:
        """What went to the standard output."""
        return self._stdout.getvalue()

    @property
    def stderr(self) -> str:
        """What went to the standard error."""
        return self._stderr.getvalue()


class _Tee(io.TextIOBase):
    """A stream that writes to another one and keeps a copy; whatever else is asked of it, the other one answers.

    Args:
        name: `stdout` or `stderr`.
        stream: The other one.
        copy: Where the copy goes.
    """

    def __init__(self, name: str, stream: TextIO, copy: io.StringIO) -> None:
        self._name, self._stream, self._copy = name, stream, copy
        self._is_over = self._is_forwarding = False

    def end(self) -> None:
        """Keep no copy from now on; who holds on to this stream writes to whatever is the standard one then."""
        self._is_over, self._copy = True, io.StringIO()

    def write(self, text: str) -> int:
        if not self._is_over:
            self._copy.write(text)
            return self._stream.write(text)
        stream: Any = getattr(sys, self._name)
        if stream is self or stream is None or self._is_forwarding:
            return self._stream.write(text)
        self._is_forwarding = True
        try:
            return cast(int, stream.write(text))
        finally:
            self._is_forwarding = False

    def flush(self) -> None:
        if not self._stream.closed:
            self._stream.flush()

    def close(self) -> None:
        """Stay open: the stream belongs to the notebook."""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def buffer(self) -> _Bytes:
        """A stream of bytes, which a kernel's own output lacks."""
        return _Bytes(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return getattr(self._stream, "errors", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Bytes(io.BufferedIOBase):
    """The bytes below a tee: written as text, in their order with the text."""

    def __init__(self, tee: _Tee) -> None:
        self._tee = tee

    def write(self, data: Any) -> int:
        self._tee.write(bytes(data).decode(self._tee.encoding, errors="replace"))
        return len(data)

    def flush(self) -> None:
        self._tee.flush()

    def close(self) -> None:
        """Stay open."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._tee.fileno()


def untold(stream: TextIO) -> TextIO:
    """Give the stream below a tee: what is written there is shown and not kept, as a debugger's prompt is."""
    while isinstance(stream, _Tee):
        stream = stream._stream
    return stream


@contextmanager
def teed() -> Iterator[Printed]:
    """Keep what is printed while it goes on to the cell or the terminal."""
    printed = Printed()
    undo: list[Callable[[], object]] = []
    try:
        for name, copy in (("stdout", printed._stdout), ("stderr", printed._stderr)):
            stream = getattr(sys, name)
            if stream is not None:  # a process may have none
                _tee(name, stream, copy, undo)
        yield printed
    finally:
        while undo:
            undo.pop()()


def _tee(name: str, stream: TextIO, copy: io.StringIO, undo: list[Callable[[], object]]) -> None:
    tee = _Tee(name, stream, copy)
    undo.append(tee.end)
    for handler in [ref() for ref in list(logging._handlerList)]:  # type: ignore[attr-defined]  # all that there are
        if getattr(handler, "__dict__", {}).get("stream") is stream:
            undo.append(lambda handler=handler: _redirect(handler, tee, stream))  # type: ignore[misc]
            _redirect(handler, stream, tee)
    undo.append(lambda: setattr(sys, name, stream))
    setattr(sys, name, tee)


def _redirect(handler: Any, before: Any, after: Any) -> None:
    if handler.stream is before:
        handler.stream = after
