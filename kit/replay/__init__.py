"""One step of a flow, replayed in this process on what a recorded run left."""

from kit.replay.engine import Replay, run_step

__all__ = ["Replay", "run_step"]
