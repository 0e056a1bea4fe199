"""The files in which a project declares its dependencies, and which of these are not pinned."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Declared", "declarations", "pinned"]

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock", "conda-lock.yml", "pylock.toml")
OTHERS = ("setup.py", "setup.cfg", "Pipfile", "pixi.toml", "Dockerfile", "requirements.in", *LOCKS)
INTERPRETERS = {"python", "pip", "setuptools", "wheel", "uv"}
ENDS = ("==", "===", "~=", "<", "<=")
BRANCHES = {"main", "master", "head", "develop", "dev", "trunk", "latest"}
CONDA_FILES = ("environment.yml", "environment.yaml", "env.yml", "env.yaml", "conda.yml", "conda.yaml")
WORKBENCH = re.compile(
    r"(?:^|[-_.])(?:dev|test|tests|testing|lint|docs?|typing|types|ci|format)(?:$|[-_.])|develop"
)  # no flow's


@dataclass(frozen=True)
class Declared:
    """A file that declares dependencies.

    Args:
        path: The file.
        loose: Those that are not pinned, each with its line.
    """

    path: Path
    loose: tuple[tuple[str, int], ...] = ()


def declarations(root: Path, flows: Path) -> Iterator[Declared]:
    """Read the files in which a project, or the repository that it is in, declares its dependencies."""
    folders = dict.fromkeys((root, flows))
    locked = any((folder / name).exists() for folder in folders for name in LOCKS)
    for folder in folders:
        for path in _requirement_files(folder):
            yield Declared(path, () if WORKBENCH.search(path.stem) else tuple(_requirements(path)))
        for name in CONDA_FILES:
            if (folder / name).is_file():
                yield Declared(folder / name, () if locked else tuple(_environment(folder / name)))
        tables = _pyproject(folder / "pyproject.toml")
        if _dependencies(tables):
            loose = () if locked else tuple(_loose_of(tables, folder / "pyproject.toml"))
            yield Declared(folder / "pyproject.toml", loose)
        yield from (Declared(folder / name) for name in OTHERS if (folder / name).exists())
    folder = root
    while not (folder / ".git").exists() and folder != folder.parent:  # a project in a folder of a larger repository
        folder = folder.parent
        if (folder / ".git").exists():
            names = ("pyproject.toml", "requirements.txt", "environment.yml", *OTHERS)
            yield from (Declared(folder / name) for name in names if (folder / name).exists())


def pinned(requirement: str, version: str | None = None) -> bool:
    """Whether a requirement says which version: an exact one, or a range that ends.

    Args:
        requirement: As pip takes it.
        version: The version alone, as @pypi and @conda take it; then the requirement's own text is not read.
    """
    if version is not None:
        wanted = version.strip()
        if wanted[:1] == "@" or "://" in wanted:
            return _fixed(wanted)
        return bool(re.search(r"(?:^|[,|])\s*(?:[=~<^]+\s*[^*\s]|v?\d)", wanted))
    text = requirement.split(";")[0].strip()
    if "://" in text or " @ " in text or text.startswith((".", "/", "git+")):
        return _fixed(text)
    return any(end in text for end in ENDS) and not re.search(r"==\s*\*", text)


def _fixed(address: str) -> bool:
    """Whether an address names one version: a repository without a tag or a commit, or a branch's archive, does not."""
    path = address.split("#")[0].split("://")[-1].partition("/")[2]
    if "git+" not in address:
        found = re.search(r"/archive/(?:refs/heads/)?([^/]+?)\.(?:zip|tar\.gz)$", f"/{path}")
        return "refs/heads/" not in path and not (found and found[1].lower() in BRANCHES)
    return "@" in path and path.rpartition("@")[2].strip().lower() not in BRANCHES


def _requirement_files(folder: Path) -> list[Path]:
    """List the requirements files of a folder, and those that they read with -r."""
    found = dict.fromkeys(sorted([*folder.glob("requirements*.txt"), *folder.glob("requirements/*.txt")]))
    pending = list(found)
    while pending:
        path = pending.pop()
        for line in [] if WORKBENCH.search(path.stem) else _lines(path):
            included = re.match(r"(?:-r|--requirement)[\s=]*([^\s#]+)", line)
            inner = Path(os.path.normpath(path.parent / included[1])) if included else path
            if inner not in found and inner.is_file():
                found[inner] = None
                pending.append(inner)
    return list(found)


