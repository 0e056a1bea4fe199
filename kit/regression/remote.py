"""Notebooks in object stores (s3:// and the like), read and written by papermill's own storage handlers."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kit.errors import KitError, NotebookError
from kit.project import Project
from kit.regression.reference_file import reference_path

if TYPE_CHECKING:
    from kit.regression.suite import Outcome

__all__ = ["fetch", "is_url", "url_of", "write_output"]

FOLDER = Path(".kit", "remote")  # below the project's root: copies, so that their kernels find the project
MARK = "://"


def is_url(place: str | Path) -> bool:
    """Whether that is the address of an object store."""
    return isinstance(place, str) and MARK in place


def fetch(project: Project, url: str) -> list[Path]:
    """Copy a notebook with its reference, or all notebooks of a folder, into the project's `.kit`.

    Args:
        project: The project.
        url: A notebook (it ends with .ipynb), or a folder.

    Returns:
        The copies.

    Raises:
        NotebookError: It cannot be read, or the folder has no notebooks.
    """
    if url.endswith(".ipynb"):
        return [_fetched(project, url, _read(url))]
    found = [name for name in _listed(url) if name.endswith(".ipynb")]
    if not found:
        raise NotebookError(f"There are no notebooks in {url}.", "Name a notebook, or a folder with notebooks.")
    return [_fetched(project, name, _read(name)) for name in sorted(found)]


def url_of(project: Project, path: Path) -> str:
    """Give the address that a copy was fetched from; "" for a notebook that is none."""
    try:
        scheme, *rest = path.relative_to(project.root / FOLDER).parts
    except ValueError:
        return ""
    return f"{scheme}{MARK}{PurePosixPath(*rest)}"


def write_output(outcome: Outcome, target: str, coverage: str = "") -> str:
    """Write the executed notebooks, report.html and junit.xml to a folder or an object store.

    Args:
        outcome: What came of the suite.
        target: The folder, or its address.
        coverage: The report of what the flows covered.

    Returns:
        A line to print.

    Raises:
        KitError: It cannot be written.
    """
    from kit.regression.compared import NotebookVerdict
    from kit.regression.files import junit
    from kit.regression.html_report import html_report

    verdicts, texts = [], {}
    for verdict in outcome.verdicts:
        if isinstance(verdict, NotebookVerdict) and verdict.executed is not None:
            inside = verdict.executed.relative_to(outcome.executed)
            texts[inside.as_posix()] = verdict.executed.read_text(encoding="utf-8")
            verdict = replace(verdict, executed=Path("/", inside))
        verdicts.append(verdict)
    texts["report.html"] = html_report(replace(outcome, verdicts=tuple(verdicts)), Path("/"), coverage)
    texts["junit.xml"] = junit(outcome)
    for name, text in texts.items():
        try:
            _write(f"{target.rstrip('/')}/{name}", text)
        except Exception as error:  # papermill's handlers raise what they like
            raise KitError(f"{target} cannot be written: {_first_line(error)}", "Mend --output.") from error
    return f"executed notebooks, report.html and junit.xml: {target}"


def _fetched(project: Project, url: str, text: str) -> Path:
    scheme, _, rest = url.partition(MARK)
    parts = [part for part in rest.split("/") if part]
    if ".." in parts or not parts:
        raise NotebookError(f"{url} is not the address of a notebook.", "Name it as s3://bucket/folder/name.ipynb.")
    path = project.root.joinpath(FOLDER, scheme, *parts)
    _replace(path, text)
    reference = reference_path(path)
    there = f"{url.rpartition('/')[0]}/{reference.relative_to(path.parent).as_posix()}"
    reference.unlink(missing_ok=True)
    with contextlib.suppress(NotebookError):  # it has none
        _replace(reference, _read(there))
    return path


def _read(url: str) -> str:
    try:
        return str(_handlers().read(url))
    except Exception as error:  # papermill's handlers raise what they like
        raise NotebookError(
            f"{url} cannot be read: {_first_line(error)}", "Is it there, and may you read it?"
        ) from error


def _listed(url: str) -> Sequence[str]:
    try:
        return [str(name) for name in _handlers().listdir(url)]
    except Exception as error:
        raise NotebookError(
            f"{url} cannot be listed: {_first_line(error)}", "Name its notebooks one by one."
        ) from error


def _write(place: str, text: str) -> None:
    if MARK in place:
        _handlers().write(text, place, extensions=[PurePosixPath(place).suffix])
    else:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_text(text, encoding="utf-8")


def _handlers() -> Any:
    from papermill.iorw import papermill_io

    return papermill_io


def _replace(path: Path, text: str) -> None:
    """Write a file as a whole: another session may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
