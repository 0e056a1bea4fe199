"""One step of a flow, or all from it to a later one, replayed in this process on what a recorded run left."""

from kit.replay.body import Body
from kit.replay.engine import Replay
from kit.replay.inputs import StepInputs, step_inputs
from kit.replay.made_up import run_made_up
from kit.replay.steps import Request, run_step

__all__ = ["Body", "Replay", "Request", "StepInputs", "run_made_up", "run_step", "step_inputs"]
