"""A task as another process, whose output goes on to the cell while it runs."""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["run_task"]

STOP_SECONDS = 5  # between asking a process to end and ending it
CHUNK = 65536  # bytes


def run_task(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> int:
    """Run a command to its end, in a process group of its own; an interrupt ends the whole group.

    Args:
        command: The command, as a list of arguments.
        folder: Its working folder.
        environ: All of its environment.

    Returns:
        Its exit status.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        with process:
            _pass_on(process)
            return process.wait()
    except BaseException:
        _end(process)
        raise


def _pass_on(process: subprocess.Popen[bytes]) -> None:
    decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
    with selectors.DefaultSelector() as selector:
        for name in decoders:
            selector.register(getattr(process, name), selectors.EVENT_READ, name)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, CHUNK)
                text = decoders[key.data].decode(data, final=not data)
                if text:
                    stream = getattr(sys, key.data)
                    stream.write(text)
                    stream.flush()
                if not data:
                    selector.unregister(key.fileobj)


def _end(process: subprocess.Popen[bytes]) -> None:
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, sent)
            process.wait(timeout=STOP_SECONDS)
            return
