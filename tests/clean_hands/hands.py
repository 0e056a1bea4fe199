"""What a step did, and what the process is like."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import kit


def work(what: str, step: str = "work") -> Any:
    return kit.run_step(f"HandsFlow/{step}", {"what": what})


def tree(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def state() -> dict[str, Any]:
    """What a process has, as far as a step may change it."""
    import decimal
    import locale
    import multiprocessing

    import metaflow
    import numpy

    current = metaflow.current
    loggers = [logging.root, *(logging.getLogger(name) for name in ("hands", "before", "of.the.step"))]
    return {
        "environment": dict(os.environ),
        "zone": time.tzname,
        "folder": os.getcwd(),
        "argv": list(sys.argv),
        "path": list(sys.path),
        "imports": [list(sys.meta_path), list(sys.path_hooks)],
        "recursion": sys.getrecursionlimit(),
        "hooks": [sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook, threading.excepthook],
        "streams": [sys.stdin, sys.stdout, sys.stderr],
        "warnings": list(warnings.filters),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "logging": [(logger.level, list(logger.handlers), logger.disabled) for logger in loggers],
        "disabled": logging.root.manager.disable,
        "locale": locale.setlocale(locale.LC_ALL),
        "temporary": tempfile.tempdir,
        "random": random.getstate(),
        "numpy": [tuple(map(str, numpy.random.get_state())), numpy.geterr(), numpy.get_printoptions()],
        "decimal": decimal.getcontext().prec,
        "processes": multiprocessing.get_start_method(allow_none=True),
        "main": sys.modules["__main__"],
        "functions": [os._exit, os.kill, os.abort, signal.raise_signal, threading.Thread.start],
        "current": [current.run_id, current.step_name, current.is_running_flow, hasattr(current, "card")],
        "client": [metaflow.get_namespace(), metaflow.get_metadata()],
        "threads": threading.enumerate(),
        "files": sorted(os.listdir("/proc/self/fd")),
        "leftovers": [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(("kit", "metaflow_"))],
    }
