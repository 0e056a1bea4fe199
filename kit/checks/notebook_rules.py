"""Rules about notebooks: they load kit, take the run to look at as a parameter, and have a reference."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from kit.checks.cell_code import code_of, tree_of
from kit.checks.findings import Finding
from kit.checks.notebooks import Cell, CheckedNotebook
from kit.checks.subject import Subject
from kit.checks.syntax import flow_nodes
from kit.regression.reference_file import reference_path

__all__ = ["notebook_kit", "notebook_parameters", "notebook_reference"]

LOADS_KIT = re.compile(
    r"(?m)^\s*%(?:re)?load_ext\s+kit(?:\s|$)|(?:load_ext|load_extension|run_line_magic)\([^)]*['\"]kit['\"]"
)
READS_RUNS = re.compile(
    r"(?m)^\s*(?:\w+\s*=\s*)?%%?mf_(?:artifacts|run_step)\b(?!\s*\?|.*--help)|\bkit\.(?:artifacts|run_step)\("
    r"|(?<![\w.])(?:metaflow\.|mf\.)?(?:Flow|Run|Step|Task|DataArtifact)\(\s*(?:\w+\s*=\s*)?[rf]*['\"]"
    r"|(?<![\w.])(?:artifacts|run_step)\(\s*[rf]*['\"]"
)
NOT_METAFLOWS = re.compile(
    r"(?m)^\s*from\s+(?!metaflow\b|kit\b)[\w.]+\s+import\s.*\b(?:Flow|Run|Step|Task|artifacts)\b"
)
PARAMETERS_TAG = "parameters"


def notebook_kit(subject: Subject) -> Iterator[Finding]:
    """A notebook opens with kit: `%load_ext kit`.

    It finds the project, its modules and its runs from whichever folder the notebook is opened in, and reloads modules
    that were edited. Looked at are the Python notebooks of the project's folder of notebooks, which `kit test` runs. A
    finding is one that never loads kit, or not before a cell reads runs; `import kit` is as good.

    Left alone are notebooks elsewhere, and those whose metadata says {"kit": {"test": false}}.
    """
    for notebook in _tested(subject):
        loads = next((cell for cell in notebook.code if _loads_kit(cell)), None)
        first = next((cell for cell in notebook.code if _reads_runs(notebook, cell)), None)
        mend = "Make %load_ext kit its first code cell."
        if loads is None:
            cell = notebook.code[0]
            yield Finding(str(notebook.path), cell.lines.line(), "does not load kit", mend, cell.number)
        elif first is not None and first.number < loads.number:
            message = f"reads runs before it loads kit, in cell {loads.number}"
            yield Finding(str(notebook.path), first.lines.line(), message, mend, first.number)


def _loads_kit(cell: Cell) -> bool:
    imported = {
        name.split(".")[0]
        for node in flow_nodes(tree_of(cell.source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    return "kit" in imported or LOADS_KIT.search(code_of(cell.source)) is not None


def _reads_runs(notebook: CheckedNotebook, cell: Cell) -> bool:
    code = code_of(cell.source)
    found = READS_RUNS.search(code)
    if found is None:
        return False
    own = any(NOT_METAFLOWS.search(other.source) for other in notebook.code)
    return not own or "mf_" in found[0] or "kit." in found[0]


def notebook_parameters(subject: Subject) -> Iterator[Finding]:
    """A notebook that reads runs has a cell tagged `parameters`, which says which run it looks at.

    `kit test` puts the run that it has just made there, and a person reads the latest: so the same notebook is a page
    to work with and a regression test. A finding is a notebook that names a flow or a run in its code, or wants one in
    its metadata, and has no such cell; one whose cell does not set what its metadata wants; and one whose metadata
    wants no run, though its code reads one.

        {"kit": {"runs": {"train_run": "TrainFlow"}}}    # in the notebook's metadata
        train_run = "TrainFlow"                          # in the cell tagged `parameters`
        %mf_artifacts {train_run}

    A notebook that reads no run needs no parameters.
    """
    for notebook in _tested(subject):
        reads = next((cell for cell in notebook.code if _reads_runs(notebook, cell)), None)
        tagged = [cell for cell in notebook.cells if cell.code and PARAMETERS_TAG in cell.tags]
        own = notebook.metadata.get("kit")
        wanted = own.get("runs") if isinstance(own, dict) else None
        if not reads and not wanted:
            continue
        cell = reads or notebook.code[0]
        unset = _unset(tagged[0], wanted) if tagged and isinstance(wanted, dict) else []
        if not tagged:
            message = "reads runs and has no cell tagged `parameters`: kit test cannot give it the run to look at"
            mend = 'Tag a cell `parameters`, with a line such as train_run = "TrainFlow", and use {train_run}.'
        elif not wanted:
            message = "reads runs, and its metadata names none for kit test to make"
            mend = 'Write {"kit": {"runs": {"train_run": "TrainFlow"}}} into the notebook\'s metadata.'
        elif unset:
            cell = tagged[0]
            message = f"its metadata wants runs for {', '.join(unset)}, which its cell tagged `parameters` does not set"
            mend = f"Set it there, as in {unset[0]} = ..., or mend the name in the metadata."
        else:
            continue
        yield Finding(str(notebook.path), cell.lines.line(), message, mend, cell.number)


def _unset(cell: Cell, wanted: dict[str, object]) -> list[str]:
    """Name the parameters that a cell does not set; none where it does not parse."""
    nodes = list(flow_nodes(tree_of(cell.source)))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return [name for name in wanted if name not in names] if len(nodes) > 1 or not cell.source.strip() else []


def notebook_reference(subject: Subject) -> Iterator[Finding]:
    """A notebook has a reference, which its outputs are compared with.

    Without one, `kit test` only says whether the notebook runs; a figure that is empty and a score that is wrong pass.
    Beside notebooks/debug.ipynb it is notebooks/references/debug.json, which `kit test --update` writes. Looked at are
    the Python notebooks of the project's folder of notebooks. Left alone are those without code, those elsewhere, and
    those whose metadata says {"kit": {"test": false}}.
    """
    for notebook in _tested(subject):
        path = reference_path(notebook.path)
        if not path.is_file():
            message = "has no reference: kit test only says whether it runs"
            name = subject.project.relative(notebook.path)
            mend = f"kit test --update {name} writes {subject.project.relative(path)}: review it, and keep it in git."
            cell = notebook.code[0]
            yield Finding(str(notebook.path), cell.lines.line(), message, mend, cell.number)


def _tested(subject: Subject) -> Iterator[CheckedNotebook]:
    for notebook in subject.notebooks:
        if notebook.tested and notebook.code and notebook.python:
            yield notebook
