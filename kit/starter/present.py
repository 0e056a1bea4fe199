"""Flows that a folder has before it becomes a project of kit: they stay where they are, and get notebooks."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import ProjectError
from kit.flowscan import flow_names, has_flow, scan
from kit.project import find_project

__all__ = ["Present", "debug_notebook", "present"]

NO_FLOWS = {"test", "tests", "docs", "build", "dist"}  # flows in these are not what a project is for
DEPTH = 2  # folders that are looked into, one in the other

TITLE = """\
# Debug {flow}

What did its latest run produce, and what would a step do now?
`kit test` runs this notebook against a run in test mode."""
PARAMETERS = """\
# The run to look at: the latest one, or a pathspec such as "{flow}/12".
# `kit test` puts its own here.
{run} = "{flow}\""""
WHAT_NEXT = """\
`%mf_artifacts {run}/STEP NAME` loads an artifact, and `%mf_run_step {run}/STEP` runs a step again in this kernel.
What your cells show is compared by `kit test`, once `kit test --update` has written a reference."""


@dataclass(frozen=True)
class Present:
    """Flows of a folder.

    Args:
        folder: The folder that has them, relative to the root; "." is the root itself.
        flows: Their names.
        files: Their files, relative to the root.
        notebooks: The folder of the notebooks, relative to the root.
        has_notebooks: Whether there are any in it.
        declared: Whether pyproject.toml has [tool.kit].
    """

    folder: str
    flows: tuple[str, ...]
    files: tuple[str, ...]
    notebooks: str
    has_notebooks: bool
    declared: bool


def present(root: Path, example: Collection[str]) -> Present | None:
    """Find the flows that a folder has already.

    Args:
        root: The folder, which need not be there.
        example: Files of the example, relative to the root: these do not count.

    Returns:
        The flows; None where there are none but the example's.
    """
    if not root.is_dir():
        return None
    notebooks, declared, folders = root / "notebooks", False, _likely(root)
    with suppress(ProjectError):  # a pyproject.toml that is not as it should be is a file that differs
        project = find_project(root)
        if project.root == root and project.settings:
            notebooks, declared, folders = project.notebooks_folder, True, iter([project.flows_folder])
    for folder in folders:
        recursive = folder != root
        files = {_relative(flow.file, root) for flow in scan(folder, recursive).flows.values()}
        if files - set(example):
            return Present(
                folder=_relative(folder, root),
                flows=flow_names(folder, recursive),
                files=tuple(sorted(files)),
                notebooks=_relative(notebooks, root),
                has_notebooks=notebooks.is_dir() and any(notebooks.rglob("*.ipynb")),
                declared=declared,
            )
    return None


def debug_notebook(flow: str) -> tuple[str, str]:
    """Write the debug notebook that a flow begins with.

    Args:
        flow: The flow's name.

    Returns:
        The name of its file, and its content.
    """
    short = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", flow.removesuffix("Flow") or flow).lower()
    run = f"{short}_run"
    cells = [
        _cell("markdown", TITLE.format(flow=flow)),
        _cell("code", "%load_ext kit", ["kit-ignore"]),
        _cell("code", PARAMETERS.format(flow=flow, run=run), ["parameters"]),
        _cell("code", f"%mf_artifacts {{{run}}}", ["kit-ignore"]),
        _cell("markdown", WHAT_NEXT.format(run=f"{{{run}}}")),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02}"
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "kit": {"runs": {run: flow}},
        "language_info": {"name": "python"},
    }
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return f"debug_{short}.ipynb", json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _relative(path: str | Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _cell(kind: str, source: str, tags: Collection[str] = ()) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "metadata": {"tags": list(tags)} if tags else {},
        "source": source.splitlines(keepends=True),
    }
    return cell | {"execution_count": None, "outputs": []} if kind == "code" else cell


def _likely(root: Path) -> Iterator[Path]:
    """Give the folders that flows are looked for in: `flows` and the root, then those below it that have some."""
    if (root / "flows").is_dir():
        yield root / "flows"
    yield root
    yield from (folder for folder in _below(root, DEPTH) if has_flow(folder))


def _below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        inside = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return
    for one in inside:
        if one.name.startswith(".") or one.name in NO_FLOWS or (one / "pyvenv.cfg").exists():
            continue
        yield one
        if depth > 1:
            yield from _below(one, depth - 1)
