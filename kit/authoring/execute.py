"""The tasks of a step that is a cell, run in this process on what the steps before it left: no run is needed.

The notebook's own module is `__main__` there, so its functions and classes are the very ones that the step sees, and
its classes pickle by the names that the exported flow file gives them too.
"""

from __future__ import annotations

import hashlib
import linecache
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from kit import flowfile, internals
from kit.authoring.decorated import decorator_text
from kit.authoring.placing import say_where_files_are
from kit.authoring.shape import Shape, shape_of
from kit.authoring.stepcell import START, StepCell
from kit.authoring.task import CellTask, kept_of
from kit.configured import set_configs
from kit.errors import ArgumentError, NotFoundError, ReplayError, did_you_mean
from kit.flowfile import LoadedFlow
from kit.foreach import recorded_as
from kit.lineage import Done, Place, done, expected
from kit.model import FlowInfo, RunInfo
from kit.replay import Body
from kit.replay.engine import replay
from kit.replay.job import virtual_job
from kit.replay.parameters import constants, default
from kit.replay.prepare import Settings
from kit.replay.process import preserved
from kit.replay.stores import Blobs, ReplayFlowStore
from kit.runs import PARAMETERS_STEP, Runs

__all__ = ["Bench"]

RUN = "notebook"  # the run id of tasks that no run has


