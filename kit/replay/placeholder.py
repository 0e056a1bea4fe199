"""What stands for an artifact that another environment has made, where this process lacks its class."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Placeholder"]


@dataclass(frozen=True, repr=False)
class Placeholder:
    """Stands for an artifact that another environment has made and this process cannot load.

    Args:
        name: The name of the artifact.
        type: The name of its type.
        sha: The SHA-1 of its pickle.
        reason: Why it cannot be loaded.
    """

    name: str
    type: str
    sha: str
    reason: str = field(default="", compare=False)

    def __repr__(self) -> str:
        module = self.type.partition(".")[0]
        needed = f"; it needs {module}" if "." in self.type and not module.startswith("__") else ""
        return f"<{self.name}: a {self.type} that cannot be loaded here ({self.reason}{needed})>"
