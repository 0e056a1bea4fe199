"""Lets a kernel say what its matplotlib figures draw: a further mime type of each figure that is shown.

The runner's kernels load it as an IPython extension (`--ext=kit.regression.outputs.capture`); where there is no such
option, call `install` with the shell.
"""

from __future__ import annotations

import os
from typing import Any

from kit.regression.outputs.fingerprint import figure_data

__all__ = ["COVERAGE_VARIABLE", "FIGURE_MIME", "install", "load_ipython_extension"]

COVERAGE_VARIABLE = "COVERAGE_PROCESS_START"  # coverage.py's own: the settings of what is to be measured
FIGURE_MIME = "application/vnd.kit.figure+json"


def load_ipython_extension(shell: Any) -> None:
    """Install all of it: what IPython calls when it loads this module as an extension."""
    install(shell)
    _measure(shell)


def install(shell: Any) -> None:
    """Have a shell describe the figures that it shows.

    Args:
        shell: The kernel's InteractiveShell.
    """
    formatters = shell.display_formatter.formatters
    if FIGURE_MIME in formatters:
        return
    base = type(formatters["application/json"])
    # Its lookup is its own: matplotlib's inline backend takes figures out of every formatter's registry.
    formatter = type("FigureFormatter", (base,), {"lookup": _lookup})(parent=shell.display_formatter)
    formatter.format_type = FIGURE_MIME
    formatter.print_method = "_repr_kit_figure_"  # not JSON's own, which any object may have
    formatters[FIGURE_MIME] = formatter


def _lookup(_formatter: Any, value: Any) -> Any:
    """Find what describes a value; a KeyError says that it is no figure."""
    if any((kind.__module__, kind.__name__) == ("matplotlib.figure", "Figure") for kind in type(value).__mro__):
        return _describe
    raise KeyError(type(value))


def _describe(figure: Any) -> dict[str, Any] | None:
    try:
        return figure_data(figure)
    except Exception:  # of whatever a library draws with: the notebook goes on, and its pixels are compared
        return None


def _measure(shell: Any) -> None:
    """Measure coverage where that was asked for, and write it after each cell: a kernel may be ended at any time."""
    if not os.environ.get(COVERAGE_VARIABLE):
        return
    import coverage

    coverage.process_startup()  # does nothing where coverage.py has started by itself

    def save(_result: Any) -> None:
        measuring = coverage.Coverage.current()
        if measuring is not None:
            measuring.save()

    shell.events.register("post_run_cell", save)
