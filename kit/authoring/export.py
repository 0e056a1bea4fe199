"""A notebook's flow written to a file: one for people, in the project's flows, or one that is run at once."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.authoring.carried import Carrier
from kit.authoring.shape import Shape
from kit.authoring.writer import format_source, write_flow
from kit.errors import ArgumentError
from kit.model import FlowInfo
from kit.project import Project, own_folder
from kit.views import Displayed
from kit.views.page import Cell, Page

__all__ = ["Exported", "draft", "export", "flow_name", "module_name"]

RECORD = "exports.json"  # what kit wrote last, by path: a file that is still so may be written again


@dataclass(frozen=True, repr=False)
class Exported(Displayed):
    """A flow file that was written.

    Args:
        path: The file.
        flow: The name of the flow.
        shown: The path as people write it.
        notes: What there is to say, a line each.
    """

    path: Path
    flow: str
    shown: str
    notes: tuple[str, ...] = ()

    def _page(self) -> Any:
        return Page((Cell(self.flow, code=True), Cell("written to"), Cell(self.shown, code=True)), notes=self.notes)


def flow_name(path: str | Path) -> str:
    """Name a flow after a file: flows/train.py and train_flow.ipynb are TrainFlow."""
    words = [word for word in re.split(r"[^0-9A-Za-z]+", Path(path).stem) if word]
    name = "".join(word[0].upper() + word[1:] for word in words)
    name = name if name.endswith("Flow") else f"{name}Flow"
    return name if name[0].isalpha() else f"Flow{name}"


def module_name(flow: str) -> str:
    """Name a file after a flow: TrainFlow is train_flow."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", flow).lower()


def export(
    project: Project, name: str, shape: Shape, carrier: Carrier, target: Path, force: bool = False, doc: str = ""
) -> Exported:
    """Write a flow file that a person would have written.

    Args:
        project: The project.
        name: The name of the flow.
        shape: Its steps.
        carrier: Gathers what they use of the notebook.
        target: The file.
        force: Whether a file that is there may be overwritten.
        doc: What the file says of itself.

    Raises:
        ArgumentError: Steps are missing, a step uses what only the notebook has, or the file is another one's.
    """
    if target.suffix != ".py":
        raise ArgumentError(f"{target.name} is no Python file.", f"Name it {target.stem}.py.")
    whole = shape.whole()
    text = write_flow(name, whole, carrier, doc or _doc(name, whole), _local(project))
    _refuse_shadow(target, text)
    written = format_source(text, target, project.root)
    shown = project.relative(target)
    if not force:
        _refuse_others(project, name, target, written.text, shown)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(written.text, encoding="utf-8")
    _remember(project, target, written.text)
    notes = list(written.notes)
    if project.flows_folder not in target.resolve().parents:
        notes.append(f"{shown} is not in {project.relative(project.flows_folder)}, where kit looks for flows.")
    return Exported(target, name, shown, tuple(notes))


def draft(project: Project, name: str, shape: Shape, carrier: Carrier) -> FlowInfo:
    """Write a flow file to be run at once, in a folder that git ignores.

    Args:
        project: The project.
        name: The name of the flow.
        shape: Its steps.
        carrier: Gathers what they use of the notebook.

    Raises:
        ArgumentError: Steps are missing, or a step uses what only the notebook has.
    """
    whole = shape.whole()
    text = write_flow(name, whole, carrier, "", _local(project))
    file = own_folder(project.root) / "flows" / f"{module_name(name)}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return FlowInfo(name, str(file), 1, tuple(whole.steps), tuple(carrier.parameter_names()))


def _doc(name: str, shape: Shape) -> str:
    return f"{name}: {', '.join(shape.steps)}."


def _local(project: Project) -> list[str]:
    folder = project.flows_folder
    packages = [path.name for path in folder.iterdir() if path.is_dir() and path.name.isidentifier()]
    return [*(path.stem for path in folder.glob("*.py")), *packages]


def _refuse_shadow(target: Path, text: str) -> None:
    """Refuse a name under which the file would stand in the way of a module: its folder comes first on sys.path."""
    imported = {match[1] for match in re.finditer(r"(?m)^(?:import|from) (\w+)", text)}
    if target.stem in imported | {"metaflow", "kit", "common"} or target.stem in sys.stdlib_module_names:
        raise ArgumentError(
            f"{target.name} would be imported in place of the module {target.stem}.",
            f"Name it otherwise: {target.stem}_flow.py.",
        )


def _refuse_others(project: Project, name: str, target: Path, text: str, shown: str) -> None:
    there = target.read_text(encoding="utf-8", errors="replace") if target.is_file() else None
    if target.exists() and there != text and _record(project).get(shown) != _digest(there or ""):
        raise ArgumentError(
            f"{shown} is there already, and is not what was exported last.", "Name another file, or say --force."
        )
    known = project.scan().flows.get(name)
    if known is not None and Path(known.file).resolve() != target.resolve():
        raise ArgumentError(
            f"{project.relative(known.file)} defines {name} already.", "Name this one otherwise: %mf_flow --name."
        )


def _record(project: Project) -> dict[str, str]:
    try:
        found = json.loads((project.root / ".kit" / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(project: Project, target: Path, text: str) -> None:
    known = {**_record(project), project.relative(target): _digest(text)}
    path = own_folder(project.root) / RECORD
    path.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
