"""Write a project's files to a folder; what is there already is never written over unasked."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kit.errors import ProjectError
from kit.starter.additions import Addition, addition
from kit.starter.files import around_flows, example_files
from kit.starter.origin import DISTRIBUTION, Origin
from kit.starter.present import Present, present

__all__ = ["Plan", "plan", "write"]


@dataclass(frozen=True)
class Plan:
    """What `kit init` would do to a folder.

    Args:
        root: The folder.
        files: The content of each file of the project, by its path below the root.
        new: Files that are not there yet.
        same: Files that are there, with all that they should have.
        differing: Files that are there and differ.
        additions: Of those that differ, what could be appended so that they have all that they should.
        there: The flows that the folder has already, in the place of the example's; None where it has none.
        kit: What the dependencies are to name for kit; None where pyproject.toml does so, or has no need to.
    """

    root: Path
    files: dict[str, str]
    new: tuple[str, ...]
    same: tuple[str, ...]
    differing: tuple[str, ...]
    additions: dict[str, Addition] = field(default_factory=dict)
    there: Present | None = None
    kit: Origin | None = None


def plan(root: Path) -> Plan:
    """Compare a folder, which need not be there, with the project that it would become. Nothing is written.

    Args:
        root: The folder; its name becomes the project's.

    Raises:
        ProjectError: It cannot become one: a file is where a folder should be, or the other way round.
    """
    root = root.resolve()
    files, kit = example_files(root.name)
    there = present(root, files)
    if there is not None:
        files = around_flows(there)
    found: dict[str, list[str]] = {"new": [], "same": [], "differing": []}
    additions = {}
    for name, content in files.items():
        path = root / name
        _require_folders(path)
        if path.is_dir():
            raise ProjectError(
                f"{path} is a folder, and kit init would write a file.", "Move it, or name another folder."
            )
        if not path.exists() and not path.is_symlink():
            found["new"].append(name)
            continue
        present_text = _text(path)
        more = None if present_text is None or path.is_symlink() else addition(name, present_text, content)
        if _same(present_text, content) or (more is not None and not more.what):
            found["same"].append(name)
            continue
        found["differing"].append(name)
        if more is not None:
            additions[name] = more
    new, same, differing = (tuple(found[key]) for key in ("new", "same", "differing"))
    names_kit = DISTRIBUTION in (_text(root / "pyproject.toml") or "")
    return Plan(root, files, new, same, differing, additions, there, None if there or names_kit else kit)


def write(planned: Plan, over: Collection[str] = (), append: Collection[str] = ()) -> tuple[str, ...]:
    """Write what is new, and what may be written over or appended to. Where one cannot be written, none is.

    Args:
        planned: The plan.
        over: The differing files to write over.
        append: The differing files to append their additions to.

    Returns:
        The files that were written.

    Raises:
        ProjectError: A file cannot be written. All are as they were.
    """
    contents = {name: text for name, text in planned.files.items() if name in planned.new or name in over}
    contents |= {name: planned.additions[name].whole for name in append}
    written: list[tuple[Path, bytes | Path | None]] = []
    folders: list[Path] = []
    path = planned.root
    try:
        for name, content in contents.items():
            path = planned.root / name
            for folder in [one for one in (path.parent, *path.parent.parents) if not one.exists()][::-1]:
                folder.mkdir()
                folders.append(folder)
            if path.is_symlink():
                written.append((path, path.readlink()))
                path.unlink()  # the file that it leads to is another's
            else:
                written.append((path, path.read_bytes() if path.exists() else None))
            path.write_bytes(content.encode("utf-8", "surrogateescape"))
    except OSError as error:
        _undo(written, folders)
        raise ProjectError(
            f"{path} cannot be written: {error.strerror}. Nothing was changed.", "Name a folder that you own."
        ) from error
    except BaseException:
        _undo(written, folders)
        raise
    return tuple(contents)


def _undo(written: list[tuple[Path, bytes | Path | None]], folders: list[Path]) -> None:
    for path, before in reversed(written):
        with suppress(OSError):  # the last one could not be written: it is as it was
            if isinstance(before, bytes):
                path.write_bytes(before)
                continue
            path.unlink(missing_ok=True)
            if before is not None:
                path.symlink_to(before)
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()


def _require_folders(path: Path) -> None:
    for folder in path.parents:
        if folder.is_dir():
            return
        if folder.exists() or folder.is_symlink():
            raise ProjectError(
                f"{folder} is a file, and kit init would make a folder.", "Move it, or name another folder."
            )


def _same(text: str | None, content: str) -> bool:
    return text is not None and text.replace("\r\n", "\n") == content  # as git writes it on Windows


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None
