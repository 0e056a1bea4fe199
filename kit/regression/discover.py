"""Which notebooks there are, and what each of them needs."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat.warnings import MissingIDFieldWarning

from kit.errors import NotebookError
from kit.project import Project
from kit.regression.left_out import is_left_out
from kit.regression.remote import fetch, is_url, url_of

__all__ = [
    *("Notebook", "check_parameters", "find_notebooks", "notebook_name", "read_notebook", "require_declared"),
]

PARAMETERS_TAG = "parameters"


@dataclass(frozen=True)
class Notebook:
    """A notebook, and what it says in its metadata.

    Args:
        path: Where it is.
        name: Its path from the project's root.
        runs: The flows whose runs it wants: the name of a parameter to the name of a flow.
        declared: The names that its cell tagged `parameters` sets; None where it has no such cell.
    """

    path: Path
    name: str
    runs: dict[str, str] = field(default_factory=dict)
    declared: frozenset[str] | None = None


def find_notebooks(project: Project, arguments: Sequence[str | Path]) -> tuple[Path, ...]:
    """Find the notebooks to test.

    Args:
        project: The project.
        arguments: Notebooks and folders of notebooks, s3:// ones too; the project's notebooks folder by default. Of a
            folder, those are left out whose metadata says {"kit": {"test": false}}.

    Raises:
        NotebookError: One of them is not there, or there are none at all.
    """
    given = arguments or [project.notebooks_folder]
    places, found = [Path(argument) for argument in given], list[Path]()
    for argument, place in zip(given, places, strict=True):
        if isinstance(argument, str) and is_url(argument):
            copies = fetch(project, argument)
            found += [c for c in copies if argument.endswith(".ipynb") or not is_left_out(_metadata(c))]
        elif place.is_dir():
            inside = (path for path in place.rglob("*.ipynb") if path.is_file())
            shown = (p for p in inside if not any(part.startswith(".") for part in p.relative_to(place).parts))
            found += sorted(path for path in shown if not is_left_out(_metadata(path)))
        elif place.is_file():
            found.append(place)
        elif arguments:
            raise NotebookError(f"There is no notebook {place}.", "Name a notebook, or a folder with notebooks.")
    if not found:
        where = ", ".join(project.relative(place) for place in places)
        raise NotebookError(
            f"There are no notebooks in {where}.",
            "Put one there, or set `notebooks` under [tool.kit] in pyproject.toml.",
        )
    return tuple(dict.fromkeys(path.resolve() for path in found))


def notebook_name(project: Project, path: Path) -> str:
    """Give a notebook's path from the project's root; its address, where it is a copy from an object store."""
    return url_of(project, path) or project.relative(path)


def _metadata(path: Path) -> Any:
    """Read a notebook's metadata; None where it has none, or is none: what reads the notebook says so."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content.get("metadata") if isinstance(content, dict) else None


def read_notebook(project: Project, path: Path) -> Notebook:
    """Read a notebook's metadata.

    Raises:
        NotebookError: It is not a notebook, its metadata is not as it should be, or it wants a run and has no cell to
            put its pathspec in.
    """
    name = notebook_name(project, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MissingIDFieldWarning)  # what runs the notebook gives its cells ids
            node: Any = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        metadata, declared = node.metadata, _declared(node)
    except (json.JSONDecodeError, nbformat.reader.NotJSONError) as error:
        reason = str(error).splitlines()[0][:100]
        raise NotebookError(f"{name} is not valid JSON: {reason}", "Mend it, or take it from git again.") from error
    except Exception as error:  # nbformat raises what it likes for a file that is JSON and no notebook
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotebookError(f"{name} is not a notebook: {reason}.", "Open it in JupyterLab and save it.") from error
    own = metadata.get("kit", {})
    runs = own.get("runs", {}) if isinstance(own, dict) else None
    if not isinstance(runs, dict) or not all(isinstance(flow, str) for flow in runs.values()):
        raise NotebookError(
            f"{name}: its metadata kit.runs is not a table of parameters and flows.",
            'Write it as {"kit": {"runs": {"train_run": "TrainFlow"}}}.',
        )
    return Notebook(path, name, dict(runs), declared)


def check_parameters(notebook: Notebook, names: Sequence[str]) -> None:
    """Make sure that a notebook declares the parameters that it is given.

    Without a cell tagged `parameters`, papermill would put the values before the notebook's own, which then win.

    Raises:
        NotebookError: It has no such cell, or the cell does not set one of the names.
    """
    if not names:
        return
    if notebook.declared is None:
        raise NotebookError(
            f"{notebook.name} has no cell tagged `{PARAMETERS_TAG}`, and is given {', '.join(names)}.",
            f"Tag the cell that sets {names[0]} with `{PARAMETERS_TAG}`.",
        )
    unknown = [name for name in names if name not in notebook.declared]
    if unknown:
        raise NotebookError(
            f"{notebook.name} does not set {', '.join(unknown)} in its cell tagged `{PARAMETERS_TAG}`.",
            f"Set it there, as in {unknown[0]} = ...",
        )


def require_declared(node: Any, names: Iterable[str]) -> None:
    """Make sure that a notebook that was read already declares the parameters that it is given.

    Raises:
        NotebookError: It has no cell tagged `parameters`, or the cell does not set one of the names.
    """
    check_parameters(Notebook(Path(), "the notebook", declared=_declared(node)), tuple(names))


def _declared(node: Any) -> frozenset[str] | None:
    """Read the names that the cell tagged `parameters` sets."""
    if not isinstance(node.cells, list):
        raise TypeError("its cells are not a list")
    for cell in node.cells:
        if cell.cell_type == "code" and PARAMETERS_TAG in cell.metadata.get("tags", ()):
            try:
                tree = ast.parse(cell.source)
            except SyntaxError:  # magics, or another language: papermill knows what to do with it
                return frozenset(line.split("=")[0].split(":")[0].strip() for line in cell.source.splitlines())
            targets = [
                target
                for statement in tree.body
                if isinstance(statement, (ast.Assign, ast.AnnAssign))
                for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
            ]
            return frozenset(
                n.id
                for target in targets
                for n in ast.walk(target)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            )
    return None
