"""The order of a notebook's steps: what leads to what, which splits are open, and what is missing for a whole flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kit.authoring.stepcell import END, START, StepCell, assigned
from kit.errors import ArgumentError, did_you_mean
from kit.model import Graph, GraphNode, StepType

__all__ = ["Shape", "shape_of"]


@dataclass(frozen=True)
class Shape:
    """Steps, and how they lead to one another.

    Args:
        steps: The steps by name, each after those that lead to it; `start` first.
        before: For each step, the steps that lead to it.
        splits: For each step, the splits that it is inside of, outermost first.
    """

    steps: Mapping[str, StepCell]
    before: Mapping[str, tuple[str, ...]]
    splits: Mapping[str, tuple[str, ...]]

    def after(self, name: str) -> tuple[str, ...]:
        """Name the steps that a step leads to."""
        return tuple(step for step in self.steps if name in self.before[step])

    def is_join(self, name: str) -> bool:
        """Whether a step is a join."""
        return self.steps[name].join or len(self.before[name]) > 1

    def splits_foreach(self, name: str) -> StepCell | None:
        """Give the step that runs once for each item of what a step leaves, if there is one."""
        return next((self.steps[each] for each in self.after(name) if self.steps[each].foreach), None)

    def variable(self, step: StepCell, known: Iterable[str] = ()) -> tuple[str, bool]:
        """Name the artifact that a step of a foreach goes over.

        Args:
            step: The step.
            known: Names of artifacts that are known to be there, of Parameters among them.

        Returns:
            The name; and whether kit is to assign it, from the expression that the step's line gives.
        """
        earlier = self.ancestors(step.name)
        there = {name for each in earlier for name in assigned(self.steps[each].body)} | set(known)
        if step.foreach.isidentifier() and step.foreach in there:
            return step.foreach, False
        name = f"{step.name}_items"
        taken = {name for each in self.steps.values() for name in assigned(each.body)} | set(self.steps)
        while name in taken:
            name += "_"
        return name, True

    def ancestors(self, name: str) -> list[str]:
        """Name the steps on the ways to a step, each after those that lead to it."""
        found, pending = set(), list(self.before[name])
        while pending:
            step = pending.pop()
            if step not in found:
                found.add(step)
                pending += self.before[step]
        return [step for step in self.steps if step in found]

    def up_to(self, name: str) -> Shape:
        """Give the part of the flow that leads to a step, that one included, with an end."""
        steps = {each: self.steps[each] for each in [*self.ancestors(name), name]}
        before = {each: self.before[each] for each in steps}
        if name != END:
            steps[END], before[END] = StepCell(END), (name,)
        return Shape(steps, before, {each: self.splits.get(each, ()) for each in steps})

    def problem(self) -> tuple[str, str] | None:
        """Say what keeps the steps from being a whole flow, and what to do; None where nothing does."""
        leaves = [name for name in self.steps if not self.after(name)]
        if END in leaves and len(leaves) > 1:
            rest = [name for name in leaves if name != END]
            return f"{rest[0]} leads to no other step.", f"Say what comes after it: --after {rest[0]}."
        for name in leaves:
            if self.splits[name]:
                split = self.splits[name][-1]
                each = self.splits_foreach(split)
                if each is not None:
                    what = f"The foreach that {each.name} begins is not joined."
                    return what, f"Add a join: %%mf_step join --after {name} --join"
                open_ends = ",".join(leaf for leaf in leaves if split in self.splits[leaf])
                what = f"The branches after {split} are not joined: {open_ends.replace(',', ', ')}."
                return what, f"Add a join: %%mf_step join --after {open_ends}"
        return None

    def whole(self) -> Shape:
        """Give the whole flow, with an `end` where the notebook has none.

        Raises:
            ArgumentError: Steps are missing for a whole flow.
        """
        found = self.problem()
        if found is not None:
            raise ArgumentError(*found)
        if END in self.steps:
            return self
        last = next(name for name in self.steps if not self.after(name))
        steps = {**self.steps, END: StepCell(END)}
        return Shape(steps, {**self.before, END: (last,)}, {**self.splits, END: ()})

    def graph(self, status: Mapping[str, tuple[str, str]] | None = None) -> Graph:
        """Draw the steps.

        Args:
            status: A status and a note for each step.
        """
        said = status or {}
        return Graph(
            tuple(GraphNode(name, self.after(name), self._type(name), *said.get(name, ("", ""))) for name in self.steps)
        )

    def _type(self, name: str) -> StepType:
        if name == END:
            return "end"
        after = self.after(name)
        if self.splits_foreach(name):
            return "foreach"
        if len(after) > 1:
            return "split"
        return "join" if self.is_join(name) else "start" if name == START else "linear"


def shape_of(cells: Iterable[StepCell]) -> Shape:
    """Find the order of steps.

    Args:
        cells: The steps in the order in which they were first defined; without a `start`, one is put before them.

    Raises:
        ArgumentError: They contradict each other.
    """
    given = {cell.name: cell for cell in cells}
    start, end = given.pop(START, StepCell(START)), given.pop(END, None)
    steps = {START: start, **given, **({END: end} if end else {})}
    before: dict[str, tuple[str, ...]] = {START: ()}
    previous = START
    for cell in list(steps.values())[1:]:
        for name in cell.after:
            if name not in steps or name == cell.name:
                raise ArgumentError(
                    f"{cell.name} cannot come after {name}: there is no such step before it.",
                    did_you_mean(name, [each for each in steps if each != cell.name], "steps of this flow"),
                )
        implied = _open_ends(before, steps, previous) if cell.join and not cell.after else (previous,)
        before[cell.name] = tuple(dict.fromkeys(cell.after)) or implied
        previous = cell.name
    ordered = _ordered(steps, before)
    shape = Shape({name: steps[name] for name in ordered}, {name: before[name] for name in ordered}, {})
    return replace(shape, splits=_splits(shape))


def _open_ends(before: Mapping[str, tuple[str, ...]], steps: Mapping[str, StepCell], previous: str) -> tuple[str, ...]:
    """Name what a join without --after joins: all open ends of the innermost split around the step before it."""
    known = {name: steps[name] for name in before}
    so_far = Shape(known, before, {})
    try:
        splits = _splits(so_far)
    except ArgumentError:  # it is said when the whole is looked at
        return (previous,)
    around = splits[previous][-1:]
    ends = [name for name in known if not so_far.after(name) and splits[name][-1:] == around]
    return tuple(ends) if around and previous in ends else (previous,)


def _ordered(steps: Mapping[str, StepCell], before: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Put steps after those that lead to them; else they stay in their order."""
    ordered: list[str] = []
    waiting = list(steps)
    while waiting:
        ready = next((name for name in waiting if all(each in ordered for each in before[name])), None)
        if ready is None:
            circle = _circle(before, waiting)
            raise ArgumentError(
                f"{', '.join(circle)} lead to one another in a circle.", "Say otherwise with --after of one of them."
            )
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _circle(before: Mapping[str, tuple[str, ...]], waiting: Sequence[str]) -> list[str]:
    """Name the steps of a circle, each after the one that leads to it; each that waits comes after one that does."""
    way = [waiting[0]]
    while way[-1] not in way[:-1]:
        way.append(next(name for name in before[way[-1]] if name in waiting))
    return way[way.index(way[-1]) + 1 :][::-1]


