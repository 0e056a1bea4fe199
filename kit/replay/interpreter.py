"""What a step may change of the interpreter and the standard library, and how it is put back.

Each keeper makes one thing as a task's own process would have it, and gives what puts it back.
"""

from __future__ import annotations

import builtins
import importlib
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from kit.blame import is_users

__all__ = ["KEEPERS", "Undo", "handlers_of_signals", "restore", "signals"]

Undo = Callable[[], object]

ABSENT = object()

SIGNALS = tuple(int(number) for number in signal.valid_signals())

# Attributes of modules that people replace: (module, name).
ATTRIBUTES = (
    *((sys, name) for name in ("excepthook", "displayhook", "unraisablehook", "breakpointhook", "tracebacklimit")),
    *((sys, name) for name in ("dont_write_bytecode", "ps1", "ps2")),
    (threading, "excepthook"),
    (logging, "raiseExceptions"),
)

# Settings behind functions: (module, how to ask, how to set).
SETTINGS: tuple[tuple[str, Callable[[Any], Any], Callable[[Any, Any], object]], ...] = (
    ("sys", lambda m: m.getrecursionlimit(), lambda m, value: m.setrecursionlimit(value)),
    ("sys", lambda m: m.getswitchinterval(), lambda m, value: m.setswitchinterval(value)),
    ("threading", lambda m: m.stack_size(), lambda m, value: m.stack_size(value)),
    ("gc", lambda m: m.get_threshold(), lambda m, value: m.set_threshold(*value)),
    ("gc", lambda m: m.isenabled(), lambda m, on: m.enable() if on else m.disable()),
    ("locale", lambda m: m.setlocale(m.LC_ALL), lambda m, value: m.setlocale(m.LC_ALL, value)),
    ("socket", lambda m: m.getdefaulttimeout(), lambda m, value: m.setdefaulttimeout(value)),
    ("csv", lambda m: m.field_size_limit(), lambda m, value: m.field_size_limit(value)),
    ("decimal", lambda m: m.getcontext().copy(), lambda m, value: m.setcontext(value)),  # equal to no other one
    ("tempfile", lambda m: m.tempdir, lambda m, value: setattr(m, "tempdir", value)),
    ("faulthandler", lambda m: m.is_enabled(), lambda m, on: m.enable(sys.__stderr__) if on else m.disable()),
)


def restore(mapping: Any, before: Mapping[str, Any]) -> None:
    """Make a mapping what it was, touching only what differs: os.environ calls putenv at each change."""
    for name in set(mapping) - set(before):
        del mapping[name]
    for name, value in before.items():
        if name not in mapping or mapping[name] is not value:
            mapping[name] = value


def signals() -> Undo:
    """Keep every signal's handler, the alarm that @timeout sets, and the mask; only the main thread may set them."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handlers = handlers_of_signals()
    has_timer, has_mask = hasattr(signal, "setitimer"), hasattr(signal, "pthread_sigmask")
    timer, started = signal.getitimer(signal.ITIMER_REAL) if has_timer else (0.0, 0.0), time.monotonic()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if has_mask else set()
    wakeup = _wakeup_fd()

    def put_back() -> None:
        if has_timer:
            rest = max(timer[0] - (time.monotonic() - started), 0.001) if timer[0] else 0.0
            signal.setitimer(signal.ITIMER_REAL, rest, timer[1])
        handlers_now = handlers_of_signals()
        for number, handler in handlers.items():
            if handler is not None and handlers_now[number] is not handler:  # None: not set from Python
                signal.signal(number, handler)
        if has_mask:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if wakeup != _wakeup_fd():
            signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    return put_back


def handlers_of_signals() -> dict[int, Any]:
    """Give the handler of each signal, None where it was not set from Python."""
    return {number: signal.getsignal(number) for number in SIGNALS}


def _wakeup_fd() -> int:
    fd = signal.set_wakeup_fd(-1)  # the only way to ask is to set it
    if fd != -1:
        signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    return fd


def environment() -> Undo:
    """Keep the environment, the working folder and the mask of new files' modes."""
    variables, folder, mask = dict(os.environ), os.getcwd(), os.umask(0o077)
    os.umask(mask)

    def put_back() -> None:
        zone = os.environ.get("TZ")
        restore(os.environ, variables)
        if zone != variables.get("TZ") and hasattr(time, "tzset"):
            time.tzset()
        os.umask(mask)
        os.chdir(folder)

    return put_back


def warning_filters() -> Undo:
    """Ignore warnings, as Metaflow's command line does (metaflow.cli.main)."""
    caught = warnings.catch_warnings()
    caught.__enter__()
    warnings.simplefilter("ignore")
    return lambda: caught.__exit__(None, None, None)


