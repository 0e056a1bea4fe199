"""The flow of a notebook: its steps, what they left, and what is stale."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from kit.authoring.bindings import Cell, bindings
from kit.authoring.carried import Carrier
from kit.authoring.execute import Bench, artifacts_of
from kit.authoring.names import used_by_body
from kit.authoring.shape import Shape, shape_of
from kit.authoring.stepcell import START, StepCell, refuse_body
from kit.comparison.equality import equal
from kit.errors import ArgumentError, NotFoundError, ReplayError, did_you_mean
from kit.model import OWN_ARTIFACTS, LazyArtifacts, StepResult
from kit.previews import preview, type_name
from kit.replay import Replay
from kit.replay.stores import Blobs
from kit.runs import Runs
from kit.views import Displayed
from kit.views.authored import AuthoredFlow, AuthoredStep, SetArtifact, flow_page, step_page

__all__ = ["DEFAULT_NAME", "CellResult", "NotebookFlow"]

DEFAULT_NAME = "NotebookFlow"


@dataclass(frozen=True, repr=False)
class CellResult(StepResult):
    """What a step that is a cell left; of a foreach, what its first task left.

    `same`, `changed`, `added` and `missing` are against what the step had left before in this notebook.

    Args:
        tasks: How many tasks it had.
        shown: What the page of it says.
    """

    tasks: int = 1
    shown: AuthoredStep | None = None

    def _page(self) -> Any:
        return step_page(self.shown or AuthoredStep("", self.step, self.seconds, self.tasks, ()))

    def __repr__(self) -> str:
        from kit.views import text

        return text.render(self._page())

    def _repr_html_(self) -> str:
        from kit.views import html

        return html.render(self._page())


@dataclass
class _Ran:
    """What a step left, and of what.

    Args:
        outputs: The datastores of its tasks, in order.
        before: The versions of the steps before it that it ran on, by name.
        parameters: The hashes of the Parameters that it ran on.
        version: How often what it left has changed.
    """

    outputs: list[Any]
    before: dict[str, int]
    parameters: dict[str, str]
    version: int


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
    _ran: dict[str, _Ran] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)
    _versions: int = 0

    def __post_init__(self) -> None:
        store = self.runs.stores[0]
        self._blobs = Blobs(self.runs.datastore(self.name, store).ca_store, keep=True)

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
        shape = shape_of(steps.values())
        self.steps = steps
        return self._run(shape, cell, told)

    def refresh(self, told: Callable[[str], object] = lambda _step: None) -> NotebookFlow:
        """Run the steps again that are stale, that failed or that have not run, in order.

        Args:
            told: Is told which step is run.
        """
        __tracebackhide__ = True
        shape = self.shape()
        for name, cell in shape.steps.items():
            if self._status(shape, name) != "succeeded":
                told(name)
                self._run(shape, cell)
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
        shape_of(rest.values())
        self.steps = rest
        self._ran.pop(name, None)
        self._failed.discard(name)

    def clear(self) -> None:
        """Begin again: without steps, and without a name."""
        self.steps, self._ran, self._failed, self.name = {}, {}, set(), DEFAULT_NAME

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
        """Give the artifacts of each task of a step, in the order of the foreach.

        Raises:
            NotFoundError: There is no such step, or it has not run.
        """
        self._known(step)
        if step not in self._ran:
            raise NotFoundError(f"{step} has left nothing yet.", "Run its cell.")
        return [artifacts_of(store) for store in self._ran[step].outputs]

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
        bench, before = self.bench(), shape.before[cell.name]
        keys = bench.parameter_keys()
        if START in before and START not in self.steps and self._status(shape, START, keys) != "succeeded":
            self._take(shape, shape.steps[START], bench.run(shape, shape.steps[START], {}), keys)
        lacking = [name for name in before if name not in self._ran]
        if lacking:
            how = "failed" if lacking[0] in self._failed else "has not run"
            self._failed.discard(cell.name)
            raise ReplayError(
                f"{cell.name} comes after {lacking[0]}, which {how}.", "Run that cell, then this one again."
            )
        old = self._ran.pop(cell.name, None)
        self._failed.add(cell.name)
        if cell.foreach:
            ran = self._ran[before[0]]
            ran.outputs = bench.with_items(shape, cell, ran.outputs)
        replays = bench.run(shape, cell, {name: self._ran[name].outputs for name in before}, told)
        self._failed.discard(cell.name)
        self._take(shape, cell, replays, keys, old)
        done = self._with_result(shape, cell, replays, old, keys)
        self._blobs.forget_but(key for ran in self._ran.values() for store in ran.outputs for _, key in store.items())
        return done

    def _take(
        self, shape: Shape, cell: StepCell, replays: Sequence[Replay], keys: dict[str, str], old: _Ran | None = None
    ) -> None:
        """Keep what a step left; where that is what it had left before, the steps after it are not stale."""
        outputs = [each.output for each in replays]
        each = shape.splits_foreach(cell.name)
        if each is not None:
            outputs = self.bench().with_items(shape, each, outputs)
        same = old is not None and len(old.outputs) == len(outputs)
        if same and old is not None:
            same = all(not any(_compared(a, b)[1:]) for a, b in zip(old.outputs, outputs, strict=True))
        if not same:
            self._versions += 1
        version = old.version if same and old is not None else self._versions
        before = {name: self._ran[name].version for name in shape.before[cell.name]}
        self._ran[cell.name] = _Ran(outputs, before, keys, version)

    def _status(self, shape: Shape, step: str, keys: dict[str, str] | None = None) -> str:
        if step in self._failed:
            return "failed"
        if step not in self._ran:
            return "not run"
        ran, before = self._ran[step], shape.before[step]
        there = {name: self._ran[name].version for name in before if name in self._ran}
        parameters = self.bench().parameter_keys() if keys is None else keys
        fresh = ran.before == there and ran.parameters == parameters
        return (
            "succeeded" if fresh and all(self._status(shape, n, parameters) == "succeeded" for n in before) else "stale"
        )

    def _with_result(
        self, shape: Shape, cell: StepCell, replays: Sequence[Replay], old: _Ran | None, keys: dict[str, str]
    ) -> Replay:
        first = replays[0]
        sets: tuple[frozenset[str] | None, ...] = (None, None, None, None)
        if old is not None and old.outputs:
            sets = _compared(old.outputs[0], self._ran[cell.name].outputs[0])
        same, changed, added, missing = sets
        seconds = sum(each.result.seconds for each in replays)
        marks = {**dict.fromkeys(changed or (), "changed"), **dict.fromkeys(added or (), "added")}
        shown = [
            SetArtifact(name, type_name(type(value), full=True), preview(value), marks.get(name, ""))
            for name in first.assigned
            if name not in OWN_ARTIFACTS
            for value in [first.result.artifacts[name]]
        ]
        notes = [*first.result.notes, *self._notes(shape, cell, first, old, keys)]
        if first.result.exception is not None:
            notes.append(f"A decorator handled {type(first.result.exception).__name__}.")
        page = AuthoredStep(self.name, cell.name, seconds, len(replays), shown, shape.before[cell.name], tuple(notes))
        values = {each: getattr(first.result, each) for each in StepResult.__dataclass_fields__}
        values |= {"same": same, "changed": changed, "added": added, "missing": missing, "seconds": seconds}
        values |= {"next_steps": shape.after(cell.name), "notes": tuple(notes)}
        values["stdout"] = "".join(each.result.stdout for each in replays)
        values["stderr"] = "".join(each.result.stderr for each in replays)
        return replace(first, result=CellResult(**values, tasks=len(replays), shown=page))

    def _notes(
        self, shape: Shape, cell: StepCell, first: Replay, old: _Ran | None, keys: dict[str, str]
    ) -> Iterable[str]:
        stale_before = [n for n in shape.before[cell.name] if self._status(shape, n, keys) == "stale"]
        if stale_before:
            yield f"It ran on what {', '.join(stale_before)} left, which is stale: %mf_flow --refresh runs all again."
        stale = [n for n in self.steps if cell.name in shape.ancestors(n) and self._status(shape, n, keys) == "stale"]
        if stale:
            yield f"Stale now: {', '.join(stale)}. %mf_flow --refresh runs them again."
        arguments = "self, inputs" if shape.is_join(cell.name) else "self"
        carrier = self.carrier()
        for line in carrier.lacking(cell.name, used_by_body(cell.body, arguments)):
            yield f"Not for a flow file yet: {line}"

    def _page(self) -> Any:
        shape = self.shape()
        bench = self.bench()
        keys = bench.parameter_keys()
        said = {}
        for name in shape.steps:
            status = self._status(shape, name, keys) if name in self.steps or name in self._ran else ""
            count = len(self._ran[name].outputs) if name in self._ran else 0
            said[name] = status, f"{count} tasks" if count > 1 else ""
        problem = shape.problem() if self.steps else ("There is no step yet.", "Write one: %%mf_step start")
        notes = [" ".join(problem)] if problem else []
        values = [(name, preview(value)) for name, value in bench.parameter_values().items()]
        return flow_page(AuthoredFlow(self.name, shape.graph(said), len(self.steps), values, tuple(notes)))


def _compared(old: Any, new: Any) -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Say which artifacts of two tasks are the same, changed, added and missing: by hash, then by value."""
    before, after = ({name: key for name, key in store.items() if not name.startswith("_")} for store in (old, new))
    common = before.keys() & after.keys()
    same = frozenset(name for name in common if before[name] == after[name] or equal(old[name], new[name]))
    return same, frozenset(common) - same, frozenset(after.keys() - before), frozenset(before.keys() - after)
