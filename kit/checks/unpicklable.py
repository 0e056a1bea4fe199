"""What cannot be pickled, as far as the source says it: what a value is, followed through names, calls and returns."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kit.checks.installed import is_installed_module
from kit.checks.subject import Module
from kit.checks.syntax import Function, body, dotted, imported_names, own_nodes, self_attribute

__all__ = ["CALLS", "MENDS", "OTHER_MEND", "Scope", "Surroundings"]

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
            "MySQLdb.connections", "pymssql", "clickhouse_driver.dbapi", "psycopg2.pool",
        )
    },
    "sqlalchemy.create_engine": "a database engine",
    **dict.fromkeys(("pymongo.MongoClient", "redis.Redis", "redis.StrictRedis", "redis.from_url"), "a database client"),
    **dict.fromkeys(("boto3.client", "boto3.resource"), "an AWS client"),
    **dict.fromkeys(("boto3.Session", "boto3.session.Session"), "an AWS session"),
    **dict.fromkeys(("openai.OpenAI", "openai.AsyncOpenAI", "httpx.Client", "httpx.AsyncClient"), "a client"),
    "pyspark.SparkContext": "a Spark context",
    **dict.fromkeys(("tqdm.tqdm", "tqdm.trange", "tqdm.auto.tqdm", "tqdm.auto.trange"), "a progress bar"),
    **dict.fromkeys(("tqdm.notebook.tqdm", "tqdm.std.tqdm"), "a progress bar"),
    **dict.fromkeys(("logging.StreamHandler", "logging.FileHandler"), "a handler of logging, which has a lock"),
    **dict.fromkeys(("asyncio.new_event_loop", "asyncio.get_event_loop"), "an event loop"),
    "wandb.init": "a run of wandb",
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
# What the methods of these return cannot be pickled either.
METHODS = {
    "a database connection": {"cursor": "a database cursor", "execute": "a database cursor"},
    "a database cursor": {"execute": "a database cursor"},
    "a database engine": dict.fromkeys(("connect", "begin", "raw_connection"), "a database connection"),
    "an AWS session": dict.fromkeys(("client", "resource"), "an AWS client"),
}
# Parts of these are of their kind: MongoClient()["db"], boto3.resource("s3").Bucket("b").
PARTS = {"a database client", "an AWS client"}
HOLDERS = {"collections.deque", "list", "tuple", "set", "dict"}
KEEPERS = {
    "collections.defaultdict", "functools.partial", "sklearn.preprocessing.FunctionTransformer",
    "torch.utils.data.DataLoader",
}  # fmt: skip
ITERATORS = {"iter", "enumerate", "zip", "map", "filter", "itertools.chain", "reversed"}
CLASS_MAKERS = {"collections.namedtuple", "typing.NamedTuple", "dataclasses.make_dataclass", "type"}
FOLLOWED_DECORATORS = {"staticmethod", "classmethod"}
MENDS = {
    "a lambda": "Write a function at the top of a module, or keep what it computes.",
    "a generator": "Keep its values: list(...).",
    "a view of a dict": "Keep its values: list(...).",
    "a coroutine": "Keep what it gives: asyncio.run(...).",
    "a module": "Import it in the steps that use it.",
    "an open file": "Keep its content or its path, and close it in this step.",
    "a database cursor": "Keep what it fetches: fetchall().",
    "a function of this step": "Write it at the top of a module.",
    "a class of this step": "Write it at the top of a module.",
    "an instance of a class of this step": "Write the class at the top of a module.",
}
OTHER_MEND = "Keep it in a local variable, and make a new one in each step that needs it."
MAX_HOPS = 4  # names and functions followed from one to the next


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a method's calls may lead to.

    Args:
        by_name: The project's files, by their names without the suffix.
        methods: The functions of the flow, each with the file that it is in.
    """

    by_name: Mapping[str, Sequence[Module]]
    methods: Mapping[str, tuple[Module, Function]]

    def function(self, name: str) -> tuple[Module, Function] | None:
        """Find a function of a module of the project by its dotted name."""
        owner, _, last = name.rpartition(".")
        found = ((module, module.functions.get(last)) for module in (self.named(owner) if owner else ()))
        return next(((module, node) for module, node in found if node is not None), None)

    def named(self, name: str) -> Sequence[Module]:
        """Find the project's modules that a dotted name may mean."""
        return self.by_name.get(name.rpartition(".")[2], ())


