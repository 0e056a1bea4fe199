"""What of a notebook a flow file needs: imports, functions, classes and constants, with all that these use in turn."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kit.authoring.bindings import BUILTINS, Binding
from kit.authoring.common import Module, closure, statements
from kit.authoring.gathering import Chain, Gathering, History, Use, in_order
from kit.authoring.names import Used, used_by
from kit.comparison.equality import equal
from kit.errors import ArgumentError

__all__ = ["Carried", "Carrier", "Moved", "Use"]

OWN_NAMES = frozenset({"FlowSpec", "step"})


@dataclass(frozen=True)
class Carried:
    """What goes into a flow file, in order.

    Args:
        imports: Import statements, each of one name.
        code: Constants, functions and classes.
        parameters: Parameters, for the class.
        futures: Names imported from __future__.
        notes: What there is to say of it.
    """

    imports: tuple[str, ...]
    code: tuple[str, ...]
    parameters: tuple[str, ...]
    futures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moved:
    """What goes into the project's common.py.

    Args:
        names: The names that it binds.
        imports: Import statements, each of one name.
        code: Constants, functions and classes.
    """

    names: frozenset[str]
    imports: tuple[str, ...]
    code: tuple[str, ...]


@dataclass
class Carrier:
    """Gathers what steps use of a notebook.

    Args:
        found: What the notebook's cells bind and change, in order.
        modules: Names of modules that are there without an import of the notebook's: the project's `common`.
        live: The notebook's names, where it is running; None where its cells are only read.
        common: A module of the project: functions and classes that it has too are imported from it.
        moved: Names that are imported from it in any case.
    """

    found: list[Binding]
    modules: Iterable[str] = ()
    live: Mapping[str, Any] | None = None
    common: Module | None = None
    moved: frozenset[str] = frozenset()
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.found)

    def carry(self, steps: Iterable[Use]) -> Carried:
        """Gather what steps use, and what that uses in turn.

        Args:
            steps: The steps.

        Raises:
            ArgumentError: A name cannot be carried; all of them are named.
        """
        parameters = self._parameters()
        given = list(steps)
        gathering = Gathering(self.history, self.live is not None)
        gathering.walk(given, parameters)
        there = self._in_common(gathering)
        if there:
            gathering = Gathering(self.history, self.live is not None, there)
            gathering.walk(given, parameters)
        refused: list[tuple[str, str]] = []
        imports = dict(gathering.imports)
        for name, (who, chain) in gathering.looked.items():
            found: Chain | str | None = chain or self._import(name)
            said = gathering.quarrels.get(name) or self._refusal(who, name, found, gathering.is_latest(name))
            refused += [said] if said else []
            if isinstance(found, str):
                imports[name] = found
        if refused:
            raise _refused(refused)
        texts = [text for name, each in imports.items() for text in self._imports(name, each, gathering.dotted)]
        code = tuple(each.source for each in in_order(gathering.taken, self.history))
        sources = tuple(each.source for each in parameters)
        return Carried(tuple(texts), code, sources, tuple(self._futures()), tuple(gathering.notes))

    def seeds(self, steps: Iterable[Use]) -> list[str]:
        """Gather the statements that seed random numbers, which each task begins with, each with what it imports.

        Args:
            steps: The steps.
        """
        gathering = Gathering(self.history, self.live is not None)
        gathering.walk([replace(each, cell="") for each in steps], self._parameters())
        found = []
        for each in gathering.seeds:
            bases = [chain.base for name in each.changes if (chain := self.history.chain(name)) is not None]
            found.append("\n".join([*(base.source for base in bases if base.kind == "import"), each.source]))
        return found

    def lacking(self, who: str, used: Used) -> list[str]:
        """Say of each name that a step uses and a flow file cannot have why that is so."""
        try:
            self.carry([Use(who, "", used)])
        except ArgumentError as error:
            return [error.message, *error.details.splitlines()]
        return []

    def has(self, name: str) -> bool:
        """Whether the notebook binds a name."""
        return name in self.history.by_name or name in self.modules

    def parameter_names(self) -> list[str]:
        """Name the Parameters of the notebook, as steps see them."""
        return [name for each in self._parameters() for name in each.names]

    def _in_common(self, gathering: Gathering) -> dict[str, str]:
        """Give the imports of the functions and classes that the project's common.py has just so."""
        if self.common is None:
            return {}
        texts = statements(gathering.taken[order] for order in sorted(gathering.taken))
        texts |= {name: each.source for name, each in gathering.imports.items() if isinstance(each, Binding)}
        names = [name for each in gathering.taken.values() if each.kind == "definition" for name in each.names]
        there = {one for name in names for one in self.common.has(name, texts)}
        return {name: f"from {self.common.name} import {name}" for name in sorted({*there, *self.moved})}

    def movable(self, steps: Iterable[Use]) -> Moved:
        """Gather the functions and classes that steps use and the project's common.py has not, with what these need.

        Args:
            steps: The steps.

        Raises:
            ArgumentError: It has another thing of the same name.
        """
        given, parameters = list(steps), self._parameters()
        gathering = Gathering(self.history, self.live is not None)
        gathering.walk(given, parameters)
        gathering = Gathering(self.history, self.live is not None, self._in_common(gathering))
        gathering.walk(given, parameters)
        moved = closure(gathering.taken.values(), gathering.imports)
        names = {name: each for each in moved for name in (*each.names, *each.changes)}
        used = {name for each in moved for name in used_by(each.source).names}
        there = self.common.statements if self.common is not None else {}
        for name, each in names.items():
            if name in there:
                raise ArgumentError(
                    f"{each.where} defines {name}, and common.py has another {name}.",
                    "Rename one of the two, or leave --common out.",
                )
        bound = {name: each for name, each in gathering.imports.items() if name in used}
        imports = [text for name, each in bound.items() for text in self._imports(name, each, gathering.dotted)]
        imports = [text for text in imports if not text.startswith("from common import ")]
        code = in_order({each.order: each for each in moved}, self.history)
        own = frozenset(name for each in moved for name in each.names)
        return Moved(own, tuple(imports), tuple(each.source for each in code))

    # ------------------------------------------------------------------ one name

    def _parameters(self) -> list[Binding]:
        last = {each[-1].order: each[-1] for each in self.history.by_name.values() if each[-1].kind == "parameter"}
        there = [each for each in last.values() if self.live is None or all(name in self.live for name in each.names)]
        return sorted(there, key=lambda each: each.order)

    def _import(self, name: str) -> str | None:
        """Find what binds a name that no statement of the notebook names: the text of an import, or nothing."""
        if name in self.modules:
            return f"import {name}"
        if name == "display":
            return "from IPython.display import display"
        if name in BUILTINS:
            return None
        stars = {each.module: self._has(each.module, name) for each in self.found if each.module}
        fitting = [module for module, has in stars.items() if has]
        unknown = [module for module, has in stars.items() if has is None]
        found = fitting[-1:] or (unknown if len(unknown) == 1 else [])
        return f"from {found[0]} import {name}" if found else None

    def _has(self, module: str, name: str) -> bool | None:
        """Whether a module that the notebook imports with a star has a name; None where it is not installed here."""
        if self.live is not None and name not in self.live:
            return False
        if self.common is not None and module == self.common.name:
            return name in self.common.statements
        try:
            return hasattr(importlib.import_module(module), name)
        except ImportError:
            return None

    def _refusal(self, who: str, name: str, found: Chain | str | None, latest: bool) -> tuple[str, str] | None:
        """Say why a name cannot be carried, and what to do."""
        mend = f"Make {name} an artifact (self.{name} = ... in a step), a Parameter, or a constant made of literals."
        if found is None and name in BUILTINS:
            return None
        if name in OWN_NAMES and not (isinstance(found, Chain) and "metaflow" in found.base.source):
            return f"{who} uses {name}, which is Metaflow's own name in a flow file.", f"Rename {name} in the notebook."
        if name.startswith("__") and not name.endswith("__"):
            return (
                f"{who} uses {name}, and Python renames what begins with two underscores inside a class.",
                f"Rename {name} in the notebook.",
            )
        if name == "get_ipython":
            return f"{who} uses IPython's own syntax, which a flow file cannot hold.", "Write it in Python."
        if found is None:
            if name == "inputs":
                return f"{who} uses inputs, and is no join.", "Say so: --join."
            if self.live is not None and name in self.live:
                return f"{who} uses {name}, which is set by running the notebook, not by a statement.", mend
            return f"{who} uses {name}, which is defined nowhere.", f"Define {name} in a cell, or mend its name."
        if isinstance(found, str):
            return None
        base = found.base
        away = latest and self.live is not None and name not in self.live and not base.source.startswith("if ")
        if base.kind == "gone" or away:
            how = "deleted" if base.kind == "gone" else "defined and which is gone"
            return f"{who} uses {name}, which {base.cell} {how}.", f"Define {name} again."
        if base.kind == "parameter":
            return f"{who} uses {name}, which is a Parameter.", f"Write self.{name}."
        if base.kind == "computed":
            return f"{who} uses {name}, which is computed in {base.where}.", mend
        change = next((each for each in found.changes if each.kind == "computed" and base.kind != "import"), None)
        if change is not None:
            return (
                f"{who} uses {name}, which is not any more what {base.where} made it: {change.where} changes it.",
                mend,
            )
        if base.kind == "constant" and latest and self._has_changed(name, found):
            return f"{who} uses {name}, which is not any more what {base.where} made it.", mend
        return None

    def _has_changed(self, name: str, found: Chain) -> bool:
        """Whether a running notebook has another value than the statements give: changed where none shows it."""
        if self.live is None or not _is_plain(self.live[name]):
            return False
        try:
            statements = [found.base, *found.changes]
            if any({*each.changes, *each.names} - {*found.base.names, name} for each in statements):
                return False
            used = {each for one in statements for each in used_by(one.source).names}
            given = {each: self.live[each] for each in used if each in self.live and each != name}
            own = {each: copy.deepcopy(value) if _is_plain(value) else value for each, value in given.items()}
            for each in statements:
                exec(each.source, own)  # noqa: S102  # constants of the notebook's own
            return not equal(own[name], self.live[name])
        except Exception:  # a value whose making or comparison raises
            return False

    def _imports(self, name: str, found: Binding | str, dotted: set[str]) -> list[str]:
        """Give the imports that bind a name: of `import a.b` and `import a.c`, those whose parts are used."""
        if isinstance(found, str):
            return [found]
        if found.source.startswith("from ") or " as " in found.source:
            return [found.source]
        known = dict.fromkeys(each.source for each in self.history.by_name[name] if each.kind == "import")
        mine = [text for text in known if text.startswith("import ") and " as " not in text]
        deep = [text for text in mine if "." in text]
        used = [text for text in deep if any(f"{each}.".startswith(f"{text[7:]}.") for each in dotted)]
        return used or [text for text in mine if text == f"import {name}"] or deep

    def _futures(self) -> list[str]:
        texts = [each.source for each in self.found if each.source.startswith("from __future__ import ")]
        return list(dict.fromkeys(text.rpartition(" ")[2] for text in texts))


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether a value can be made and compared again: numbers, texts, and collections of them."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return depth < 9 and len(value) < 10_000 and all(_is_plain(each, depth + 1) for each in value)
    if isinstance(value, dict):
        return (
            depth < 9 and len(value) < 10_000 and all(_is_plain(each, depth + 1) for each in [*value, *value.values()])
        )
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes))


def _refused(found: list[tuple[str, str]]) -> ArgumentError:
    (message, hint), *others = found
    return ArgumentError(message, hint, "\n".join(f"{what} {mend}" for what, mend in others))
