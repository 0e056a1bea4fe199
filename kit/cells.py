"""A notebook's cells: one that is a step's body, and what the notebook holds under the names that a body needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit import internals

if TYPE_CHECKING:
    from kit.replay import Body, StepInputs

__all__ = ["Bindings", "cell_body"]


def cell_body(shell: Any, line: str, cell: str) -> Body:
    """Take the cell below `%%mf_run_step` as a step's body.

    It keeps the cell's own file name and lines, so tracebacks show the cell, and the debugger's breakpoints stop in it.

    Args:
        shell: The IPython shell.
        line: What follows the magic's name.
        cell: The lines below it.
    """
    from kit.replay import Body  # imports Metaflow

    body = cell.rstrip("\n")
    history = shell.history_manager
    raw = history.input_hist_raw[-1] if history and history.input_hist_raw else ""
    if not raw.endswith(body):  # not as it was typed: run from a script, or without history
        raw = f"%%mf_run_step {line}\n{body}"
    filename = shell.compile.cache(raw, shell.execution_count, raw_code=raw)
    return Body(cell, filename, raw.count("\n") - body.count("\n"))


class Bindings:
    """What `--inputs` has put into the notebook; names that the notebook gave itself stay its own.

    Args:
        namespace: The notebook's names.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._bound: dict[str, Any] = {}

    def bind(self, found: StepInputs) -> tuple[str, ...]:
        """Bind what a step's body needs.

        Returns:
            The names of the flow file's globals under which the notebook has something else, which it keeps.
        """
        names = found.names()
        kept = tuple(name for name in found.globals if not self._is_free(name, names[name]))
        self._bound = {name: value for name, value in names.items() if name not in kept}
        self._namespace.update(self._bound)
        return kept

    def _is_free(self, name: str, value: Any) -> bool:
        if name not in self._namespace:
            return True
        there = self._namespace[name]
        return there is value or there is internals.current or there is self._bound.get(name)
