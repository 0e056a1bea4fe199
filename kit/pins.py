"""What the steps of a flow pin, beside what this interpreter has."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

from kit.configured import attributes_of, configured
from kit.flowfile import LoadedFlow
from kit.model import Pin

__all__ = ["pins", "recorded_pins", "replacements", "unmet"]

STEP_DECORATORS = ("pypi", "conda")


def pins(loaded: LoadedFlow, configs: Mapping[str, Any] | None = None) -> tuple[Pin, ...]:
    """List the packages and interpreters that a flow's steps pin with @pypi, @conda and their flow-level forms.

    Args:
        loaded: The flow, loaded afresh.
        configs: What its Configs are, by name; their defaults where they are not among these.

    Returns:
        A pin a package and step, in the order of the steps in the source; those of a step beat those of the flow.

    Raises:
        FlowFileError: They depend on what cannot be evaluated.
    """
    found = []
    cls = configured(loaded, configs or {})
    order = {name: position for position, name in enumerate(loaded.info.steps)}
    for step in sorted(cls._steps, key=lambda step: order.get(step.__name__, len(order))):
        decorators = [*_flow_level(cls), *(d for d in step.decorators if d.name in STEP_DECORATORS)]
        found += _pins(step.__name__, [attributes_of(cls, decorator) for decorator in decorators])
    return tuple(found)


def recorded_pins(graph: Mapping[str, Any]) -> tuple[Pin, ...]:
    """List what the steps of a recorded run pinned, without its flow file.

    Args:
        graph: What Metaflow recorded of the flow's graph (`_graph_info`); it has the flow's own decorators merged in.
    """
    return tuple(
        pin
        for step, node in graph.get("steps", {}).items()
        for pin in _pins(step, [one["attributes"] for one in node["decorators"] if one["name"] in STEP_DECORATORS])
    )


def unmet(found: Sequence[Pin]) -> tuple[Pin, ...]:
    """Choose the pins that are not what is installed; an unpinned version ("") is met by any."""
    return tuple(pin for pin in found if pin.had is None or not _meets(pin))


def replacements(found: Sequence[Pin]) -> dict[str, str]:
    """Say, for each step whose pins are not met, which versions stand in for the pinned ones."""
    steps: dict[str, list[str]] = {}
    for pin in unmet(found):
        instead = f"{pin.name} {pin.had}" if pin.had else f"no {pin.name}"
        steps.setdefault(pin.step, []).append(f"{instead} instead of {pin.wanted or 'any version'}")
    return {step: ", ".join(texts) for step, texts in steps.items()}


def _meets(pin: Pin) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    wanted = pin.wanted.strip()
    if not wanted:
        return True
    if pin.name == "python" and wanted.count(".") == 1 and wanted[0].isdigit():
        wanted += ".*"  # "3.11" is any interpreter of that minor version
    text = wanted if wanted[0] in "<>=!~" else f"=={wanted}"
    try:
        return SpecifierSet(text).contains(pin.had or "", prereleases=True)
    except InvalidSpecifier:
        return False


def _pins(step: str, decorators: Iterable[Mapping[str, Any]]) -> list[Pin]:
    """Merge the attributes of decorators, those of the step last."""
    wanted: dict[str, str] = {}
    disabled = False
    for attributes in decorators:
        if attributes.get("disabled") is not None:
            disabled = str(attributes["disabled"]).lower() in ("true", "1")
        if attributes.get("python") not in (None, "", "None"):  # a run's graph has it as text
            wanted["python"] = str(attributes["python"])
        packages = {**(attributes.get("libraries") or {}), **(attributes.get("packages") or {})}
        wanted.update({str(name): str(version) for name, version in packages.items()})
    if disabled:
        return []
    had = {name: platform.python_version() if name == "python" else _version(name) for name in wanted}
    return [Pin(step, name, version, had[name]) for name, version in wanted.items()]


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
