"""Which expressions give the same wherever they stand: what a flow file can take over from a notebook as it is."""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass, field

__all__ = ["PARAMETERS", "Known", "gives_the_same", "root_of"]

PARAMETERS = frozenset({"Parameter", "IncludeFile", "Config"})

# Calls whose value depends on their arguments alone (or on the environment that a run has too).
PURE = frozenset(
    re.findall(
        r"\S+",
        """
    abs bool bytes complex dict float frozenset int len list max min object range round set slice sorted str sum tuple
    dict.fromkeys str.maketrans bytes.fromhex float.fromhex int.from_bytes
    collections.deque collections.defaultdict collections.namedtuple datetime.date datetime.date.fromisoformat
    datetime.datetime datetime.time datetime.timedelta
    datetime.datetime.fromisoformat datetime.datetime.strptime datetime.time.fromisoformat
    functools.cache functools.lru_cache functools.partial functools.reduce itertools.accumulate itertools.chain
    itertools.combinations itertools.permutations itertools.product json.loads logging.getLogger
    operator.attrgetter operator.itemgetter operator.methodcaller os.environ.get os.getenv
    os.path.basename os.path.dirname os.path.expanduser os.path.join pathlib.Path.home re.compile textwrap.dedent
    typing.cast
    numpy.arange numpy.array numpy.asarray numpy.bool_ numpy.deg2rad numpy.dtype numpy.eye numpy.float32 numpy.float64
    numpy.full numpy.geomspace numpy.identity numpy.int32 numpy.int64 numpy.linspace numpy.log10 numpy.logspace
    numpy.ones numpy.sqrt numpy.zeros pandas.bdate_range pandas.date_range pandas.to_datetime pandas.to_timedelta
    torch.arange torch.device torch.ones torch.tensor torch.zeros
    """,
    )
)
# Calls that are as constant as their arguments inside another one; alone, they can be gone through only once.
ONCE = frozenset({"enumerate", "filter", "map", "reversed", "zip", "iter"})
# Methods that leave the value as it is, and whose own value depends on it and the arguments alone.
METHODS = frozenset(
    re.findall(
        r"\S+",
        """
    as_posix astype capitalize casefold copy count date decode difference encode endswith expanduser flatten format get
    index intersection isoformat items join joinpath keys ljust lower lstrip lstrip partition ravel removeprefix
    removesuffix replace reshape rjust rpartition rsplit rstrip split splitlines startswith strftime strip
    symmetric_difference time title to_dict to_list tolist total_seconds translate union upper values with_name
    with_suffix with_stem zfill
    """,
    )
)
STATEFUL = ("numpy.random", "random.", "sqlite3", "threading", "queue", "concurrent", "multiprocessing", "tempfile")
TYPES = frozenset(name for name, each in vars(builtins).items() if isinstance(each, type))
NODES = (
    *(ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.Subscript, ast.Slice, ast.Starred, ast.Name, ast.Attribute, ast.JoinedStr, ast.FormattedValue, ast.keyword),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.expr_context, ast.operator),
    *(ast.unaryop, ast.boolop, ast.cmpop),
)


@dataclass(frozen=True)
class Known:
    """What is known of a notebook's names while its statements are read.

    Args:
        modules: The dotted names of what is imported, by name.
        classes: The classes that it defines.
        made: Names that were bound to what gives the same everywhere.
        objects: Those of them that are objects with a state of their own.
    """

    modules: dict[str, str] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)

    def imported(self, node: ast.expr) -> str:
        """Give the dotted name of what is reached through an import; "" for anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id in self.modules:
            return ".".join([self.modules[node.id], *reversed(parts)])
        return ""

    def is_object(self, value: ast.expr) -> bool:
        """Whether an expression makes an object that its methods may change: an estimator, a frame."""
        if not isinstance(value, ast.Call):
            return False
        if isinstance(value.func, ast.Name) and value.func.id in self.classes:
            return True
        name = self.imported(value.func)
        return bool(name) and not name.startswith(PLAIN) and _is_class(name)


PLAIN = ("collections.", "datetime.", "decimal.", "fractions.", "pathlib.", "typing.", "types.", "uuid.", "string.")


def gives_the_same(value: ast.expr, known: Known) -> bool:
    """Whether an expression gives the same wherever it stands: literals, names, and calls that make plain values.

    Args:
        value: The expression.
        known: What is known of the names in it.
    """
    if isinstance(value, ast.GeneratorExp) or (isinstance(value, ast.Call) and _called(value.func, known) in ONCE):
        return False
    return _same(value, known)


def _same(value: ast.expr, known: Known) -> bool:
    if isinstance(value, ast.Lambda):
        return True
    if isinstance(value, ast.Call):
        if not _is_pure(value.func, known):
            return False
        return all(_same(each, known) for each in [*value.args, *(k.value for k in value.keywords)])
    if isinstance(value, ast.Attribute) and not known.imported(value):
        root = root_of(value)
        return isinstance(root, ast.Name) and (root.id in known.classes | known.made or root.id in TYPES)
    if not isinstance(value, NODES):
        return False
    parts = [each for each in ast.iter_child_nodes(value) if not isinstance(each, (ast.expr_context, ast.operator))]
    return all(_same(each, known) if isinstance(each, ast.expr) else _part(each, known) for each in parts)


def _part(node: ast.AST, known: Known) -> bool:
    if isinstance(node, ast.comprehension):
        return not node.is_async and all(_same(each, known) for each in (node.iter, *node.ifs))
    return isinstance(node, NODES)


def _is_pure(function: ast.expr, known: Known) -> bool:
    if isinstance(function, ast.Call):  # the outcome of such a call: lru_cache(maxsize=None)(slow)
        return _same(function, known)
    name = _called(function, known)
    if name in PURE | ONCE:
        return True
    if isinstance(function, ast.Name):
        return name in known.classes or (bool(known.imported(function)) and _is_class(name))
    if isinstance(function, ast.Attribute):
        if known.imported(function):
            return _is_class(name)
        return function.attr in METHODS and _same(function.value, known)
    return False


def _is_class(name: str) -> bool:
    """Whether a dotted name looks like that of a class whose objects are as constant as their arguments."""
    return bool(re.match(r"_*[A-Z]\w*[a-z]", name.rpartition(".")[2])) and not name.startswith(STATEFUL)


def _called(function: ast.expr, known: Known) -> str:
    name = known.imported(function)
    if name:
        return name
    return ast.unparse(function) if isinstance(function, (ast.Name, ast.Attribute)) else ""


def root_of(node: ast.expr, calls: bool = False) -> ast.expr:
    """Give what attributes and items are taken of: of `a.b["c"].d`, `a`.

    Args:
        node: The expression.
        calls: Whether calls are gone through as well.
    """
    while isinstance(node, (ast.Attribute, ast.Subscript)) or (calls and isinstance(node, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node
