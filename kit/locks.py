"""Lock files: the resolved pins of a flow's steps, beside the flow file, for each kind of machine.

Standard library alone at import.
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.envs import Environment, EnvironmentSpec
from kit.errors import RequirementError

__all__ = ["locked", "path_of", "write"]


def path_of(flow_file: str | Path) -> Path:
    """Give the path of a flow file's lock: `train.py` has `train.lock.json`."""
    return Path(flow_file).with_suffix(".lock.json")


def locked(flow_file: str | Path, step: str, spec: EnvironmentSpec) -> tuple[EnvironmentSpec, str]:
    """Give what a step's environment holds by its lock, where there is one of these pins and of this kind of machine.

    Args:
        flow_file: The flow file.
        step: The name of the step.
        spec: What the step's decorators ask for.

    Returns:
        What the environment holds: the locked packages, or `spec`; and what there is to say ("" for nothing).

    Raises:
        RequirementError: The lock file cannot be read.
    """
    path = path_of(flow_file)
    if not path.exists():
        return spec, ""
    machines = _read(path)
    try:
        entry = machines.get(sysconfig.get_platform(), {}).get(step)
        if entry is None:
            return spec, f"{path.name} has no {step} for {sysconfig.get_platform()}: it runs on its pins."
        asked, packages = (entry["python"], tuple(entry["asked"])), tuple(entry["packages"])
    except (AttributeError, KeyError, TypeError):
        raise _unreadable(path) from None
    if asked != (spec.python, spec.requirements):
        return spec, f"{path.name} is of other pins of {step} than it has now: kit env lock makes it anew."
    return replace(spec, requirements=packages, locked=True), ""


def write(flow_file: str | Path, built: Mapping[str, tuple[EnvironmentSpec, Environment]]) -> Path:
    """Write what the environments of a flow's steps hold beside the flow; other kinds of machines are kept.

    Args:
        flow_file: The flow file.
        built: What each step asks for, and its environment.

    Returns:
        The path of the lock file.

    Raises:
        RequirementError: The lock file that is there cannot be read, or an address has credentials.
    """
    path = path_of(flow_file)
    machines = _read(path) if path.exists() else {}
    steps: dict[str, Any] = {}
    for step, (spec, environment) in built.items():
        secret = [package for package in environment.packages if "***" in package]
        if secret:
            raise RequirementError(
                f"{step} has {secret[0]}, and a lock must not hold credentials",
                "Let git ask a credential helper, or give the index's ones in the environment; then lock again.",
            )
        steps[step] = {
            "python": spec.python,
            "asked": list(spec.requirements),
            "packages": sorted(environment.packages),
        }
    machines[sysconfig.get_platform()] = steps
    path.write_text(json.dumps(machines, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _unreadable(path) from None
    if not isinstance(content, dict):
        raise _unreadable(path)
    return content


def _unreadable(path: Path) -> RequirementError:
    return RequirementError(f"{path} cannot be read as a lock file", "Make it anew (kit env lock), or remove it.")
