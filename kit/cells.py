"""A notebook's cells: one that is a step's body, and what the notebook holds under the names that a body needs."""

from __future__ import annotations

import tokenize
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kit import internals
from kit.source import indented

if TYPE_CHECKING:
    from kit.replay import Body, StepInputs

__all__ = ["Bindings", "cell_body", "cell_number"]


def cell_body(shell: Any, line: str, cell: str, magic: str = "mf_run_step", step: str = "step") -> Body:
    """Take the cell below `%%mf_run_step` or `%%mf_step` as a step's body.

    It keeps the cell's own file name and lines, so tracebacks show the cell, and the debugger's breakpoints stop in it.

    Args:
        shell: The IPython shell.
        line: What follows the magic's name.
        cell: The lines below it.
        magic: The name of the magic.
        step: The name of the step, where it is known.
    """
    from kit.replay import Body  # imports Metaflow

    body = cell.rstrip("\n")
    history = shell.history_manager
    raw = history.input_hist_raw[-1] if history and history.input_hist_raw else ""
    if not raw.endswith(body):  # not as it was typed: run from a script, or without history
        raw = f"%%{magic} {line}\n{body}"
    line_count = raw.count("\n") - body.count("\n")
    filename = shell.compile.cache(_as_function(raw, body, line_count, step), cell_number(shell), raw_code=raw)
    return Body(cell, filename, line_count)


def _as_function(raw: str, body: str, line_count: int, step: str) -> str:
    """Write a cell as the function that it becomes: tracebacks show a function's lines by its `def` and indentation."""
    before = raw.splitlines()[:line_count]
    try:
        inside = indented(body, 4)
    except (tokenize.TokenError, SyntaxError):
        inside = body
    return "\n".join([*before[:-1], f"def {step}(self):  # {before[-1] if before else ''}", inside])


def cell_number(shell: Any) -> int:
    """Give the number of the cell that is executed: In [number].

    Args:
        shell: The IPython shell, which may count on before the cell has ended.
    """
    history = shell.history_manager
    inputs = history.input_hist_raw if history else []
    return len(inputs) - 1 if len(inputs) > 1 else int(shell.execution_count)


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
        if isinstance(there, ModuleType) and isinstance(value, ModuleType) and there.__name__ == value.__name__:
            return True  # as it was when the task ran, or as it is again
        return there is value or there is internals.current or there is self._bound.get(name)
