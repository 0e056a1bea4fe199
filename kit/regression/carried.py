"""What the code package of KitTest carries beside kit: the project, its flows, notebooks and references."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from metaflow import FlowMutator

__all__ = ["ROOT_VARIABLE", "carried", "project_files", "project_root"]

ROOT_VARIABLE = "KIT_TEST_ROOT"  # the project's root, in processes of the machine that the suite was started on
FOLDER = "kit_test_project"  # the project's folder in the code package
LEFT_OUT = ("__pycache__", "node_modules")


class carried(FlowMutator):  # type: ignore[misc]  # noqa: N801  # Metaflow's name for it is this one
    """Puts the project into the flow's code package."""

    def add_to_package(self) -> Iterator[tuple[str, str]]:
        """Give the files of the project, each with its place in the package."""
        root = os.environ.get(ROOT_VARIABLE)
        if root:
            for path in project_files(Path(root)):
                yield str(path), f"{FOLDER}/{path.relative_to(root).as_posix()}"


def project_root() -> Path:
    """Give the project's root: the project itself, or on another machine what the code package brought of it."""
    root = os.environ.get(ROOT_VARIABLE)
    if root:
        return Path(root)
    unpacked = Path(__file__).resolve().parents[2] / FOLDER
    (unpacked / ".metaflow").mkdir(parents=True, exist_ok=True)  # some projects are told by it alone
    return unpacked


def project_files(root: Path) -> tuple[Path, ...]:
    """List a project's files: what git has or would take; without git, all but what is hidden, and environments."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=True)
        names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
        found = [root / name for name in names] or list(_walked(root))  # a folder that git ignores has none
    except (OSError, subprocess.CalledProcessError):
        found = list(_walked(root))
    return tuple(path for path in sorted(set(found)) if path.is_file())


def _walked(root: Path) -> Iterator[Path]:
    for folder, inside, files in os.walk(root):
        inside[:] = [name for name in inside if _is_wanted(Path(folder, name))]
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def _is_wanted(folder: Path) -> bool:
    return not (folder.name.startswith(".") or folder.name in LEFT_OUT or (folder / "pyvenv.cfg").exists())
