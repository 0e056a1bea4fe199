"""What the steps of a flow pin, beside what this interpreter has."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

from kit.flowfile import LoadedFlow
from kit.model import Pin

__all__ = ["pins", "unmet"]

STEP_DECORATORS = ("pypi", "conda")


def pins(loaded: LoadedFlow) -> tuple[Pin, ...]:
    """List the packages and interpreters that a flow's steps pin with @pypi, @conda and their flow-level forms.

    Args:
        loaded: The flow, loaded afresh.

    Returns:
        A pin a package and step, in the order of the steps; those of a step beat those of the flow.
    """
    found = []
    for step in loaded.cls._steps:
        for name, wanted in _of_step(loaded.cls, step).items():
            had = platform.python_version() if name == "python" else _version(name)
            found.append(Pin(step.__name__, name, wanted, had))
    return tuple(found)


def unmet(found: Sequence[Pin]) -> tuple[Pin, ...]:
    """Choose the pins that are not what is installed; an unpinned version ("") is met by any."""
    return tuple(pin for pin in found if pin.had is None or not _meets(pin))


def _meets(pin: Pin) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if not pin.wanted:
        return True
    text = pin.wanted if pin.wanted[0] in "<>=!~" else f"=={pin.wanted}"
    try:
        return SpecifierSet(text).contains(pin.had or "", prereleases=True)
    except InvalidSpecifier:
        return False


def _of_step(cls: type[Any], step: Any) -> dict[str, str]:
    wanted: dict[str, str] = {}
    disabled = False
    for decorator in [*_flow_level(cls), *(d for d in step.decorators if d.name in STEP_DECORATORS)]:
        attributes = decorator.attributes
        if attributes.get("disabled") is not None:
            disabled = str(attributes["disabled"]).lower() in ("true", "1")
        if attributes.get("python"):
            wanted["python"] = str(attributes["python"])
        packages = {**(attributes.get("libraries") or {}), **(attributes.get("packages") or {})}
        wanted.update({str(name): str(version) for name, version in packages.items()})
    return {} if disabled else wanted


def _flow_level(cls: type[Any]) -> Iterator[Any]:
    from kit import internals

    decorators = cls._flow_state[internals.FlowStateItems.FLOW_DECORATORS]
    for name in STEP_DECORATORS:
        yield from decorators.get(f"{name}_base", ())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
