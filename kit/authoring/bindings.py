"""What a notebook's cells bind to names, read from their source: what a flow file can take over, and what it cannot."""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["BUILTINS", "Binding", "Cell", "bindings"]

Kind = Literal["import", "definition", "constant", "parameter", "computed"]

BUILTINS = frozenset(dir(builtins)) - {"display", "get_ipython", "__IPYTHON__"} | {"__name__", "__file__", "__doc__"}

# Calls whose value depends on their arguments alone: what they make is a constant.
PURE = frozenset(
    {
        *(
            "abs",
            "bool",
            "bytes",
            "complex",
            "dict",
            "float",
            "frozenset",
            "int",
            "len",
            "list",
            "max",
            "min",
            "object",
        ),
        *("range", "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip", "enumerate"),
        *("re.compile", "collections.namedtuple", "collections.OrderedDict", "collections.Counter", "decimal.Decimal"),
        *("fractions.Fraction", "datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta"),
        *(
            "enum.Enum",
            "enum.IntEnum",
            "functools.partial",
            "functools.lru_cache",
            "functools.cache",
            "logging.getLogger",
        ),
        *("operator.itemgetter", "operator.attrgetter", "operator.methodcaller", "pathlib.Path", "pathlib.PurePath"),
        *("logging.getLogger", "types.SimpleNamespace", "types.MappingProxyType", "typing.TypeVar", "typing.NewType"),
        *(
            "typing.NamedTuple",
            "typing.TypedDict",
            "string.Template",
            "uuid.UUID",
            "pathlib.PurePosixPath",
            "typing.cast",
        ),
    }
)
CHANGING = frozenset(
    {
        *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault"),
        *("sort", "update", "appendleft", "extendleft", "difference_update", "intersection_update"),
    }
)
PARAMETERS = frozenset({"Parameter", "IncludeFile", "Config"})
CONSTANT_NODES = (
    *(ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.Subscript, ast.Slice, ast.Starred, ast.Name, ast.Attribute, ast.JoinedStr, ast.FormattedValue, ast.keyword),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.expr_context, ast.operator),
    *(ast.unaryop, ast.boolop, ast.cmpop),
)


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook.

    Args:
        label: Which one, for people.
        source: Its Python, after IPython has turned its own syntax into calls.
    """

    label: str
    source: str


@dataclass(frozen=True)
class Binding:
    """A statement that binds names.

    Args:
        names: The names.
        kind: Whether a flow file can take it over, and as what; not where it is "computed".
        source: The statement, with the comment right above it; of an import, as the import of that name alone.
        cell: The cell.
        line: Its line in the cell.
        order: Its place among all statements.
        module: Of `from module import *`, the module; else "".
    """

    names: tuple[str, ...]
    kind: Kind
    source: str
    cell: str
    line: int
    order: int
    module: str = ""

    @property
    def where(self) -> str:
        """Where it stands, for people."""
        return f"{self.cell}, line {self.line}"


def bindings(cells: Iterable[Cell]) -> list[Binding]:
    """List what cells bind at their top level, in order; a cell that does not parse binds nothing.

    Args:
        cells: The cells, in the order in which they are, or were, executed.
    """
    parsed = [(cell, node) for cell in cells for node in _body(cell)]
    modules: dict[str, str] = {}
    for cell, node in parsed:  # first of all what is imported: a notebook's cells may stand in any order
        list(_of(node, cell, 0, modules))
    found: list[Binding] = []
    for cell, node in parsed:
        found += _of(node, cell, len(found), modules)
    return found


def _body(cell: Cell) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful escapes
            return ast.parse(cell.source).body
    except (SyntaxError, ValueError):
        return []


def _of(node: ast.stmt, cell: Cell, order: int, modules: dict[str, str]) -> Iterator[Binding]:
    source = _source(node, cell.source)

    def binding(names: Iterable[str], kind: Kind, text: str = source, module: str = "") -> Binding:
        return Binding(tuple(names), kind, text, cell.label, node.lineno, order, module)

    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            modules[name] = alias.name if alias.asname else name
            yield binding([name], "import", f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""))
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            name = alias.asname or alias.name
            modules[name] = f"{module}.{alias.name}"
            text = f"from {module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
            yield binding([] if name == "*" else [name], "import", text, module if name == "*" else "")
    elif isinstance(node, (ast.If, ast.Try)):
        inner = [each for part in _parts(node) for each in _of_all(part, cell, order, modules)]
        bound = dict.fromkeys(name for each in inner for name in each.names)
        whole = all(each.kind not in ("computed", "parameter") for each in inner) and _only_binds(node, modules)
        if bound:
            yield binding(bound, "definition" if whole else "computed")
    else:
        for names, kind in _plain(node, modules):
            yield binding(names, kind)


def _of_all(body: list[ast.stmt], cell: Cell, order: int, modules: dict[str, str]) -> Iterator[Binding]:
    for node in body:
        yield from _of(node, cell, order, modules)


def _plain(node: ast.stmt, modules: dict[str, str]) -> Iterator[tuple[list[str], Kind]]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield [node.name], "definition"
        return
    if type(node).__name__ == "TypeAlias":
        yield [node.name.id], "definition"  # type: ignore[attr-defined]
        return
    value = getattr(node, "value", None)
    if isinstance(node, ast.Assign) or (isinstance(node, ast.AnnAssign) and value is not None):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
        plain = all(
            isinstance(each, (ast.Name, ast.Tuple, ast.List, ast.Store)) for t in targets for each in ast.walk(t)
        )
        walrus = _stored(value) if value is not None else []
        if plain and not walrus and value is not None:
            kind: Kind = "constant" if _is_constant(value, modules) else "computed"
            if isinstance(value, ast.Call) and _imported(value.func, modules).rpartition(".")[2] in PARAMETERS:
                kind = "parameter"
            yield names, kind
        else:
            yield [*names, *walrus], "computed"
        return
    changed = _stored(node)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        target = node.value.func.value
        if node.value.func.attr in CHANGING and isinstance(target, ast.Name):
            changed.append(target.id)
    if changed:
        yield changed, "computed"


def _stored(node: ast.AST) -> list[str]:
    """Name what a piece of code stores in the notebook: names, and what it changes inside of them."""
    found = []
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append(each.name)
            continue
        if isinstance(each, ast.Lambda):
            continue
        if isinstance(each, ast.Name) and isinstance(each.ctx, (ast.Store, ast.Del)):
            found.append(each.id)
        if isinstance(each, (ast.Subscript, ast.Attribute)) and isinstance(each.ctx, (ast.Store, ast.Del)):
            root: ast.AST = each
            while isinstance(root, (ast.Subscript, ast.Attribute)):
                root = root.value
            if isinstance(root, ast.Name):
                found.append(root.id)
        if isinstance(each, (ast.Import, ast.ImportFrom)):
            found += [alias.asname or alias.name.split(".")[0] for alias in each.names]
        if isinstance(each, ast.comprehension):  # its own names stay inside
            pending += [each.iter, *each.ifs]
            continue
        pending += ast.iter_child_nodes(each)
    return list(dict.fromkeys(found))


def _is_constant(value: ast.expr, modules: dict[str, str]) -> bool:
    """Whether an expression gives the same wherever it stands: literals, names, and calls that make plain values."""
    if isinstance(value, ast.Lambda):
        return True
    if isinstance(value, ast.Call):
        if _called(value.func, modules) not in PURE and not _is_decorator(value.func, modules):
            return False
        return all(_is_constant(each, modules) for each in [*value.args, *(k.value for k in value.keywords)])
    if isinstance(value, ast.Attribute) and not _imported(value, modules):
        return False  # of an object that the notebook has made
    if not isinstance(value, CONSTANT_NODES):
        return False
    parts = [each for each in ast.iter_child_nodes(value) if not isinstance(each, (ast.expr_context, ast.operator))]
    return all(
        _is_constant(each, modules) if isinstance(each, ast.expr) else _constant_part(each, modules) for each in parts
    )


def _constant_part(node: ast.AST, modules: dict[str, str]) -> bool:
    if isinstance(node, ast.comprehension):
        return not node.is_async and all(_is_constant(each, modules) for each in (node.iter, *node.ifs))
    return isinstance(node, CONSTANT_NODES)


def _is_decorator(called: ast.expr, modules: dict[str, str]) -> bool:
    """Whether what is called is the outcome of such a call: lru_cache(maxsize=None)(slow)."""
    return isinstance(called, ast.Call) and _is_constant(called, modules)


def _called(function: ast.expr, modules: dict[str, str]) -> str:
    name = _imported(function, modules)
    return name or (function.id if isinstance(function, ast.Name) else "")


def _imported(node: ast.expr, modules: dict[str, str]) -> str:
    """Give the dotted name of what is reached through an import; "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id in modules:
        return ".".join([modules[node.id], *reversed(parts)])
    return ""


