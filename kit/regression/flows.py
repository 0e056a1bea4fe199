"""The flows that notebooks need, run in test mode: each once, those that do not wait for another side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from kit.errors import KitError
from kit.flowrun import FinishedRun, run_flow
from kit.model import FlowInfo, Verdict
from kit.project import Project
from kit.testmode import test_mode

__all__ = ["Ran", "not_run", "plan_flows", "run_flows", "run_in_test_mode"]

IN_TURN = ("--max-workers", "1")  # test mode runs one task at a time: the flows themselves run side by side


@dataclass(frozen=True)
class Ran:
    """A flow that was to be run.

    Args:
        verdict: What became of it.
        pathspec: Its run; "" where it did not succeed.
    """

    verdict: Verdict
    pathspec: str = ""


def plan_flows(project: Project, wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Give the flows to run and what each waits for, those that they need included, each after what it waits for.

    Args:
        project: The project.
        wanted: Names of flows; those that it does not have are passed over.

    Raises:
        KitError: The settings of a flow's test mode are wrong, or name a flow that there is not.
    """
    known = project.scan().flows
    plan: dict[str, tuple[str, ...]] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in plan:
            return
        flow = project.flow(name)
        path = (*path, name)
        needs = dict.fromkeys([*test_mode(project, flow).needs, *(n for n in flow.after if n in known)])
        before = tuple(need for need in needs if need not in path)  # flows that read each other start in any order
        for need in before:
            add(need, path)
        plan[name] = before

    for name in sorted(wanted):
        if name in known:
            add(name, ())
    return plan


def run_flows(
    project: Project,
    plan: Mapping[str, tuple[str, ...]],
    workers: int,
    environ: Mapping[str, str],
    add: Callable[[Verdict], None],
    began: Callable[[str], None],
) -> dict[str, Ran]:
    """Run the flows, each when those that it waits for have succeeded.

    Args:
        project: The project.
        plan: What each flow waits for, as `plan_flows` gives it.
        workers: How many run at once.
        environ: Variables for the flows.
        add: Is called with each verdict.
        began: Is called with the name of each flow that begins.
    """
    done: dict[str, Ran] = {}
    started: dict[Future[Ran], str] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool, _set_on_interrupt() as stop:

        def run(flow: FlowInfo) -> Ran:
            began(flow.name)
            return run_in_test_mode(project, flow, environ, stop=stop)

        while len(done) < len(plan):
            for name, needs in plan.items():
                if name in done or name in started.values() or not all(need in done for need in needs):
                    continue
                broken = [need for need in needs if not done[need].pathspec]
                if broken:
                    done[name] = Ran(not_run(name, broken[0]))
                    add(done[name].verdict)
                else:
                    started[pool.submit(run, project.flow(name))] = name
            if not started:
                continue
            for future in wait(started, return_when=FIRST_COMPLETED).done:
                name = started.pop(future)
                done[name] = future.result()
                add(done[name].verdict)
    return done


def not_run(name: str, broken: str) -> Verdict:
    """Give the verdict on a flow that was not run, because of another that failed."""
    return Verdict(name, "flow", "not run", 0.0, f"{broken}, whose runs it reads, failed")


def run_in_test_mode(
    project: Project,
    flow: FlowInfo,
    environ: Mapping[str, str],
    arguments: tuple[str, ...] = (),
    stop: threading.Event | None = None,
) -> Ran:
    """Run one flow in test mode.

    Args:
        project: The project.
        flow: The flow.
        environ: Variables for its processes.
        arguments: Further words of the command line; of an option that is given twice the last one counts.
        stop: Ends the run when it is set.
    """
    try:
        mode = test_mode(project, flow)
        words = (*mode.arguments, *arguments)
        in_turn = () if any(word.startswith("--max-workers") for word in words) else IN_TURN
        run = run_flow(project, flow, (*in_turn, *words), mode.options, environ, stop)
    except KitError as error:
        return Ran(Verdict(flow.name, "flow", "failed", 0.0, error.message, f"{error.hint}\n{error.details}".strip()))
    if run.succeeded:
        return _passed(run)
    printed = run.log.strip().splitlines()
    detail = f"{flow.name} failed in test mode: {printed[-1] if printed else 'it printed nothing'}"
    return Ran(Verdict(flow.name, "flow", "failed", run.seconds, detail, run.log, run.notes))


def _passed(run: FinishedRun) -> Ran:
    pathspec = str(run.pathspec)
    return Ran(Verdict(run.flow, "flow", "passed", run.seconds, pathspec, notes=run.notes), pathspec)


@contextmanager
def _set_on_interrupt() -> Iterator[threading.Event]:
    """Give an event that is set when the block is left by an exception: threads do not see Ctrl-C."""
    event = threading.Event()
    try:
        yield event
    except BaseException:
        event.set()
        raise
