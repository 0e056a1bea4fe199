"""Which distributions are installed, and which modules of this process are of another version than these now.

Standard library alone at import.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata

__all__ = ["outdated_imports", "versions"]


def versions() -> dict[str, str]:
    """Give the versions of all distributions that this interpreter finds, by their names."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name and name not in found:  # the first on the path is the one that is imported
            found[name] = distribution.version
    return found


def outdated_imports(before: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Find the modules that were imported before their distribution was replaced.

    Args:
        before: The versions as they were.

    Returns:
        The version that is imported and the one that is installed now, by the names of the modules.
    """
    outdated = {}
    for name, now in versions().items():
        if before.get(name, now) != now:
            for module in sorted(_modules(metadata.distribution(name))):
                if module in sys.modules:
                    outdated[module] = before[name], now
    return outdated


def _modules(distribution: metadata.Distribution) -> set[str]:
    """Name what a distribution brings to import, at the top."""
    listed = (distribution.read_text("top_level.txt") or "").split()
    if listed:
        return set(listed)
    tops = {file.parts[0] for file in distribution.files or () if file.suffix == ".py"}
    return {top.removesuffix(".py") for top in tops if not top.endswith((".dist-info", ".data", ".."))}
