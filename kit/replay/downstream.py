"""Going on from a replayed task: what comes after it, in memory, as Metaflow's scheduler would go on.

Each task takes the replayed inputs where there are any and the recorded ones elsewhere. A task none of whose inputs
changed is not run again; one that leaves what it had left before changes nothing for those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kit.errors import ReplayError, did_you_mean
from kit.lineage import Done, Key, Place, done, expected, finished
from kit.model import Downstream, Graph, GraphNode, LazyArtifacts, Pathspec, RunInfo, StepResult, TaskInfo, step_type
from kit.replay.engine import Replay
from kit.replay.job import Job, new_ids, recorded_job, virtual_job
from kit.runs import Runs

__all__ = ["Walk", "between"]

Outcome = Literal["skipped", "same", "changed", "new"]

# What Metaflow itself keeps on the flow object: where a task stands, and how it ended.
METAFLOWS_OWN = {
    *("_catch_exception", "_control_mapper_tasks", "_control_task_is_mapper_zero", "_current_step", "_exception"),
    *("_foreach_num_splits", "_foreach_stack", "_foreach_values", "_foreach_var", "_graph_info", "_iteration_stack"),
    *("_parallel_ubf_iter", "_success", "_task_ok", "_transition", "_unbounded_foreach"),
}


@dataclass(frozen=True)
class Live:
    """A task as the steps after it see it."""

    done: Done
    outcome: Outcome
    replay: Replay | None = None


@dataclass
class Walk:
    """The way from a replayed task to a later step.

    Args:
        runs: The project's runs.
        run: The recorded run.
        graph: The flow's FlowGraph.
        replay: Replays one task.
    """

    runs: Runs
    run: RunInfo
    graph: Any
    replay: Callable[[Job], Replay]
    _live: dict[str, dict[Key, Live]] = field(default_factory=dict)
    _gone: dict[str, int] = field(default_factory=dict)
    _then: dict[str, list[Done]] = field(default_factory=dict)
    _was: dict[str, dict[Key, Live]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = new_ids(self.runs, self.run)

    def go(self, job: Job, first: Replay, target: str) -> Replay:
        """Go on from a replayed task to a step, that one included.

        Args:
            job: The replayed task.
            first: What it left.
            target: The name of the step.

        Returns:
            The target's replay, whose result holds all of the way; where it has several tasks, the first that changed.

        Raises:
            ReplayError: The target does not come after the task, or waits for one that never finished.
            Exception: Whatever a step on the way raises.
        """
        __tracebackhide__ = True
        steps = between(self.graph, job.step, target)
        if job.recorded is None:
            next(self._ids)  # which the replayed task has taken
        self._live[job.step] = dict(self._recorded(job.step))
        self._take(job.step, _key(job, first), first, self._record_of(job.step).get(_key(job, first)))
        for step in steps[1:]:
            self._step(step)
        return self._result(steps, target, first)

    # ------------------------------------------------------------------ one step

    def _step(self, step: str) -> None:
        __tracebackhide__ = True
        node = self.graph[step]
        recorded, tasks = self._recorded(step), self._record_of(step)
        was = expected(self.graph, step, {name: self._finished_then(name) for name in self._before(node)})
        self._live[step] = {}
        while True:  # a step that leads to itself finds its next round when the one before has been run
            places = expected(self.graph, step, {name: self._finished(name) for name in self._before(node)})
            fresh = [place for key, place in places.items() if key not in self._live[step]]
            if not fresh:
                break
            for place in fresh:
                if place.key in recorded and self._unchanged(place, was.get(place.key)):
                    self._live[step][place.key] = recorded[place.key]
                else:
                    self._run(step, place, tasks.get(place.key))
        self._gone[step] = len(recorded.keys() - self._live[step].keys())

    def _run(self, step: str, place: Place, task: TaskInfo | None) -> None:
        __tracebackhide__ = True
        if not place.complete:
            raise ReplayError(
                f"{step} waits for tasks that the recorded run {self.run.pathspec} did not finish.",
                f"See which with %mf_artifacts {self.run.pathspec}.",
            )
        if task is not None:
            job = recorded_job(self.runs, self.run, self.graph, task, place)
        else:
            job = virtual_job(self.run, step, place, next(self._ids))
        self._take(step, place.key, self.replay(job), task)

    def _take(self, step: str, key: Key, replayed: Replay, task: TaskInfo | None) -> None:
        """Keep what a replay left; where it is what the recorded task left, the recorded one stands."""
        after, before = done(replayed.output), self._recorded(step).get(key)
        if after is None:
            raise ReplayError(f"{replayed.result.origin} did not finish.", "Mend the step, then replay it again.")
        if before is None or task is None:
            self._live[step][key] = Live(after, "new", replayed)
        elif _differs(replayed.result) or not _same_way(after, before.done):
            self._live[step][key] = Live(after, "changed", replayed)
        else:
            self._live[step][key] = Live(before.done, "same", replayed)

    # ------------------------------------------------------------------ what is there

    def _before(self, node: Any) -> set[str]:
        return {*node.in_funcs, *([node.name] if node.name in node.out_funcs else ())}

    def _finished(self, step: str) -> list[Done]:
        if step in self._live:
            return [live.done for live in self._live[step].values()]
        return self._finished_then(step)

    def _finished_then(self, step: str) -> list[Done]:
        if step not in self._then:
            self._then[step] = finished(self.runs, self.run, step)
        return self._then[step]

    def _recorded(self, step: str) -> dict[Key, Live]:
        if step not in self._was:
            self._was[step] = {task.key: Live(task, "skipped") for task in self._finished_then(step)}
        return self._was[step]

    def _record_of(self, step: str) -> dict[Key, TaskInfo]:
        ids = {task.store.task_id: task.key for task in self._finished_then(step)}
        tasks = self.runs.tasks(self.run, step)
        return {ids.get(task.pathspec.task, (task.index, None)): task for task in tasks}

    def _unchanged(self, place: Place, was: Place | None) -> bool:
        """Whether a task would get what the recorded one got."""
        if was is None or [(task.step, task.key) for task in place.inputs] != [
            (task.step, task.key) for task in was.inputs
        ]:
            return False
        return all(
            self._live[task.step][task.key].outcome in ("skipped", "same")
            for task in place.inputs
            if task.step in self._live
        )

    # ------------------------------------------------------------------ the result

    def _result(self, steps: list[str], target: str, first: Replay) -> Replay:
        lives = list(self._live[target].values())
        ran = [live for live in lives if live.replay is not None]
        chosen = next((live for live in ran if live.outcome != "same"), ran[0] if ran else None)
        replayed = chosen.replay if chosen and chosen.replay else self._skipped(target, first)
        results = [
            live.replay.result for step in steps for live in self._live[step].values() if live.replay is not None
        ]
        way = Downstream(
            graph=self._picture(steps),
            results={result.origin: result for result in results},
            skipped=tuple(self._pathspec(live) for step in steps for live in self._skips(step)),
            gone=sum(self._gone.values()),
        )
        return replace(replayed, result=replace(replayed.result, downstream=way))

    def _skips(self, step: str) -> Iterable[Live]:
        return [live for live in self._live[step].values() if live.outcome == "skipped"]

    def _pathspec(self, live: Live) -> str:
        store = live.done.store
        return str(Pathspec(self.run.flow, store.run_id, store.step_name, store.task_id))

    def _skipped(self, target: str, first: Replay) -> Replay:
        """Make the result of a step that was not run again: what was recorded."""
        tasks = self.runs.tasks(self.run, target)
        if not tasks or not self._live[target]:
            raise ReplayError(
                f"{first.result.origin} now goes another way: {target} is not reached.",
                f"It goes on to {', '.join(first.result.next_steps) or 'nothing'}: name that step, or leave out --to.",
            )
        names = tuple(artifact.name for artifact in tasks[0].artifacts)
        pathspec, store = tasks[0].pathspec, self.run.store
        result = StepResult(
            origin=str(pathspec),
            step=target,
            artifacts=LazyArtifacts(names, lambda name: self.runs.load(pathspec, [name], store)[name]),
            same=frozenset(names),
            changed=frozenset(),
            added=frozenset(),
            missing=frozenset(),
            next_steps=next(iter(self._live[target].values())).done.next,
            exception=None,
            seconds=0.0,
            notes=(f"{target} was not run again: nothing that it takes in has changed.",),
        )
        return replace(first, result=result, assigned=())

    def _picture(self, steps: list[str]) -> Graph:
        nodes = []
        for node in sorted(self.graph, key=lambda node: node.func_lineno):
            kind = "parallel" if node.parallel_foreach else node.type
            if node.name not in steps:
                nodes.append(GraphNode(node.name, tuple(node.out_funcs), step_type(kind), "not run"))
                continue
            outcomes = [live.outcome for live in self._live[node.name].values()]
            status = next((word for word in ("changed", "new", "same", "skipped") if word in outcomes), "not run")
            note = self._note(node.name, outcomes)
            nodes.append(GraphNode(node.name, tuple(node.out_funcs), step_type(kind), status, note))
        return Graph(tuple(nodes))

    def _note(self, step: str, outcomes: list[Outcome]) -> str:
        gone = self._gone.get(step, 0)
        if len(outcomes) < 2 and not gone:
            return ""
        words = ("changed", "new", "same", "skipped")
        counts = [f"{number} {word}" for word in words if (number := outcomes.count(word))]  # type: ignore[arg-type]
        return ", ".join([*counts, *([f"{gone} gone"] if gone else [])])


def between(graph: Any, start: str, target: str) -> list[str]:
    """List the steps on the ways from one step to another, both included, each after those that lead to it.

    Raises:
        ReplayError: The second does not come after the first.
    """
    after = _reachable(start, lambda step: graph[step].out_funcs)
    if target not in after or target == start:
        later = sorted(after - {start})
        raise ReplayError(f"{target} does not come after {start}.", did_you_mean(target, later, f"steps after {start}"))
    wanted = after & _reachable(target, lambda step: graph[step].in_funcs)
    ordered: list[str] = []

    def visit(step: str) -> None:
        if step not in ordered:
            for previous in graph[step].in_funcs:
                if previous != step and previous in wanted:
                    visit(previous)
            ordered.append(step)

    visit(target)
    return ordered


def _reachable(step: str, steps: Callable[[str], Iterable[str]]) -> set[str]:
    found, pending = {step}, [step]
    while pending:
        for other in steps(pending.pop()):
            if other not in found:
                found.add(other)
                pending.append(other)
    return found


def _key(job: Job, replayed: Replay) -> Key:
    after = done(replayed.output)
    return job.index, after.iteration if after else None


def _differs(result: StepResult) -> bool:
    return bool(result.changed or result.added or result.missing)


def _same_way(after: Done, before: Done) -> bool:
    """Whether a task goes on as the recorded one did, and leaves the same artifacts that only the flow itself sees."""
    if (after.next, after.splits) != (before.next, before.splits):
        return False
    return _hidden(after) == _hidden(before)


def _hidden(task: Done) -> dict[str, str]:
    keys = dict(task.store.items())
    return {name: key for name, key in keys.items() if name.startswith("_") and name not in METAFLOWS_OWN}