def _splits(shape: Shape) -> dict[str, tuple[str, ...]]:
    """Find the splits around each step, as Metaflow does, and refuse what it would not take."""
    found: dict[str, tuple[str, ...]] = {START: ()}
    for name, cell in list(shape.steps.items())[1:]:
        before = shape.before[name]
        if END in before:
            raise ArgumentError(f"{name} cannot come after end.", "end is the last step: say --after another one.")
        around = {_inside(shape, found, each) for each in before}
        if not shape.is_join(name):
            (found[name],) = around
        else:
            if len(around) > 1 or not next(iter(around)):
                said = ", ".join(before)
                raise ArgumentError(
                    f"{name} cannot join {said}: {'they are not branches of one split' if around != {()} else ''}"
                    f"{'nothing is split before it' if around == {()} else ''}.",
                    "Name the last step of each branch: --after a,b.",
                )
            found[name] = next(iter(around))[:-1]
        splits = [each for each in before if shape.is_join(each) and (cell.foreach or len(shape.after(each)) > 1)]
        if splits:
            raise ArgumentError(
                f"{splits[0]} is a join, so {name} cannot begin a split right after it: Metaflow wants a step between.",
                f"Write one: %%mf_step between --after {splits[0]}, then let {name} come after it.",
            )
        if cell.foreach and len(shape.after(before[0])) > 1:
            others = ", ".join(each for each in shape.after(before[0]) if each != name)
            raise ArgumentError(
                f"{before[0]} leads to {name} for each of {cell.foreach}, so it cannot lead to {others} too.",
                f"Let {others} come after another step (--after), or drop it: %mf_flow --drop {others.split(', ')[0]}",
            )
        if name == END and found[name]:
            raise ArgumentError(
                f"end comes after {', '.join(before)}, inside the split that {found[name][-1]} begins.",
                "Join first: %%mf_step join --join",
            )
    return found


def _inside(shape: Shape, found: Mapping[str, tuple[str, ...]], before: str) -> tuple[str, ...]:
    """Give the splits around what comes after a step."""
    splits = shape.splits_foreach(before) is not None or len(shape.after(before)) > 1
    return (*found[before], before) if splits else found[before]