def _requirements(path: Path) -> Iterator[tuple[str, int]]:
    """Find the lines of a requirements file that are not pinned."""
    plain = [re.sub(r"(^|\s)#.*", "", line).strip() for line in _lines(path)]
    if any(re.match(r"-c|--constraint", line) for line in plain):
        return
    for number, line in enumerate(plain, start=1):
        continued = number > 1 and plain[number - 2].endswith("\\")
        edited = re.sub(r"^(?:-e|--editable)[\s=]+(?=git\+)", "", line)
        if line and not edited.startswith("-") and not pinned(edited) and not continued:
            yield _package(edited), number


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # what PowerShell's `>` writes
        return content.decode("utf-16" if utf16 else "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _environment(path: Path) -> Iterator[tuple[str, int]]:
    """Find packages without a version in a conda environment file: lines `- name`, wherever they are in the list."""
    inside = False
    for number, line in enumerate(_lines(path), start=1):
        if re.match(r"\S", line) and not line.startswith(("-", "#")):
            inside = line.startswith("dependencies:")
        listed = re.match(r"dependencies:\s*\[(.*)\]", line)
        item = re.match(r"\s*-\s+(.*)", line)
        for part in listed[1].split(",") if listed else [item[1]] if item else []:
            text = re.sub(r"(^|\s)#.*", "", part).strip().strip("'\"")
            found = re.fullmatch(r"(?:[\w.-]+::)?([A-Za-z0-9][\w.-]*)(?:\s*==?\s*\*|\[.*\*.*\])?", text)
            if inside and found and found[1].lower() not in INTERPRETERS:
                yield found[1], number
            elif inside and "git+" in text and not pinned(text):
                yield _package(text), number


def _pyproject(path: Path) -> Mapping[str, Any]:
    """Read pyproject.toml; nothing where it cannot be read."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tables: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return tables


def _table(tables: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        tables = tables.get(name) if isinstance(tables, Mapping) else None
    return tables if isinstance(tables, Mapping) else {}


def _dependencies(tables: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """List what pyproject.toml says of dependencies: PEP 621's requirements under "", else names and versions."""
    project = _table(tables, "project")
    groups = {"": project.get("dependencies"), **_table(project, "optional-dependencies")}
    groups |= _table(tables, "dependency-groups")
    found = [
        ("", text)
        for name, listed in groups.items()
        if isinstance(listed, list) and not WORKBENCH.search(name.lower())
        for text in listed
        if isinstance(text, str)
    ]
    named = [_table(tables, "tool", tool, "dependencies") for tool in ("poetry", "pixi")]
    grouped = _table(tables, "tool", "poetry", "group")
    named += [_table(grouped, name, "dependencies") for name in grouped if not WORKBENCH.search(name.lower())]
    return found + [(name, version) for one in named for name, version in one.items()]


def _loose_of(tables: Mapping[str, Any], path: Path) -> Iterator[tuple[str, int]]:
    lines = _lines(path)
    own = str(_table(tables, "project").get("name", "")).lower()
    for name, version in _dependencies(tables):
        if name:
            wanted = version.get("version") if isinstance(version, Mapping) else version
            if wanted in ("*", "") and name.lower() not in INTERPRETERS:
                yield name, _line(lines, name)
        elif "git+" in version:
            yield from [] if pinned(version) else [(_package(version), _line(lines, version))]
        elif not re.search(r"[<>=!~@]", version.split(";")[0]) and _package(version).lower() != own:
            yield _package(version), _line(lines, version)


def _package(text: str) -> str:
    found = re.match(r"[A-Za-z0-9][\w.-]*", text)
    return found[0] if found and "://" not in text else re.sub(r"://[^/@\s]*@", "://***@", text)


def _line(lines: list[str], text: str) -> int:
    return next((number for number, line in enumerate(lines, start=1) if text in line), 1)
