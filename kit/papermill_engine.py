"""The papermill engine `kit`: `papermill --engine kit` executes in warm kernels, and says how each cell ended.

papermill loads its engines while it is itself being imported: nothing but the standard library is imported here before
a notebook is executed, so that no fault of kit's can break `import papermill`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

__all__ = ["KitEngine"]


class KitEngine:
    """What papermill asks of an engine."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | Mapping[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        **_options: Any,
    ) -> Any:
        """Execute a notebook in a kernel of its own.

        Args:
            nb: The notebook, its parameters injected.
            kernel_name: Which kernel.
            output_path: Where to save it after each cell; None for not at all.
            progress_bar: Whether to show progress, or tqdm's options.
            log_output: Whether to log what the cells print.
            autosave_cell_every: Is papermill's own matter.
            start_timeout: Seconds for the kernel to start.
            execution_timeout: Seconds for a cell.

        Returns:
            The executed notebook; papermill looks for the errors in it.

        Raises:
            NotebookError: A parameter was given that the notebook does not declare.
            CellTimeoutError: A cell took too long.
            DeadKernelError: The kernel died.
        """
        from jupyter_core.utils import run_sync
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.engines import NotebookExecutionManager

        from kit.kernels.cells import Limits
        from kit.regression.discover import require_declared
        from kit.regression.execute import run_managed

        require_declared(nb, nb.metadata.papermill.get("parameters") or {})
        manager = NotebookExecutionManager(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        run: Any = run_sync(run_managed)
        failure, _ = run(
            manager, kernel_name, os.getcwd(), os.environ, Limits(cell=execution_timeout), patience=start_timeout
        )
        if failure is not None and failure.kind == "limit":
            raise CellTimeoutError(failure.message)
        if failure is not None and failure.kind == "died":
            raise DeadKernelError(failure.message)
        return manager.nb

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> Any:
        """Give the name of a notebook's kernel."""
        from papermill.utils import nb_kernel_name

        return nb_kernel_name(nb, name)

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> Any:
        """Give the name of a notebook's language."""
        from papermill.utils import nb_language

        return nb_language(nb, language)
