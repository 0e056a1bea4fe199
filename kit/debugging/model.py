"""What a debug notebook says, before it is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kit.debugging.failure import Recorded
from kit.debugging.names import Earlier
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
        names: What the step calls `self` and a join's inputs, where that differs from what the notebook binds.
        earlier: What it used of its flow file and its modules that today's would give it otherwise.
        failed: The line of the file in which the task failed; None where it is not known.
    """

    file: str
    origin: str
    cells: tuple[BodyCell, ...]
    whole: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    earlier: Earlier = field(default_factory=Earlier)
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
        differs: Whether that is another one than today's.
        changes: What differs between the code then and now, the step first.
        origin: Where the code then comes from; "" where none was recorded.
        notes: What there is to say about the code, a sentence each.
        kernel: The kernel.
        options: Options that the replay needs, such as "--unpinned".
        folder: The folder of the project; "" where the notebook lies in it, and so finds it.
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