def _parts(node: ast.If | ast.Try) -> Iterator[list[ast.stmt]]:
    yield node.body
    yield node.orelse
    if isinstance(node, ast.Try):
        yield node.finalbody
        for handler in node.handlers:
            yield handler.body


def _only_binds(node: ast.If | ast.Try, modules: dict[str, str]) -> bool:
    """Whether a compound statement does nothing but bind: `try: import a ... except ImportError: a = None`."""
    if isinstance(node, ast.If) and not _is_constant(node.test, modules):
        return False
    for part in _parts(node):
        for each in part:
            if isinstance(each, (ast.If, ast.Try)):
                if not _only_binds(each, modules):
                    return False
            elif not isinstance(each, ast.Pass) and not isinstance(each, (ast.Import, ast.ImportFrom)):
                kinds = [kind for _, kind in _plain(each, modules)]
                if not kinds or "computed" in kinds:
                    return False
    return True


def _source(node: ast.stmt, text: str) -> str:
    """Take a statement out of a cell: its lines, with the comment right above it; or itself, where it shares a line."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(each.lineno for each in decorators)]) - 1
    last = node.end_lineno or node.lineno
    lines = text.splitlines()
    before = lines[first].encode()[: node.col_offset].strip() if not decorators else b""
    rest = lines[last - 1].encode()[node.end_col_offset or 0 :].strip()
    if before or (rest and not rest.startswith(b"#")):
        return ast.get_source_segment(text, node) or ""
    start = first
    while start and lines[start - 1].startswith("#") and not lines[start - 1].startswith("# %%"):
        start -= 1
    return "\n".join(lines[start:last])
