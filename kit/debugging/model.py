"""What a debug notebook says, before it is one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kit.debugging.failure import Recorded
from kit.debugging.split import BodyCell
from kit.model import RunInfo, TaskInfo

__all__ = ["Change", "Kernel", "Sheet", "StepBody"]


@dataclass(frozen=True)
class Kernel:
    """The kernel that a notebook wants.

    Args:
        name: Its name.
        title: Its name in JupyterLab.
        has_pins: Whether it has the packages that the step pins.
        notes: What there is to say about it, a sentence each.
    """

    name: str = "python3"
    title: str = "Python 3 (ipykernel)"
    has_pins: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """A file, or a step, that differs between then and now.

    Args:
        name: Its name.
        lines: A unified diff.
        folded: Whether it is shown only when its name is clicked.
    """

    name: str
    lines: tuple[str, ...]
    folded: bool = True


@dataclass(frozen=True)
class StepBody:
    """The body of a step, for a notebook.

    Args:
        file: The file that it is of.
        origin: Where the source comes from.
        cells: Its statements.
        whole: What of them cannot stand in a notebook's cells, so that there is one, for `%%mf_run_step`; "" for none.
        own_self: What the step calls `self`.
        failed: The line of the file in which the task failed; None where it is not known.
    """

    file: str
    origin: str
    cells: tuple[BodyCell, ...]
    whole: str = ""
    own_self: str = "self"
    failed: int | None = None


@dataclass(frozen=True)
class Sheet:
    """A debug notebook, before it is one.

    Args:
        run: The run.
        task: The task.
        foreach: What its foreach gave it, in words; "" outside a foreach.
        raised: What it raised.
        printed: The last lines that it printed.
        body: The body that its cells hold.
        differs: Whether that, or what it uses, is another one than today's; the cells are of the recorded code then.
        changes: What differs between the code then and now, the step first.
        origin: Where the code then comes from; "" where none was recorded.
        notes: What there is to say about the code, a sentence each.
        kernel: The kernel.
        options: Options that a replay of today's code needs, such as "--unpinned".
        folder: The folder of the project; "" where the notebook lies in it, and so finds it.
        gone: Why today's flow has no such step; "" where it has.
    """

    run: RunInfo
    task: TaskInfo
    foreach: str
    raised: Recorded
    printed: tuple[str, ...]
    body: StepBody
    differs: bool
    changes: tuple[Change, ...]
    origin: str
    notes: tuple[str, ...] = ()
    kernel: Kernel = Kernel()
    options: str = ""
    folder: str = ""
    gone: str = ""

    @property
    def parameter(self) -> str:
        """The name that the notebook has for the task: one that the step's body does not use."""
        name = "failed_task"
        while any(re.search(rf"\b{name}\b", cell.source) for cell in self.body.cells):
            name = f"{name}_"
        return name
