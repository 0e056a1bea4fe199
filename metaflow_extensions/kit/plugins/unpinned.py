"""`--environment=unpinned`: steps run with the packages of the interpreter that starts them.

Metaflow refuses to run a flow with @pypi or @conda in its default environment. This one sets the pins aside, so that a
flow can be tried where the packages at hand serve; whoever uses it says which versions took the place of which.
"""

from metaflow.flowspec import FlowStateItems
from metaflow.metaflow_environment import MetaflowEnvironment

PINNING = frozenset({"pypi", "conda", "pypi_base", "conda_base"})


class UnpinnedEnvironment(MetaflowEnvironment):
    """The interpreter's own packages, whatever the steps pin."""

    TYPE = "unpinned"

    def __init__(self, flow):
        super().__init__(flow)
        self.flow = flow

    def validate_environment(self, logger, datastore_type):
        """Take the pinning decorators off the flow before Metaflow initialises them."""
        for decorator in PINNING & set(self.flow._flow_decorators):
            self.flow._flow_state.self_data[FlowStateItems.FLOW_DECORATORS].pop(decorator, None)
            self.flow._flow_state.inherited_data.get(FlowStateItems.FLOW_DECORATORS, {}).pop(decorator, None)
        for step in self.flow:
            step.decorators[:] = [decorator for decorator in step.decorators if decorator.name not in PINNING]
