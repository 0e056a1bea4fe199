"""Which task a debug notebook is about."""

from __future__ import annotations

from dataclasses import replace

from kit.debugging.failure import recorded
from kit.errors import NotFoundError
from kit.model import Pathspec, RunInfo, TaskInfo
from kit.resolve import Target, choose, pick_task, resolve
from kit.runs import Runs
from kit.scope import Scope

__all__ = ["choose_task"]

MAX_READ = 10  # tasks whose exceptions are read
LOOKED_AT = (5, 100)  # so many of the latest runs, for one that failed


def choose_task(
    runs: Runs, pathspec: str, current: Pathspec | None, scope: Scope
) -> tuple[RunInfo, TaskInfo, tuple[str, ...]]:
    """Find the task that a pathspec means: without a task the first that failed, without a run the latest that failed.

    Args:
        runs: The project's runs.
        pathspec: `Flow[/run[/step[/task]]]`, as everywhere.
        current: The run named last.
        scope: Among which runs the one that is left out is looked for.

    Returns:
        The run, the task, and what there is to say about the choice, a sentence each.

    Raises:
        NotFoundError: There is no such task, or none that failed.
    """
    text = pathspec.strip().strip("/")
    known = {*runs.project.scan().flows, *runs.flows()}
    if text in known:
        run, note = _failed_run(runs, text, scope)
        target = Target(run, note=note)
    else:
        target = resolve(runs, text, current, scope=scope)
    if target.step is not None:
        task, said = pick_task(runs, target)
        return target.run, task, tuple(filter(None, (target.note, said)))
    gone = target.run.status == "running" and target.run.alive is False
    for step in runs.steps(target.run):
        failed = [t for t in step.tasks if t.status == "failed" or (gone and t.status == "running")]
        if failed:
            failed = _by_themselves(runs, target.run, failed)
            task, said = choose(replace(target, step=step.name).pathspec, failed)
            which = said or f"{target.run.pathspec}: took {step.name}/{task.pathspec.task}, which {_ended(task)}."
            return target.run, task, tuple(filter(None, (target.note, which)))
    going = [t for step in runs.steps(target.run) for t in step.tasks if t.status == "running"]
    how = "goes on, or was killed a moment ago" if target.run.status == "running" else target.run.status
    example = going[0].pathspec if going else f"{target.run.pathspec}/start"
    raise NotFoundError(
        f"No task of {target.run.pathspec} has failed: the run {how}.", f"Name a task all the same, such as {example}."
    )


def _by_themselves(runs: Runs, run: RunInfo, failed: list[TaskInfo]) -> list[TaskInfo]:
    """Leave out the tasks that failed since another one had, as the control task of a @parallel step does."""
    if len(failed) < 2 or recorded(runs, run, failed[0]).frames:
        return failed
    return [task for task in failed[1:MAX_READ] if recorded(runs, run, task).frames] or failed


def _ended(task: TaskInfo) -> str:
    return "failed" if task.status == "failed" else "did not end"


def _failed_run(runs: Runs, flow: str, scope: Scope) -> tuple[RunInfo, str]:
    """Find the latest run that failed: of the user's own, else of anybody's, since schedulers have their own names."""
    everyone = replace(scope, everyone=True)
    looked, going = 0, ""
    for within in dict.fromkeys((scope, everyone) if not scope.namespace else (scope,)):
        for limit in LOOKED_AT:
            found, note = runs.runs(flow, within, limit)
            looked = max(looked, len(found))
            for run in found:
                if run.status == "running" and not going:
                    going = f" {run.pathspec} goes on."
                if run.status == "failed" or (run.status == "running" and run.alive is False):
                    others = (
                        "" if within == scope else " None of your own has failed: this one is of another namespace."
                    )
                    return run, f"{run.pathspec} is the latest run that failed.{others}"
            if len(found) < limit:
                break
    if looked:
        which = (
            f"None of the last {looked} runs of {flow} has failed." if looked > 1 else f"No run of {flow} has failed."
        )
        raise NotFoundError(which + going, f"Name a task all the same, such as {flow}/start.")
    run, note = runs.latest(flow, scope=scope)  # raises, and says why there is none
    raise NotFoundError(f"{run.pathspec} has not failed.", note or f"Name a task: {run.pathspec}/start.")