@dataclass(frozen=True)
class Bench:
    """Where the steps of a notebook's flow are run.

    Args:
        runs: The project's runs; none of them is read.
        module: The notebook's module.
        name: The name of the flow.
        file: Where its file is to stand: what `__file__` is in a step.
        blobs: Where pickles are kept.
    """

    runs: Runs
    module: ModuleType
    name: str
    file: Path
    blobs: Blobs

    def run(
        self,
        shape: Shape,
        step: StepCell,
        outputs: Mapping[str, Sequence[Any]],
        told: Callable[[int, int], object] = lambda _done, _all: None,
        ran: list[CellTask] | None = None,
        seeds: Sequence[str] = (),
    ) -> list[CellTask]:
        """Run all tasks of a step.

        Args:
            shape: The flow.
            step: The step.
            outputs: The datastores of the tasks of the steps before it, in order.
            told: Is told how many of how many tasks are done.
            ran: Where the tasks that are done are put, also those before one that raises.
            seeds: The statements that seed random numbers: each task begins with them, as with those of a flow file.

        Raises:
            NotFoundError: What it is to be run for each item of is not there.
            Exception: Whatever the step itself raises, untouched, from its own line of the cell.
        """
        __tracebackhide__ = True
        part = shape.up_to(step.name)
        with self._inside():
            places = self._places(part, step, outputs)
        body = Body(step.body, step.filename, step.line)
        run, ran = self._run_info(), [] if ran is None else ran
        kept = ReplayFlowStore(self.name, self.blobs, self.module, run.store)
        for number, place in enumerate(places):
            told(number, len(places))
            job = virtual_job(run, step.name, place, str(number + 1))
            try:
                with preserved(), self._inside():
                    for text in seeds:
                        exec(text, dict(vars(self.module)))  # noqa: S102  # the notebook's own statement
                    done = replay(self.runs, job, self._load(part), Settings(body=body), self.blobs)
                ran.append(kept_of(done, kept, number))
            except Exception as error:
                say_where_files_are(error, self.runs.project.root)
                if len(places) > 1 and hasattr(error, "add_note"):
                    rest = f'; flow.tasks("{step.name}") has those before it (flow = %mf_flow)' if ran else ""
                    error.add_note(f"in task {number + 1} of {len(places)} of {step.name}{rest}")
                raise
        return ran

    def with_items(self, shape: Shape, step: StepCell, outputs: Sequence[Any]) -> list[Any]:
        """Give the tasks of a step with the artifact that the foreach after it goes over.

        Args:
            shape: The flow.
            step: The step of the foreach.
            outputs: The datastores of the tasks of the step before it.

        Raises:
            NotFoundError: There is no such artifact, and no such name.
        """
        known = {*self.parameters(), *(name for store in outputs for name in store)}
        variable, is_new = shape.variable(step, known - {f"{step.name}_items"})
        if not is_new:
            return list(outputs)
        with preserved(), self._inside():
            store = ReplayFlowStore(self.name, self.blobs, self.module, self._run_info().store)
            return [
                store.inputs(each, {variable: self.blobs.put(variable, self._items(step, each))}) for each in outputs
            ]

    def parameters(self) -> dict[str, Any]:
        """Give the Parameters of the notebook, by the names that steps see."""
        kind = internals.parameters.Parameter
        found = [(name, each) for name, each in list(vars(self.module).items()) if isinstance(each, kind)]
        return {name: each for name, each in found if not name.startswith("_")}

    def parameter_values(self) -> dict[str, Any]:
        """Give the values of the Parameters: their defaults.

        Raises:
            ArgumentError: One has none, or a name twice.
            ReplayError: One cannot be evaluated.
        """
        _refuse_parameters(self.parameters())
        try:
            with preserved(), self._inside():
                return {name: value for name, value in self._constants().items() if name[0] != "_"}
        except ReplayError as error:  # which speaks of runs
            raise ReplayError(error.message, "Mend the Parameter's cell.") from error.__cause__

    def parameter_keys(self) -> dict[str, str]:
        """Give the hashes of the values of the Parameters."""
        return {name: key for name, (key, _) in self._put(self.parameter_values()).items()}

    # ------------------------------------------------------------------ what goes in

    def _places(self, shape: Shape, step: StepCell, outputs: Mapping[str, Sequence[Any]]) -> list[Place]:
        """Find the tasks that a step has, fed by what the steps before it left."""
        loaded = self._load(shape)
        with preserved():
            first = self._put(self._constants())
        store = ReplayFlowStore(self.name, self.blobs, self.module, self._run_info().store)
        if step.name == START:
            first |= self._put(_standing(PARAMETERS_STEP, START))
            fed = Done(self._opened(store, first), PARAMETERS_STEP, (), None, (START,), None, None, False)
            return [Place(((), None), (fed,))]
        before = {}
        for name in shape.before[step.name]:
            changes = [{**first, **self._put(self._transition(shape, step, each))} for each in outputs[name]]
            stores = [store.inputs(each, change) for each, change in zip(outputs[name], changes, strict=True)]
            before[name] = [task for each in stores if (task := done(each)) is not None]
        return list(expected(loaded.cls._graph, step.name, before).values())

    def _transition(self, shape: Shape, step: StepCell, before: Any) -> dict[str, Any]:
        """Give what a task records about where it goes on to."""
        going = {"_transition": ([step.name], None), "_foreach_var": None, "_foreach_num_splits": None}
        if not step.foreach:
            return going
        known = {*self.parameters(), *before}
        variable, _ = shape.variable(step, known - {f"{step.name}_items"})
        if variable not in before:
            raise self._no_items(step, before)
        try:
            items = list(before[variable])
        except TypeError:
            raise NotFoundError(
                f"{before.step_name} leaves {variable}, a {type(before[variable]).__name__}: it has no items.",
                "A foreach goes over a list, or something like it.",
            ) from None
        if (found := _by_place(before[variable])) is not None:
            raise ReplayError(
                f"{before.step_name} leaves {variable}, a {type(before[variable]).__name__}: Metaflow's foreach takes"
                f" items by their number, and {variable}[0] raises {type(found).__name__}.",
                f"Make a list of it: --foreach list(self.{variable})",
            )
        if not items:
            raise ReplayError(
                f"--foreach {step.foreach} gives no items after {before.step_name}, so {step.name} has no tasks.",
                "Metaflow refuses a foreach over nothing: leave at least one item.",
            )
        values = [recorded_as(item) for item in items]
        return {**going, "_foreach_var": variable, "_foreach_num_splits": len(items), "_foreach_values": values}

    def _items(self, step: StepCell, before: Any) -> list[Any]:
        """Evaluate what a foreach goes over, in the notebook; `self` is what the step before it left."""
        try:
            made = eval(f"lambda self: ({step.foreach})", vars(self.module))  # noqa: S307  # the user's own line
            return list(made(_Left(before)))
        except (NameError, AttributeError) as error:
            raise self._no_items(step, before) from error
        except TypeError as error:
            raise NotFoundError(f"--foreach {step.foreach}: {error}.", "A foreach goes over a list.") from error

    def _no_items(self, step: StepCell, before: Any) -> NotFoundError:
        own = ("name", f"{step.name}_items")  # which kit made for the expression before
        there = [name for name in before if not name.startswith("_") and name not in own]
        first = re.match(r"\w*", step.foreach)
        if first and first[0] in there and step.foreach != first[0]:
            return NotFoundError(
                f"--foreach {step.foreach}: there is no {first[0]} in the notebook.",
                f"{before.step_name} leaves it as an artifact: --foreach self.{step.foreach}",
            )
        return NotFoundError(
            f"{before.step_name} leaves no artifact {step.foreach} to run {step.name} for each item of.",
            did_you_mean(step.foreach, there, f"artifacts of {before.step_name}"),
        )

    def _constants(self) -> dict[str, Any]:
        """Give the values of the Parameters, and what Metaflow records beside them."""
        loaded = self._load(shape_of([]).whole())  # of a graph whose splits are open, Metaflow has no description
        store = ReplayFlowStore(self.name, self.blobs, self.module, self._run_info().store)
        os.chdir(self.runs.project.root)  # where a run is started: what an IncludeFile is looked for in
        internals.parameters.set_parameter_context(self.name, internals.echo_dev_null, store, {})
        with internals.parameters.flow_context(loaded.cls):
            configs = [each for _, each in loaded.cls._get_parameters() if each.IS_CONFIG_PARAMETER]
            set_configs(loaded.cls, [(each, default(each)) for each in configs])
            for _, parameter in loaded.cls._get_parameters():
                parameter.init(False)
                _refuse_required(parameter)
            return constants(loaded.cls, {})

    def _put(self, values: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
        return {name: self.blobs.put(name, value) for name, value in values.items()}

    def _opened(self, store: Any, entries: Mapping[str, tuple[str, dict[str, Any]]]) -> Any:
        metadata = {
            "objects": {name: key for name, (key, _) in entries.items()},
            "info": {name: info for name, (_, info) in entries.items()},
        }
        return store.get_task_datastore(RUN, PARAMETERS_STEP, "0", attempt=0, data_metadata=metadata)

    # ------------------------------------------------------------------ the flow

    def _run_info(self) -> RunInfo:
        return RunInfo(self.name, RUN, "running", datetime.now(), "", (), None, self.runs.stores[0].root)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Let the notebook's module be the flow file's, with a `__file__`."""
        own = vars(self.module)
        names = ("__file__", *flowfile.MAIN_NAMES)
        before = {name: own[name] for name in names if name in own}
        own["__file__"] = str(self.file)
        flowfile.give_main_names(self.module)
        try:
            with flowfile.as_script(self.module):
                yield
        finally:
            for name in names:
                own.pop(name, None)
            own.update(before)

    def _load(self, shape: Shape) -> LoadedFlow:
        """Make the flow's class anew, of steps without bodies, whose globals are the notebook's."""
        import metaflow

        parameters = {name: _copied(each) for name, each in self.parameters().items()}
        text = _skeleton(self.name, shape, parameters)
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        file = f"<{self.name} {digest[:8]}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # which Metaflow reads
        given = {"_kit_metaflow": metaflow, "_kit_parameters": parameters}
        own = vars(self.module)
        before = {name: own[name] for name in (*given, self.name) if name in own}
        try:
            own.update(given)
            with internals.parameters.flow_context(None):
                exec(compile(text, file, "exec", dont_inherit=True), own)  # noqa: S102  # kit's own text
            cls = own[self.name]
        finally:
            for name in (*given, self.name):
                own.pop(name, None)
            own.update(before)
        info = FlowInfo(self.name, str(self.file), 1, tuple(shape.steps), tuple(parameters))
        return LoadedFlow(info, self.module, cls, digest, text)


def _copied(parameter: Any) -> Any:
    """Copy a Parameter; `copy.copy` asks a Config for methods, and it takes each for a value to be looked up."""
    made = object.__new__(type(parameter))
    vars(made).update(vars(parameter))
    return made


def _refuse_parameters(parameters: Mapping[str, Any]) -> None:
    names: dict[str, str] = {}
    for variable, each in parameters.items():
        if each.name in names:
            raise ArgumentError(
                f"{names[each.name]} and {variable} are both the Parameter {each.name}.", f"Drop one: del {variable}"
            )
        names[each.name] = variable


def _refuse_required(parameter: Any) -> None:
    if parameter.kwargs.get("required") and parameter.kwargs.get("default") is None:
        raise ArgumentError(
            f"The Parameter {parameter.name} is required, and has no default to run the steps of this notebook on.",
            "Give it one (default=...) while the flow grows here.",
        )


def _skeleton(name: str, shape: Shape, parameters: Mapping[str, Any]) -> str:
    lines = [f"class {name}(_kit_metaflow.FlowSpec):"]
    lines += [f"    {each} = _kit_parameters[{each!r}]" for each in parameters]
    for step in shape.steps:
        arguments = "self, inputs" if shape.is_join(step) else "self"
        lines += [f"    @_kit_metaflow.{decorator_text(each)}" for each in shape.steps[step].decorators]
        lines += ["    @_kit_metaflow.step", f"    def {step}({arguments}):"]
        after = ", ".join(f"self.{each}" for each in shape.after(step))
        each = shape.splits_foreach(step)
        foreach = f', foreach="{shape.variable(each)[0]}"' if each else ""
        lines.append(f"        self.next({after}{foreach})" if after else "        pass")
    return "\n".join(lines) + "\n"


def _by_place(items: Any) -> Exception | None:
    """Say what keeps the first of some items from being taken as Metaflow takes it; None where nothing does."""
    try:
        items[0]
    except (TypeError, IndexError):  # it goes through them instead; there is none
        return None
    except Exception as error:  # of a dict, a DataFrame
        return error
    return None


def _standing(step: str, after: str) -> dict[str, Any]:
    return {
        "_current_step": step,
        "_foreach_stack": [],
        "_foreach_var": None,
        "_iteration_stack": [],
        "_transition": ([after], None),
    }


class _Left:
    """What a task left, as `self` of an expression.

    Args:
        store: Metaflow's TaskDataStore of the task.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._store:
            raise AttributeError(name)
        return self._store[name]
