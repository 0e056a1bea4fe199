"""The options of flow decorators, such as @project's `--branch`: as the recorded run had them, or given again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit import internals
from kit.errors import ArgumentError, NotFoundError, did_you_mean
from kit.replay.job import Identity

__all__ = ["flow_options"]


def flow_options(flow: Any, identity: Identity, given: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the values of the options that a flow's decorators take on its command line.

    Metaflow records none of them; @project's are in the run's tags.

    Args:
        flow: The flow object.
        identity: Whose tags to read.
        given: Values by the options' names; text is converted as the command line converts it.

    Returns:
        Values by the options' names with underscores.

    Raises:
        NotFoundError: No decorator of the flow has such an option.
        ArgumentError: A value is not of the option's type.
    """
    decorators = [
        decorator
        for group in flow._flow_state[internals.FlowStateItems.FLOW_DECORATORS].values()
        for decorator in group
    ]
    known = {_key(name): spec for decorator in decorators for name, spec in decorator.options.items()}
    values = _project_options(decorators, identity)
    for name, value in given.items():
        if _key(name) not in known:
            raise NotFoundError(
                f"No decorator of {flow.name} has the option {name}.",
                did_you_mean(_key(name), sorted(known), f"options of the decorators of {flow.name}")
                if known
                else "None of its decorators has options: leave it out.",
            )
        values[_key(name)] = _converted(name, value, known[_key(name)])
    return values


def _project_options(decorators: list[Any], identity: Identity) -> dict[str, Any]:
    """Read @project's branch and production flag from the run's tags, where its own attributes do not say them."""
    project = next((decorator for decorator in decorators if decorator.name == "project"), None)
    branch = identity.system_tag("project_branch")
    if project is None or branch is None:
        return {}
    kind, _, name = branch.partition(".")
    found = {"production": kind == "prod", "branch": None if kind == "user" else name or None}
    own = project._user_defined_attributes
    return {key: value for key, value in found.items() if key not in own}


def _converted(name: str, value: Any, spec: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    option = internals.click.Option([f"--{name.replace('_', '-')}"], **spec)
    kind = internals.click.BOOL if option.is_flag else option.type
    try:
        return kind.convert(value, option, None)
    except internals.click.BadParameter as error:
        raise ArgumentError(
            f"{value!r} is not a value for the option {name}: {error.message}.", "Give another."
        ) from None


def _key(name: str) -> str:
    return name.replace("-", "_")
