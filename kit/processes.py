"""A command in a process group of its own, which ends when the process that started it does, whatever ends that."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from kit import sweep

__all__ = ["GENTLY", "QUICKLY", "ProcessGroup"]

# What is sent to the group, and for how long an end is then waited for, in seconds.
QUICKLY = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
# As a terminal's Ctrl-C does: Metaflow then ends its tasks, on a cluster too, and stores their logs.
GENTLY = ((signal.SIGINT, 10.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))


class ProcessGroup:
    """A command that runs in a process group of its own; a context, at whose end the command has ended.

    Args:
        command: The command.
        folder: Its working directory.
        environ: Its environment.

    Attributes:
        process: The command's process; its standard output, text, holds its standard error too.
    """

    def __init__(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._mark = uuid.uuid4().hex
        marks = [*filter(None, [environ.get(sweep.MARK)]), self._mark]  # a group may be within another
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environ, sweep.MARK: ":".join(marks)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        null = subprocess.DEVNULL
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", sweep.__file__, str(self.process.pid), self._mark],
            stdin=subprocess.PIPE,
            stdout=null,
            stderr=null,
            start_new_session=True,
        )

    def stop(self, signals: Sequence[tuple[signal.Signals, float]] = QUICKLY) -> None:
        """End every process of the group, one signal after another until the command has ended.

        An interrupt meanwhile goes on to the next signal.
        """
        for sent, seconds in signals:
            try:
                os.killpg(self.process.pid, sent)
                self.process.wait(timeout=seconds)
                break
            except ProcessLookupError:
                break
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                continue
        sweep.end_group(self.process.pid, self._mark)  # what the command left behind
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5.0)

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None:
            self.stop()
        self.close()

    def close(self) -> None:
        """Let the group be: called when the command has ended."""
        self._guard.kill()  # before its stdin is closed
        self._guard.communicate()
