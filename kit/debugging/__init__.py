"""Debug notebooks of recorded tasks: what a task took in, its step in cells, its exception, its code then and now."""

from kit.debugging.modules import recorded_code

__all__ = ["recorded_code"]
