"""Values of Parameters and Configs that no run recorded: their defaults, and what the user gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from kit import internals
from kit.configured import NoValueError, config_default
from kit.errors import ReplayError

__all__ = ["Included", "constants", "default", "given"]


@dataclass(frozen=True)
class Included:
    """A file's content, where Metaflow has the address of its copy in the datastore (metaflow.includefile).

    Args:
        content: The text or the bytes.
    """

    content: str | bytes | None

    def decode(self, name: str, var_type: str = "Artifact") -> str | bytes | None:
        """Give the content, as Metaflow's IncludedFile does."""
        return self.content


def given(parameter: Any, value: Any) -> Any:
    """Give what the datastore would hold for a Parameter that the user gives a value for.

    Args:
        parameter: Metaflow's Parameter; None for any other artifact.
        value: The value, as the step is to see it.
    """
    is_file = isinstance(parameter, internals.IncludeFile) and isinstance(value, (str, bytes))
    return Included(value) if is_file else value


def default(parameter: Any) -> Any:
    """Give what the datastore would hold for a Parameter or Config that is left out on the command line.

    Args:
        parameter: Metaflow's Parameter, IncludeFile or Config.

    Raises:
        ReplayError: It has no default, or one that cannot be evaluated.
    """
    try:
        if parameter.IS_CONFIG_PARAMETER:
            return config_default(parameter)
        if isinstance(parameter, internals.IncludeFile):
            return _file(parameter)
        option = internals.click.Option((f"--{parameter.name}",), **parameter.option_kwargs(True))
        value = option.full_process_value(internals.click.Context(internals.click.Command("run")), None)
    except (internals.click.MissingParameter, NoValueError):
        raise _missing(parameter) from None
    except OSError as error:
        raise ReplayError(
            f"{parameter.name} is a file that cannot be read: {_unreadable(error)}.",
            f"Give it a value: --set {parameter.name}=...",
        ) from error
    return value.split(parameter.separator) if value and parameter.separator else value


def constants(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Give what Metaflow records before the first step: Parameters, Configs, constants of the class, and the graph.

    Args:
        cls: The flow's class.
        values: Values that the user gives for Parameters and Configs.
    """
    parameters = dict(cls._get_parameters())
    found = {
        name: given(parameter, values[name]) if name in values else default(parameter)
        for name, parameter in parameters.items()
    }
    for name in dir(cls):
        if name[0] != "_" and name not in cls._NON_PARAMETERS and name not in found:
            value = getattr(cls, name)
            if not isinstance(value, (MethodType, FunctionType, property, type)):
                found[name] = value
    graph = cls._graph
    steps, structure = graph.output_steps()
    found["_graph_info"] = {
        "file": Path(str(graph[graph.start_step].source_file)).name,
        "start_step": graph.start_step,
        "end_step": graph.end_step,
        "parameters": [{"name": name, "type": type(each).__name__} for name, each in parameters.items()],
        "constants": [],
        "steps": steps,
        "graph_structure": structure,
        "doc": graph.doc,
        "decorators": [],
        "extensions": {},
    }
    return found


def _file(parameter: Any) -> Included | None:
    path = parameter.kwargs.get("default")
    if callable(path):
        path = path(deploy_time=False)
    if path is None:
        if parameter.kwargs.get("required"):
            raise _missing(parameter)
        return None
    kind = parameter.kwargs["type"]
    content = Path(path).expanduser().read_bytes()
    return Included(content.decode(kind._encoding) if kind._is_text else content)


def _unreadable(error: OSError) -> str:
    """Say why a file cannot be read, and where it was looked for."""
    name = str(error.filename)
    where = "" if error.filename is None or Path(name).is_absolute() else f" in {Path.cwd()}, where a run starts"
    return f"{error.strerror or error}: {name}{where}"


def _missing(parameter: Any) -> ReplayError:
    return ReplayError(
        f"The flow's parameter {parameter.name} is required, and nothing was recorded for it.",
        f"Give it a value: --set {parameter.name}=... (overrides).",
    )
