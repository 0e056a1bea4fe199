"""Import statements of a flow file: sorted at its top, and not said again in the steps."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterable

from kit.authoring.effects import bound

__all__ = ["affected", "marked", "sorted_imports", "without_imports"]


def sorted_imports(texts: Iterable[str], local: set[str]) -> str:
    """Sort imports into the standard library's, installed ones and the project's, with one `from` a module."""
    groups: dict[int, dict[str, list[str]]] = {0: {}, 1: {}, 2: {}}
    for text in dict.fromkeys(texts):
        module = text.split()[1]
        root = module.split(".")[0]
        group = 2 if root in local or module.startswith(".") else 0 if root in sys.stdlib_module_names else 1
        names = groups[group].setdefault(text if text.startswith("import ") else module, [])
        if text.startswith("from "):
            names.append(text.split(" import ", 1)[1])
    blocks = []
    for modules in groups.values():
        plain = sorted(key for key, names in modules.items() if not names)
        froms = [f"from {key} import {', '.join(sorted(set(modules[key])))}" for key in sorted(modules) if modules[key]]
        if plain or froms:
            blocks.append("\n".join([*plain, *froms]))
    return "\n\n".join(blocks)


# Modules that are imported for what they do to another one.
EFFECTS = {
    "hvplot.pandas": "pandas",
    "janitor": "pandas",
    "pint_pandas": "pandas",
    "scienceplots": "matplotlib",
    "swifter": "pandas",
    "tensorflow_text": "tensorflow",
}
UNUSED = "  # noqa: F401"  # which ruff would take away


def affected(text: str) -> str:
    """Name the package for whose sake a module is imported that nothing names; "" for any other.

    Args:
        text: An import statement of one name.
    """
    enables = re.match(r"from (\w+)\.experimental import enable_\w+$", text)
    return enables[1] if enables else EFFECTS.get(text.removeprefix("import "), "")


def marked(text: str) -> str:
    """Let ruff keep the imports that nothing names."""
    lines = [line + UNUSED if all(map(affected, _single(line.strip()))) else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def _single(line: str) -> list[str]:
    """Give the imports of one line, each of one name; one text that is none for any other line."""
    if line.startswith("from ") and " import " in line:
        head, _, names = line.partition(" import ")
        return [f"{head} import {name.strip()}" for name in names.split(",")]
    return [line]


def without_imports(body: str, there: Collection[str]) -> str:
    """Leave out of a step's statements the imports that its file has at the top.

    Args:
        body: The statements.
        there: The file's imports, each of one name.
    """
    tree = ast.parse(body).body
    names = [name for each in tree for name in (*bound(each), *_declared(each))]
    lines: list[str | None] = [*body.splitlines()]
    for node in tree:
        if not isinstance(node, (ast.Import, ast.ImportFrom)) or not _is_alone(node, body):
            continue
        rest = [alias for alias in node.names if _text(node, alias) not in there or names.count(_name(alias)) > 1]
        if len(rest) < len(node.names):
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            node.names = rest
            lines[first:last] = [ast.unparse(node) if rest else None, *[None] * (last - first - 1)]
    return "\n".join(line for line in lines if line is not None).strip("\n")


def _declared(node: ast.stmt) -> list[str]:
    found = [each for each in ast.walk(node) if isinstance(each, (ast.Nonlocal, ast.Global))]
    return [name for each in found for name in each.names]


def _is_alone(node: ast.stmt, text: str) -> bool:
    """Whether a statement has its lines for itself."""
    lines = text.splitlines()
    rest = lines[(node.end_lineno or node.lineno) - 1].encode()[node.end_col_offset or 0 :].strip()
    return not node.col_offset and (not rest or rest.startswith(b"#"))


def _text(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    renamed = f" as {alias.asname}" if alias.asname else ""
    if isinstance(node, ast.Import):
        return f"import {alias.name}{renamed}"
    return f"from {'.' * node.level}{node.module or ''} import {alias.name}{renamed}"


def _name(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]
