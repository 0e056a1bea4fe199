"""What statements bind, and what they change inside of what is bound already: in place, or through a function."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from kit.authoring.constants import METHODS, Known, root_of

__all__ = ["Effects", "bound", "changed", "effects_of"]

CHANGING = frozenset(
    re.findall(
        r"\S+",
        """
    add append appendleft clear difference_update discard extend extendleft insert intersection_update pop popitem
    popleft remove reverse setdefault sort symmetric_difference_update update
    """,
    )
)
# Functions that change their first argument.
IN_PLACE = (
    *("shuffle", "heappush", "heappop", "heapify", "heapreplace", "heappushpop", "insort", "insort_left"),
    *("insort_right", "setattr", "delattr", "fill_diagonal", "put", "copyto"),
)
READING = METHODS | frozenset(
    re.findall(
        r"\S+",
        """
    corr describe dot groupby head hist info mean median memory_usage merge nunique pivot_table plot predict
    predict_proba query sample score std sum tail to_csv to_json to_parquet unique value_counts get_params
    """,
    )
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True)
class Effects:
    """What calling a function changes.

    Args:
        names: Names of the notebook.
        arguments: The positions and names of its own arguments.
    """

    names: frozenset[str] = frozenset()
    arguments: frozenset[int | str] = frozenset()


def bound(node: ast.AST) -> list[str]:
    """Name what a statement binds, or deletes, in its own scope."""
    found: list[str] = []
    for each in _own(node):
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append(each.name)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, (ast.Store, ast.Del)):
            found.append(each.id)
        elif isinstance(each, (ast.Import, ast.ImportFrom)):
            found += [alias.asname or alias.name.split(".")[0] for alias in each.names]
        elif isinstance(each, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and each.name:
            found.append(each.name)
        elif isinstance(each, ast.MatchMapping) and each.rest:
            found.append(each.rest)
    return list(dict.fromkeys(found))


def changed(node: ast.AST, known: Known, effects: Mapping[str, Effects] | None = None) -> list[str]:
    """Name what a statement changes inside of what is bound already.

    Args:
        node: The statement.
        known: What is known of the notebook's names.
        effects: What calls of the notebook's functions change, by name.
    """
    found: list[str] = []
    for each in _own(node):
        if isinstance(each, (ast.Subscript, ast.Attribute)) and isinstance(each.ctx, (ast.Store, ast.Del)):
            found += _root(each)
        elif isinstance(each, ast.AugAssign):
            found += _root(each.target)
        elif isinstance(each, ast.Call):
            found += _by_call(each, known, effects or {})
    for each in ast.walk(node):
        if isinstance(each, (ast.For, ast.AsyncFor)) and {*bound(each.target)} & {*found}:
            found += [name.id for name in ast.walk(each.iter) if isinstance(name, ast.Name)]
    return list(dict.fromkeys(found))


def _by_call(call: ast.Call, known: Known, effects: Mapping[str, Effects]) -> Iterator[str]:
    function = call.func
    if isinstance(function, ast.Attribute):
        root = _root(function.value)
        of_module = isinstance(function.value, ast.Name) and function.value.id in known.modules
        in_place = any(word.arg == "inplace" and not _is_false(word.value) for word in call.keywords)
        of_object = bool(root) and root[0] in known.objects and function.attr not in READING
        if not of_module and (function.attr in CHANGING or in_place or of_object):
            yield from root
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in IN_PLACE and call.args:
        yield from _root(call.args[0])
    called = [function, *call.args, *(word.value for word in call.keywords)]
    for each in called:  # `map(register, names)` calls it too
        if isinstance(each, ast.Name):
            yield from effects.get(each.id, Effects()).names
    if isinstance(function, ast.Name):
        mine = effects.get(function.id, Effects()).arguments
        for place, value in [*enumerate(call.args), *((word.arg, word.value) for word in call.keywords)]:
            if place in mine:
                yield from _root(value)


def effects_of(trees: Iterable[ast.stmt], known: Known) -> dict[str, Effects]:
    """Find what calls of functions change, those that they call in turn included.

    Args:
        trees: The statements of the notebook.
        known: What is known of its names.
    """
    functions: dict[str, list[Function]] = {}
    for each in trees:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions.setdefault(each.name, []).append(each)
        elif isinstance(each, ast.ClassDef):
            methods = [one for one in each.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
            making = [one for one in methods if one.name in ("__init__", "__new__", "__post_init__")]
            functions.setdefault(each.name, []).extend(making)
    found = {name: Effects() for name in functions}
    for _ in range(len(functions) + 1):
        before = {name: way for name, way in found.items() if way != Effects()}
        for name, nodes in functions.items():
            ways = [_of_function(node, known, before) for node in nodes]
            found[name] = Effects(
                frozenset(each for way in ways for each in way.names),
                frozenset(each for way in ways for each in way.arguments),
            )
        if before == {name: way for name, way in found.items() if way != Effects()}:
            break
    return before


def _of_function(node: Function, known: Known, effects: Mapping[str, Effects]) -> Effects:
    names, may_change = _glance(node)
    if not may_change and names.isdisjoint(effects) and names.isdisjoint(known.objects):
        return Effects()
    inside = [each for each in ast.walk(node) if isinstance(each, SCOPES)]
    arguments = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    declared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
    local: set[str] = set()
    touched: set[str] = set()
    for scope in inside:
        local |= {each.arg for each in ast.walk(scope) if isinstance(each, ast.arg)}
        body = scope.body if isinstance(scope.body, list) else [scope.body]
        for statement in body:
            local |= {*bound(statement)}
            touched |= {*changed(statement, known, effects)}
    touched |= declared & local
    own = {place for index, name in enumerate(arguments) if name in touched for place in (index, name)}
    return Effects(frozenset(touched - (local - declared)), frozenset(own))


@lru_cache(maxsize=8192)
def _glance(node: Function) -> tuple[frozenset[str], bool]:
    """Give the names in a function, and whether anything in it looks as if it changed something."""
    names: set[str] = set()
    may_change = False
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            names.add(each.id)
        elif isinstance(each, (ast.Subscript, ast.Attribute)) and not isinstance(each.ctx, ast.Load):
            may_change = True
        elif isinstance(each, ast.Call):
            called = each.func.attr if isinstance(each.func, ast.Attribute) else getattr(each.func, "id", "")
            may_change |= (
                called in CHANGING or called in IN_PLACE or any(word.arg == "inplace" for word in each.keywords)
            )
        else:
            may_change |= isinstance(each, (ast.AugAssign, ast.Global))
    return frozenset(names), may_change


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes of a statement's own scope: what stands inside functions and comprehensions' names is left out."""
    pending = [node]
    while pending:
        each = pending.pop(0)
        if isinstance(each, SCOPES):
            if not isinstance(each, ast.Lambda):
                yield each
                pending += each.decorator_list
            continue
        if isinstance(each, ast.comprehension):
            pending += [each.iter, *each.ifs]
            continue
        yield each
        pending += ast.iter_child_nodes(each)


def _root(node: ast.expr) -> list[str]:
    root = root_of(node)
    return [root.id] if isinstance(root, ast.Name) else []


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
