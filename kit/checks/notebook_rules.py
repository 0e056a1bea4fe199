"""Rules about notebooks: they load kit, take the run to look at as a parameter, and have a reference."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kit.checks.findings import Finding
from kit.checks.notebooks import CheckedNotebook
from kit.checks.subject import Subject
from kit.regression.reference_file import reference_path

__all__ = ["notebook_kit", "notebook_parameters", "notebook_reference"]

LOADS_KIT = re.compile(
    r"(?m)^\s*(?:%(?:re)?load_ext\s+kit\b|import\s+kit\b|from\s+kit\b)|(?:load_ext|run_line_magic)\([^)]*kit"
)
READS_RUNS = re.compile(
    r"(?m)^\s*(?:\w+\s*=\s*)?%%?mf_(?:artifacts|run_step)\b|\bkit\.(?:artifacts|run_step)\("
    r"|(?<![\w.])(?:metaflow\.)?(?:Flow|Run|Step|Task|DataArtifact)\(\s*['\"]"
)
PARAMETERS_TAG = "parameters"


def notebook_kit(subject: Subject) -> Iterator[Finding]:
    """A notebook opens with kit: `%load_ext kit`.

    It finds the project, its modules and its runs from whichever folder the notebook is opened in, and reloads modules
    that were edited. Looked at are the Python notebooks of the project's folder of notebooks, which `kit test` runs.
    """
    for notebook in _tested(subject):
        if not any(LOADS_KIT.search(cell.source) for cell in notebook.cells if cell.code):
            cell = notebook.code[0]
            mend = "Make %load_ext kit its first code cell."
            yield Finding(str(notebook.path), cell.lines.line(), "does not load kit", mend, cell.number)


def notebook_parameters(subject: Subject) -> Iterator[Finding]:
    """A notebook that reads runs has a cell tagged `parameters`, which says which run it looks at.

    `kit test` puts the run that it has just made there, and a person reads the latest: so the same notebook is a page
    to work with and a regression test. A notebook that names a flow or a run in its code, or wants one in its
    metadata, and has no such cell is a finding; so is one whose metadata wants no run, though its code reads one.
    """
    for notebook in _tested(subject):
        reads = next((cell for cell in notebook.code if READS_RUNS.search(cell.source)), None)
        tagged = any(PARAMETERS_TAG in cell.tags for cell in notebook.cells if cell.code)
        own = notebook.metadata.get("kit")
        wanted = own.get("runs") if isinstance(own, dict) else None
        if not reads and not wanted:
            continue
        cell = reads or notebook.code[0]
        if not tagged:
            message = "reads runs and has no cell tagged `parameters`: kit test cannot give it the run to look at"
            mend = 'Tag a cell `parameters`, with a line such as train_run = "TrainFlow", and use {train_run}.'
            yield Finding(str(notebook.path), cell.lines.line(), message, mend, cell.number)
        elif not wanted:
            message = "reads runs, and its metadata names none for kit test to make"
            mend = 'Write {"kit": {"runs": {"train_run": "TrainFlow"}}} into the notebook\'s metadata.'
            yield Finding(str(notebook.path), cell.lines.line(), message, mend, cell.number)


def notebook_reference(subject: Subject) -> Iterator[Finding]:
    """A notebook has a reference, which its outputs are compared with.

    Without one, `kit test` only says whether the notebook runs; a figure that is empty and a score that is wrong pass.
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
