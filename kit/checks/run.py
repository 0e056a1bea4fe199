"""Check a project: read it once, ask every rule, leave out what is meant so."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kit.checks.elsewhere import hint_of_flows
from kit.checks.findings import Finding, Rule
from kit.checks.ignores import ignored, unknown_names
from kit.checks.rules import RULES, rule
from kit.checks.settings import read_settings
from kit.checks.subject import Subject, read_subject
from kit.errors import ArgumentError, ProjectError, did_you_mean
from kit.project import Project, find_project

__all__ = ["Checked", "check", "project_of"]


@dataclass(frozen=True)
class Checked:
    """What came of a check.

    Args:
        root: The project's root.
        findings: In the order of files and lines.
        files: How many files were read.
        ignored: How many findings comments left out.
    """

    root: Path
    findings: tuple[Finding, ...]
    files: int
    ignored: int


def project_of(places: Sequence[Path]) -> Project:
    """Find the project of the first place, or of this folder; a folder of flows that is in none is one by itself."""
    start = (places[0] if places else Path.cwd()).resolve()
    folder = start if start.is_dir() else start.parent
    try:
        return find_project(folder)
    except ProjectError as error:
        if _declares(folder / "pyproject.toml"):
            raise
        hint = None if places else hint_of_flows(folder, project=False)
        if hint:
            raise ProjectError(error.message, hint) from None
        if not places:
            raise
        return Project(root=folder, flows_folder=folder, notebooks_folder=folder)


def _declares(path: Path) -> bool:
    """Whether a pyproject.toml means to say something to kit, well or not."""
    return path.is_file() and b"tool.kit" in path.read_bytes()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave garbage be for a while: syntax trees are millions of objects, none of them garbage."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@_no_collection()
def check(places: Iterable[str | Path] = (), ignore: Sequence[str] = (), only: Sequence[str] = ()) -> Checked:
    """Check a project, or some of its files and folders. No flow is imported.

    Args:
        places: Files and folders; findings elsewhere are left out. The whole project by default.
        ignore: Rules to leave out, besides those of [tool.kit.check] in pyproject.toml.
        only: The only rules to ask; all by default.

    Raises:
        ArgumentError: There is no such file or no such rule.
        ProjectError: There is no project, or its settings cannot be read.
    """
    named = [Path(place).resolve() for place in places]
    for given, place in zip(places, named, strict=False):
        if not place.exists():
            raise ArgumentError(f"There is no file or folder {given}.", "Name a flow file, a notebook or a folder.")
    for name in (*ignore, *only):
        rule(name)
    project = project_of(named)
    names = [one.name for one in RULES]
    settings = read_settings(project.settings, names)
    apart = project.flows_folder != project.root
    inside = [place for place in named if not (apart and (place == project.root or place in project.root.parents))]
    subject = read_subject(project, settings, inside)
    asked = [one for one in RULES if one.name not in settings.ignore | set(ignore) and (not only or one.name in only)]
    found = [one for each in asked for one in _found(each, subject) if _within(Path(one.file), named)]
    kept = [finding for finding in found if not ignored(subject, finding)]
    left_out = len(found) - len(kept)
    for file, line, cell, name in unknown_names(subject, frozenset(names)):
        if not _within(Path(file), named):
            continue
        message = f"# kit: ignore[{name}] names no rule"
        kept.append(Finding(file, line, message, did_you_mean(name, names, "rules"), cell, "syntax"))
    ordered = sorted(set(kept), key=lambda one: (one.file, one.line, one.rule, one.message))
    files = sum(
        _within(path, named) for path in [*map(Path, subject.modules), *(one.path for one in subject.notebooks)]
    )
    return Checked(project.root, tuple(ordered), files, left_out)


def _found(one: Rule, subject: Subject) -> list[Finding]:
    return [replace(finding, rule=one.name) for finding in one.find(subject)]


def _within(path: Path, places: Sequence[Path]) -> bool:
    return not places or any(place == path or place in path.parents for place in places)
