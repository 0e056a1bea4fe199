"""The rule about artifacts: what is assigned to `self` can be pickled."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence

from kit.checks.findings import Finding
from kit.checks.subject import Module, Subject
from kit.checks.syntax import Function, body, dotted, imported_names, lines_of, own_nodes, self_attribute

__all__ = ["picklable"]

# What these return cannot be pickled: the tests try those of the standard library; the others hold locks and sockets.
CALLS = {
    **dict.fromkeys(("open", "io.open", "gzip.open", "bz2.open", "lzma.open", "codecs.open"), "an open file"),
    **dict.fromkeys(("tarfile.open", "zipfile.ZipFile", "h5py.File", "os.fdopen"), "an open file"),
    **dict.fromkeys(("tempfile.TemporaryFile", "tempfile.NamedTemporaryFile"), "an open file"),
    **dict.fromkeys(("csv.reader", "csv.writer"), "a reader or writer of an open file"),
    **{f"threading.{name}": "a lock" for name in ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore")},
    "threading.Event": "an event of threads",
    "threading.Barrier": "a barrier of threads",
    "threading.local": "thread-local data",
    **dict.fromkeys(("threading.Thread", "threading.Timer"), "a thread"),
    **{f"multiprocessing.{name}": "a lock" for name in ("Lock", "RLock", "Semaphore", "Event", "Condition")},
    "multiprocessing.Process": "a process",
    "subprocess.Popen": "a process",
    **dict.fromkeys(("multiprocessing.Pool", "multiprocessing.pool.Pool", "multiprocessing.Manager"), "a process pool"),
    "multiprocessing.pool.ThreadPool": "a thread pool",
    **dict.fromkeys(("queue.Queue", "queue.LifoQueue", "queue.PriorityQueue"), "a queue, which has a lock"),
    **dict.fromkeys(("multiprocessing.Queue", "queue.SimpleQueue"), "a queue"),
    "concurrent.futures.ThreadPoolExecutor": "a thread pool",
    "concurrent.futures.ProcessPoolExecutor": "a process pool",
    **dict.fromkeys(("socket.socket", "socket.create_connection"), "a socket"),
    "ssl.create_default_context": "an SSL context",
    "urllib.request.urlopen": "an open connection",
    **{
        f"{module}.connect": "a database connection"
        for module in (
            "sqlite3", "psycopg2", "psycopg", "pymysql", "MySQLdb", "mysql.connector", "snowflake.connector", "pyodbc",
            "cx_Oracle", "oracledb", "duckdb", "redshift_connector", "pyathena", "trino.dbapi", "prestodb.dbapi",
        )
    },
    "sqlalchemy.create_engine": "a database engine",
    "pymongo.MongoClient": "a database client",
    **dict.fromkeys(("boto3.client", "boto3.resource"), "an AWS client"),
    **{
        f"google.cloud.{name}.Client": "a Google Cloud client"
        for name in ("storage", "bigquery", "firestore", "datastore")
    },
    "grpc.insecure_channel": "a channel",
    "paramiko.SSHClient": "a connection",
    "weakref.ref": "a weak reference",
    "contextvars.ContextVar": "a context variable",
    "memoryview": "a memoryview",
    "importlib.import_module": "a module",
}  # fmt: skip
HOLDERS = {"collections.defaultdict", "functools.partial", "collections.deque", "list", "tuple", "set", "dict"}
MENDS = {
    "a lambda": "Write a function at the top of a module, or keep what it computes.",
    "a generator": "Keep its values: list(...).",
    "a module": "Import it in the steps that use it.",
    "an open file": "Keep its content or its path, and close it in this step.",
    "a function of this step": "Write it at the top of a module.",
    "an instance of a class of this step": "Write the class at the top of a module.",
}
OTHER_MEND = "Keep it in a local variable, and make a new one in each step that needs it."
_Left = dict[str, list[Finding]]  # findings by artifact, as a block leaves them
MAX_HOPS = 4  # names followed from one to the next


def picklable(subject: Subject) -> Iterator[Finding]:
    """What a step assigns to `self` can be pickled.

    Metaflow pickles the artifacts when a step ends, so a step that took hours fails at its very end. A finding is an
    assignment, in a method of a flow, of what surely cannot be pickled: a lambda, a generator, an open file, a lock, a
    thread, a process, a pool, a connection or client of the well-known libraries, a module, a function or an instance
    of a class that is defined inside the step; also inside of a list, a dict or a defaultdict, and under a local
    name. What the same method deletes or replaces afterwards is no artifact.
    """
    seen: set[int] = set()
    for flow in subject.flows:
        for name, (module, node) in flow.methods.items():
            if id(node) in seen or name.startswith("__"):
                continue
            seen.add(id(node))
            yield from _in_method(flow.info.name, module, node)


def _in_method(flow: str, module: Module, node: Function) -> Iterator[Finding]:
    scope = _Scope(module, node)

    def found(statement: ast.stmt, name: str, value: ast.expr | None) -> list[Finding]:
        reason = scope.unpicklable(value) if value is not None else None
        if not reason:
            return []
        message = f"self.{name} is {reason}, which cannot be pickled: {node.name} of {flow} fails when it ends"
        mend = MENDS.get(reason, OTHER_MEND)
        return [Finding(module.path, statement.lineno, message, mend, lines=_head(statement))]

    for findings in _left(node.body, found).values():
        yield from findings


def _left(block: list[ast.stmt], found: Callable[[ast.stmt, str, ast.expr | None], list[Finding]]) -> _Left:
    """Give what a block leaves: a later assignment takes the place of one before, unless it may not be reached."""
    left: _Left = {}
    for statement in block:
        for name, value in _assigned(statement):
            left[name] = found(statement, name, value)
        always = isinstance(statement, (ast.With, ast.AsyncWith))
        for inner, certain in _blocks(statement, always):
            for name, findings in _left(inner, found).items():
                left[name] = findings if certain else [*left.get(name, []), *findings]
    return left


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


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Give the artifacts that a statement itself sets or deletes: name, and value, or None where that is not known."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _paired(target, node.value)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield from _paired(node.target, node.value)
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        for item in node.items:
            if item.optional_vars is not None:
                yield from _paired(item.optional_vars, item.context_expr)
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.AugAssign)):
        yield from _paired(node.target, None)
    elif isinstance(node, ast.Delete):
        for target in node.targets:
            yield from _paired(target, None)


def _paired(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    name = self_attribute(target)
    if name is not None:
        if not name.startswith("__"):  # Metaflow leaves those out
            yield name, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        values: Sequence[ast.expr | None] = [None] * len(target.elts)
        starred = any(isinstance(part, ast.Starred) for part in target.elts)
        if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts) and not starred:
            values = value.elts
        for part, given in zip(target.elts, values, strict=True):
            yield from _paired(part, given)


class _Scope:
    """What names stand for in a method: its own single assignments, then those of its file.

    Args:
        module: The file.
        method: The method.
    """

    def __init__(self, module: Module, method: Function) -> None:
        self.names = {**module.names, **imported_names(body(method))}
        self.modules = _modules(module.tree.body) | _modules(body(method))
        self.own = _bindings(body(method), _arguments(method))
        self.outer = _bindings(module.tree.body, {})

    def unpicklable(self, value: ast.expr, hops: int = 0) -> str | None:
        """Say what a value is that cannot be pickled; None for what can, or what is not known."""
        if isinstance(value, ast.Lambda):
            return "a lambda"
        if isinstance(value, ast.GeneratorExp):
            return "a generator"
        if isinstance(value, ast.Name):
            return self._named(value.id, hops)
        if isinstance(value, ast.Call):
            return self._called(value, hops)
        if isinstance(value, (ast.NamedExpr, ast.Starred, ast.Await)):
            return self.unpicklable(value.value, hops)
        if isinstance(value, ast.Attribute):
            return "a module" if dotted(value, self.names) in self.modules else None
        for part in _parts(value):
            reason = self.unpicklable(part, hops)
            if reason:
                return reason
        return None

    def _named(self, name: str, hops: int) -> str | None:
        bound = self.own.get(name, self.outer.get(name))
        if bound is None:
            shadowed = name in self.own or name in self.outer
            return "a module" if not shadowed and self.names.get(name) in self.modules else None
        if isinstance(bound, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return "a function of this step" if name in self.own else None
        if isinstance(bound, ast.ClassDef):
            return "a class of this step" if name in self.own else None
        if isinstance(bound, ast.expr) and hops < MAX_HOPS:
            return self.unpicklable(bound, hops=hops + 1)
        return None

    def _called(self, call: ast.Call, hops: int) -> str | None:
        function = call.func
        name = dotted(function, self.names)
        if isinstance(function, ast.Name):
            bound = self.own.get(function.id, self.outer.get(function.id))
            if isinstance(bound, ast.FunctionDef) and any(
                isinstance(one, (ast.Yield, ast.YieldFrom)) for one in own_nodes(bound.body)
            ):
                return "a generator" if not bound.decorator_list else None
            if isinstance(bound, ast.ClassDef) and function.id in self.own:
                return "an instance of a class of this step"
            if function.id in self.own or function.id in self.outer:
                return None
        if name in CALLS:
            return CALLS[name]
        if isinstance(function, ast.Attribute) and function.attr == "open" and isinstance(function.value, ast.Call):
            return "an open file" if dotted(function.value.func, self.names) == "pathlib.Path" else None
        if name in {"collections.defaultdict", "functools.partial"} and call.args:
            return self.unpicklable(call.args[0], hops=hops)
        if name in HOLDERS and call.args and isinstance(call.args[0], (ast.List, ast.Tuple, ast.Dict, ast.Set)):
            return self.unpicklable(call.args[0], hops=hops)
        if name in HOLDERS and call.args and isinstance(call.args[0], (ast.GeneratorExp, ast.ListComp)):
            return self.unpicklable(call.args[0].elt, hops=hops)
        return None


def _parts(value: ast.expr) -> list[ast.expr]:
    """Give the expressions that a value holds, as it is pickled with them."""
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return value.elts
    if isinstance(value, ast.Dict):
        return [*value.values]
    if isinstance(value, (ast.ListComp, ast.SetComp)):
        return [value.elt] if isinstance(value.elt, (ast.Lambda, ast.Call, ast.GeneratorExp)) else []
    if isinstance(value, ast.DictComp):
        return [value.value] if isinstance(value.value, (ast.Lambda, ast.Call, ast.GeneratorExp)) else []
    if isinstance(value, ast.IfExp):
        return [value.body, value.orelse]
    return []


def _modules(statements: Sequence[ast.AST]) -> set[str]:
    """Give the dotted names of what is imported as a module, by a plain `import`."""
    found: set[str] = set()
    for node in own_nodes(statements):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} | {alias.name.split(".")[0] for alias in node.names}
    return found


def _arguments(method: Function) -> dict[str, None]:
    given = method.args
    return {one.arg: None for one in [*given.posonlyargs, *given.args, *given.kwonlyargs]}


def _bindings(statements: Sequence[ast.AST], start: Mapping[str, None]) -> dict[str, ast.AST | None]:
    """Map names to what is bound to them; None where that happens more than once, or in a way that is not followed."""
    found: dict[str, ast.AST | None] = dict(start)

    def bind(name: str, value: ast.AST | None) -> None:
        found[name] = None if name in found else value

    for node in own_nodes(statements):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bind(node.name, node)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            bind(node.targets[0].id, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bind(node.target.id, node.value)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if isinstance(item.optional_vars, ast.Name):
                    bind(item.optional_vars.id, item.context_expr)
    single = {id(node) for node in own_nodes(statements) if _plain_target(node) for node in _plain_target(node)}
    for node in own_nodes(statements):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)) and id(node) not in single:
            found[node.id] = None
    return found


def _plain_target(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return [node.targets[0]]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target]
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return [item.optional_vars for item in node.items if isinstance(item.optional_vars, ast.Name)]
    return []
