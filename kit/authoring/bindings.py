"""What a notebook's cells bind to names, and change of them, read from their source: what a flow file can take over."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from kit.authoring.constants import PARAMETERS, Known, gives_the_same, root_of
from kit.authoring.effects import Effects, bound, changed, effects_of
from kit.authoring.settings import given_to, only_seeds, seeds, sets

__all__ = ["BUILTINS", "Binding", "Cell", "bindings", "known_of"]

Kind = Literal["import", "definition", "constant", "parameter", "computed", "gone", "step", "dropped"]

BUILTINS = frozenset(dir(builtins)) - {"display", "get_ipython", "__IPYTHON__"} | {"__name__", "__file__", "__doc__"}

MEMORY = re.compile(r"cache|memo", re.IGNORECASE)  # names of what a function remembers, and would find again


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
    """A statement that binds names, or changes what they are bound to.

    Args:
        names: The names that it binds.
        kind: Whether a flow file can take it over, and as what; "computed" it cannot, a "step" is one's cell,
            and "dropped" is a magic that changes the notebook's own process.
        source: The statement, with the comment right above it; of an import, as the import of that name alone.
        cell: The cell.
        line: Its line in the cell.
        order: Its place among all statements.
        module: Of `from module import *`, the module; else "".
        changes: The names whose value it changes.
        seeds: Whether it seeds random numbers.
    """

    names: tuple[str, ...]
    kind: Kind
    source: str
    cell: str
    line: int
    order: int
    module: str = ""
    changes: tuple[str, ...] = ()
    seeds: bool = False

    @property
    def is_refresh(self) -> bool:
        """Whether it ran the steps again."""
        return self.kind == "step" and bool(self.source)

    @property
    def where(self) -> str:
        """Where it stands, for people."""
        return f"{self.cell}, line {self.line}"


def bindings(cells: Iterable[Cell]) -> list[Binding]:
    """List what cells bind and change at their top level, in order; a cell that does not parse binds nothing.

    Args:
        cells: The cells, in the order in which they are, or were, executed.
    """
    parsed = [(cell, node) for cell in cells for node in _body(cell)]
    reader = _Reader()
    for _, node in parsed:  # first of all what is imported and defined: a notebook's cells may stand in any order
        for each in ast.walk(node) if isinstance(node, (ast.If, ast.Try, ast.With)) else [node]:
            reader.learn(each)
    reader.effects = effects_of([node for _, node in parsed], reader.known)
    reader.collecting = {*_collecting([node for _, node in parsed])}
    reader.seeders = {node.name for _, node in parsed if isinstance(node, ast.FunctionDef) and only_seeds(node)}
    found: list[Binding] = []
    order = 0
    for cell, node in parsed:
        if _magic(node, "run_line_magic('reset',") and not re.search(
            r" '.*\b(in|out|dhist|array)\b", ast.unparse(node)
        ):
            found = [each for each in found if each.kind == "step"]  # of what came before, nothing is left
        found += reader.read(node, cell, order)
        order = found[-1].order + 1 if found else 0
    return found


def known_of(found: Iterable[Binding]) -> tuple[Known, dict[str, Effects]]:
    """Give what statements tell of names: what they are, and what calls of them change."""
    reader = _Reader()
    kept = [Cell("", each.source) for each in found if each.kind in ("import", "definition", "constant")]
    trees = [(cell, node) for cell in kept for node in _body(cell)]
    for _, node in trees:
        reader.learn(node)
    for cell, node in trees:
        list(reader.read(node, cell, 0))
    return reader.known, effects_of([node for _, node in trees], reader.known)


@lru_cache(maxsize=4096)
def _body(cell: Cell) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful escapes
            return ast.parse(cell.source).body
    except (SyntaxError, ValueError):
        return []


def _collecting(nodes: Iterable[ast.stmt]) -> Iterator[str]:
    """Name the classes that learn of their subclasses."""
    for node in nodes:
        if isinstance(node, ast.ClassDef) and re.search("__init_subclass__|__subclasses__", ast.unparse(node)):
            yield node.name


@dataclass
class _Reader:
    """Reads statements one by one.

    Args:
        known: What is known of the names so far.
        effects: What calls of the notebook's functions change, by name.
        collecting: The classes that learn of their subclasses.
        seeders: The functions that do nothing but seed random numbers.
    """

    known: Known = field(default_factory=Known)
    effects: Mapping[str, Effects] = field(default_factory=dict)
    collecting: set[str] = field(default_factory=set)
    seeders: set[str] = field(default_factory=set)
    aliases: dict[str, set[str]] = field(default_factory=dict)

    def learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                self.known.modules[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            self.known.modules.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names})
        elif isinstance(node, ast.ClassDef):
            self.known.classes.add(node.name)
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and self.known.imported(node.value.func) == "collections.namedtuple"
        ):
            self.known.classes.update(bound(node))

    def read(self, node: ast.stmt, cell: Cell, order: int) -> Iterator[Binding]:
        source = _source(node, cell.source)
        count = order

        def binding(names: Iterable[str], kind: Kind, text: str = source, **more: object) -> Binding:
            nonlocal count
            count += 1
            changes = tuple(dict.fromkeys(more.get("changes", ())))  # type: ignore[call-overload]
            own = tuple(dict.fromkeys(names))
            module, seeding = str(more.get("module", "")), bool(more.get("seeds"))
            return Binding(own, kind, text, cell.label, node.lineno, count - 1, module, changes, seeding)

        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                yield binding(
                    [name], "import", f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                )
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                name = alias.asname or alias.name
                text = f"from {module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                star = name == "*"
                yield binding([] if star else [name], "import", text, module=module if star else "")
        elif _magic(node, "run_cell_magic('mf_step',"):
            yield binding([], "step", "")
        elif dropped := _dropped(node):
            yield binding([], "dropped", dropped)
        else:
            if _magic(node, "run_line_magic('mf_flow',", "--refresh"):
                yield binding([], "step", "--refresh")
            names, kind, changes = self._statement(node)
            seeding = self._seeds(node)
            if names or changes or seeding:
                yield binding(names, kind, changes=[name for name in changes if name not in names], seeds=seeding)

    def _statement(self, node: ast.stmt) -> tuple[list[str], Kind, list[str]]:
        """Give what a statement binds, what it is, and what it changes."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return [node.name], "definition", self._changed(node) + self._told(node)
        if type(node).__name__ == "TypeAlias":
            return [node.name.id], "definition", []  # type: ignore[attr-defined]
        if isinstance(node, (ast.If, ast.Try)):
            whole = self._only_binds(node)
            names = [name for part in _parts(node) for each in part for name in _names(each)]
            return names, "definition" if whole else "computed", self._changed(node)
        value = getattr(node, "value", None)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and value is not None:
            targets: list[ast.expr] = list(node.targets) if isinstance(node, ast.Assign) else [node.target]
            return self._assignment(bound(node), targets, value, self._changed(node))
        if isinstance(node, ast.Delete) and bound(node):
            return bound(node), "gone", []
        names = [] if isinstance(node, ast.AugAssign) else bound(node)
        changes = self._changed(node)
        setting = self._setting(node)
        return names, "constant" if not names and self._is_plain(node) else "computed", changes + setting

    def _assignment(
        self, names: list[str], targets: list[ast.expr], value: ast.expr, changes: list[str]
    ) -> tuple[list[str], Kind, list[str]]:
        same = gives_the_same(value, self.known)
        plain = all(isinstance(each, PLAIN_TARGET) for target in targets for each in ast.walk(target))
        if plain and len(targets) > 0 and not changes:
            if isinstance(value, ast.Call) and self.known.imported(value.func).rpartition(".")[2] in PARAMETERS:
                return names, "parameter", []
            if isinstance(value, ast.Name):
                group = self.aliases.get(value.id, {value.id}) | set(names)
                self.aliases.update(dict.fromkeys(group, group))
            if same:
                self.known.made.update(names)
                (self.known.objects.update if self.known.is_object(value) else self.known.objects.difference_update)(
                    names
                )
                return names, "constant", []
        only_inside = not names and all(isinstance(t, (ast.Subscript, ast.Attribute)) for t in targets)
        same = same and all(gives_the_same(index, self.known) for t in targets for index in _indices(t))
        return names, "constant" if only_inside and same else "computed", changes

    def _changed(self, node: ast.stmt) -> list[str]:
        found = changed(node, self.known, self.effects)
        if not isinstance(node, (ast.AugAssign, ast.Assign)):
            found = [name for name in found if not MEMORY.search(name)]
        return [each for name in found for each in [name, *sorted(self.aliases.get(name, set()) - {name})]]

    def _told(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[str]:
        """Name what learns of a definition: the function whose `register` decorates it, its registering base."""
        found = []
        for each in node.decorator_list:
            root = root_of(each, calls=True)
            if isinstance(root, ast.Name) and root.id not in self.known.modules:
                found += [root.id] if "." in ast.unparse(each).partition("(")[0] else []
                found += self.effects.get(root.id, Effects()).names
        if isinstance(node, ast.ClassDef):
            bases = {each.id for each in node.bases if isinstance(each, ast.Name)} & self.collecting
            self.collecting |= {node.name} if bases else set()
            found += sorted(bases)
        return found

    def _setting(self, node: ast.stmt) -> list[str]:
        """Name the module that a statement sets something in."""
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            return []
        root = root_of(node.value, calls=True)
        of_module = isinstance(root, ast.Name) and root.id in self.known.modules
        return [root.id] if isinstance(root, ast.Name) and of_module and sets(node.value) else []

    def _seeds(self, node: ast.stmt) -> bool:
        """Whether a statement seeds random numbers: by a module's function, or by the notebook's own."""
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            return False
        function = node.value.func
        mine = isinstance(function, ast.Name) and function.id in self.seeders
        return mine or (bool(self._setting(node)) and seeds(node.value))

    def _is_plain(self, node: ast.stmt) -> bool:
        """Whether a statement that changes something does so with constants alone."""
        if isinstance(node, ast.AugAssign):
            return gives_the_same(node.value, self.known) and all(
                gives_the_same(each, self.known) for each in _indices(node.target)
            )
        if isinstance(node, ast.Delete):
            return all(gives_the_same(each, self.known) for target in node.targets for each in _indices(target))
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            return False
        call = node.value
        if isinstance(call.func, ast.Name) and (call.func.id in self.seeders or self._setting(node)):
            return all(gives_the_same(each, self.known) for each in given_to(call))
        if not isinstance(call.func, ast.Attribute) or not isinstance(root_of(call.func, calls=True), ast.Name):
            return False
        inner = [each for each in ast.walk(call.func) if isinstance(each, ast.Call)]
        given = [each for one in [call, *inner] for each in given_to(one)]
        root = root_of(call.func)
        if isinstance(root, ast.Name) and root.id in self.known.objects and call.func.attr not in ("append", "update"):
            return False  # `model.fit(...)` is work, however plain its arguments
        of_module = (
            isinstance(root, ast.Name) and isinstance(call.func.value, ast.Name) and root.id in self.known.modules
        )
        if (inner or of_module) and not self._setting(node):
            return False  # random.shuffle(items)
        return all(gives_the_same(each, self.known) for each in [*given, *_indices(call.func)])

    def _only_binds(self, node: ast.If | ast.Try) -> bool:
        """Whether a compound statement does nothing but bind: `try: import a ... except ImportError: a = None`."""
        if isinstance(node, ast.If) and not gives_the_same(node.test, self.known):
            return False
        for part in _parts(node):
            for each in part:
                if isinstance(each, (ast.If, ast.Try)):
                    if not self._only_binds(each):
                        return False
                elif not isinstance(each, (ast.Pass, ast.Import, ast.ImportFrom)):
                    names, kind, changes = self._statement(each)
                    if not names or changes or kind not in ("constant", "definition"):
                        return False
        return True


PLAIN_TARGET = (ast.Name, ast.Tuple, ast.List, ast.Starred, ast.expr_context)


def _indices(target: ast.expr) -> Iterator[ast.expr]:
    """Give what stands in the brackets of `a[1].b["c"]`."""
    while isinstance(target, (ast.Attribute, ast.Subscript)):
        if isinstance(target, ast.Subscript):
            yield target.slice
        target = target.value


def _names(node: ast.stmt) -> list[str]:
    return bound(node)


def _magic(node: ast.stmt, *words: str) -> bool:
    """Whether a statement is the call of a magic, as IPython writes it."""
    if not isinstance(node, (ast.Expr, ast.Assign)) or not isinstance(node.value, ast.Call):
        return False
    return ast.unparse(node.value.func).startswith("get_ipython()") and all(
        word in ast.unparse(node.value) for word in words
    )


def _dropped(node: ast.stmt) -> str:
    """Give a magic that changes the folder or the environment of the notebook's process; "" for another statement."""
    for name in ("cd", "env", "set_env"):
        if _magic(node, f"run_line_magic('{name}',"):
            given = [str(each.value) for each in ast.walk(node) if isinstance(each, ast.Constant)]
            line = next((each for each in given if each != name), "")
            if name == "cd":
                return f"%cd {line}"
            variable, value = re.match(r"(\w*)\s*=?\s*(.*)", line).groups()  # type: ignore[union-attr]
            return f"%env {variable}" if value else ""  # without its value, which may be a secret
    return ""


def _parts(node: ast.If | ast.Try) -> Iterator[list[ast.stmt]]:
    yield node.body
    yield node.orelse
    if isinstance(node, ast.Try):
        yield node.finalbody
        for handler in node.handlers:
            yield handler.body


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
    inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    while inside and last < len(lines) and re.match(r"\s+#", lines[last]):  # a comment at its end
        last += 1
    start = first
    while start and lines[start - 1].startswith("#") and not lines[start - 1].startswith("# %%"):
        start -= 1
    return "\n".join(lines[start:last])
