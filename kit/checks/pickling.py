"""The rule about artifacts: what is assigned to `self` can be pickled."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kit.checks.findings import Finding
from kit.checks.subject import Flow, Module, Subject
from kit.checks.syntax import Function, argument, dotted, lines_of, own_nodes, self_attribute, text
from kit.checks.unpicklable import MENDS, OTHER_MEND, Scope, Surroundings

__all__ = ["picklable"]

GROWING = {"append", "appendleft", "add", "insert"}
OF_A_CLASS = {"a lambda", "a function of this step", "a class of this step"}  # which Metaflow leaves out there


@dataclass(frozen=True)
class _Change:
    """What a statement does to an artifact.

    Args:
        name: The artifact.
        value: What is put there; None where that is not known, or where it is taken away.
        adds: Whether what was there stays.
    """

    name: str
    value: ast.expr | None
    adds: bool = False


def picklable(subject: Subject) -> Iterator[Finding]:
    """What a step assigns to `self` can be pickled.

    Metaflow pickles the artifacts when a step ends, so a step that took hours fails at its very end. A finding is an
    assignment, in a method of a flow, of what surely cannot be pickled: a lambda, a generator, an open file, a lock, a
    thread, a process, a pool, a connection, cursor or client of the well-known libraries, a module, a function or an
    instance of a class that is defined inside the step; also inside of a list, a dict or a defaultdict, under a local
    name, with setattr, and where a function of the project returns it. So is such a value in the flow's class itself,
    which is an artifact too.

        self.model = lambda rows: rows * 2      # a finding
        self.rows = (row for row in table)      # a finding; list(...) of it is none
        self.text = open("notes.txt").read()    # none

    What the same method, or one that it calls, deletes or replaces afterwards is no artifact, and what the source does
    not say for sure is left alone.
    """
    seen: set[int] = set()
    for flow in subject.flows:
        around = Surroundings(subject.by_name, flow.methods)
        removed = {name: frozenset(_removed(node)) for name, (_, node) in flow.methods.items()}
        for name, (module, node) in flow.methods.items():
            if id(node) not in seen and not name.startswith("__"):
                seen.add(id(node))
                gone: frozenset[str] = frozenset() if name in flow.steps else frozenset().union(*removed.values())
                yield from _Method(flow, module, node, around, removed).findings(gone)
        for module, cls in flow.classes:
            if id(cls) not in seen:
                seen.add(id(cls))
                yield from _constants(flow, module, cls, around)


def _constants(flow: Flow, module: Module, cls: ast.ClassDef, around: Surroundings) -> Iterator[Finding]:
    """Find values of the class that Metaflow would keep as artifacts when a run starts."""
    scope = Scope(around, module)
    for statement in cls.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        for target in targets:
            if isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(target, ast.Name):
                reason = scope.unpicklable(value)
                if reason and reason not in OF_A_CLASS and not target.id.startswith("_"):
                    message = f"{target.id} of {flow.info.name} is {reason}, which cannot be pickled: no run starts"
                    mend = "Name it with a leading _, which Metaflow leaves out, or make it in the steps that need it."
                    yield Finding(module.path, statement.lineno, message, mend, lines=lines_of(statement))


class _Method:
    """A method of a flow, and what it leaves in the artifacts."""

    def __init__(
        self,
        flow: Flow,
        module: Module,
        node: Function,
        around: Surroundings,
        removed: Mapping[str, frozenset[str]],
    ) -> None:
        self.flow, self.module, self.node, self.removed = flow, module, node, removed
        self.scope = Scope(around, module, node)
        self.owner = _owner(node)

    def findings(self, gone: frozenset[str]) -> Iterator[Finding]:
        """Give what it leaves that cannot be pickled, without the artifacts that another method takes away."""
        for name, findings in self._left(self.node.body).items():
            if name not in gone:
                yield from findings

    def _left(self, block: list[ast.stmt]) -> dict[str, list[Finding]]:
        """Give what a block leaves: a later assignment takes the place of one before, unless it may not be reached."""
        left: dict[str, list[Finding]] = {}
        for statement in block:
            for change in self._changes(statement):
                before = left.get(change.name, []) if change.adds else []
                left[change.name] = [*before, *self._found(statement, change)]
            always = isinstance(statement, (ast.With, ast.AsyncWith))
            for inner, certain in _blocks(statement, always):
                for name, findings in self._left(inner).items():
                    left[name] = findings if certain else [*left.get(name, []), *findings]
        return left

    def _found(self, statement: ast.stmt, change: _Change) -> list[Finding]:
        reason = self.scope.unpicklable(change.value)
        if not reason:
            return []
        verb = "holds" if change.adds else "is"
        where = f"{self.node.name} of {self.flow.info.name}"
        message = f"self.{change.name} {verb} {reason}, which cannot be pickled: {where} fails when it ends"
        mend = MENDS.get(reason, OTHER_MEND)
        return [Finding(self.module.path, statement.lineno, message, mend, lines=_head(statement))]

    def _changes(self, node: ast.stmt) -> Iterator[_Change]:
        """Give what a statement itself does to artifacts."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from self._paired(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from self._paired(node.target, node.value)
        elif isinstance(node, ast.AugAssign):
            name = self_attribute(node.target, self.owner)
            yield from [_Change(name, node.value, adds=True)] if name else []
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if item.optional_vars is not None:
                    yield from self._paired(item.optional_vars, item.context_expr)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            yield from self._paired(node.target, None)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if not isinstance(target, ast.Subscript):
                    yield from self._paired(target, None)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from self._called(node.value)

    def _called(self, call: ast.Call) -> Iterator[_Change]:
        named = _set_by_name(call, self.owner)
        if named is not None:
            yield named
        method = self_attribute(call.func, self.owner)
        if method is not None:
            yield from (_Change(name, None) for name in self.removed.get(method, ()))
        if isinstance(call.func, ast.Attribute) and call.func.attr in GROWING and call.args:
            name = self_attribute(call.func.value, self.owner)
            yield from [_Change(name, call.args[-1], adds=True)] if name else []

    def _paired(self, target: ast.expr, value: ast.expr | None) -> Iterator[_Change]:
        adds = isinstance(target, ast.Subscript)
        name = self_attribute(target.value if isinstance(target, ast.Subscript) else target, self.owner)
        if name is not None:
            if not name.startswith("__"):  # Metaflow leaves those out
                yield _Change(name, value, adds)
        elif isinstance(target, (ast.Tuple, ast.List)):
            values: Sequence[ast.expr | None] = [None] * len(target.elts)
            starred = any(isinstance(part, ast.Starred) for part in target.elts)
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts) and not starred:
                values = value.elts
            for part, given in zip(target.elts, values, strict=True):
                yield from self._paired(part, given)


