"""The files in which a project declares its dependencies, and which of these are not pinned."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Declared", "declarations", "pinned"]

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock", "conda-lock.yml", "pylock.toml")
OTHERS = ("setup.py", "setup.cfg", "Pipfile", "pixi.toml", "Dockerfile", "requirements.in", *LOCKS)
INTERPRETERS = {"python", "pip", "setuptools", "wheel"}
ENDS = ("==", "===", "~=", "<", "<=")


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
        for path in sorted(folder.glob("requirements*.txt")):
            yield Declared(path, tuple(_requirements(path)) if path.name == "requirements.txt" else ())
        for name in ("environment.yml", "environment.yaml"):
            if (folder / name).is_file():
                yield Declared(folder / name, () if locked else tuple(_environment(folder / name)))
        if _pyproject(folder / "pyproject.toml"):
            loose = () if locked else tuple(_project_dependencies(folder / "pyproject.toml"))
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
        return bool(re.search(r"(?:^|[,|])\s*(?:[=~<^]|\d)", wanted))
    text = requirement.split(";")[0].strip()
    if "://" in text or " @ " in text or text.startswith((".", "/", "git+")):
        return _fixed(text)
    return any(end in text for end in ENDS)


def _fixed(address: str) -> bool:
    """Whether an address names one version: only a repository without a tag, a branch or a commit does not."""
    return "git+" not in address or "@" in address.split("://")[-1].partition("/")[2]


def _requirements(path: Path) -> Iterator[tuple[str, int]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    plain = [re.sub(r"(^|\s)#.*", "", line).strip() for line in lines]
    if any(re.match(r"-c|--constraint", line) for line in plain):
        return
    for number, line in enumerate(plain, start=1):
        if (
            line
            and not line.startswith("-")
            and not pinned(line)
            and not (lines[number - 2].endswith("\\") and number > 1)
        ):
            yield _package(line), number


def _environment(path: Path) -> Iterator[tuple[str, int]]:
    """Find packages without a version in a conda environment file: lines `- name`, wherever they are in the list."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    inside = False
    for number, line in enumerate(lines, start=1):
        if re.match(r"\S", line) and not line.startswith(("-", "#")):
            inside = line.startswith("dependencies:")
        item = re.match(r"\s*-\s+['\"]?(?:[\w.-]+::)?([A-Za-z0-9][\w.-]*)['\"]?\s*(?:#.*)?$", line)
        if inside and item and item[1].lower() not in INTERPRETERS:
            yield item[1], number


def _pyproject(path: Path) -> Mapping[str, Any]:
    """Give what pyproject.toml says of dependencies; nothing where it says none, or cannot be read."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    project, tool = tables.get("project", {}), tables.get("tool", {})
    found = {"dependencies": project.get("dependencies", [])} if isinstance(project, Mapping) else {}
    poetry = tool.get("poetry", {}) if isinstance(tool, Mapping) else {}
    if isinstance(poetry, Mapping) and poetry.get("dependencies"):
        found["poetry"] = poetry["dependencies"]
    return {name: value for name, value in found.items() if value}


def _project_dependencies(path: Path) -> Iterator[tuple[str, int]]:
    found = _pyproject(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    listed = found.get("dependencies", [])
    for text in listed if isinstance(listed, list) else []:
        if isinstance(text, str) and not re.search(r"[<>=!~@]", text.split(";")[0]):
            yield _package(text), _line(lines, text)
    poetry = found.get("poetry", {})
    for name, version in poetry.items() if isinstance(poetry, Mapping) else ():
        if version in ("*", ""):
            yield name, _line(lines, name)


def _package(text: str) -> str:
    found = re.match(r"[A-Za-z0-9][\w.-]*", text)
    return found[0] if found and "://" not in text else re.sub(r"://[^/@\s]*@", "://***@", text)


def _line(lines: list[str], text: str) -> int:
    return next((number for number, line in enumerate(lines, start=1) if text in line), 1)
