"""The Pythons of this machine: uv's, those on the PATH, pyenv's and conda's.

Standard library alone at import.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.errors import RequirementError

__all__ = ["Interpreter", "find_python", "installed_pythons"]

MAX_LISTED = 12
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){0,2}")
_CONDA_ROOTS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba")
_DOWNLOAD_SECONDS = 180


@dataclass(frozen=True)
class Interpreter:
    """A Python of this machine.

    Args:
        version: Its version, such as "3.9.18".
        path: Its executable.
        home: Who keeps it: "this one", "uv or PATH", "pyenv" or "conda".
    """

    version: str
    path: str
    home: str


def find_python(wanted: str | None, uv: str) -> tuple[Interpreter, str]:
    """Find the Python that a step pins: the exact version, else another patch of the same minor version.

    Args:
        wanted: "3.9.13", or "3.9" for any of that minor version; None for the one that runs this.
        uv: The uv executable. Where no Python of that minor version is installed, it is asked to download one.

    Returns:
        The Python, and what there is to say about it ("" where it is the one that is wanted).

    Raises:
        RequirementError: There is none; the message lists those that are there.
    """
    this = Interpreter(platform.python_version(), sys.executable, "this one")
    if not wanted or wanted == this.version:
        return this, ""
    if not _VERSION.fullmatch(wanted):
        raise RequirementError(f"{wanted!r} is not a version of Python", 'Write it as "3.9" or "3.9.13".')
    minor = ".".join(wanted.split(".")[:2])
    known = [this, *installed_pythons(uv)]
    fitting = [one for one in known if one.version == wanted] or [one for one in known if _of_minor(one, minor)]
    if not fitting and _downloaded(minor, uv):
        fitting = [one for one in installed_pythons(uv) if _of_minor(one, minor)]
    if not fitting:
        raise RequirementError(
            f"Python {wanted} is not on this machine; there are {_listed(known)}",
            f"Install it (uv python install {minor}, or pyenv, or conda), or pin a Python that is there.",
        )
    chosen = max(fitting, key=lambda one: _numbers(one.version))
    exact = wanted in (chosen.version, minor)
    return chosen, "" if exact else f"Python {wanted} is not here: {chosen.version} ({chosen.home}) takes its place."


def installed_pythons(uv: str) -> tuple[Interpreter, ...]:
    """List the Pythons that uv, the PATH, pyenv and conda have, without starting those of the last two.

    Args:
        uv: The uv executable.

    Returns:
        Each executable once, those of uv and the PATH first.
    """
    found = {os.path.realpath(one.path): one for one in reversed([*_uv(uv), *_pyenv(), *_conda()])}
    return tuple(reversed(found.values()))


def _of_minor(one: Interpreter, minor: str) -> bool:
    return one.version == minor or one.version.startswith(f"{minor}.")


def _uv(uv: str) -> Iterator[Interpreter]:
    command = [uv, "python", "list", "--only-installed", "--offline", "--output-format", "json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    try:
        listed = json.loads(done.stdout or "[]")
    except ValueError:
        return
    for one in listed:
        plain = one.get("implementation") == "cpython" and one.get("variant", "default") == "default"
        if plain and one.get("path") and os.access(one["path"], os.X_OK):
            yield Interpreter(one["version"], one["path"], "uv or PATH")


def _pyenv() -> Iterator[Interpreter]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for python in sorted(root.glob("versions/*/bin/python3")):
        version = python.parents[1].name
        if re.fullmatch(r"3\.[0-9]+\.[0-9]+", version) and os.access(python, os.X_OK):
            yield Interpreter(version, str(python), "pyenv")


def _conda() -> Iterator[Interpreter]:
    roots = [Path.home() / name for name in _CONDA_ROOTS]
    roots += [Path(os.environ[name]) for name in ("CONDA_PREFIX", "MAMBA_ROOT_PREFIX") if os.environ.get(name)]
    if os.environ.get("CONDA_EXE"):
        roots.append(Path(os.environ["CONDA_EXE"]).parents[1])
    listed = Path.home() / ".conda" / "environments.txt"
    if listed.is_file():
        roots += [Path(line.strip()) for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    for root in dict.fromkeys(roots):
        for prefix in (root, *sorted(root.glob("envs/*"))):
            python = prefix / "bin" / "python"
            for record in prefix.glob("conda-meta/python-3.*.json"):
                if os.access(python, os.X_OK):
                    yield Interpreter(record.name.split("-")[1], str(python), "conda")


def _downloaded(minor: str, uv: str) -> bool:
    """Let uv fetch a Python, where its settings and the network allow it."""
    if os.environ.get("UV_PYTHON_DOWNLOADS", "").lower() in ("never", "manual", "false", "0") or os.environ.get(
        "UV_OFFLINE"
    ):
        return False
    command = [uv, "python", "install", "--no-progress", "--color", "never", minor]
    environment = {"UV_HTTP_RETRIES": "1", **os.environ}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _listed(known: list[Interpreter]) -> str:
    ordered = sorted(known, key=lambda one: _numbers(one.version), reverse=True)
    texts = dict.fromkeys(f"{one.version} ({one.home})" for one in ordered)
    rest = f" and {len(texts) - MAX_LISTED} more" if len(texts) > MAX_LISTED else ""
    return ", ".join(list(texts)[:MAX_LISTED]) + rest


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))
