"""Which notebooks are no regression tests. `kit check` asks too, and needs none of what reads a notebook whole."""

from __future__ import annotations

from typing import Any

__all__ = ["is_left_out"]


def is_left_out(metadata: Any) -> bool:
    """Whether a notebook's metadata says that it is no regression test, as a debug notebook's does."""
    own = metadata.get("kit") if isinstance(metadata, dict) else None
    return isinstance(own, dict) and own.get("test") is False
