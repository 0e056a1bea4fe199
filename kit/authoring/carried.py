"""What of a notebook a flow file needs: imports, functions, classes and constants, with all that these use in turn."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.authoring.bindings import BUILTINS, Binding
from kit.authoring.names import Used, attributes, used_by
from kit.errors import ArgumentError

__all__ = ["Carried", "Carrier"]

OWN_NAMES = frozenset({"FlowSpec", "step"})


@dataclass(frozen=True)
class Carried:
    """What goes into a flow file, in order.

    Args:
        imports: Import statements, each of one name.
        code: Constants, functions and classes.
        parameters: Parameters, for the class.
        futures: Names imported from __future__.
    """

    imports: tuple[str, ...]
    code: tuple[str, ...]
    parameters: tuple[str, ...]
    futures: tuple[str, ...] = ()


@dataclass
class Carrier:
    """Gathers what steps use of a notebook.

    Args:
        found: What the notebook's cells bind, in order.
        modules: Names of modules that are there without an import of the notebook's: the project's `common`.
        live: The notebook's names, where it is running; None where its cells are only read.
    """

    found: list[Binding]
    modules: Iterable[str] = ()
    live: Mapping[str, Any] | None = None
    _by_name: dict[str, list[Binding]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for binding in self.found:
            for name in binding.names:
                self._by_name.setdefault(name, []).append(binding)

    def carry(self, steps: Iterable[tuple[str, str, Used]]) -> Carried:
        """Gather what steps use, and what that uses in turn.

        Args:
            steps: For each step its name, its source, and the names that it uses.

        Raises:
            ArgumentError: A name cannot be carried; all of them are named.
        """
        taken: dict[int, Binding] = {}
        imports: dict[str, Binding | str] = {}
        refused: dict[str, tuple[str, str]] = {}
        parameters = self._parameters()
        pending = list(steps)
        pending += [
            (f"The Parameter {each.names[0]}", each.source, self._less(used_by(each.source), each))
            for each in parameters
        ]
        dotted: set[str] = set()
        while pending:
            who, source, used = pending.pop(0)
            dotted |= attributes(source)
            for name in sorted(used.names):
                found = self._find(name)
                if found is None and name in BUILTINS:
                    continue
                said = self._refusal(who, name, found)
                if said is not None:
                    refused.setdefault(name, said)
                    continue
                if isinstance(found, str) or (found is not None and found.kind == "import"):
                    imports[name] = found
                elif found is not None and found.order not in taken:
                    taken[found.order] = found
                    own = self._less(used_by(found.source), found)
                    pending.append((f"{found.names[0]} ({found.where})", found.source, own))
        if refused:
            raise _refused(list(refused.values()))
        texts = [text for name, each in imports.items() for text in self._imports(name, each, dotted)]
        places = {each.order: min(self._by_name[name][0].order for name in each.names) for each in taken.values()}
        code = tuple(each.source for each in _in_order(taken, places))
        return Carried(tuple(texts), code, tuple(each.source for each in parameters), tuple(self._futures()))

    def lacking(self, who: str, used: Used) -> list[str]:
        """Say of each name that a step uses and a flow file cannot have why that is so."""
        try:
            self.carry([(who, "", used)])
        except ArgumentError as error:
            return [error.message, *error.details.splitlines()]
        return []

    def has(self, name: str) -> bool:
        """Whether the notebook binds a name."""
        return name in self._by_name or name in self.modules

    def parameter_names(self) -> list[str]:
        """Name the Parameters of the notebook, as steps see them."""
        return [name for each in self._parameters() for name in each.names]

    # ------------------------------------------------------------------ one name

    def _parameters(self) -> list[Binding]:
        last = {each[-1].order: each[-1] for each in self._by_name.values() if each[-1].kind == "parameter"}
        there = [each for each in last.values() if self.live is None or all(name in self.live for name in each.names)]
        return sorted(there, key=lambda each: each.order)

    def _find(self, name: str) -> Binding | str | None:
        """Find what binds a name: a binding, the text of an import, or nothing."""
        known = self._by_name.get(name)
        if known:
            return known[-1]
        if name in self.modules:
            return f"import {name}"
        if name == "display":
            return "from IPython.display import display"
        if name in BUILTINS:
            return None
        stars = [each for each in self.found if each.module]
        fitting = [each for each in stars if self._has(each.module, name)]
        return f"from {fitting[-1].module} import {name}" if fitting else None

    def _has(self, module: str, name: str) -> bool:
        """Whether a module that the notebook imports with a star has a name."""
        if self.live is not None and name not in self.live:
            return False
        try:
            return hasattr(importlib.import_module(module), name)
        except ImportError:  # not installed here: where there is no other star, it comes from this one
            return len({each.module for each in self.found if each.module}) == 1

    def _refusal(self, who: str, name: str, found: Binding | str | None) -> tuple[str, str] | None:
        """Say why a name cannot be carried, and what to do."""
        mend = f"Make {name} an artifact (self.{name} = ... in a step), a Parameter, or a constant made of literals."
        if name in OWN_NAMES and not (isinstance(found, Binding) and "metaflow" in found.source):
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
        if self.live is not None and name not in self.live:
            return f"{who} uses {name}, which {found.cell} defined and which is gone.", f"Define {name} again."
        if found.kind == "parameter":
            return f"{who} uses {name}, which is a Parameter.", f"Write self.{name}."
        if found.kind == "computed":
            return f"{who} uses {name}, which is computed in {found.where}.", mend
        if found.kind == "constant" and self._has_changed(name, found):
            return f"{who} uses {name}, which is not any more what {found.where} made it.", mend
        return None

    def _has_changed(self, name: str, found: Binding) -> bool:
        if self.live is None:
            return False
        try:
            node = ast.parse(found.source).body[0]
            if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None or len(found.names) > 1:
                return False
            value = ast.literal_eval(node.value)
            return type(value) is type(self.live[name]) and bool(value != self.live[name])
        except Exception:  # no literal, or a value whose comparison raises
            return False

    def _less(self, used: Used, binding: Binding) -> Used:
        """Leave out what a statement binds itself."""
        own = frozenset(binding.names)
        return Used(used.names - own, used.at_once - own)

    def _imports(self, name: str, found: Binding | str, dotted: set[str]) -> list[str]:
        """Give the imports that bind a name: of `import a.b` and `import a.c`, those whose parts are used."""
        if isinstance(found, str):
            return [found]
        if found.source.startswith("from ") or " as " in found.source:
            return [found.source]
        known = dict.fromkeys(each.source for each in self._by_name[name] if each.kind == "import")
        mine = [text for text in known if text.startswith("import ") and " as " not in text]
        deep = [text for text in mine if "." in text]
        used = [text for text in deep if any(f"{each}.".startswith(f"{text[7:]}.") for each in dotted)]
        return used or [text for text in mine if text == f"import {name}"] or deep

    def _futures(self) -> list[str]:
        texts = [each.source for each in self.found if each.source.startswith("from __future__ import ")]
        return list(dict.fromkeys(text.rpartition(" ")[2] for text in texts))


def _in_order(taken: Mapping[int, Binding], places: Mapping[int, int]) -> list[Binding]:
    """Put statements where their names first stood in the notebook, but each after those that it needs when it runs."""
    by_name = {name: each for each in taken.values() for name in each.names}
    ordered: list[Binding] = []

    def visit(binding: Binding, way: tuple[int, ...]) -> None:
        if binding in ordered or binding.order in way:
            return
        for name in sorted(used_by(binding.source).at_once):
            if name in by_name:
                visit(by_name[name], (*way, binding.order))
        ordered.append(binding)

    for order in sorted(taken, key=lambda order: (places[order], order)):
        visit(taken[order], ())
    return ordered


def _refused(found: list[tuple[str, str]]) -> ArgumentError:
    (message, hint), *others = found
    return ArgumentError(message, hint, "\n".join(f"{what} {mend}" for what, mend in others))
