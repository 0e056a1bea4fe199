"""The environment that a step of a flow has of its own: what `--environment=pypi-uv` would run it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit import envs, internals, locks
from kit.envs import EnvironmentSpec
from kit.flowfile import LoadedFlow
from kit.pins import pins

__all__ = ["asked", "wanted"]


def asked(loaded: LoadedFlow, configs: Mapping[str, Any] | None = None) -> dict[str, EnvironmentSpec]:
    """Say what the environments of a flow's steps hold by their decorators, without a lock.

    Args:
        loaded: The flow, loaded afresh.
        configs: What its Configs are, by name; their defaults where they are not among these.

    Returns:
        What is asked for, by the names of the steps that pin anything.

    Raises:
        RequirementError: A pin cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    for pin in pins(loaded, configs):
        found.setdefault(pin.step, {})[pin.name] = pin.wanted
    specs = {}
    for step, packages in found.items():
        python = packages.pop("python", None)
        needed = internals.config.get_pinned_conda_libs(python, internals.config.DEFAULT_DATASTORE)
        specs[step] = envs.spec_of(python, {**needed, **packages})
    return specs


def wanted(
    loaded: LoadedFlow, configs: Mapping[str, Any] | None = None
) -> tuple[dict[str, EnvironmentSpec], tuple[str, ...]]:
    """Say what the environments of a flow's steps hold: what their lock says, else what they ask for.

    Args:
        loaded: The flow, loaded afresh.
        configs: What its Configs are, by name; their defaults where they are not among these.

    Returns:
        What each holds, by the names of the steps that pin anything; and what there is to say about it.

    Raises:
        RequirementError: A pin or the lock file cannot be read.
    """
    found = {step: locks.locked(loaded.info.file, step, spec) for step, spec in asked(loaded, configs).items()}
    return {step: spec for step, (spec, _) in found.items()}, tuple(note for _, note in found.values() if note)
