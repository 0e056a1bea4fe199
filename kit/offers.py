"""What can follow in a magic's line that is being written: flows, runs, steps, tasks, foreach values, artifacts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit import internals, words
from kit.errors import KitError, NotFoundError
from kit.foreach import said
from kit.model import TaskInfo
from kit.resolve import Target, resolve
from kit.views.page import age, visible

if TYPE_CHECKING:
    from kit.session import Session

__all__ = ["Find", "Offer", "artifacts", "pathspecs", "prepare", "steps", "values"]


Find = Callable[[], "list[Offer]"]


@dataclass(frozen=True)
class Offer:
    """One way to go on.

    Args:
        text: What the word would then be.
        label: What to say beside it.
    """

    text: str
    label: str = ""


def prepare() -> None:
    """Import what the answers need of Metaflow: by one thread, before others ask for it too."""
    for name in ("METADATA_PROVIDERS", "DATASTORES", "LocalStorage", "ForeachFrame", "client_core", "config"):
        getattr(internals, name)


def pathspecs(session: Session, word: str) -> tuple[list[Offer], dict[Hashable, Find]]:
    """List what a pathspec may be, up to the end of the part that `word` is in; more than begin with it.

    Returns:
        What the project's files say; and questions to datastores whose answers, one after the other, are the rest.
    """
    step, bracket, _ = word.partition("[")
    head, slash, _ = word.rpartition("/")
    current = str(session.current)
    if bracket:
        return [], {("values of", step, current): lambda: _foreach_values(session, step)}
    if not slash:
        known = _flows_and_steps(session)
        if "metaflow" not in sys.modules:  # two threads that import it at once fail
            return known, {}
        return known, {("other flows", current): lambda: _other_flows(session)}
    if "/" in head:
        return [], {("within", head): lambda: _within(session, head)}
    return _steps_of_flow(session, head), {
        ("runs of", head): lambda: [Offer(f"{head}/{run.id}", age(run.created)) for run in session.runs.begun(head)],
        ("tasks of", head, current): lambda: _within(session, head) if _is_step(session, head) else [],
    }


def artifacts(session: Session, pathspec: str) -> list[Offer]:
    """List the artifacts of a run, a step or a task, by name, with their types."""
    found: dict[str, str] = {}
    for task in _tasks(session, _target(session, pathspec)):
        for info in task.artifacts:
            found.setdefault(info.name, info.type.rpartition(".")[2])
    return [Offer(name, found[name]) for name in sorted(found)]


def steps(session: Session, pathspec: str) -> list[Offer]:
    """List the steps of a flow or of a run, from start on."""
    flow = session.project.scan().flows.get(pathspec.partition("/")[0])
    try:
        names: Iterable[str] = session.runs.step_names(_target(session, pathspec).run)
    except NotFoundError:  # it has not been run yet
        names = flow.steps if flow else ()
    return [Offer(name, "step") for name in names]


def values(session: Session, step: str) -> list[Offer]:
    """List the values that the innermost foreach gave the tasks of a step, as Metaflow recorded them."""
    tasks = [task for task in _tasks(session, _target(session, step)) if task.values]
    given = {str(task.values[-1]): task.variables[-1] for task in tasks}
    return [Offer(text, name) for text, name in given.items() if _is_word(text)]


def _flows_and_steps(session: Session) -> list[Offer]:
    """List the flows of the project, and the steps of the run that was named last."""
    flows, current = session.project.scan().flows, session.current
    steps = flows[current.flow].steps if current and current.flow in flows else ()
    return [*(Offer(name, "flow") for name in flows), *(Offer(name, f"step of {current}") for name in steps)]


def _other_flows(session: Session) -> list[Offer]:
    """List flows that have been run and whose files are gone, and the steps of such a run."""
    flows, current = session.project.scan().flows, session.current
    gone = current is not None and current.flow not in flows
    steps = session.runs.step_names(_target(session, str(current)).run) if gone else ()
    others = [Offer(name, "flow") for name in session.runs.flows() if name not in flows]
    return [*others, *(Offer(name, f"step of {current}") for name in steps)]


def _steps_of_flow(session: Session, name: str) -> list[Offer]:
    flow = session.project.scan().flows.get(name)
    return [Offer(f"{name}/{step}", "step") for step in (flow.steps if flow else ())]


def _is_step(session: Session, name: str) -> bool:
    """Whether a name that a slash follows is a step of the run that was named last, and no flow."""
    return session.current is not None and name not in session.project.scan().flows


def _within(session: Session, head: str) -> list[Offer]:
    """List the steps of a run, or the tasks of a step."""
    target = _target(session, head)
    if target.step is None:
        return [Offer(f"{head}/{name}", "step") for name in session.runs.step_names(target.run)]
    return [Offer(f"{head}/{task.pathspec.task}", _told(task)) for task in _tasks(session, target)]


def _foreach_values(session: Session, step: str) -> list[Offer]:
    """List the foreach values of a step that can be written in a line; the record of a long one is cut off."""
    found: dict[str, TaskInfo] = {}
    for task in _tasks(session, _target(session, step)):
        pairs = (f"{name}={value}" for name, value in zip(task.variables, task.values, strict=False))
        if given := ",".join(pair for pair in pairs if _is_word(f"[{pair}]")):
            found.setdefault(f"{step}[{given}]", task)
    return [Offer(text, _told(task)) for text, task in found.items()]


def _is_word(text: str) -> bool:
    """Whether a text is one word of a line, in which IPython finds no variables."""
    if visible(text) != text or "{" in text or "$" in text:
        return False
    try:
        return words.split(text) == [text]
    except KitError:
        return False


def _target(session: Session, pathspec: str) -> Target:
    """Find what a pathspec means; where it names a run, without a look at how that stands."""
    parts = pathspec.split("/")
    if len(parts) > 1 and "[" not in pathspec:
        run = next((run for run in session.runs.begun(parts[0]) if run.id == parts[1]), None)
        if run is not None:
            step, task = [*parts[2:4], None, None][:2]
            return Target(run, step, task)
    return resolve(session.runs, pathspec, session.current)


def _tasks(session: Session, target: Target) -> Sequence[TaskInfo]:
    return target.narrowed(session.runs.tasks(target.run, target.step, target.task))


def _told(task: TaskInfo) -> str:
    """Say how a task stands, and its foreach values."""
    return ", ".join(filter(None, (task.status, said(task))))
