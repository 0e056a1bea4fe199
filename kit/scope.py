"""Which runs are meant where none is named: by namespace, and by tags."""

from __future__ import annotations

from dataclasses import dataclass

from kit import internals

__all__ = ["MINE", "Scope", "current_namespace"]


@dataclass(frozen=True)
class Scope:
    """Which runs are listed, and looked at where no run is named.

    Args:
        tags: Only those with all of these tags.
        namespace: Only those of this namespace; "" for the user's own, or where that has none, of any.
        everyone: Those of every namespace.
    """

    tags: tuple[str, ...] = ()
    namespace: str = ""
    everyone: bool = False

    def __str__(self) -> str:
        words = [f"namespace {self.namespace}"] if self.namespace else []
        return " and ".join([*words, *(f"tag {tag}" for tag in self.tags)])


MINE = Scope()


def current_namespace() -> str | None:
    """Give the namespace that Metaflow's client uses: the user's own, or what `metaflow.namespace` set."""
    namespace = internals.client_core.current_namespace
    found: str | None = internals.resolve_identity() if namespace is False else namespace
    return found
