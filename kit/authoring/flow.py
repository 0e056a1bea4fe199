"""The flow of a notebook: its steps, what they left, and what is stale."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from kit.authoring.bindings import Cell, bindings
from kit.authoring.carried import Carrier
from kit.authoring.execute import Bench
from kit.authoring.names import used_by_body
from kit.authoring.result import compared, with_result
from kit.authoring.shape import Shape, shape_of
from kit.authoring.standing import Ran, Standing, standings, used
from kit.authoring.stepcell import START, StepCell, refuse_body
from kit.authoring.task import CellTask, artifacts_of
from kit.authoring.uses import Uses
from kit.authoring.writer import uses_of
from kit.errors import ArgumentError, KitError, NotFoundError, ReplayError, did_you_mean
from kit.model import LazyArtifacts
from kit.previews import preview
from kit.records import type_name as recorded_type
from kit.replay import Replay
from kit.replay.parameters import Included
from kit.replay.stores import Blobs
from kit.runs import Runs
from kit.views import Displayed
from kit.views.authored import AuthoredFlow, flow_page

__all__ = ["DEFAULT_NAME", "NotebookFlow"]

DEFAULT_NAME = "NotebookFlow"


@dataclass(repr=False)
class NotebookFlow(Displayed):
    """The flow of a notebook. `flow["fit"]["model"]` reads an artifact that a step left.

    Args:
        runs: The project's runs.
        module: The notebook's module.
        cells: Gives the cells that were executed, in order.
    """

    runs: Runs
    module: ModuleType
    cells: Callable[[], Iterable[Cell]]
    name: str = DEFAULT_NAME
    steps: dict[str, StepCell] = field(default_factory=dict)
    _ran: dict[str, Ran] = field(default_factory=dict)
    _failed: dict[str, list[CellTask]] = field(default_factory=dict)  # with the tasks that were done before one raised
    _versions: int = 0
    _seeded: tuple[Any, dict[str, list[str]]] = field(default=((), {}))  # of which cells and steps, and what

    def __post_init__(self) -> None:
        store = self.runs.stores[0]
        self._blobs = Blobs(self.runs.datastore(self.name, store).ca_store, keep=True)
        self._uses = Uses(self.module, self.runs.project.root)

    # ------------------------------------------------------------------ steps

    def define(self, cell: StepCell, told: Callable[[int, int], object] = lambda _done, _all: None) -> Replay:
        """Define a step, or replace it, and run it on what the steps before it left.

        Args:
            cell: The step.
            told: Is told how many of how many tasks are done.

        Raises:
            ArgumentError: It does not fit to the other steps, or cannot be a step.
            ReplayError: A step before it has not run.
            Exception: Whatever the step itself raises, from its own line.
        """
        __tracebackhide__ = True
        ast.parse("\n" * cell.line + cell.body, cell.filename)  # a SyntaxError at its own line
        steps = {**self.steps, cell.name: cell}
        refuse_body(cell, steps)
        if cell.name in self.bench().parameters():
            raise ArgumentError(
                f"{cell.name} is a Parameter of this notebook, so a step cannot have its name.",
                f"Give the step another name, such as {cell.name}_step.",
            )
        shape = _shape_with(steps, f"{cell.name} cannot be so", cell.name)
        self.steps = steps
        return self._run(shape, cell, told)

    def refresh(self, told: Callable[[str, int, int], object] = lambda _step, _done, _all: None) -> NotebookFlow:
        """Run the steps again that are stale, that failed or that have not run, in order.

        Args:
            told: Is told which step is run, and how many of how many of its tasks are done.
        """
        __tracebackhide__ = True
        shape = self.shape()
        for name, cell in shape.steps.items():
            if not self._standings(shape)[name].is_fresh:
                self._run(shape, cell, partial(told, name))
        return self

    def drop(self, name: str) -> None:
        """Take a step out of the flow.

        Raises:
            NotFoundError: There is no such step.
            ArgumentError: Another step says that it comes after it.
        """
        self._known(name)
        rest = {each: cell for each, cell in self.steps.items() if each != name}
        follower = next((each.name for each in rest.values() if name in each.after), None)
        if follower:
            raise ArgumentError(
                f"{follower} comes after {name}.", f"Say otherwise first: %%mf_step {follower} --after ..."
            )
        _shape_with(rest, f"{name} cannot be dropped", name)
        self.steps = rest
        self._ran.pop(name, None)
        self._failed.pop(name, None)

    def clear(self) -> None:
        """Begin again: without steps, and without a name."""
        self.steps, self._ran, self._failed, self.name = {}, {}, {}, DEFAULT_NAME

    def rename(self, name: str) -> None:
        """Give the flow a name.

        Raises:
            ArgumentError: It cannot be the name of a class.
        """
        if not name.isidentifier() or name.startswith("_") or not name.isascii():
            raise ArgumentError(f"{name!r} cannot be the name of a flow.", "Write it as a class's: TrainFlow.")
        self.name = name

    def shape(self) -> Shape:
        """Give the order of the steps."""
        return shape_of(self.steps.values())

    def carrier(self) -> Carrier:
        """Give what gathers what steps use of this notebook."""
        modules = [path.stem for path in self.runs.project.flows_folder.glob("common.py")]
        return Carrier(bindings(self.cells()), modules, vars(self.module))

    def __getitem__(self, step: str) -> LazyArtifacts:
        return self.tasks(step)[0]

    def tasks(self, step: str) -> list[LazyArtifacts]:
        """Give the artifacts of each task of a step, in the order of the foreach; those done, where a later one raised.

        Raises:
            NotFoundError: There is no such step, or it has not run.
        """
        self._known(step)
        if self._failed.get(step):
            return [artifacts_of(each.output) for each in self._failed[step]]
        if step not in self._ran:
            raise NotFoundError(f"{step} has left nothing yet.", "Run its cell.")
        return [artifacts_of(store) for store in self._ran[step].outputs]

    def found_by(self, step: str, after: Sequence[str] = ()) -> dict[str, str]:
        """Name what a step finds on `self`, with their types: what the steps before it left, and the Parameters.

        Args:
            step: The name of the step, which may not be there yet.
            after: The steps that lead to it, where its line says so.
        """
        known = self.shape().before.get(step) or tuple(self.steps)[-1:]
        found = {name: type(each).__name__ for name, each in self.bench().parameters().items()}
        for name in after or known:
            for store in self._ran[name].outputs[:1] if name in self._ran else ():
                infos = store.ds_metadata["info"]
                public = (each for each in store if not each.startswith("_") and each != "name")
                found |= {each: recorded_type(infos.get(each, {})) for each in public}
        return found

    # ------------------------------------------------------------------ inside

    def bench(self) -> Bench:
        """Give what runs the steps."""
        file = self.runs.project.flows_folder / f"{self.name.lower()}.py"
        return Bench(self.runs, self.module, self.name, Path(file), self._blobs)

    def _known(self, step: str) -> None:
        if step not in self.steps:
            raise NotFoundError(f"This notebook has no step {step}.", did_you_mean(step, self.steps, "steps here"))

    def _run(
        self, shape: Shape, cell: StepCell, told: Callable[[int, int], object] = lambda _done, _all: None
    ) -> Replay:
        __tracebackhide__ = True
        bench, before, seeds = self.bench(), shape.before[cell.name], self._seeds(shape)
        standings = self._standings(shape)
        if START in before and START not in self.steps and not standings[START].is_fresh:
            self._take(shape, shape.steps[START], bench.run(shape, shape.steps[START], {}), seeds)
            standings = self._standings(shape)
        lacking = [name for name in before if name not in self._ran]
        if lacking:
            how = "failed" if lacking[0] in self._failed else "has not run"
            self._failed.pop(cell.name, None)
            raise ReplayError(
                f"{cell.name} comes after {lacking[0]}, which {how}.", "Run that cell, then this one again."
            )
        old, replays = self._ran.pop(cell.name, None), self._failed.setdefault(cell.name, [])
        replays.clear()
        if cell.foreach:
            ran = self._ran[before[0]]
            ran.outputs = bench.with_items(shape, cell, ran.outputs)
        bench.run(shape, cell, {name: self._ran[name].outputs for name in before}, told, replays, seeds[""])
        del self._failed[cell.name]
        self._take(shape, cell, replays, seeds, old)
        notes = list(self._notes(shape, cell, [name for name in before if standings[name].status == "stale"]))
        after = shape.after(cell.name)
        done = with_result(self.name, cell, before, after, replays, self._ran[cell.name], old, notes)
        self._forget()
        return done

    def _take(
        self,
        shape: Shape,
        cell: StepCell,
        replays: Sequence[CellTask],
        seeds: Mapping[str, Sequence[str]],
        old: Ran | None = None,
    ) -> None:
        """Keep what a step left; where that is what it had left before, the steps after it are not stale."""
        outputs = [each.output for each in replays]
        each = shape.splits_foreach(cell.name)
        if each is not None:
            outputs = self.bench().with_items(shape, each, outputs)
        same = old is not None and len(old.outputs) == len(outputs)
        if same and old is not None:
            same = all(not any(compared(a, b)[1:]) for a, b in zip(old.outputs, outputs, strict=True))
        if not same:
            self._versions += 1
        version = old.version if same and old is not None else self._versions
        before = {name: self._ran[name].version for name in shape.before[cell.name]}
        uses, parameters = used(shape, cell, self._uses, seeds[cell.name]), self.bench().parameter_keys()
        self._ran[cell.name] = Ran(outputs, before, parameters, uses, version)

    def _forget(self) -> None:
        """Forget the pickles that no step has any more."""
        stores = [store for ran in self._ran.values() for store in ran.outputs]
        stores += [replay.output for done in self._failed.values() for replay in done]
        self._blobs.forget_but(key for store in stores for _, key in store.items())

    def _standings(self, shape: Shape) -> dict[str, Standing]:
        keys, seeds = self.bench().parameter_keys(), self._seeds(shape)
        return standings(shape, self._ran, self._failed, keys, self._uses, seeds)

    def _seeds(self, shape: Shape) -> dict[str, list[str]]:
        """Give what seeds random numbers: under each step what does for it alone, under "" what does for the flow."""
        cells, uses = tuple(self.cells()), tuple(uses_of(shape, [*self.bench().parameters()]))
        if (cells, uses) != self._seeded[0]:
            carrier = self.carrier()
            every = carrier.seeds(uses)
            found = {"": every, **{each.who: carrier.seeds([each]) if every else [] for each in uses}}
            self._seeded = (cells, uses), found
        return self._seeded[1]

    def _notes(self, shape: Shape, cell: StepCell, stale_before: Iterable[str]) -> Iterator[str]:
        if where := [name for name in shape.before[cell.name] if name in stale_before]:
            yield f"It ran on what {', '.join(where)} left, which is stale: %mf_flow --refresh runs all again."
        now = self._standings(shape)
        stale = [name for name in self.steps if cell.name in shape.ancestors(name) and now[name].status == "stale"]
        if stale:
            yield f"Stale now: {', '.join(stale)}. %mf_flow --refresh runs them again."
        arguments = "self, inputs" if shape.is_join(cell.name) else "self"
        for line in self.carrier().lacking(cell.name, used_by_body(cell.body, arguments)):
            yield f"Not for a flow file yet: {line}"

    def _page(self) -> Any:
        shape, said = self.shape(), {}
        problem = shape.problem() if self.steps else ("There is no step yet.", "Write one: %%mf_step start")
        try:
            now_all, values = self._standings(shape), self.bench().parameter_values()
        except KitError as error:  # the Parameters are not in order
            now_all, values, problem = {}, {}, (error.message, error.hint)
        for name, now in now_all.items():
            if name not in self.steps and name not in self._ran:
                continue
            count = len(self._ran[name].outputs) if name in self._ran else 0
            notes = [f"{count:,} tasks"] if count > 1 else []
            said[name] = now.status, ", ".join([*notes, *now.why])
        notes = [" ".join(problem)] if problem else []
        rows = [
            (name, preview(value.content if isinstance(value, Included) else value)) for name, value in values.items()
        ]
        return flow_page(AuthoredFlow(self.name, shape.graph(said), len(self.steps), rows, tuple(notes)))


def _shape_with(steps: Mapping[str, StepCell], refused: str, name: str) -> Shape:
    """Find the order of steps, one of which has just been changed; where another does not fit to it, say so."""
    try:
        return shape_of(steps.values())
    except ArgumentError as error:
        other = error.message.partition(" ")[0]
        is_order = "cannot join" in error.message or "comes after" in error.message
        if other == name or other not in steps or not is_order:
            raise
        raise ArgumentError(
            f"{refused}: then {error.message}",
            f"Take {other} out first: %mf_flow --drop {other}; then define it again.",
        ) from None