class Scope:
    """What names stand for in a function, or at the top of a file: its own single assignments, then the file's.

    Args:
        around: What calls may lead to.
        module: The file.
        function: The function; None for the top of the file.
    """

    def __init__(self, around: Surroundings, module: Module, function: Function | None = None) -> None:
        inner = body(function) if function is not None else []
        self.around = around
        self.module = module
        self.names = {**module.names, **imported_names(inner)}
        self.outer, modules = _top(module)
        self.modules = modules | _modules(inner)
        self.own = _bindings(inner, _arguments(function) if function is not None else {})

    def unpicklable(self, value: ast.expr | None, hops: int = 0) -> str | None:
        """Say what a value is that cannot be pickled; None for what can, or what is not known."""
        if value is None or hops > MAX_HOPS:
            return None
        if isinstance(value, ast.Lambda):
            return "a lambda"
        if isinstance(value, ast.GeneratorExp):
            return "a generator"
        if isinstance(value, ast.Name):
            return self._named(value.id, hops)
        if isinstance(value, ast.Call):
            return self._called(value, hops)
        if isinstance(value, ast.NamedExpr):
            return self.unpicklable(value.value, hops)
        if isinstance(value, ast.Attribute) and dotted(value, self.names) in self.modules:
            return "a module" if self._imported(value) else None
        if isinstance(value, (ast.Attribute, ast.Subscript)):
            owner = self.unpicklable(value.value, hops)
            return owner if owner in PARTS else None
        return next((reason for part in _parts(value) if (reason := self.unpicklable(part, hops))), None)

    def _imported(self, value: ast.expr) -> bool:
        while isinstance(value, ast.Attribute):
            value = value.value
        return isinstance(value, ast.Name) and value.id not in self.own and value.id not in self.outer

    def _named(self, name: str, hops: int) -> str | None:
        bound = self.own.get(name, self.outer.get(name))
        if bound is None:
            return "a module" if self._is_module(name) else None
        if isinstance(bound, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return "a function of this step" if name in self.own else None
        if isinstance(bound, ast.ClassDef):
            return "a class of this step" if name in self.own else None
        return self.unpicklable(bound, hops + 1) if isinstance(bound, ast.expr) else None

    def _is_module(self, name: str) -> bool:
        meant = self.names.get(name)
        if meant is None or name in self.own or name in self.outer:
            return False
        folder, _, stem = meant.rpartition(".")
        files = (Path(module.path) for module in self.around.named(stem))
        own = any(folder and file.parent.name == folder.split(".")[-1] for file in files)
        return own or meant in self.modules or is_installed_module(meant)

    def _called(self, call: ast.Call, hops: int) -> str | None:
        function = call.func
        name = dotted(function, self.names)
        if isinstance(function, ast.Name) and (function.id in self.own or function.id in self.outer):
            return self._own_call(function.id, hops)
        method = self_attribute(function)
        if method is not None:
            return self._returned(self.around.methods.get(method), hops)
        if name in CALLS:
            return CALLS[name]
        if name in KEEPERS | ITERATORS:
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            return next((reason for one in given if (reason := self.unpicklable(one, hops))), None)
        if name in HOLDERS:
            return self._held(call, hops)
        if isinstance(function, ast.Attribute):
            reason = self._method(function, hops)
            if reason:
                return reason
        return self._returned(self.around.function(name), hops)

    def _own_call(self, name: str, hops: int) -> str | None:
        bound = self.own.get(name, self.outer.get(name))
        if isinstance(bound, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return self._returned((self.module, bound), hops)
        made = isinstance(bound, ast.Call) and dotted(bound.func, self.names) in CLASS_MAKERS
        if name in self.own and (made or isinstance(bound, ast.ClassDef)):
            return "an instance of a class of this step"
        return None

    def _method(self, function: ast.Attribute, hops: int) -> str | None:
        """Say what a method of an object gives, where that cannot be pickled: Path(...).open(), engine.connect()."""
        owner = self._origin(function.value)
        made = dotted(owner.func, self.names) if isinstance(owner, ast.Call) else ""
        if function.attr == "open" and made == "pathlib.Path":
            return "an open file"
        if function.attr in ("keys", "items", "values") and (
            isinstance(owner, (ast.Dict, ast.DictComp)) or made == "dict"
        ):
            return "a view of a dict"
        if function.attr == "iterrows":
            return "a generator"
        if function.attr == "getOrCreate" and self._root(function).endswith("SparkSession"):
            return "a Spark session"
        reason = self.unpicklable(function.value, hops + 1) if owner is not None else None
        if reason == "a database connection" and function.attr == "execute" and not made.startswith("sqlite3"):
            return None
        if reason == "an AWS client":
            return reason if function.attr[0].isupper() else None
        return METHODS.get(reason or "", {}).get(function.attr)

    def _origin(self, value: ast.expr) -> ast.expr | None:
        """Follow a name to what is assigned to it."""
        bound = self.own.get(value.id, self.outer.get(value.id)) if isinstance(value, ast.Name) else value
        return bound if isinstance(bound, ast.expr) else None

    def _root(self, node: ast.AST) -> str:
        while isinstance(node, (ast.Attribute, ast.Call)):
            node = node.func if isinstance(node, ast.Call) else node.value
        return dotted(node, self.names)

    def _held(self, call: ast.Call, hops: int) -> str | None:
        values = [keyword.value for keyword in call.keywords]
        for one in call.args[:1]:
            if isinstance(one, (ast.List, ast.Tuple, ast.Dict, ast.Set)):
                values.append(one)
            elif isinstance(one, (ast.GeneratorExp, ast.ListComp)):
                values.append(one.elt)
        return next((reason for one in values if (reason := self.unpicklable(one, hops))), None)

    def _returned(self, found: tuple[Module, Function] | None, hops: int) -> str | None:
        """Say what a call of a function of the project gives, where none of it can be pickled."""
        if found is None or hops >= MAX_HOPS:
            return None
        module, function = found
        if any(dotted(one, module.names) not in FOLLOWED_DECORATORS for one in function.decorator_list):
            return None
        inner = list(own_nodes(function.body))
        if any(isinstance(one, (ast.Yield, ast.YieldFrom)) for one in inner):
            return "a generator"
        if isinstance(function, ast.AsyncFunctionDef):
            return "a coroutine"
        scope = Scope(self.around, module, function)
        returns = [one.value for one in inner if isinstance(one, ast.Return)]
        reasons = [scope.unpicklable(value, hops + 1) for value in returns]
        return reasons[0] if reasons and all(reasons) else None


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
    return value.values if isinstance(value, ast.BoolOp) else []


@lru_cache(maxsize=64)
def _top(module: Module) -> tuple[dict[str, ast.AST | None], frozenset[str]]:
    """Give what names stand for at the top of a file, and the modules that it imports."""
    return _bindings(module.tree.body, {}), frozenset({"os.path"} | _modules(module.tree.body))


def _modules(statements: Sequence[ast.AST]) -> set[str]:
    """Give the dotted names of what is imported as a module, by a plain `import`."""
    found: set[str] = set()
    for node in own_nodes(statements):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} | {alias.name.split(".")[0] for alias in node.names}
    return found


def _arguments(function: Function) -> dict[str, None]:
    given = function.args
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
