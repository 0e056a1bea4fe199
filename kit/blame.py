"""Where in the user's own files an error arose, and what it says in one line."""

from __future__ import annotations

import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Blame", "blame", "is_users"]


@dataclass(frozen=True)
class Blame:
    """The place to mend.

    Args:
        file: The file.
        line: The line, counted from 1; None where it is not known.
        what: The error's type and the first line of what it says.
        frames: The frames from the user's first file on, as a traceback writes them.
    """

    file: str
    line: int | None
    what: str
    frames: str = ""


def blame(error: BaseException, file: str) -> Blame:
    """Find the user's line that an error is to be mended at.

    Args:
        error: What was raised while a file of the user's was executed.
        file: That file.

    Returns:
        The line that does not parse, else the innermost line of a file of the user's, from that file on inwards.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return Blame(error.filename, error.lineno, f"{type(error).__name__}: {error.msg}")
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if frame.filename == file), len(frames))
    own = [frame for frame in frames[first:] if is_users(frame.filename)]
    said = next((line for line in str(error).splitlines() if line.strip()), "")
    return Blame(
        file=own[-1].filename if own else file,
        line=own[-1].lineno if own else None,
        what=f"{type(error).__name__}: {said}" if said else type(error).__name__,
        frames="".join(traceback.format_list(frames[first:])),
    )


def is_users(file: str) -> bool:
    """Whether a file is the user's: not the standard library's, an installed package's or kit's."""
    others = "<", sysconfig.get_path("stdlib"), str(Path(__file__).parent)
    return not file.startswith(others) and not {"site-packages", "dist-packages"} & set(Path(file).parts)
