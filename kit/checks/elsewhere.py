"""Where the flows are, in a folder that is no project, or whose project has none: what to name to `kit check`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kit.flowscan import SKIPPED_FOLDERS, has_flow

__all__ = ["hint_of_flows"]

DEEPEST = 4  # folders below the one that was asked about
MOST = 2000  # folders: the one that was asked about may be a home
NAMED = 3


def hint_of_flows(root: Path, project: bool) -> str | None:
    """Say what to do about flows that lie in other folders; None where there are none.

    Args:
        root: The folder to look in.
        project: Whether it is a project's root.
    """
    found = _folders(root)
    if not found:
        return None
    names = [os.path.relpath(folder, root) for folder in found]
    shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    where = f"Flows are in {shown}" if names != ["."] else "Flows are here"
    asked = os.path.relpath(found[0])
    also = "" if project else ", which makes this folder a project"
    setting = f'name the folder for good: flows = "{names[0]}" under [tool.kit] in pyproject.toml{also}'
    return f"{where}: kit check {asked} looks at them; {setting}."


def _folders(root: Path) -> list[Path]:
    """Give the outermost folders whose files define flows."""
    found: list[Path] = []
    for folder in _walk(root):
        if not any(known in folder.parents for known in found) and has_flow(folder):
            found.append(folder)
    return found


def _walk(root: Path) -> Iterator[Path]:
    """Give a folder and those below it, the nearer ones first, without hidden ones and environments."""
    level, count = [root], 0
    for _ in range(DEEPEST):
        inside: list[Path] = []
        for folder in level:
            yield folder
            count += 1
            if count >= MOST:
                return
            inside += _inside(folder)
        level = inside


def _inside(folder: Path) -> list[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError:
        return []
    shown = (e for e in entries if not e.name.startswith(".") and e.name not in SKIPPED_FOLDERS)
    folders = [Path(entry.path) for entry in shown if entry.is_dir(follow_symlinks=False)]
    return [one for one in folders if not (one / "pyvenv.cfg").exists()]
