"""The rule about test modes: each flow has one, something reads it, and it makes the flow small."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kit.checks.findings import Finding
from kit.checks.subject import Flow, Module, Subject
from kit.checks.syntax import argument, dotted, flow_nodes, lines_of, shape, text
from kit.checks.work import says_only, works
from kit.errors import did_you_mean

__all__ = ["test_mode"]

TEST_PARAMETER = "test_mode"
OWN_TEST_NAMES = {"args", "config", "needs"}  # of [tool.kit.test.<Flow>], beside Parameters
SMALLNESS = ("test", "smoke", "debug", "dev", "dry_run", "limit", "sample", "subset", "quick", "fast", "small", "max_")
ON = (True, 1, "1", "true", "yes", "y", "on", "t")


@dataclass(frozen=True)
class _Parameter:
    """A Parameter of a flow: its name as an option, and as an attribute of the flow."""

    name: str
    attribute: str
    module: Module
    call: ast.Call
    line: int


def test_mode(subject: Subject) -> Iterator[Finding]:
    """Each flow has a test mode, and it makes the flow small.

    `kit test` runs flows in test mode: with `--test_mode 1` where the flow has a Parameter of that name, else with what
    [tool.kit.test.<Flow>] in pyproject.toml says. A finding is a flow with neither, a Parameter `test_mode` that is on
    by default, or that no step reads for more than to print it, and a table that sets nothing, or only what is so by
    default, or Parameters and flows that there are not.

        test_mode = Parameter("test_mode", type=bool, default=False)
        rows = load(limit=100 if self.test_mode else None)

        [tool.kit.test.TrainFlow]
        limit = 100

    A flow whose steps call nothing that takes time is small already, and left alone.
    """
    tables = subject.project.settings.get("test", {})
    tables = tables if isinstance(tables, Mapping) else {}
    yield from _unknown_flows(subject, tables)
    for flow in subject.flows:
        table = tables.get(flow.info.name)
        known = {name.replace("-", "_") for name in flow.info.parameters}
        parameters = {one.name: one for one in _parameters(flow)}
        if isinstance(table, Mapping):
            yield from _unknown_parameters(flow, table, known)
            yield from _idle_table(flow, table, parameters)
        if TEST_PARAMETER in parameters:
            yield from _idle_test_mode(flow, parameters[TEST_PARAMETER])
        elif TEST_PARAMETER not in known and not isinstance(table, Mapping) and works(flow):
            yield _without_test_mode(flow)


def _without_test_mode(flow: Flow) -> Finding:
    small = [name for name in flow.info.parameters if any(word in name.lower() for word in SMALLNESS)]
    add = (
        f'Add {TEST_PARAMETER} = Parameter("{TEST_PARAMETER}", type=bool, default=False) and let it make the data small'
    )
    table = f"[tool.kit.test.{flow.info.name}] in pyproject.toml" + (f" with {small[0]} = ..." if small else "")
    return _at_flow(flow, f"{flow.info.name} has no test mode: kit test runs it in full", f"{add}, or write {table}.")


def _at_flow(flow: Flow, message: str, mend: str) -> Finding:
    return Finding(flow.module.path, flow.node.lineno, message, mend, lines=lines_of(flow.node))


def _unknown_flows(subject: Subject, tables: Mapping[str, Any]) -> Iterator[Finding]:
    scanned = subject.project.scan()
    known = {*scanned.flows, *scanned.lost, *(flow.info.name for flow in subject.flows)}
    path = subject.project.root / "pyproject.toml"
    for name, table in tables.items():
        if isinstance(table, Mapping) and name not in known:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
            line = next((n for n, one in enumerate(lines, start=1) if "tool.kit.test" in one and name in one), 1)
            message = f"[tool.kit.test.{name}]: there is no flow {name}"
            yield Finding(str(path), line, message, did_you_mean(name, known, "flows of this project"))


def _unknown_parameters(flow: Flow, table: Mapping[str, Any], known: set[str]) -> Iterator[Finding]:
    if any(not _all_known(module, node) for module, node in flow.classes):
        return
    unknown = [name for name in table if name not in OWN_TEST_NAMES and name.replace("-", "_") not in known]
    if unknown:
        message = (
            f"[tool.kit.test.{flow.info.name}] names {', '.join(unknown)}, which {flow.info.name} has no Parameter for"
        )
        yield _at_flow(flow, message, "Mend the table in pyproject.toml, or add the Parameter.")


def _all_known(module: Module, node: ast.ClassDef) -> bool:
    """Whether all Parameters stand in the class: none in a base outside of the project or a decorator of one's own."""
    bases = all(dotted(base, module.names).rpartition(".")[2] == "FlowSpec" for base in node.bases)
    return bases and not node.decorator_list


