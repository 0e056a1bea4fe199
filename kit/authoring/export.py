"""A notebook's flow written to a file: one for people, in the project's flows, or one that is run at once."""

from __future__ import annotations

import keyword
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kit.authoring.carried import Carrier
from kit.authoring.common import read_module
from kit.authoring.placing import (
    far_files,
    long_steps,
    refuse_far_modules,
    refuse_others,
    refuse_shadow,
    remember,
)
from kit.authoring.shape import Shape
from kit.authoring.writer import format_source, module_text, uses_of, write_flow
from kit.drafts import drafts_folder, file_to_run
from kit.errors import ArgumentError
from kit.model import FlowInfo
from kit.project import Project, own_folder
from kit.views import Displayed
from kit.views.page import Cell, Page

__all__ = ["Draft", "Exported", "draft", "export", "flow_name", "module_name"]

DOC_LENGTH = 76


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
    words = [word for word in re.split(r"[^0-9A-Za-z]+", _plain(Path(path).stem)) if word]
    name = "".join(word[0].upper() + word[1:] for word in words)
    name = name if name.endswith("Flow") else f"{name}Flow"
    return name if name[0].isalpha() else f"Flow{name}"


def module_name(flow: str) -> str:
    """Name a file after a flow or a notebook: TrainFlow is train_flow, `1 My notebook` is flow_1_my_notebook."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _plain(flow)) if flow.isidentifier() else _plain(flow)
    name = re.sub(r"\W+", "_", words).strip("_").lower()
    return name if name[:1].isalpha() else f"flow_{name}".rstrip("_")


def _plain(text: str) -> str:
    """Write letters without their accents."""
    return "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))


def export(
    project: Project,
    name: str,
    shape: Shape,
    carrier: Carrier,
    target: Path,
    force: bool = False,
    doc: str = "",
    folder: Path | None = None,
    common: bool = False,
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
        folder: The notebook's folder; else the one that we are in.
        common: Whether functions and classes go to the project's common.py, for other flows to use.

    Raises:
        ArgumentError: Steps are missing, a step uses what only the notebook has, or the file is another one's.
    """
    if target.is_dir():
        raise ArgumentError(f"{project.relative(target)} is a folder.", "Name the file in it.")
    if target.suffix != ".py":
        raise ArgumentError(f"{target.name} is no Python file.", f"Name it {target.stem}.py.")
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or name.startswith("_"):
        raise ArgumentError(f"{name!r} cannot be the name of a flow.", "Write it as a class's: --name TrainFlow.")
    if name in ("FlowSpec", "Parameter", "Flow"):
        raise ArgumentError(f"{name} is a name of Metaflow's own.", "Name the flow otherwise: --name TrainFlow.")
    whole = shape.whole()
    module = target.parent / "common.py"
    shared = module.read_text(encoding="utf-8", errors="replace") if module.is_file() else ""
    carrier = replace(carrier, common=read_module("common", shared))
    added = shared
    if common:
        moved = carrier.movable(uses_of(whole, carrier.parameter_names()))
        if moved.code:
            added = module_text(moved, shared, _local(project))
        carrier = replace(carrier, common=read_module("common", added), moved=moved.names)
    made = write_flow(name, whole, carrier, doc or _doc(name, whole), _local(project))
    refuse_shadow(target, made.text)
    refuse_far_modules(target, made.text, folder or Path.cwd())
    written = format_source(made.text, target, project.root)
    if not force:
        refuse_others(project, name, target, written.text)
    target.parent.mkdir(parents=True, exist_ok=True)
    if added != shared:
        is_formatted = not shared or format_source(shared, module, project.root).text == shared
        text = format_source(added, module, project.root).text if is_formatted else added
        module.write_text(text, encoding="utf-8")  # what people wrote stays as it is
    target.write_text(written.text, encoding="utf-8")
    remember(project, target, written.text)
    shown = project.relative(target)
    names = ", ".join(sorted(moved.names)) if added != shared else ""
    notes = [f"{project.relative(module)} has {names} now."] if names else []
    notes += [*made.notes, *far_files(made.text, folder or Path.cwd(), project.root)]
    notes += long_steps({each.name: each.body for each in whole.steps.values()}, project)
    if project.flows_folder not in target.resolve().parents:
        notes.append(f"{shown} is not in {project.relative(project.flows_folder)}, where kit looks for flows.")
    return Exported(target, name, shown, (*notes, *written.notes))


@dataclass(frozen=True)
class Draft:
    """A flow file that only kit runs, in a folder that git ignores.

    Args:
        flow: The flow, in a file that stays as it is: a run reads it again for each of its tasks.
        notes: What there is to say, a line each.
    """

    flow: FlowInfo
    notes: tuple[str, ...]


def draft(project: Project, name: str, shape: Shape, carrier: Carrier, *, only_changed: bool = False) -> Draft:
    """Write a flow file to be run at once, and one of the same text for replays to find: the flow's latest.

    Args:
        project: The project.
        name: The name of the flow.
        shape: Its steps.
        carrier: Gathers what they use of the notebook.
        only_changed: Whether the latest one stays untouched where it has this text already.

    Raises:
        ArgumentError: Steps are missing, or a step uses what only the notebook has.
    """
    whole = shape.whole()
    made = write_flow(name, whole, carrier, "", _local(project))
    content = made.text.encode()
    own_folder(project.root)
    latest = drafts_folder(project.root) / f"{module_name(name)}.py"
    ran = file_to_run(latest, content)
    ran.parent.mkdir(parents=True, exist_ok=True)
    if not (only_changed and latest.is_file() and latest.read_bytes() == content):
        latest.write_bytes(content)
    if not ran.is_file():
        ran.write_bytes(content)
    return Draft(FlowInfo(name, str(ran), 1, tuple(whole.steps), tuple(carrier.parameter_names())), made.notes)


def _doc(name: str, shape: Shape) -> str:
    said = f"{name}: {', '.join(shape.steps)}."
    return said if len(said) <= DOC_LENGTH else f"{name}: {len(shape.steps)} steps, from start to end."


def _local(project: Project) -> list[str]:
    folder = project.flows_folder
    packages = [path.name for path in folder.iterdir() if path.is_dir() and path.name.isidentifier()]
    return [*(path.stem for path in folder.glob("*.py")), *packages]
