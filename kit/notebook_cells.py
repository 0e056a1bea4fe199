"""A notebook's flow, read from its cells: nothing of the notebook is executed."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from kit import words
from kit.author_magics import AuthorMagics, python_of, refuse_own_syntax, step_cell
from kit.authoring.bindings import Cell, bindings
from kit.authoring.carried import Carrier
from kit.authoring.shape import Shape, shape_of
from kit.authoring.stepcell import StepCell, refuse_body
from kit.errors import ArgumentError, NotebookError
from kit.magic_base import parsed
from kit.project import Project

__all__ = ["ReadFlow", "read_flow"]


@dataclass(frozen=True)
class ReadFlow:
    """The flow that a notebook's cells define.

    Args:
        name: Its name; "" where the notebook gives it none.
        doc: The first heading of the notebook; "" where it has none.
        shape: Its steps.
        carrier: Gathers what they use of the notebook.
    """

    name: str
    doc: str
    shape: Shape
    carrier: Carrier


def read_flow(notebook: Path, project: Project) -> ReadFlow:
    """Read the flow that a notebook's cells define, without executing them.

    Args:
        notebook: The notebook.
        project: The project.

    Raises:
        NotebookError: It is no notebook, or it defines no step.
        ArgumentError: Its steps contradict each other.
    """
    steps: dict[str, StepCell] = {}
    name, found = "", []
    texts = _cells(notebook)
    for cell in _parsed(texts):
        found.append(cell)
        for magic, line, body in _magics(cell):
            if magic == "mf_step":
                args = _arguments(cell, AuthorMagics.mf_step, words.split(line))
                refuse_own_syntax(args.name, body, _transform())
                made = step_cell(args, body, cell.label)
                _refuse_syntax(made)
                steps[made.name] = made
            elif magic == "mf_flow":
                given = words.split(line)
                args = _arguments(
                    cell, AuthorMagics.mf_flow, given[: given.index("--run")] if "--run" in given else given
                )
                if args.clear:
                    name, steps = "", {}
                name = args.name or name
                steps.pop(args.drop, None)
    if not steps:
        raise NotebookError(f"{notebook} defines no step.", "Write some: a cell that begins with %%mf_step start.")
    for step in steps.values():
        refuse_body(step, steps)
    common = [path.stem for path in project.flows_folder.glob("common.py")]
    return ReadFlow(name, _heading(texts), shape_of(steps.values()), Carrier(bindings(found), common))


def _arguments(cell: Cell, magic: Callable[..., Any], given: list[str]) -> argparse.Namespace:
    try:
        return parsed(magic, given)
    except ArgumentError as error:
        raise ArgumentError(f"{cell.label}: {error.message}", error.hint) from None


def _cells(notebook: Path) -> list[tuple[str, str]]:
    """Give the type and the source of each cell."""
    try:
        found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [(cell["cell_type"], "".join(cell["source"])) for cell in found]
    except OSError as error:
        raise NotebookError(f"{notebook} cannot be read: {error.strerror}.", "Name a notebook.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise NotebookError(f"{notebook} is no notebook.", "Name a notebook of format 4: name.ipynb.") from error


def _parsed(texts: list[tuple[str, str]]) -> Iterator[Cell]:
    number = 0
    for kind, source in texts:
        if kind == "code" and source.strip():  # an empty one is not executed, and has no number
            number += 1
            try:
                yield Cell(f"cell [{number}]", python_of(source, _transform()))
            except SyntaxError:  # of a cell that is broken: nothing that it binds can be carried
                continue


def _transform() -> Callable[[str], str]:
    transform: Callable[[str], str] = TransformerManager().transform_cell  # type: ignore[no-untyped-call]
    return transform


def _magics(cell: Cell) -> Iterator[tuple[str, str, str]]:
    """Give the magics that a cell calls: name, line and cell."""
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in ("run_cell_magic", "run_line_magic"):
            name, line, *body = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
            yield name, line, "".join(body)


def _refuse_syntax(step: StepCell) -> None:
    try:
        ast.parse(step.body)
    except SyntaxError as error:
        raise NotebookError(
            f"{step.name} ({step.cell}) does not parse: line {(error.lineno or 0) + 1}: {error.msg}.", "Mend the cell."
        ) from None


def _heading(texts: list[tuple[str, str]]) -> str:
    lines = [line for kind, source in texts if kind == "markdown" for line in source.splitlines()]
    heading = next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")
    return heading.replace("\\", "").replace('"', "'") + ("." if heading and heading[-1] not in ".?!" else "")
