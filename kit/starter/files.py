"""The files that `kit init` would write to a folder: the example of `template`, or what flows that are there lack.

In `template` a name `dot_x` stands for `.x`, and a file `x.j2` is filled in by jinja2; all others are copied.
"""

from __future__ import annotations

import json
import re
import unicodedata
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kit.starter.origin import Origin, origin
from kit.starter.present import Present, debug_notebook

__all__ = ["around_flows", "example_files"]

TEMPLATE = Path(__file__).parent / "template"
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", ".ruff_cache"}  # what using the template in place leaves behind
TAKEN = {"base", "conda", "jupyterlab", "numpy", "pytest", "ruff", "setuptools"}  # of the template's dependencies
MAX_NOTEBOOKS = 12


def example_files(folder: str) -> tuple[dict[str, str], Origin]:
    """Give the files of a whole project, those of its root first.

    Args:
        folder: The name of its folder.

    Returns:
        The content of each by its path below the root, and where the project is to install kit from.
    """
    from jinja2 import Environment, StrictUndefined

    kit = origin()
    values = {"name": _distribution(folder), "title": " ".join(folder.split()) or "project", "kit": kit}
    fill = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  # no HTML
    files = {}
    for path in sorted(TEMPLATE.rglob("*"), key=lambda one: (len(one.relative_to(TEMPLATE).parts), one)):
        parts = path.relative_to(TEMPLATE).parts
        if not path.is_file() or LEFT_OUT & set(parts):
            continue
        name = "/".join(re.sub("^dot_", ".", part) for part in parts)
        content = path.read_text(encoding="utf-8")
        filled = name.endswith(".j2")
        files[name.removesuffix(".j2")] = fill.from_string(content).render(values) if filled else content
    return files, kit


def around_flows(there: Present) -> dict[str, str]:
    """Give the files that make a project of flows that are there: settings, what git ignores, a notebook for each.

    Args:
        there: The flows.

    Returns:
        The content of each file by its path below the root.
    """
    files = {".gitignore": (TEMPLATE / "dot_gitignore").read_text(encoding="utf-8")}
    if not there.declared:
        settings = {"flows": there.folder, "notebooks": there.notebooks}
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
        files["pyproject.toml"] = "\n".join(["[tool.kit]", *lines]) + "\n"
    if not there.has_notebooks:
        for flow in there.flows[:MAX_NOTEBOOKS]:
            name, content = debug_notebook(flow)
            path = f"{there.notebooks}/{name}"
            files[f"{there.notebooks}/debug_{flow}.ipynb" if path in files else path] = content
    return files


def _distribution(folder: str) -> str:
    """Write a folder's name as the name of a distribution (PEP 508), which is not that of another one.

    A project of the name of an installed package, such as `metaflow`, would be installed in its place.
    """
    plain = unicodedata.normalize("NFKD", folder.lower()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "project"
    return f"{name}-project" if name in TAKEN or _is_package(name) else name


def _is_package(name: str) -> bool:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return False
    return '"dir_info"' not in (found.read_text("direct_url.json") or "")  # that is this project, installed
