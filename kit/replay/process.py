"""The state of the process that a step may change, put back when the replay is over."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kit import internals

__all__ = ["preserved"]

CARD_STATE = (
    "total_decos_on_step",
    "step_counter",
    "_called_once",
    "card_creator",
    "_config_values",
    "_config_file_name",
    "task_finished_decos",
    "_GLOBAL_CARD_INFO",
)


@contextmanager
def preserved() -> Iterator[None]:
    """Run what a process of its own would run, and leave this one as it was; `flowfile.as_script` does the rest.

    Put back: the environment, sys.meta_path, the warning filters, the handler of SIGALRM, the
    working directory, and what Metaflow keeps for a whole process: `metaflow.current`, the client's namespace and
    metadata provider, the local datastore's root, the card decorator's counters, the system's logger and monitor.
    """
    environ, meta_path, folder = dict(os.environ), list(sys.meta_path), os.getcwd()
    with warnings.catch_warnings(), _signals(), _metaflow_state():
        warnings.simplefilter("ignore")  # as Metaflow's command line does (metaflow.cli.main)
        try:
            yield
        finally:
            os.chdir(folder)
            _restore(os.environ, environ)
            sys.meta_path[:] = meta_path


@contextmanager
def _signals() -> Iterator[None]:
    """Put back the alarm that @timeout sets; only the main thread may."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGALRM)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def _metaflow_state() -> Iterator[None]:
    current, current_class, client = internals.current, internals.Current, internals.client_core
    storage, provider, card = internals.LocalStorage, internals.LocalMetadataProvider, internals.CardDecorator
    singletons = (
        internals.system_context,
        internals.system._system_logger,
        internals.system._system_monitor,
    )
    class_before, instance_before = dict(vars(current_class)), dict(vars(current))
    client_before = client.current_namespace, client.current_metadata
    info_before, root_before = provider._INFO, storage.datastore_root
    states_before = [dict(vars(singleton)) for singleton in singletons]
    cards_before = {name: getattr(card, name) for name in CARD_STATE}
    context_before = internals.parameters.context_proto
    client.current_namespace = client.current_metadata = False  # a task's own process starts with the defaults
    for name, value in cards_before.items():
        setattr(card, name, _fresh(value) if name != "card_creator" else None)
    try:
        yield
    finally:
        for name in set(vars(current_class)) - set(class_before):
            delattr(current_class, name)
        current_class.graph = class_before["graph"]
        _restore(vars(current), instance_before)
        client.current_namespace, client.current_metadata = client_before
        storage.datastore_root = root_before
        provider._INFO = info_before
        for singleton, state in zip(singletons, states_before, strict=True):
            _restore(vars(singleton), state)
        for name, value in cards_before.items():
            setattr(card, name, value)
        internals.parameters.context_proto = context_before


def _fresh(value: Any) -> Any:
    """Give the value that a class-level counter or registry starts with."""
    return type(value)() if isinstance(value, (dict, int)) else None


def _restore(mapping: Any, before: dict[str, Any]) -> None:
    """Make a mapping what it was, touching only what differs: os.environ calls putenv at each change."""
    for name in set(mapping) - set(before):
        del mapping[name]
    for name, value in before.items():
        if name not in mapping or mapping[name] is not value:
            mapping[name] = value
