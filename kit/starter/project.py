"""Write the template's files to a folder; what is there already is never written over unasked.

In `template` a name `dot_x` stands for `.x`, and a file `x.j2` is filled in by jinja2; all others are copied.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from kit import __version__
from kit.errors import ProjectError

__all__ = ["Plan", "plan", "write"]

TEMPLATE = Path(__file__).parent / "template"
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", ".ruff_cache"}  # what using the template in place leaves behind


@dataclass(frozen=True)
class Plan:
    """What `kit init` would do to a folder.

    Args:
        root: The folder.
        files: The content of each file of the project, by its path below the root.
        new: Files that are not there yet.
        same: Files that are there, as they should be.
        differing: Files that are there and differ.
    """

    root: Path
    files: dict[str, str]
    new: tuple[str, ...]
    same: tuple[str, ...]
    differing: tuple[str, ...]


def plan(root: Path) -> Plan:
    """Compare a folder, which need not be there, with the project that it would become. Nothing is written.

    Args:
        root: The folder; its name becomes the project's.

    Raises:
        ProjectError: It cannot become one: a file is where a folder should be, or the other way round.
    """
    root = root.resolve()
    files = _files(root.name)
    found: dict[str, list[str]] = {"new": [], "same": [], "differing": []}
    for name, content in files.items():
        path = root / name
        _require_folders(path)
        if path.is_dir():
            raise ProjectError(
                f"{path} is a folder, and kit init would write a file.", "Move it, or name another folder."
            )
        if not path.exists() and not path.is_symlink():
            found["new"].append(name)
        else:
            found["same" if _has(path, content) else "differing"].append(name)
    return Plan(root, files, tuple(found["new"]), tuple(found["same"]), tuple(found["differing"]))


def write(planned: Plan, over: Collection[str] = ()) -> tuple[str, ...]:
    """Write what is new, and what may be written over.

    Args:
        planned: The plan.
        over: The differing files to write over.

    Returns:
        The files that were written.

    Raises:
        ProjectError: A file cannot be written.
    """
    names = [name for name in planned.files if name in planned.new or name in over]
    for name in names:
        path = planned.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                path.unlink()  # the file that it leads to is another's
            path.write_text(planned.files[name], encoding="utf-8", newline="\n")
        except OSError as error:
            raise ProjectError(f"{path} cannot be written: {error.strerror}.", "Name a folder that you own.") from error
    return tuple(names)


def _files(folder: str) -> dict[str, str]:
    """Give the files of a project, those of its root first."""
    from jinja2 import Environment, StrictUndefined

    values = {"name": _distribution(folder), "title": folder or "project", "version": __version__}
    fill = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  # no HTML
    files = {}
    for path in sorted(TEMPLATE.rglob("*"), key=lambda one: (len(one.relative_to(TEMPLATE).parts), one)):
        parts = path.relative_to(TEMPLATE).parts
        if not path.is_file() or LEFT_OUT & set(parts):
            continue
        name = "/".join(re.sub("^dot_", ".", part) for part in parts)
        content = path.read_text(encoding="utf-8")
        filled = name.endswith(".j2")
        files[name.removesuffix(".j2")] = fill.from_string(content).render(values) if filled else content
    return files


def _distribution(folder: str) -> str:
    """Write a folder's name as the name of a distribution, which has letters, digits and hyphens alone (PEP 508)."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    return name or "project"


def _require_folders(path: Path) -> None:
    for folder in path.parents:
        if folder.is_dir():
            return
        if folder.exists() or folder.is_symlink():
            raise ProjectError(
                f"{folder} is a file, and kit init would make a folder.", "Move it, or name another folder."
            )


def _has(path: Path, content: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == content
    except (OSError, UnicodeDecodeError):
        return False
