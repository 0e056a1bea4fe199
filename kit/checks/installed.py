"""Which names of an installed package are modules, from its files alone: nothing of it is imported."""

from __future__ import annotations

import ast
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

from kit.checks.syntax import own_nodes

__all__ = ["is_installed_module"]

SUFFIXES = ("/__init__.py", ".py", *EXTENSION_SUFFIXES)


@lru_cache(maxsize=256)
def is_installed_module(name: str) -> bool:
    """Whether a dotted name is surely a module inside of an installed package, as sklearn.metrics is.

    Args:
        name: The dotted name. One that its package may give to a function or class is no module for sure.
    """
    top, *inner = name.split(".")
    try:
        spec = PathFinder.find_spec(top) if inner else None
    except (ImportError, ValueError, OSError):
        return False
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    for part in inner:
        owners = folders
        if not any((folder / f"{part}{suffix}").is_file() for folder in folders for suffix in SUFFIXES):
            return False
        folders = [folder / part for folder in folders]
    return not any(_gives_away(folder / "__init__.py", inner[-1]) for folder in owners) if inner else False


def _gives_away(path: Path, name: str) -> bool:
    """Whether a package may bind the name of its module to something else: `from .lyapunov import lyapunov`."""
    try:
        nodes = list(own_nodes(ast.parse(path.read_bytes()).body))
    except FileNotFoundError:
        return False  # a namespace
    except (OSError, ValueError, SyntaxError, RecursionError):
        return True
    return any(name in _bound(node) or "*" in _bound(node) for node in nodes)


def _bound(node: ast.AST) -> list[str]:
    """Give the names that a statement binds, `*` among them; what imports the module itself binds none."""
    if isinstance(node, ast.ImportFrom):
        itself = node.level and not node.module
        return [] if itself else [alias.asname or alias.name for alias in node.names]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    return [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []
