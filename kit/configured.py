"""A flow's class with its Configs evaluated and its mutators applied: what its decorators say then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kit import flowfile, internals
from kit.errors import FlowFileError
from kit.flowfile import LoadedFlow

__all__ = ["NoValueError", "attributes_of", "config_default", "configured", "set_configs"]


class NoValueError(Exception):
    """A Config is required, and has no default."""


def configured(loaded: LoadedFlow, values: Mapping[str, Any]) -> type[Any]:
    """Give a flow's class as Metaflow makes it before a run, its decorators not yet initialised.

    Args:
        loaded: The flow; it stays as it is.
        values: What Configs are to be, by their names; the others have their defaults.

    Raises:
        FlowFileError: A mutator, or an expression of a Config, fails.
    """
    cls = loaded.cls
    state = internals.FlowStateItems
    mutated = cls._flow_state[state.FLOW_MUTATORS] or any(step.config_decorators for step in cls._steps)
    parameters = [parameter for _, parameter in cls._get_parameters() if parameter.IS_CONFIG_PARAMETER]
    if not mutated and not parameters:
        return cls
    fresh = flowfile.read(loaded.info)  # what follows leaves marks on the class
    found: list[tuple[Any, Any]] = []
    for parameter in parameters:
        with suppress(NoValueError, OSError, ValueError):  # what needs it fails below
            found.append((parameter, _value(parameter, values, Path(loaded.info.file).parents)))
    try:
        with flowfile.as_script(fresh.module), internals.parameters.flow_context(fresh.cls):
            options = set_configs(fresh.cls, found)
            return _mutated(fresh.cls, options)
    except Exception as error:  # whatever the user's mutators raise
        raise _unreadable(fresh.cls, error) from error


def attributes_of(cls: type[Any], decorator: Any) -> Mapping[str, Any]:
    """Give a decorator's attributes, with the expressions of Configs in them evaluated.

    Args:
        cls: The flow's class, as `configured` gives it.
        decorator: Metaflow's decorator.

    Raises:
        FlowFileError: An expression cannot be evaluated.
    """
    try:
        with internals.parameters.flow_context(cls):
            attributes, _ = internals.unpack_delayed_evaluator(decorator.attributes)
            found: Mapping[str, Any] = internals.resolve_delayed_evaluator(attributes, to_dict=True)
    except Exception as error:  # whatever the user's expression raises
        raise _unreadable(cls, error) from error
    return found


def _unreadable(cls: type[Any], error: Exception) -> FlowFileError:
    known = cls._flow_state[internals.FlowStateItems.CONFIGS]
    parameters = [parameter for _, parameter in cls._get_parameters() if parameter.IS_CONFIG_PARAMETER]
    missing = [parameter.name for parameter in parameters if parameter.name not in known]
    why = f"its Config {missing[0]} has no value" if missing else f"{type(error).__name__}: {error}"
    return FlowFileError(
        f"What {cls.__name__}'s decorators say cannot be read from its file: {why}.",
        f"Take the pins of a run, which has recorded them: --flow {cls.__name__}/RUN.",
    )


def set_configs(cls: type[Any], values: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Give Configs their values, as Metaflow's command line does.

    Args:
        cls: The flow's class.
        values: Metaflow's Configs, each with its value.

    Returns:
        What `_process_config_decorators` takes.
    """
    options = {}
    for parameter, value in values:
        is_plain = not isinstance(value, (dict, internals.ConfigValue))
        cls._flow_state[internals.FlowStateItems.CONFIGS][parameter.name] = (value, is_plain)
        wrapped = value if is_plain else internals.ConfigValue(value)
        options[parameter.name.replace("-", "_").lower()] = wrapped
    return options


def config_default(parameter: Any, folders: Sequence[Path] = ()) -> Any:
    """Give the value of a Config that is left out on the command line.

    Args:
        parameter: Metaflow's Config.
        folders: Where a file is looked for that is not there from the working folder on.

    Raises:
        NoValueError: It is required.
        OSError: Its file cannot be read.
    """
    value = parameter.kwargs.get("default")
    if value is None:
        if parameter.kwargs.get("required"):
            raise NoValueError(parameter.name)
        return None
    if callable(value):
        context = internals.parameters.ParameterContext(
            flow_name="", user_name="", parameter_name=parameter.name, logger=None, ds_type="local", configs=None
        )
        value = value.fun(context) if hasattr(value, "fun") else value(context)
    if parameter._default_is_file:
        path = Path(value).expanduser()
        value = next((place for place in (path, *(f / path for f in folders)) if place.exists()), path).read_text()
    plain = parameter.kwargs.get("plain")
    if parameter.parser:
        return internals.ConfigInput._call_parser(parameter.parser, value, plain)
    return json.loads(value) if isinstance(value, str) and not plain else value


def _value(parameter: Any, values: Mapping[str, Any], folders: Sequence[Path]) -> Any:
    return values[parameter.name] if parameter.name in values else config_default(parameter, folders)


def _mutated(cls: type[Any], options: Mapping[str, Any]) -> type[Any]:
    state = internals.FlowStateItems
    for decorator in cls._flow_state[state.FLOW_MUTATORS]:
        decorator.external_init()
    changed: type[Any] = cls._process_config_decorators(options) or cls
    flow = changed(use_cli=False)
    # As in a spin without decorators: mutators act, decorators are not initialised.
    internals.decorators._init_step_decorators(
        flow, flow._graph, internals.MetaflowEnvironment(flow), None, internals.logger, True, True
    )
    return changed
