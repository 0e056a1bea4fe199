"""What a step does: whether it can fail, or takes time, as far as its source says."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kit.checks.subject import Flow, Module, Subject
from kit.checks.syntax import Function, body, dotted, flow_nodes, imported_names, own_nodes, self_attribute
from kit.checks.unpicklable import Surroundings

__all__ = ["can_fail", "says_only", "works"]

# Calls that neither take long nor can fail for a reason outside of the flow.
LIGHT = {
    "print", "len", "str", "repr", "range", "list", "dict", "set", "tuple", "min", "max", "sum", "sorted", "format",
    "round", "abs", "bool", "enumerate", "zip", "isinstance", "hasattr", "getattr", "type", "any", "all", "reversed",
    "map", "filter", "frozenset", "id", "hash", "vars", "dir", "callable", "iter",
    "time.time", "time.sleep", "time.perf_counter", "datetime.now", "datetime.datetime.now", "datetime.utcnow",
    "datetime.datetime.utcnow", "datetime.date.today", "pprint.pprint", "pprint", "super", "os.getpid", "os.getenv",
    "os.getcwd", "os.environ.get", "uuid.uuid4", "json.dumps", "pathlib.Path", "contextlib.suppress",
    "contextlib.nullcontext", "logging.getLogger", "logging.basicConfig", "random.random", "random.randint",
    "random.choice", "random.seed", "random.shuffle", "random.sample", "random.Random", "socket.gethostname",
    "metaflow.get_metadata", "metaflow.metadata", "metaflow.namespace", "metaflow.get_namespace",
}  # fmt: skip
LIGHT_MODULES = ("math.", "itertools.", "platform.", "os.path.join", "os.path.basename", "metaflow.cards.", "logging.")
LIGHT_METHODS = {
    "next", "merge_artifacts", "append", "extend", "items", "keys", "values", "update", "add", "join", "split", "strip",
    "format", "upper", "lower", "info", "debug", "warning", "error", "exception", "log", "isoformat", "strftime", "get",
    "foreach_stack", "copy", "startswith", "endswith", "replace", "pop", "sort", "clear", "set",
}  # fmt: skip
LIGHT_IMPORTS = {
    "__future__", "collections", "contextlib", "copy", "dataclasses", "datetime", "enum", "functools", "itertools",
    "json", "logging", "math", "metaflow", "operator", "os", "pathlib", "platform", "pprint", "random", "re", "string",
    "sys", "textwrap", "time", "typing", "uuid", "warnings",
}  # fmt: skip
SAYING = {"print", "pprint", "pprint.pprint"}
SAYING_METHODS = {"info", "debug", "warning", "error", "exception", "log", "write"}
CATCH_ALL = {"Exception", "BaseException"}


def works(flow: Flow) -> bool:
    """Whether a step does anything that takes time or can fail."""
    return any(can_fail(flow, *step) for step in flow.steps.values())


def can_fail(flow: Flow, module: Module, node: Function, subject: Subject | None = None) -> bool:
    """Whether a step does anything that can fail, or that takes time; other methods of the flow are followed.

    Args:
        flow: The flow.
        module: The file of the step.
        node: The step.
        subject: The project, to be strict: functions of the project are followed too, and what an `except Exception`
            swallows does not count.
    """
    around = Surroundings(subject.by_name, flow.methods) if subject else None
    return _Work(flow, around).in_function(module, node)


def says_only(statement: ast.stmt) -> bool:
    """Whether a statement only prints, logs or does nothing."""
    if isinstance(statement, ast.Pass):
        return True
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Constant):
        return True
    return isinstance(call, ast.Call) and (
        dotted(call.func, {}) in SAYING or (isinstance(call.func, ast.Attribute) and call.func.attr in SAYING_METHODS)
    )


class _Work:
    def __init__(self, flow: Flow, around: Surroundings | None) -> None:
        self.flow, self.around = flow, around
        self.seen: set[int] = set()

    def in_function(self, module: Module, node: Function) -> bool:
        self.seen.add(id(node))
        names = {**module.names, **imported_names(body(node))}
        return any(self._fails(one, names, module) for one in self._nodes(body(node)))

    def _nodes(self, statements: list[ast.stmt]) -> Iterator[ast.AST]:
        swallowed: set[int] = set()
        for one in own_nodes(statements):
            if self.around and isinstance(one, ast.Try) and _swallows(one):
                swallowed |= {id(node) for part in one.body for node in flow_nodes(part)}
            if id(one) not in swallowed:
                yield one

    def _fails(self, one: ast.AST, names: dict[str, str], module: Module) -> bool:
        if isinstance(one, (ast.Raise, ast.Assert, ast.Await)):
            return True
        if isinstance(one, ast.Import):
            return any(a.name.split(".")[0] not in LIGHT_IMPORTS for a in one.names)
        if isinstance(one, ast.ImportFrom):
            return (one.module or ".").split(".")[0] not in LIGHT_IMPORTS
        if isinstance(one, ast.Subscript):
            looked_up = isinstance(one.ctx, ast.Load) and self_attribute(one.slice) is not None
            return looked_up or dotted(one.value, names) == "os.environ"
        return isinstance(one, ast.Call) and self._heavy(one, names, module)

    def _heavy(self, call: ast.Call, names: dict[str, str], module: Module) -> bool:
        name = dotted(call.func, names)
        if name in LIGHT or name.startswith(LIGHT_MODULES):
            return False
        if isinstance(call.func, ast.Attribute) and call.func.attr in LIGHT_METHODS:
            return False
        if name in ("int", "float"):
            return not all(isinstance(one, ast.Constant) for one in call.args)
        method = self_attribute(call.func)
        if method is not None:
            return self._followed(self.flow.methods.get(method))
        if self.around is None:
            return True
        return self._followed(self.around.function(name) or _own_function(module, name))

    def _followed(self, found: tuple[Module, Function] | None) -> bool:
        """Whether a call of this function can fail; what is not found may be anything."""
        if found is None:
            return True
        return id(found[1]) not in self.seen and self.in_function(*found)


def _own_function(module: Module, name: str) -> tuple[Module, Function] | None:
    for node in module.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return module, node
    return None


def _swallows(node: ast.Try) -> bool:
    """Whether nothing that fails in a `try` gets out of it."""
    for handler in node.handlers:
        caught = dotted(handler.type, {}) if handler.type is not None else "Exception"
        inner = list(own_nodes(handler.body))
        exits = any(isinstance(one, ast.Call) and dotted(one.func, {}) in ("sys.exit", "exit", "quit") for one in inner)
        if caught in CATCH_ALL and not exits and not any(isinstance(one, ast.Raise) for one in inner):
            return True
    return False
