"""Imports of a flow whose steps pin packages: inside the steps and functions that use them.

Each step of such a flow runs in an environment of its own, and all of them read the whole file: what it imports at its
top has to be in every environment, and only Python's own library and Metaflow are.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kit.authoring.effects import bound
from kit.authoring.gathering import OUTSIDE
from kit.authoring.imports import affected
from kit.authoring.names import Used, used_by
from kit.source import indented

__all__ = ["Deferred", "defer"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True)
class Deferred:
    """A flow's code, with imports where they are used.

    Args:
        top: Imports for the top of the file.
        typing: Imports that annotations alone need.
        code: Constants, functions and classes.
        bodies: The steps' statements by the steps' names.
        needs: Packages of others that the top imports all the same, each with the statement that wants it.
    """

    top: tuple[str, ...]
    typing: tuple[str, ...]
    code: tuple[str, ...]
    bodies: Mapping[str, str]
    needs: Mapping[str, str]


def defer(
    imports: Iterable[str], code: Sequence[str], parameters: Iterable[str], bodies: Mapping[str, tuple[str, Used]]
) -> Deferred:
    """Put the imports of what not every environment has into the steps and functions that use them.

    Args:
        imports: Import statements, each of one name.
        code: Constants, functions and classes.
        parameters: The statements of Parameters.
        bodies: For each step its statements, and the names that they use.
    """
    top, far = [], dict[str, list[str]]()
    for text in imports:
        if _package(text) in OUTSIDE:
            top.append(text)
        else:
            far.setdefault(bound(ast.parse(text).body[0])[0], []).append(text)
    at_once, annotated = dict[str, str](), set[str]()
    for source in [*code, *parameters]:
        bare = ast.unparse(_bare(ast.parse(source)))
        at_once |= {name: source for name in used_by(bare).names & far.keys() if name not in at_once}
        annotated |= (used_by(source).at_once | used_by(source).quoted) & far.keys()
    if at_once:
        packages = {_package(text) for name in at_once for text in far[name]}
        top += [text for texts in far.values() for text in texts if affected(text) in packages]
    later = {name: texts for name, texts in far.items() if name not in at_once}
    return Deferred(
        (*top, *(text for name in at_once for text in far[name])),
        tuple(text for name in sorted(annotated - at_once.keys()) for text in far[name]),
        tuple(_with_imports(source, later) for source in code),
        {step: _inserted(body, ast.parse(body).body, _of(later, used.names)) for step, (body, used) in bodies.items()},
        {_package(far[name][0]): _said(source) for name, source in at_once.items()},
    )


def _package(text: str) -> str:
    """Name the package that an import statement of one module imports from."""
    return text.split()[1].partition(".")[0]


def _of(imports: Mapping[str, list[str]], names: Collection[str]) -> list[str]:
    found = [text for name, texts in imports.items() if name in names for text in texts]
    packages = {_package(text) for text in found}
    before = [text for texts in imports.values() for text in texts if affected(text) in packages]
    return list(dict.fromkeys([*before, *found]))


def _said(source: str) -> str:
    """Name a statement: what it binds, else its first line."""
    statement = ast.parse(source).body[0]
    if isinstance(statement, (Function, ast.ClassDef)):
        return statement.name
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return source.splitlines()[0]


def _bare(tree: Node) -> Node:
    """Take away what does not run when the statement does: the bodies of functions, and annotations."""
    made = copy.deepcopy(tree)
    for node in ast.walk(made):
        if isinstance(node, Function):
            node.body, node.returns = [ast.Pass()], None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return made


def _with_imports(source: str, imports: Mapping[str, list[str]]) -> str:
    """Put imports into the functions and methods of a statement."""
    for node in reversed(list(_functions(ast.parse(source)))):
        inside = copy.deepcopy(node)
        inside.decorator_list, inside.returns = [], None
        inside.args = _bare(node.args)
        inside.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
        inside.args.kw_defaults = [each and ast.Constant(None) for each in node.args.kw_defaults]
        texts = _of(imports, used_by(ast.unparse(inside)).names)
        if texts and node.body[0].lineno == node.lineno:  # def f(x): return x
            lines = source.splitlines()
            plain = indented(ast.unparse(node), node.col_offset)
            first = min([each.lineno for each in node.decorator_list], default=node.lineno)
            source = "\n".join([*lines[: first - 1], plain, *lines[node.end_lineno :]])
            return _with_imports(source, imports)
        source = _inserted(source, node.body, texts)
    return source


def _functions(node: ast.AST) -> Iterator[Function]:
    """Give the functions and methods of a statement, without those inside of them, in order."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield child
        else:
            yield from _functions(child)


def _inserted(source: str, body: Sequence[ast.stmt], texts: Sequence[str]) -> str:
    """Put imports before statements: behind their docstring, and above the comment on the first of them."""
    if not texts or not body:
        return source
    documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1
    first = body[1] if documented and isinstance(body[0].value.value, str) else body[0]  # type: ignore[attr-defined]
    lines = source.splitlines()
    at = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", ()))]) - 1
    while at and (not lines[at - 1].strip() or lines[at - 1].lstrip().startswith("#")):
        at -= 1
    added = [" " * first.col_offset + text for text in dict.fromkeys(texts)]
    return "\n".join([*lines[:at], *added, "", *lines[at:]])
