"""What Metaflow keeps for a whole process: as a task's own process would have it, and put back afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kit import internals
from kit.metadata import pointing
from kit.replay.interpreter import restore

__all__ = ["KEEPERS"]

Undo = Callable[[], object]

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


def current() -> Undo:
    """Keep `metaflow.current`: the object, and the properties that Metaflow and decorators put on its class."""
    value, cls = internals.current, internals.Current
    of_class, of_object = dict(vars(cls)), dict(vars(value))

    def put_back() -> None:
        for name in set(vars(cls)) - set(of_class):
            delattr(cls, name)
        for name, before in of_class.items():
            if vars(cls).get(name) is not before:
                setattr(cls, name, before)
        restore(vars(value), of_object)

    return put_back


def wear(here: Any) -> None:
    """Let `metaflow.current` say what a copy of it says, which has its properties on a class of its own."""
    for name, value in vars(type(here)).items():
        if isinstance(value, property):
            setattr(internals.Current, name, value)
    restore(vars(internals.current), vars(here))


def client() -> Undo:
    """Give the client the namespace and metadata provider that it starts with, and keep the user's."""
    core, storage, provider = internals.client_core, internals.LocalStorage, internals.LocalMetadataProvider
    chosen, info = (core.current_namespace, core.current_metadata), provider._INFO
    with pointing():
        root = storage.datastore_root
    core.current_namespace = core.current_metadata = False

    def put_back() -> None:
        core.current_namespace, core.current_metadata = chosen
        with pointing():
            provider._INFO, storage.datastore_root = info, root

    return put_back


def singletons() -> Undo:
    """Keep the system's context, logger and monitor, and the context that Parameters are evaluated in."""
    objects = internals.system_context, internals.system._system_logger, internals.system._system_monitor
    states = [dict(vars(value)) for value in objects]
    context = internals.parameters.context_proto

    def put_back() -> None:
        for value, state in zip(objects, states, strict=True):
            restore(vars(value), state)
        internals.parameters.context_proto = context

    return put_back


def cards() -> Undo:
    """Let @card count from the start, and remove the file that it writes a flow's Configs to."""
    decorator = internals.CardDecorator
    before = {name: getattr(decorator, name) for name in CARD_STATE}
    for name, value in before.items():
        setattr(decorator, name, type(value)() if isinstance(value, (dict, int)) else None)

    def put_back() -> None:
        written = decorator._config_file_name
        for name, value in before.items():
            setattr(decorator, name, value)
        if written and written != before["_config_file_name"]:
            with suppress(OSError):
                os.unlink(written)

    return put_back


def decorators() -> Undo:
    """Forget the custom decorators of flow files loaded before: Metaflow's register holds on to every class."""
    kinds = internals.UserStepDecoratorMeta, internals.FlowMutatorMeta

    def put_back() -> None:
        for kind in kinds:
            known: dict[Any, Any] = kind._all_registered_decorators._value_to_node
            for cls in [cls for cls, node in known.items() if node.value is not cls]:
                del known[cls]
            of_flows = {name for name in kind._do_not_register if name.startswith("__main__.")}
            kind._do_not_register.difference_update(of_flows)

    return put_back


KEEPERS: tuple[Callable[[], Undo], ...] = (current, client, singletons, cards, decorators)
