"""Where an exported file is to stand: what is there already, what it would hide, and what it finds beside itself."""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path

from kit.errors import ArgumentError
from kit.project import STEP_STATEMENTS, Project, own_folder

__all__ = ["far_files", "long_steps", "refuse_far_modules", "refuse_others", "refuse_shadow", "remember"]

STEP = re.compile(r"(?m)^    @step\n    def (\w+)")  # as kit writes them
RECORD = "exports.json"  # what kit wrote last, by path: a file that is still so may be written again
DIFF_LINES = 40


def refuse_shadow(target: Path, text: str) -> None:
    """Refuse a name under which a file would stand in the way of a module: its folder comes first on sys.path.

    Args:
        target: The file.
        text: Its text.

    Raises:
        ArgumentError: It would.
    """
    imported = set(_imported(text))
    known = target.stem in imported | {"metaflow", "kit", "common"} or target.stem in sys.stdlib_module_names
    if known or _installed(target.stem, target.parent, Path.cwd()):
        raise ArgumentError(
            f"{target.name} would be imported in place of the module {target.stem}.",
            f"Name it otherwise: {target.stem}_flow.py.",
        )


def refuse_far_modules(target: Path, text: str, folder: Path) -> None:
    """Refuse imports of modules that lie beside the notebook, where a run does not find them.

    Args:
        target: The file.
        text: Its text.
        folder: The notebook's folder.

    Raises:
        ArgumentError: There is such an import; all of them are named.
    """

    def is_in(place: Path, name: str) -> bool:
        return (place / f"{name}.py").is_file() or (place / name).is_dir()

    if folder.resolve() == target.parent.resolve():
        return
    names = [name for name in dict.fromkeys(_imported(text)) if name not in sys.stdlib_module_names]
    far = [name for name in names if is_in(folder, name) and not is_in(target.parent, name)]
    far = [name for name in far if not _installed(name, folder)]
    if far:
        files = ", ".join(f"{name}.py" if (folder / f"{name}.py").is_file() else name for name in far)
        raise ArgumentError(
            f"The steps use {', '.join(far)}, which only the notebook finds: {files} lies in {folder.name or folder}.",
            f"Move {'it' if len(far) == 1 else 'them'} to {target.parent.name}, beside the flow.",
        )


def say_where_files_are(error: Exception, root: Path) -> None:
    """Tell an error of a file that is there for the notebook, but not for a step: that one runs where runs start.

    Args:
        error: What the step raised.
        root: The project's root.
    """
    if not isinstance(error, FileNotFoundError) or not hasattr(error, "add_note"):
        return
    name = error.filename
    if isinstance(name, str) and not os.path.isabs(name) and os.path.exists(name) and not (root / name).exists():
        from_root = os.path.relpath(name, root)
        error.add_note(
            f"A step runs in {root}, as in a run, and not in the notebook's folder: from there it is {from_root}"
        )


def far_files(text: str, folder: Path, root: Path) -> list[str]:
    """Say which files a flow names that only the notebook's folder has: a run starts elsewhere.

    Args:
        text: The flow file's text.
        folder: The notebook's folder.
        root: The project's root.
    """
    if folder.resolve() == root.resolve():
        return []
    texts = [each.value for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Constant)]
    names = [each for each in dict.fromkeys(texts) if isinstance(each, str) and re.fullmatch(r"[\w./ -]{1,200}", each)]
    found = []
    for name in names:
        path = Path(name)
        worth = not path.is_absolute() and ("/" in name or path.suffix) and name.strip("./ ")
        if worth and (folder / path).exists() and not (root / path).exists():
            there = os.path.relpath(folder / path, root)
            found.append(f"{name} is there for the notebook, but a run starts in {root}: from there it is {there}.")
    return found


def long_steps(bodies: Mapping[str, str], project: Project) -> list[str]:
    """Say which steps are longer than `kit check` wants them.

    Args:
        bodies: The statements of each step.
        project: The project.
    """
    table = project.settings.get("check", {})
    most = table.get("step_statements", STEP_STATEMENTS) if isinstance(table, Mapping) else STEP_STATEMENTS
    counts = {
        name: sum(isinstance(each, ast.stmt) for each in ast.walk(ast.parse(text))) for name, text in bodies.items()
    }
    return [
        f"{name} has {count} statements: move its work into functions (`kit check` wants {most} at most)."
        for name, count in counts.items()
        if isinstance(most, int) and count >= most  # self.next is one more
    ]


def refuse_others(project: Project, name: str, target: Path, text: str) -> None:
    """Refuse to overwrite what kit did not write, or what was changed since.

    Args:
        project: The project.
        name: The name of the flow.
        target: The file.
        text: Its new text.

    Raises:
        ArgumentError: The file is another one's or would lose steps, or another file defines the flow.
    """
    shown = project.relative(target)
    there = target.read_text(encoding="utf-8", errors="replace") if target.is_file() else ""
    written = _record(project).get(shown)
    if target.exists() and there != text and written != _digest(there):
        why = "was changed since it was exported" if written else "is there already, and is not what was exported last"
        difference = [*difflib.unified_diff(there.splitlines(), text.splitlines(), "there", "new", lineterm="")]
        more = len(difference) - DIFF_LINES
        rest = [f"... and {more} more lines"] if more > 0 else []
        raise ArgumentError(
            f"{shown} {why}.", "Name another file, or say --force.", "\n".join([*difference[:DIFF_LINES], *rest])
        )
    lost = [step for step in STEP.findall(there) if step not in STEP.findall(text)] if there != text else []
    if len(lost) > 1:  # one may have been renamed; several are another notebook's, or of cells that were not run
        raise ArgumentError(
            f"{shown} has the steps {', '.join(lost)}, and this flow has not.",
            "Run their cells first, name another file, or say --force.",
        )
    known = project.scan().flows.get(name)
    if known is not None and Path(known.file).resolve() != target.resolve():
        raise ArgumentError(
            f"{project.relative(known.file)} defines {name} already.",
            "Name this one otherwise: %mf_flow --name, kit export --name.",
        )


def remember(project: Project, target: Path, text: str) -> None:
    """Note what was written, so that it may be written again.

    Args:
        project: The project.
        target: The file.
        text: Its text.
    """
    known = {**_record(project), project.relative(target): _digest(text)}
    path = own_folder(project.root) / RECORD
    path.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")


def _imported(text: str) -> Iterable[str]:
    """Name the modules that a file imports, by their first part."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


def _installed(name: str, *but: Path) -> bool:
    """Whether a module is found elsewhere than in some folders."""
    left_out = {each.resolve() for each in but}
    places = [place for place in sys.path if place and Path(place).resolve() not in left_out]
    spec = PathFinder.find_spec(name, places)
    return spec is not None and spec.origin is not None


def _record(project: Project) -> dict[str, str]:
    try:
        found = json.loads((project.root / ".kit" / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