def _owner(node: Function) -> str:
    """Give the name that a method has for the flow, which is `self` by custom alone."""
    given = [*node.args.posonlyargs, *node.args.args]
    return given[0].arg if given else "self"


def _set_by_name(call: ast.Call, owner: str) -> _Change | None:
    """Read setattr(self, "name", value) and delattr(self, "name")."""
    name = text(argument(call, "", 1))
    known = dotted(call.func, {}) in ("setattr", "delattr") and name is not None
    if not known or name is None or not isinstance(call.args[0], ast.Name) or call.args[0].id != owner:
        return None
    return _Change(name, call.args[2] if len(call.args) > 2 else None)


def _removed(node: Function) -> Iterator[str]:
    """Name the artifacts that a method deletes, or sets to None."""
    owner = _owner(node)
    for one in own_nodes(node.body):
        if isinstance(one, ast.Delete) or (
            isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant) and one.value.value is None
        ):
            yield from (name for target in one.targets if (name := self_attribute(target, owner)))
        elif isinstance(one, ast.Call) and dotted(one.func, {}) == "delattr":
            change = _set_by_name(one, owner)
            yield from [change.name] if change else []


def _blocks(statement: ast.stmt, always: bool) -> Iterator[tuple[list[ast.stmt], bool]]:
    """Give the blocks inside a statement, and whether each surely runs."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    yield getattr(statement, "body", []), always
    for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        yield part.body, False
    yield getattr(statement, "orelse", []), False
    yield getattr(statement, "finalbody", []), True


def _head(statement: ast.stmt) -> tuple[int, ...]:
    """Give the lines of a statement, without those of the blocks in it."""
    inner = [part[0].lineno for part, _ in _blocks(statement, False) if part]
    return tuple(line for line in lines_of(statement) if line < min(inner, default=line + 1))
