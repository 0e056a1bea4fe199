"""kit: a Jupyter-centric development kit for Metaflow projects.

In a notebook: `%load_ext kit`. In a script or a test: `kit.artifacts("TrainFlow/fit")`,
`kit.run_step("TrainFlow/fit")`. Importing kit imports neither Metaflow nor IPython.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from kit.deps import install_dependencies
    from kit.errors import KitError
    from kit.session import artifacts, run_flow, run_step

__version__ = "0.1.0"
METAFLOW_PACKAGE_POLICY = "include"  # into a flow's code package, so that its steps have it on other machines
__all__ = ["KitError", "artifacts", "install_dependencies", "run_flow", "run_step"]

_HOMES = {
    "KitError": "kit.errors",
    "artifacts": "kit.session",
    "install_dependencies": "kit.deps",
    "run_flow": "kit.session",
    "run_step": "kit.session",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load kit into IPython: what `%load_ext kit` calls.

    Raises:
        ProjectError: There is no Metaflow project in the working directory or above it.
        ModuleError: The project's common.py does not import; the magics are there all the same.
    """
    from kit.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take everything back that `load_ipython_extension` did: what `%unload_ext kit` calls."""
    from kit.extension import unload

    unload(shell)
