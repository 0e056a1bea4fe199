"""Rules about flows: they parse, their steps are short, `start` fails fast, a test mode keeps them quick."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from kit.checks.findings import Finding
from kit.checks.subject import Flow, Module, Subject
from kit.checks.syntax import (
    Function,
    argument,
    body,
    dotted,
    flow_nodes,
    imported_names,
    lines_of,
    own_nodes,
    self_attribute,
    text,
)

__all__ = ["fail_fast", "step_length", "syntax", "test_mode"]

TEST_PARAMETER = "test_mode"
OWN_TEST_NAMES = {"args", "config", "needs"}  # of [tool.kit.test.<Flow>], beside Parameters
SMALLNESS = ("test", "smoke", "debug", "dev", "dry_run", "limit", "sample", "subset", "quick", "fast", "small", "max_")
# Calls that neither take long nor can fail for a reason outside of the flow.
LIGHT = {
    "print", "len", "str", "repr", "range", "list", "dict", "set", "tuple", "min", "max", "sum", "sorted", "format",
    "round", "abs", "bool", "enumerate", "zip", "isinstance", "hasattr", "getattr", "type", "any", "all", "reversed",
    "time.time", "time.sleep", "time.perf_counter", "datetime.now", "datetime.datetime.now", "datetime.utcnow",
    "datetime.datetime.utcnow", "datetime.date.today", "pprint.pprint", "pprint", "super", "os.getpid", "os.getenv",
    "uuid.uuid4", "logging.getLogger", "random.random", "random.randint", "random.choice",
    "random.seed", "metaflow.get_metadata", "metaflow.metadata", "metaflow.namespace", "metaflow.get_namespace",
}  # fmt: skip
LIGHT_METHODS = {
    "next", "merge_artifacts", "append", "extend", "items", "keys", "values", "update", "add", "join", "split", "strip",
    "format", "upper", "lower", "info", "debug", "warning", "error", "exception", "log", "isoformat", "strftime", "get",
    "foreach_stack", "copy", "startswith", "endswith", "replace", "pop", "sort", "clear", "set",
}  # fmt: skip
LIGHT_IMPORTS = {
    "__future__", "collections", "copy", "datetime", "functools", "itertools", "json", "logging", "math", "metaflow",
    "os", "pathlib", "pprint", "random", "re", "string", "sys", "textwrap", "time", "typing", "uuid",
}  # fmt: skip


def syntax(subject: Subject) -> Iterator[Finding]:
    """Every Python file and every notebook of the project can be read.

    A file that does not parse cannot be checked by any other rule. Only the files of the flows' folder, the notebooks
    and what you name are read.
    """
    for module in subject.modules.values():
        if module.error is not None:
            line, reason = module.error
            yield Finding(module.path, line, f"does not parse: {reason}", "Mend it; no other rule has read this file.")
    for notebook in subject.notebooks:
        if notebook.error:
            mend = "Open it in JupyterLab and save it, or take it from git again."
            yield Finding(str(notebook.path), 1, f"is not a notebook: {notebook.error}", mend)


def step_length(subject: Subject) -> Iterator[Finding]:
    """Steps are short.

    A step says what happens in which order; the work is in functions of a module, which can be unit-tested, called from
    a notebook, and edited without a run. Statements are counted, those inside of loops and conditions too; docstrings
    are not. `step_statements` under [tool.kit.check] in pyproject.toml says how many a step may have.
    """
    most = subject.settings.step_statements
    for flow, module, node in subject.steps:
        count = sum(isinstance(one, ast.stmt) for one in own_nodes(body(node)))
        if count > most:
            yield Finding(
                module.path,
                node.lineno,
                f"step {node.name} of {flow} has {count} statements, more than {most}",
                "Move its work into functions of a module that the flow imports, such as common.py.",
                lines=lines_of(node),
            )


def fail_fast(subject: Subject) -> Iterator[Finding]:
    """`start` fails fast: it does something that can fail before the heavy steps do.

    A wrong Parameter, a missing file, table or model, a package that is not there: found in `start` it costs seconds,
    found in a later step it costs the hours, and the machines, of the steps before. So `start` should check: call a
    function that validates, open what the flow reads, install or import what it needs.

    A finding is a `start` that only assigns, prints and goes on, in a flow whose later steps call something that can
    fail. A `start` that calls any function of yours, reads anything, raises, asserts, or imports a package does
    enough, and so does a flow with nothing to fail: no calls but the everyday ones.
    """
    seen: set[int] = set()
    for flow in subject.flows:
        if "start" not in flow.steps or id(flow.steps["start"][1]) in seen:
            continue
        module, start = flow.steps["start"]
        seen.add(id(start))
        later = [step for name, step in flow.steps.items() if name != "start"]
        if later and not _can_fail(flow, module, start) and any(_can_fail(flow, *step) for step in later):
            yield Finding(
                module.path,
                start.lineno,
                f"start of {flow.info.name} does nothing that can fail: a mistake is found in a later step",
                "Check there what the flow needs: its Parameters, its inputs, access to data, packages.",
                lines=lines_of(start),
            )


def test_mode(subject: Subject) -> Iterator[Finding]:
    """Each flow has a test mode, and it makes the flow small.

    `kit test` runs flows in test mode: with `--test_mode 1` where the flow has a Parameter of that name, else with what
    [tool.kit.test.<Flow>] in pyproject.toml says. A finding is a flow with neither, a Parameter `test_mode` that no
    step reads or that is on by default, and a table that names Parameters the flow does not have. A flow whose steps
    call nothing that takes time is small already.
    """
    tables = subject.project.settings.get("test", {})
    tables = tables if isinstance(tables, Mapping) else {}
    for flow in subject.flows:
        table = tables.get(flow.info.name)
        known = {name.replace("-", "_") for name in flow.info.parameters}
        if isinstance(table, Mapping):
            yield from _unknown_parameters(flow, table, known)
        parameter = next((found for found in _parameters(flow) if found[0] == TEST_PARAMETER), None)
        if parameter is not None:
            yield from _idle_test_mode(flow, *parameter[1:])
        elif TEST_PARAMETER not in known and not isinstance(table, Mapping) and _works(flow):
            yield _without_test_mode(flow)


def _works(flow: Flow) -> bool:
    """Whether a step does anything that takes time or can fail."""
    return any(_can_fail(flow, *step) for step in flow.steps.values())


def _without_test_mode(flow: Flow) -> Finding:
    small = [name for name in flow.info.parameters if any(word in name.lower() for word in SMALLNESS)]
    add = (
        f'Add {TEST_PARAMETER} = Parameter("{TEST_PARAMETER}", type=bool, default=False) and let it make the data small'
    )
    table = f"[tool.kit.test.{flow.info.name}] in pyproject.toml" + (f" with {small[0]} = ..." if small else "")
    return Finding(
        flow.module.path,
        flow.node.lineno,
        f"{flow.info.name} has no test mode: kit test runs it in full",
        f"{add}, or write {table}.",
        lines=lines_of(flow.node),
    )


def _unknown_parameters(flow: Flow, table: Mapping[str, object], known: set[str]) -> Iterator[Finding]:
    if any(not _all_known(module, node) for module, node in flow.classes):
        return
    unknown = [name for name in table if name not in OWN_TEST_NAMES and name.replace("-", "_") not in known]
    if unknown:
        yield Finding(
            flow.module.path,
            flow.node.lineno,
            f"[tool.kit.test.{flow.info.name}] names {', '.join(unknown)}, which {flow.info.name} has no Parameter for",
            "Mend the table in pyproject.toml, or add the Parameter.",
            lines=lines_of(flow.node),
        )


def _all_known(module: Module, node: ast.ClassDef) -> bool:
    """Whether all Parameters stand in the class: none in a base outside of the project or a decorator of one's own."""
    bases = all(dotted(base, module.names).rpartition(".")[2] == "FlowSpec" for base in node.bases)
    return bases and not node.decorator_list


