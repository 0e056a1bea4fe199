"""What a step prints: live to where it always goes, and kept."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

__all__ = ["Printed", "teed"]


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
    """A stream that writes to another one and keeps a copy; whatever else is asked of it, the other one answers."""

    def __init__(self, stream: TextIO, copy: io.StringIO) -> None:
        self._stream, self._copy = stream, copy

    def write(self, text: str) -> int:
        self._copy.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def teed() -> Iterator[Printed]:
    """Keep what is printed while it goes on to the cell or the terminal."""
    printed = Printed()
    with (
        redirect_stdout(_Tee(sys.stdout, printed._stdout)),
        redirect_stderr(_Tee(sys.stderr, printed._stderr)),
    ):
        yield printed