def attributes() -> Undo:
    """Keep the hooks, and the built-in names."""
    before = [(owner, name, getattr(owner, name, ABSENT)) for owner, name in ATTRIBUTES]
    names = dict(vars(builtins))

    def put_back() -> None:
        for owner, name, value in before:
            if value is ABSENT:
                vars(owner).pop(name, None)
            elif getattr(owner, name, ABSENT) is not value:
                setattr(owner, name, value)
        for name, value in names.items():
            if vars(builtins).get(name, ABSENT) is not value and name != "_":  # which is IPython's last value
                setattr(builtins, name, value)

    return put_back


def settings() -> Undo:
    """Keep what is behind a function, of the modules that are imported."""
    asked = [(sys.modules[name], ask, put) for name, ask, put in SETTINGS if name in sys.modules]
    before = [(module, ask, put, ask(module)) for module, ask, put in asked]

    def put_back() -> None:
        for module, ask, put, value in before:
            if ask(module) != value:
                put(module, value)

    return put_back


def imports() -> Undo:
    """Keep the import machinery, and the user's modules; what libraries first imported by the step add, stays."""
    known = dict(sys.modules)
    machinery: tuple[list[Any], list[Any]] = (sys.meta_path, sys.path_hooks)
    lists = [(entries, list(entries)) for entries in machinery]

    def is_new(entry: Any) -> bool:
        name = getattr(entry, "__module__", None) or type(entry).__module__
        return name in sys.modules and name not in known and not _is_users(sys.modules[name])

    def put_back() -> None:
        for name, module in known.items():
            if sys.modules.get(name) is not module and _is_users(module):
                sys.modules[name] = module
        for name, module in list(sys.modules.items()):
            if name not in known and "." not in name and getattr(module, "__spec__", None) is None:
                del sys.modules[name]  # a stand-in that no import made
        for entries, before in lists:
            if entries != before:
                entries[:] = [*before, *(entry for entry in entries if entry not in before and is_new(entry))]

    return put_back


def _is_users(module: Any) -> bool:
    return is_users(getattr(module, "__file__", None) or "<none>")


def logs() -> Undo:
    """Keep the loggers: a handler that a step adds would print twice at the next replay."""
    manager, known = logging.root.manager, set(sys.modules)
    loggers = {name: found for name, found in manager.loggerDict.items() if isinstance(found, logging.Logger)}
    before = [(logger, _logger_state(logger)) for logger in (logging.root, *loggers.values())]
    disabled = manager.disable

    def put_back() -> None:
        for logger, state in before:
            if _logger_state(logger) != state:
                logger.setLevel(state[0])
                logger.handlers[:], logger.filters[:] = state[1], state[2]
                logger.propagate, logger.disabled = state[3], state[4]
        for name, made in list(manager.loggerDict.items()):
            room = name.partition(".")[0]
            is_of_new_module = room in sys.modules and room not in known
            if name not in loggers and isinstance(made, logging.Logger) and not is_of_new_module:
                made.setLevel(logging.NOTSET)
                made.handlers.clear()
                made.filters.clear()
                made.propagate, made.disabled = True, False
        if manager.disable != disabled:
            logging.disable(disabled)

    return put_back


def _logger_state(logger: logging.Logger) -> tuple[Any, ...]:
    return logger.level, list(logger.handlers), list(logger.filters), logger.propagate, logger.disabled


def start_method() -> Undo:
    """Let the step choose how multiprocessing starts processes, which a process may do once."""
    default: Any = getattr(sys.modules.get("multiprocessing.context"), "_default_context", None)
    if not hasattr(default, "_actual_context"):
        return lambda: None
    before, default._actual_context = default._actual_context, None
    return lambda: setattr(default, "_actual_context", before)


def event_loop() -> Undo:
    """Take the running loop out of sight: a kernel runs cells in one, a task has none, and `asyncio.run` would fail."""
    if "asyncio" not in sys.modules:
        return lambda: None
    asyncio: Any = importlib.import_module("asyncio")  # its names for other loops are not in the stubs
    tasks, loop = asyncio.tasks, asyncio._get_running_loop()
    task = asyncio.current_task(loop) if loop is not None else None
    put = getattr(asyncio.events, "_set_event_loop_policy", None) or asyncio.set_event_loop_policy
    policy = asyncio.events._event_loop_policy
    if task is not None:
        tasks._leave_task(loop, task)
    asyncio._set_running_loop(None)
    put(None)  # a new one is made where it is asked for, and with it a loop for this thread

    def put_back() -> None:
        put(policy)
        asyncio._set_running_loop(loop)
        if task is not None:
            tasks._enter_task(loop, task)

    return put_back


KEEPERS: tuple[Callable[[], Undo], ...] = (
    environment,
    warning_filters,
    attributes,
    settings,
    imports,
    logs,
    start_method,
    event_loop,
)