def _idle_table(flow: Flow, table: Mapping[str, Any], parameters: Mapping[str, _Parameter]) -> Iterator[Finding]:
    """Find a table that leaves the flow as large as it is."""
    where = f"[tool.kit.test.{flow.info.name}]"
    mend = f"Let it set a Parameter of {flow.info.name} that makes the flow small, as in limit = 100."
    if not table:
        if works(flow):
            yield _at_flow(flow, f"{where} sets nothing: kit test runs {flow.info.name} in full", mend)
        return
    if set(table) & OWN_TEST_NAMES:
        return
    named = [parameters.get(name.replace("-", "_")) for name in table]
    set_so = [(one, value) for one, value in zip(named, table.values(), strict=True) if one is not None]
    if len(set_so) < len(table):
        return
    if all(_default(one) == [value] for one, value in set_so):
        yield _at_flow(flow, f"{where} sets what is so by default: a test run is as large as a real one", mend)
    elif not any(_read(flow, one) for one, _ in set_so):
        names = ", ".join(one.name for one, _ in set_so)
        yield _at_flow(flow, f"no step of {flow.info.name} reads {names}, which {where} sets", mend)


def _default(parameter: _Parameter) -> list[Any]:
    default = argument(parameter.call, "default")
    return [default.value] if isinstance(default, ast.Constant) else []


def _idle_test_mode(flow: Flow, parameter: _Parameter) -> Iterator[Finding]:
    path, line, lines = parameter.module.path, parameter.line, lines_of(parameter.call)
    default = [value.lower() if isinstance(value, str) else value for value in _default(parameter)]
    if default and default[0] in ON:
        message = f"{TEST_PARAMETER} of {flow.info.name} is on by default: a real run is a test"
        yield Finding(path, line, message, "Write default=False; kit test switches it on.", lines=lines)
    if not _read(flow, parameter):
        message = f"no step of {flow.info.name} reads {TEST_PARAMETER}: a test run is as large as a real one"
        yield Finding(path, line, message, "Let it choose less data, fewer settings or fewer rounds.", lines=lines)


def _read(flow: Flow, parameter: _Parameter) -> bool:
    """Whether a method reads the Parameter for more than to say it, or gives `self` away to a function that may."""
    names = {parameter.attribute, parameter.name}
    for _, cls in flow.classes:
        idle = {id(node) for part in _idle(cls) for node in flow_nodes(part)}
        for node in flow_nodes(cls):
            if id(node) in idle:
                continue
            if isinstance(node, ast.Attribute) and node.attr in names and isinstance(node.ctx, ast.Load):
                return True
            if text(node) in names and _beyond_its_name(cls, node):
                return True
            if isinstance(node, ast.Call):
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                if any(isinstance(one, ast.Name) and one.id == "self" for one in given):
                    return True
    return False


def _idle(cls: ast.ClassDef) -> Iterator[ast.AST]:
    """Give what makes no difference to a run: what is printed, and conditions on which nothing but that hangs."""
    for node in flow_nodes(cls):
        if isinstance(node, ast.Expr) and says_only(node):
            yield node
        elif isinstance(node, ast.If):
            same = [shape(one) for one in node.body] == [shape(one) for one in node.orelse]
            if same or all(says_only(one) for one in [*node.body, *node.orelse]):
                yield node.test


def _beyond_its_name(cls: ast.ClassDef, node: ast.AST) -> bool:
    """Whether a text is not the name that the Parameter itself is given: getattr(self, "test_mode")."""
    calls = [call for call in flow_nodes(cls) if isinstance(call, ast.Call) and node in call.args[:1]]
    named = [k for k in flow_nodes(cls) if isinstance(k, ast.keyword) and k.arg == "name" and k.value is node]
    return not calls and not named


def _parameters(flow: Flow) -> Iterator[_Parameter]:
    for module, cls in flow.classes:
        for node in cls.body:
            call = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            if isinstance(call, ast.Call) and dotted(call.func, module.names).rpartition(".")[2] == "Parameter":
                name = text(argument(call, "name", 0))
                target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
                if name is not None:
                    attribute = target.id if isinstance(target, ast.Name) else name
                    yield _Parameter(name.replace("-", "_"), attribute, module, call, node.lineno)