def _idle_test_mode(flow: Flow, module: Module, call: ast.Call, line: int) -> Iterator[Finding]:
    default = argument(call, "default")
    if isinstance(default, ast.Constant) and default.value in (True, 1, "1", "True", "true"):
        yield Finding(
            module.path,
            line,
            f"{TEST_PARAMETER} of {flow.info.name} is on by default: a real run is a test",
            "Write default=False; kit test switches it on.",
            lines=lines_of(call),
        )
    if not _read(flow):
        yield Finding(
            module.path,
            line,
            f"no step of {flow.info.name} reads {TEST_PARAMETER}: a test run is as large as a real one",
            "Let it choose less data, fewer settings or fewer rounds.",
            lines=lines_of(call),
        )


def _read(flow: Flow) -> bool:
    """Whether a method reads the Parameter, or gives `self` away to a function that may."""
    for _, cls in flow.classes:
        for node in flow_nodes(cls):
            if isinstance(node, ast.Attribute) and node.attr == TEST_PARAMETER:
                return True
            if text(node) == TEST_PARAMETER and not isinstance(node, ast.expr_context) and _beyond_its_name(cls, node):
                return True
            if isinstance(node, ast.Call):
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                if any(isinstance(one, ast.Name) and one.id == "self" for one in given):
                    return True
    return False


def _beyond_its_name(cls: ast.ClassDef, node: ast.AST) -> bool:
    """Whether a text is not the name that the Parameter itself is given: getattr(self, "test_mode")."""
    names = [call for call in flow_nodes(cls) if isinstance(call, ast.Call) and node in call.args[:1]]
    named = [k for k in flow_nodes(cls) if isinstance(k, ast.keyword) and k.arg == "name" and k.value is node]
    return not names and not named


def _parameters(flow: Flow) -> Iterator[tuple[str, Module, ast.Call, int]]:
    for module, cls in flow.classes:
        for node in cls.body:
            call = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            if isinstance(call, ast.Call) and dotted(call.func, module.names).rpartition(".")[2] == "Parameter":
                name = text(argument(call, "name", 0))
                if name is not None:
                    yield name.replace("-", "_"), module, call, node.lineno


def _can_fail(flow: Flow, module: Module, node: Function, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a step does anything that can fail, or that takes time; other methods of the flow are followed."""
    names = {**module.names, **imported_names(body(node))}
    for one in own_nodes(body(node)):
        if isinstance(one, (ast.Raise, ast.Assert, ast.With, ast.AsyncWith, ast.Await, ast.While)):
            return True
        if isinstance(one, ast.Import) and any(a.name.split(".")[0] not in LIGHT_IMPORTS for a in one.names):
            return True
        if isinstance(one, ast.ImportFrom) and (one.module or ".").split(".")[0] not in LIGHT_IMPORTS:
            return True
        if isinstance(one, ast.Subscript) and dotted(one.value, names) == "os.environ":
            return True
        if isinstance(one, ast.Call) and _heavy(flow, one, names, seen):
            return True
    return False


def _heavy(flow: Flow, call: ast.Call, names: dict[str, str], seen: frozenset[str]) -> bool:
    name = dotted(call.func, names)
    if name in LIGHT or (isinstance(call.func, ast.Attribute) and call.func.attr in LIGHT_METHODS):
        return False
    method = self_attribute(call.func)
    if method is None:
        return True
    if method in seen or method not in flow.methods:
        return method not in seen  # a Parameter or artifact that is called, or a method of a base outside the project
    return _can_fail(flow, *flow.methods[method], seen=seen | {method})
