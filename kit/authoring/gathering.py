"""Which statements of a notebook a flow file needs: those that were in effect when the cells of its steps ran."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from kit.authoring.bindings import BUILTINS, Binding, known_of
from kit.authoring.constants import Known
from kit.authoring.effects import Effects, changed
from kit.authoring.imports import affected
from kit.authoring.names import Used, attributes, imported_roots, used_by

__all__ = ["OUTSIDE", "Chain", "Gathering", "History", "Use", "in_order"]

OWN_NAMES = frozenset({"FlowSpec", "step"})
NEVER = sys.maxsize
SECRET = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
LATER = {
    "%cd": "a run begins in the folder in which it is started.",
    "%env": 'set it by a statement (os.environ["NAME"] = ...), or where the runs are started.',
}
OUTSIDE = frozenset(sys.stdlib_module_names) | {"metaflow", "kit"}


@dataclass(frozen=True)
class Use:
    """A piece of code that uses names.

    Args:
        who: What it is, for people.
        source: Its source.
        used: The names that it uses.
        cell: The cell of a step; "" for what kit adds, and for a step that is run now.
    """

    who: str
    source: str
    used: Used
    cell: str = ""


class _Todo(NamedTuple):
    """Code to be looked at: at which time its names were looked up; for a statement, when it ran itself."""

    use: Use
    step: str
    time: int
    ran: int | None = None


class Chain(NamedTuple):
    """The statement that binds a name, and those that changed what it is bound to."""

    base: Binding
    changes: tuple[Binding, ...]

    @property
    def last(self) -> Binding:
        """The last of them."""
        return (self.base, *self.changes)[-1]

    def is_work(self) -> bool:
        """Whether only running the notebook gives what the name is."""
        changes = () if self.base.kind == "import" else self.changes
        return self.base.kind in ("computed", "gone", "parameter") or any(each.kind == "computed" for each in changes)

    def keys(self) -> list[str]:
        """Give what they say, whatever cells they stand in."""
        if self.base.kind == "import":  # what is set in a module is no other module
            return [self.base.names[0] if self.base.source.startswith("import ") else self.base.source]
        return [_key(each.source) for each in (self.base, *self.changes)]


@dataclass
class History:
    """What a notebook's statements did, in order.

    Args:
        found: The statements that bind or change names.
    """

    found: Sequence[Binding]
    by_name: dict[str, list[Binding]] = field(default_factory=dict)
    changes: dict[str, list[Binding]] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    refreshed: int = -1
    seedings: list[Binding] = field(default_factory=list)  # through functions of the notebook

    def __post_init__(self) -> None:
        for each in self.found:
            for name in each.names:
                self.by_name.setdefault(name, []).append(each)
            for name in each.changes:
                self.changes.setdefault(name, []).append(each)
            if each.seeds and not each.changes:
                self.seedings.append(each)
            if each.kind == "step":
                self.times[each.cell] = each.order
                self.refreshed = max(self.refreshed, each.order if each.is_refresh else -1)

    @cached_property
    def effects(self) -> tuple[Known, dict[str, Effects]]:
        """What names are, and what calls of them change."""
        return known_of(self.found)

    def time(self, cell: str) -> int:
        """Give the time at which the step of a cell ran last."""
        return max(self.times[cell], self.refreshed) if cell in self.times else NEVER

    def chain(self, name: str, time: int = NEVER) -> Chain | None:
        """Give what a name was at a time; where it was nothing yet, what it is in the end.

        Args:
            name: The name.
            time: A place among the statements.
        """
        every = self.by_name.get(name, [])
        before = [each for each in every if each.order < time]
        if not every or (not before and name in BUILTINS):
            return None
        base, end = (before[-1], time) if before else (every[-1], NEVER)
        start = -1 if base.kind == "import" else base.order
        return Chain(base, _once(each for each in self.changes.get(name, ()) if start < each.order < end))


def _once(changes: Iterable[Binding]) -> tuple[Binding, ...]:
    """Leave out what is set again: a cell that was run twice sets it once."""
    kept: dict[Any, Binding] = {}
    for each in changes:
        again = re.match(r"[^=(]+=[^=]", each.source) is not None
        again = again or each.seeds or each.changes[0] not in each.source.split("(")[0]
        key = each.source if again and "+=" not in each.source else each.order
        kept.pop(key, None)
        kept[key] = each
    return tuple(kept.values())


@lru_cache(maxsize=4096)
def _key(source: str) -> str:
    return ast.dump(ast.parse(source))


@dataclass
class Gathering:
    """Walks from steps to what they use, and to what that uses in turn.

    Args:
        history: What the notebook's statements did.
        live: Whether the notebook is running.
        given: The imports of names that another module of the project has.
    """

    history: History
    live: bool = False
    given: Mapping[str, str] = field(default_factory=dict)
    taken: dict[int, Binding] = field(default_factory=dict)
    imports: dict[str, Binding | str] = field(default_factory=dict)
    dotted: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    quarrels: dict[str, tuple[str, str]] = field(default_factory=dict)
    looked: dict[str, tuple[str, Chain | None]] = field(default_factory=dict)
    _agreed: dict[str, tuple[Chain, str, bool]] = field(default_factory=dict)
    _users: dict[str, list[str]] = field(default_factory=dict)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def walk(self, steps: Sequence[Use], parameters: Iterable[Binding]) -> None:
        """Gather what steps and Parameters use."""
        times = {use.who: self.history.time(use.cell) for use in steps}
        todo = [_Todo(use, use.who, times[use.who]) for use in steps]
        for each in parameters:
            used, own = used_by(each.source), frozenset(each.names)
            use = Use(f"The Parameter {each.names[0]}", each.source, Used(used.names - own, used.at_once - own))
            todo.append(_Todo(use, "", each.order, each.order))
        self._follow(todo)
        self._follow(self._settings(max(times.values(), default=NEVER), [use.source for use in steps]))
        self._effects()
        for use in steps:
            self._refuse_shared(use)
        self._say_later()

    # ------------------------------------------------------------------ the walk

    def _follow(self, pending: list[_Todo]) -> None:
        while pending:
            todo = pending.pop(0)
            self.dotted |= attributes(todo.use.source)
            for name in sorted(todo.use.used.names | todo.use.used.quoted):
                pending += self._name(todo, name)

    def _name(self, todo: _Todo, name: str) -> list[_Todo]:
        at_once = todo.ran is not None and name in todo.use.used.at_once
        if at_once and todo.ran is not None:
            todo = todo._replace(time=todo.ran, step="")
        chain = self.history.chain(name, todo.time)
        if name not in todo.use.used.names and (chain is None or chain.base.kind not in ("import", "definition")):
            return []
        if todo.step:
            self._users.setdefault(name, []).append(todo.step)
        self.looked.setdefault(name, (todo.use.who, chain))
        if chain is None or not self._agrees(name, chain, todo.use.who, bool(todo.step)) or chain.is_work():
            return []
        if name in self.given:
            self.imports[name] = self.given[name]
            return []
        if chain.base.kind != "import":
            return [more for each in (chain.base, *chain.changes) for more in self._take(each, todo)]
        self.imports[name] = chain.base
        return []

    def _take(self, binding: Binding, todo: _Todo) -> list[_Todo]:
        self.taken[binding.order] = binding
        if (binding.order, todo.time) in self._seen:
            return []
        self._seen.add((binding.order, todo.time))
        used, own = used_by(binding.source), frozenset(binding.names)
        who = f"{(binding.names or (_short(binding),))[0]} ({binding.where})"
        use = Use(who, binding.source, Used(used.names - own, used.at_once - own, used.quoted - own))
        return [_Todo(use, todo.step, todo.time, binding.order)]

    def _agrees(self, name: str, chain: Chain, who: str, by_step: bool) -> bool:
        """Whether a name is one and the same for all that use it; what ran earlier may have found less in it."""
        if name not in self._agreed:
            self._agreed[name] = chain, who, by_step
            return True
        other, before, others = self._agreed[name]
        a, b = chain.keys(), other.keys()
        if by_step == others:
            fits = a == b or (not by_step and (a[: len(b)] == b or b[: len(a)] == a))
        else:
            fits = b[: len(a)] == a if others else a[: len(b)] == b
        if not fits:
            what = f"{before} finds {name} as {other.last.where} made it, {who} as {chain.last.where} did"
            hint = "Give one of the two another name, or run the cells of both again." if self.live else ""
            hint = hint or "Give one of the two another name."
            self.quarrels.setdefault(name, (f"{what}, and a file has one.", hint))
        elif (by_step and not others) or (by_step == others and len(a) > len(b)):
            self._agreed[name] = chain, who, by_step
        return fits

    # ------------------------------------------------------------------ what is set, and what is shared

    def _is_settable(self, setting: Binding) -> bool:
        if setting.kind == "computed":
            self._note(f"{_short(setting)} ({setting.where}) is not carried: its value is computed in the notebook.")
        elif "environ" in setting.source and SECRET.search(setting.source.partition("environ")[2].partition("=")[0]):
            self._note(f"{_short(setting)} ({setting.where}) is not carried: it looks like a secret.")
        elif re.match(r"sys\.path\b", setting.source):
            self._note(
                f"{_short(setting)} ({setting.where}) is not carried: modules of the project lie beside the file."
            )
        else:
            return True
        return False

    def _settings(self, last: int, sources: Iterable[str]) -> list[_Todo]:
        """Find what is set in packages; of those that no code names, seeds, filters of warnings and the environment."""
        packages = {_root(each) for each in self.imports.values()}
        inside = [*sources, *(each.source for each in self.taken.values())]
        packages |= {root for source in inside for root in imported_roots(source)}
        third = not packages <= OUTSIDE
        found: list[_Todo] = []
        for name, changes in self.history.changes.items():
            chain = self.history.chain(name, last)
            if chain is None or chain.base.kind != "import":
                continue
            for each in _once(one for one in changes if one.order < last):
                far = "environ" in each.source or (
                    third and (each.seeds or re.search(r"filterwarnings|simplefilter", each.source))
                )
                near = name in self.imports or _root(chain.base) in packages - (OUTSIDE - {"random"})
                if (far or near) and self._is_settable(each):
                    self.imports[name] = chain.base
                    found += self._take(each, _Todo(Use("", "", Used(frozenset())), "", last))
        for each in _once(one for one in self.history.seedings if one.order < last):
            if (third or "random" in packages) and self._is_settable(each):
                found += self._take(each, _Todo(Use("", "", Used(frozenset())), "", last))
        if self.seeds:
            said = f"{_short(self.seeds[0])} ({self.seeds[0].where})"
            self._note(f"{said} is carried: each task of a run begins with it, and so with the same numbers.")
        return found

    def _effects(self) -> None:
        """Take the imports that are there for what they do to a package that is used; say which magics are left out."""
        packages = {_root(each) for each in self.imports.values()}
        for each in self.history.found:
            if each.kind == "import" and each.names and affected(each.source) in packages:
                self.imports.setdefault(each.names[0], each)
            elif each.kind == "dropped":
                self._note(f"{_short(each)} ({each.where}) is not carried: {LATER[each.source.split()[0]]}")

    @property
    def seeds(self) -> list[Binding]:
        """What seeds random numbers, in order."""
        return [self.taken[order] for order in sorted(self.taken) if self.taken[order].seeds]

    def _refuse_shared(self, use: Use) -> None:
        """Refuse that a step changes what another one reads: tasks are processes of their own."""
        if not use.source:
            return
        body = ast.parse(use.source).body
        known, effects = self.history.effects
        direct = {name for each in body for name in changed(each, known)}
        through = {name for each in body for name in changed(each, known, effects)}
        for name in sorted(through & use.used.names | (through - direct)):
            if name not in self._agreed or self._agreed[name][0].base.kind in ("import", "definition"):
                continue
            others = [step for step in dict.fromkeys(self._users.get(name, ())) if step != use.who]
            if not others:
                continue
            said = f"{use.who} changes {name}, which {others[0]} uses too, and tasks of a run do not share it"
            if name in direct:
                self.quarrels.setdefault(name, (f"{said}.", f"Make it an artifact: self.{name}."))
            else:
                self._note(f"{said}: each begins with it as the file has it.")

    def _say_later(self) -> None:
        """Say which names are others by now than when the steps ran that use them."""
        for name, (chain, who, by_step) in sorted(self._agreed.items()):
            who = next(iter(self._users.get(name, [])), who)
            now = self.history.chain(name)
            if by_step and now is not None and now.keys() != chain.keys() and name not in self.quarrels:
                again = f" Run the cell of {who} again to take the new one." if self.live else ""
                self._note(
                    f"{name} is as {who} found it ({chain.last.where}): {now.last.where} changes it later.{again}"
                )

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def is_latest(self, name: str) -> bool:
        """Whether a name that is used is what it is in the end."""
        now = self.history.chain(name)
        return now is not None and name in self._agreed and self._agreed[name][0].keys() == now.keys()


def _root(found: Binding | str) -> str:
    text = found if isinstance(found, str) else found.source
    return text.split()[1].split(".")[0]


def _short(binding: Binding) -> str:
    line = binding.source.splitlines()[-1] if binding.source.startswith("#") else binding.source.splitlines()[0]
    return line if len(line) <= 60 else f"{line[:57]}..."


def in_order(taken: Mapping[int, Binding], history: History) -> list[Binding]:
    """Put statements where their names first stood in the notebook, but each after those that it needs when it runs."""
    by_name: dict[str, list[Binding]] = {}
    for each in taken.values():
        for name in {*each.names, *each.changes}:
            by_name.setdefault(name, []).append(each)
    places = {
        each.order: min((history.by_name[name][0].order for name in each.names), default=each.order)
        for each in taken.values()
    }
    ordered: list[Binding] = []
    done: set[int] = set()

    def visit(binding: Binding, way: tuple[int, ...]) -> None:
        if binding.order in done or binding.order in way:
            return
        for name in sorted(used_by(binding.source).at_once | {*binding.changes}):
            for each in by_name.get(name, ()):
                if each.order < binding.order or (name in each.names and name not in binding.changes):
                    visit(each, (*way, binding.order))
        if binding.order not in done:
            done.add(binding.order)
            ordered.append(binding)

    for order in sorted(taken, key=lambda order: (places[order], order)):
        visit(taken[order], ())
    return ordered
