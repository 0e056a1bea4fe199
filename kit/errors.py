"""Errors as part of the interface: one line that says what is wrong, one that says what to do.

This module imports nothing of kit.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ArgumentError",
    "ArtifactError",
    "FlowFileError",
    "FlowRunError",
    "KitError",
    "ModuleError",
    "NotFoundError",
    "NotebookError",
    "ProjectError",
    "ReplayError",
    "RequirementError",
    "StoreError",
    "did_you_mean",
]


class KitError(Exception):
    """What kit says when it cannot do what was asked.

    Args:
        message: What is wrong, in one line.
        hint: What to do about it, in one line.
        details: Anything longer that must not get lost (a resolver's output, a task's traceback). It is
            shown below the two lines.
    """

    def __init__(self, message: str, hint: str, details: str = "") -> None:
        super().__init__(message, hint, details)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        lines = [self.message, self.hint]
        if self.details:
            lines += ["", self.details.rstrip()]
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """Give IPython (and so JupyterLab, papermill and nbconvert) the message without a wall of frames."""
        first, *rest = str(self).splitlines()
        return [f"\x1b[0;31m{type(self).__name__}\x1b[0m: {first}", *(f"  {line}".rstrip() for line in rest)]


class ProjectError(KitError):
    """There is no project here, or its settings cannot be read."""


class ArgumentError(KitError):
    """A magic or a function was called with words that it does not take."""


class NotFoundError(KitError, KeyError):
    """No such flow, run, step, task or artifact; a KeyError, since tables are mappings."""


class FlowFileError(KitError):
    """A flow file does not load."""


class ModuleError(KitError):
    """A module of the project does not import or does not reload."""


class ArtifactError(KitError):
    """An artifact is there but cannot be read."""


class StoreError(KitError):
    """A datastore or the metadata service does not answer."""


class ReplayError(KitError):
    """A step cannot be replayed."""


class RequirementError(KitError):
    """A requirement cannot be read, met or installed."""


class NotebookError(KitError):
    """A notebook cannot be read or executed."""


class FlowRunError(KitError):
    """A real run failed or could not start.

    Attributes:
        pathspec: The address of the task that failed; None where no task did.
        exception: What that task raised, as "ValueError: why"; "" where its process ended without an exception. The
            exception itself stays in the datastore: to unpickle it is to run the code of the one who wrote it.
    """

    pathspec: str | None = None
    exception: str = ""


def did_you_mean(name: str, known: Iterable[str], what: str) -> str:
    """Compose the hint that follows a wrong name.

    Args:
        name: What the user wrote.
        known: The names that exist.
        what: What they are names of, in the plural ("steps of TrainFlow").

    Returns:
        One line: the near names if there are any, else the first of those that exist.
    """
    names = list(dict.fromkeys(known))
    nearness = {n: difflib.SequenceMatcher(None, name.lower(), n.lower()).ratio() for n in names}
    least = max(0.5, 0.85 * max(nearness.values(), default=0.0))  # a name that is clearly nearest stands alone
    near = sorted((n for n in names if nearness[n] >= least), key=lambda n: -nearness[n])
    if near:
        return f"Did you mean {' or '.join(near[:3])}?"
    if not names:
        return f"There are no {what} yet."
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"The {what} are: {shown}."
