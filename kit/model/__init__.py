"""The frozen data that passes between rooms.

Nothing here reads a file or imports Metaflow: views draw these, so they can be drawn anywhere.
"""

from kit.model.flows import FlowInfo, Graph, GraphNode, Pathspec, Pin, StepType, step_type
from kit.model.recorded import OWN_ARTIFACTS, ArtifactInfo, FlowRuns, RunInfo, Status, StepInfo, TaskInfo
from kit.model.results import Difference, DifferenceKind, Downstream, LazyArtifacts, StepResult, Verdict

__all__ = [
    "OWN_ARTIFACTS",
    "ArtifactInfo",
    "Difference",
    "DifferenceKind",
    "Downstream",
    "FlowInfo",
    "FlowRuns",
    "Graph",
    "GraphNode",
    "LazyArtifacts",
    "Pathspec",
    "Pin",
    "RunInfo",
    "Status",
    "StepInfo",
    "StepResult",
    "StepType",
    "TaskInfo",
    "Verdict",
    "step_type",
]
