"""What kit adds to Metaflow."""

import contextlib

with contextlib.suppress(ImportError):
    import kit  # noqa: F401  # its policy puts it into code packages: steps import it where it is not installed

ENVIRONMENTS_DESC = [
    ("pypi-uv", ".pypi_uv.PypiUvEnvironment"),
    ("unpinned", ".unpinned.UnpinnedEnvironment"),
]

# Of the names of core's: the last one that is named wins, and these do as core's in every other environment.
STEP_DECORATORS_DESC = [("pypi", ".pypi_uv.PypiStepDecorator")]
FLOW_DECORATORS_DESC = [("pypi_base", ".pypi_uv.PypiFlowDecorator")]
