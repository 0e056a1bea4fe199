"""The rule about code that was copied, between flows and into notebooks."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from kit.checks.cell_code import tree_of
from kit.checks.findings import Finding
from kit.checks.notebooks import Cell, CheckedNotebook
from kit.checks.subject import Module, Subject
from kit.checks.syntax import Function, body, flow_nodes, lines_of, self_attribute, shape

__all__ = ["shared_code"]

COPIED_STATEMENTS = 3  # a function of fewer, and so of little, may be there twice
COPIED_NODES = 30  # or as many parts of a syntax tree, in fewer statements
COPIED_RUN = 6  # statements in a row, inside of functions that differ otherwise
WRITES_FLOWS = re.compile(r"(?m)^\s*%%?mf_(?:step|flow)\b")
MEND_COPY = "Keep it once, in a module beside the flows such as common.py, and import it."


def shared_code(subject: Subject) -> Iterator[Finding]:
    """Flows share code through a module, and not by copying it.

    A copy is mended in one place and forgotten in the other, and a notebook cannot import it. A finding is a function
    or a class, of three statements or more, that stands in a flow file and, the same but for names, docstrings, type
    hints and comments, in another file of the flows' folder; or six statements in a row that do. It is reported in each
    flow file but the first. A function of a notebook that stands in a file of the flows' folder, or in another notebook
    too, is a finding as well.

        from common import clean    # in both flows, in place of def clean(rows): ... in each

    Left alone are copies within one file, short functions, imports, Parameters, names and values at the top of files,
    what only joins steps, and the notebooks in which a flow is written with %%mf_step.
    """
    flow_files = {module.path for flow in subject.flows for module, _ in flow.classes}
    pieces: dict[str, list[tuple[Module, Function | ast.ClassDef]]] = defaultdict(list)
    flow_classes = {id(node) for flow in subject.flows for _, node in flow.classes}
    for module in subject.modules.values():
        for node in flow_nodes(module.tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or id(node) in flow_classes:
                continue
            if _weighs(node):
                pieces[_content(node)].append((module, node))
    reported: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for copies in pieces.values():
        for first, module, node in _copies(copies, flow_files):
            lines = (node.lineno, node.end_lineno or node.lineno)
            if any(start <= lines[0] and lines[1] <= end for start, end in reported[module.path]):
                continue  # a method of a class that is a copy itself
            reported[module.path].append(lines)
            where = f"{subject.project.relative(first[0].path)}:{first[1].lineno}"
            what = "class" if isinstance(node, ast.ClassDef) else "function"
            message = f"the {what} {node.name} is a copy of {first[1].name} ({where})"
            yield Finding(module.path, node.lineno, message, MEND_COPY, lines=lines_of(node))
    yield from _copied_runs(subject, flow_files, reported)
    yield from _in_notebooks(subject, pieces)


def _in_notebooks(
    subject: Subject, pieces: Mapping[str, list[tuple[Module, Function | ast.ClassDef]]]
) -> Iterator[Finding]:
    """Find functions and classes of notebooks that stand in a file of the flows' folder, or in another notebook."""
    seen: dict[str, tuple[Path, str, int]] = {}
    for notebook in subject.notebooks:
        for cell, node in _defined(notebook):
            content = _content(node)
            first, name, number = seen.setdefault(content, (notebook.path, node.name, cell.number))
            if content in pieces:
                module, original = pieces[content][0]
                where = f"{original.name} ({subject.project.relative(module.path)}:{original.lineno})"
                mend = f"Import it from {Path(module.path).stem}, or from a module that both import."
            elif first != notebook.path:
                where = f"{name} ({subject.project.relative(first)}, cell {number})"
                mend = "Keep it once, in a module such as common.py, and import it in both notebooks."
            else:
                continue
            line = cell.lines.line(node.lineno)
            yield Finding(str(notebook.path), line, f"{node.name} is a copy of {where}", mend, cell.number)


def _defined(notebook: CheckedNotebook) -> Iterator[tuple[Cell, Function | ast.ClassDef]]:
    """Give the larger functions and classes of a notebook; of one in which a flow is written, none."""
    if not notebook.python or any(WRITES_FLOWS.search(cell.source) for cell in notebook.code):
        return
    for cell in notebook.code:
        for node in tree_of(cell.source).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and _weighs(node):
                yield cell, node


def _copies(
    copies: list[tuple[Module, Function | ast.ClassDef]], flow_files: set[str]
) -> Iterator[tuple[tuple[Module, Function | ast.ClassDef], Module, Function | ast.ClassDef]]:
    """Give the pieces in flow files that stand in another file too; one in a shared module is the original."""
    ordered = sorted(copies, key=lambda piece: (piece[0].path in flow_files, piece[0].path, piece[1].lineno))
    for module, node in ordered[1:]:
        if module.path in flow_files and module.path != ordered[0][0].path:
            yield ordered[0], module, node


def _weighs(node: Function | ast.ClassDef) -> bool:
    nodes = [one for part in body(node) if not _wiring(part) for one in flow_nodes(part)]
    weight = len(nodes) + sum("ctx" in one._fields for one in nodes)  # to read a name and to set one are parts too
    statements = sum(isinstance(one, ast.stmt) for one in nodes)
    return weight >= COPIED_NODES and (statements >= COPIED_STATEMENTS or weight >= 2 * COPIED_NODES)


def _wiring(statement: ast.stmt) -> bool:
    """Whether a statement only joins steps together, as every flow has to: self.next, self.merge_artifacts."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and self_attribute(call.func) in ("next", "merge_artifacts")


def _content(node: Function | ast.ClassDef) -> str:
    """Write what a function or class does, without its name, docstring, decorators, type hints and local names."""
    names: dict[str, str] = {}
    for one in flow_nodes(node):
        if isinstance(one, ast.arg):
            names.setdefault(one.arg, f"_{len(names)}")
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            names.setdefault(one.id, f"_{len(names)}")
    head = "" if isinstance(node, ast.ClassDef) else shape(node.args, names)
    return f"{type(node).__name__} {head} {[shape(part, names) for part in body(node)]}"


def _copied_runs(
    subject: Subject, flow_files: set[str], reported: dict[str, list[tuple[int, int]]]
) -> Iterator[Finding]:
    """Find statements in a row, in functions of flow files, that stand in another file too."""
    seen: dict[tuple[str, ...], tuple[str, int]] = {}
    for module in sorted(subject.modules.values(), key=lambda one: (one.path in flow_files, one.path)):
        own: dict[tuple[str, ...], tuple[str, int]] = {}
        for statements in _blocks(module.tree):
            dumps = [shape(one) for one in statements]
            at = 0
            while at + COPIED_RUN <= len(statements):
                key = tuple(dumps[at : at + COPIED_RUN])
                known = seen.get(key)
                line = statements[at].lineno
                if known is None or module.path not in flow_files:
                    own.setdefault(key, (module.path, line))
                    at += 1
                    continue
                if not any(start <= line <= end for start, end in reported[module.path]):
                    where = f"{subject.project.relative(known[0])}:{known[1]}"
                    message = f"{COPIED_RUN} statements or more are a copy of those at {where}"
                    yield Finding(module.path, line, message, MEND_COPY, lines=(line,))
                at += COPIED_RUN
                while at < len(statements) and tuple(dumps[at - COPIED_RUN + 1 : at + 1]) in seen:
                    at += 1
        seen |= {key: value for key, value in own.items() if key not in seen}


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    for node in flow_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield body(node)
