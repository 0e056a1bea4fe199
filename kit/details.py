"""What a run says besides its artifacts: Parameters, what failed and why, logs, cards; nothing of the user's unpickled.

Values are shown where they are small and plain (numbers, text, lists and dicts of these): an unpickler
that runs no code reads those.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kit import internals
from kit.blobs import fetch, pickles
from kit.errors import ArtifactError
from kit.listing import noted_end, own_artifact
from kit.model import ArtifactInfo, Pathspec, RunInfo, StepInfo, TaskInfo
from kit.previews import preview
from kit.records import plain_value
from kit.runs import Runs
from kit.tracebacks import AROUND, first_line, without_metaflow
from kit.views.details import Failure, Log, ParameterInfo

__all__ = ["RecordedCard", "cards", "failures", "logs", "parameters", "previews", "printed"]

PLAIN_TYPES = frozenset({"int", "float", "bool", "str", "NoneType", "complex", "bytes", "list", "tuple", "dict", "set"})
MAX_PREVIEWED = 4096  # bytes of a pickle
MAX_PREVIEW = 60  # characters
MAX_TASKS = 3  # of a foreach, whose values are shown
MAX_FAILURES, MAX_LINES = 3, 12
MAX_LOGGED_TASKS, MAX_LOG_LINES = 10, 40
LAST = re.compile(r"[A-Za-z_][\w.]*(:|$)")  # of a traceback: the exception
CARDS = "mf.cards"  # the folder of the datastore in which Metaflow keeps them


def parameters(runs: Runs, run: RunInfo) -> tuple[ParameterInfo, ...]:
    """List the Parameters of a run, by name."""
    graph, infos = runs.parameters(run)
    recorded = (graph or {}).get("parameters")
    if recorded is not None:  # else a flow of an older Metaflow, which does not tell them from constants
        names = {str(each["name"]) for each in recorded}
        infos = tuple(info for info in infos if info.name in names)
    values = _shown(runs, run, infos)
    return tuple(ParameterInfo(i.name, i.type, i.size, values.get(i.sha), i.sha) for i in infos)


def previews(runs: Runs, run: RunInfo, steps: Sequence[StepInfo]) -> dict[tuple[str, str], str]:
    """Show the values of small, plain artifacts, by step and name; in a foreach, of its first tasks."""
    wanted = [info for step in steps for task in step.tasks[:MAX_TASKS] for info in task.artifacts]
    values = _shown(runs, run, wanted)
    found: dict[tuple[str, str], str] = {}
    for step in steps:
        for task in step.tasks[:MAX_TASKS]:
            for info in task.artifacts:
                if info.sha in values:
                    before = found.get((step.name, info.name))
                    found[step.name, info.name] = f"{before} · {values[info.sha]}" if before else values[info.sha]
        if len(step.tasks) > MAX_TASKS:
            found |= {key: f"{text} · …" for key, text in found.items() if key[0] == step.name}
    return found


def _shown(runs: Runs, run: RunInfo, infos: Iterable[ArtifactInfo]) -> dict[str, str]:
    """Write values as text, by their addresses; those alone that are small, plain and written as a pickle."""
    wanted = [i.sha for i in infos if i.type in PLAIN_TYPES and i.size <= MAX_PREVIEWED and "pickle" in i.encoding]
    shown = {}
    for sha, content in pickles(runs.storage(run.store), run.flow, wanted):
        if content is None:
            continue
        value = plain_value(content)
        if value is None and len(content) > 16:  # not None, but something that is not plain
            continue
        shown[sha] = preview(value, MAX_PREVIEW)
    return shown


def failures(runs: Runs, run: RunInfo, steps: Iterable[StepInfo], most: int = MAX_LINES) -> tuple[Failure, ...]:
    """Tell what the first failed tasks of a run said; in a run that is dead, what its unfinished ones did.

    Args:
        runs: The project's runs.
        run: The run.
        steps: Its steps.
        most: How many lines of each.
    """
    gone = run.status == "running" and run.alive is False
    wanted = [t for step in steps for t in step.tasks if t.status == "failed" or (gone and t.status == "running")]
    return tuple(_failure(runs, run, task, most) for task in wanted[:MAX_FAILURES])


def _failure(runs: Runs, run: RunInfo, task: TaskInfo, most: int) -> Failure:
    address = task.pathspec
    storage = runs.storage(run.store)
    raised = own_artifact(storage, run.flow, run.id, address.step or "", "_exception", address.task)
    said = ""
    traceback = str(getattr(raised, "stacktrace", None) or "")
    if raised is not None:
        said = first_line(f"{getattr(raised, 'type', '')}: {str(getattr(raised, 'exception', '')).strip()}").strip(": ")
    lines = printed(runs, run, task, "stderr")
    if traceback:  # of the same, printed, Metaflow's echo has taken each * for a mark of its own
        around = [number for number, line in enumerate(lines) if AROUND.match(line)]
        begin = max((n for n in around if lines[n].endswith(" failed:")), default=min(around, default=len(lines)))
        lines = [*lines[:begin], *traceback.splitlines()]  # before that, a task may print Metaflow's words itself
    lines = without_metaflow(lines)
    if not said:
        raises = any("Traceback (most recent call last)" in line for line in lines)
        said = next((line for line in reversed(lines) if raises and LAST.match(line)), "") or _ending(storage, task)
    return Failure(task.pathspec, said, tuple(lines[-most:]))


def _ending(storage: Any, task: TaskInfo) -> str:
    """Say how the process of a task ended that said nothing; "" where Metaflow's scheduler did not see it end."""
    address = task.pathspec
    folder = storage.path_join(address.flow, address.run, address.step, address.task)
    code = noted_end(storage, {folder: task.attempt}).get(folder, {}).get("return_code")
    if not isinstance(code, int):
        return ""
    if code >= 0:
        return f"its process ended with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    often = {"SIGKILL": ", as when memory runs out", "SIGSEGV": ", a segmentation fault"}.get(name, "")
    return f"its process was killed by {name}{often}"


def logs(runs: Runs, run: RunInfo, steps: Iterable[StepInfo]) -> tuple[Log, ...]:
    """Read the last lines that tasks printed: of those that failed first, and of ten at most."""
    tasks = sorted((task for step in steps for task in step.tasks), key=lambda task: task.status != "failed")
    found = []
    for task in tasks[:MAX_LOGGED_TASKS]:
        for stream in ("stdout", "stderr"):
            lines = printed(runs, run, task, stream)
            if lines or len(tasks) == 1:
                shown = tuple(lines[-MAX_LOG_LINES:])
                found.append(Log(task.pathspec, stream, shown, len(lines) - len(shown)))
    return tuple(found)


def printed(runs: Runs, run: RunInfo, task: TaskInfo, stream: str) -> list[str]:
    """Read the lines that a task printed; none as long as it runs, or where they cannot be read.

    Args:
        runs: The project's runs.
        run: The run.
        task: The task.
        stream: "stdout" or "stderr".
    """
    address = task.pathspec
    nothing: dict[str, Any] = {"objects": {}, "info": {}}  # its artifacts are not needed
    ds = runs.datastore(run.flow, run.store).get_task_datastore(
        run.id, address.step, address.task, attempt=task.attempt, data_metadata=nothing, allow_not_done=True
    )
    try:
        parts = [content for _, content in ds.load_logs(internals.LOG_SOURCES, stream)]
        lines = [line.msg for line in internals.mflog.merge_logs(parts)]
    except (internals.DataException, OSError, AttributeError):
        return []
    text = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
    return text.decode("utf-8", "replace").rstrip().splitlines()


@dataclass(frozen=True)
class RecordedCard:
    """A card that a task of a run stored.

    Args:
        task: The task's address.
        type: The card's type, such as "default".
        id: Its id; "" for none.
        path: Where it is, below the folder of the datastore that holds the cards.
        runs: The project's runs.
        store: The datastore's root.
        below: The folder of the datastore that holds the cards.
    """

    task: Pathspec
    type: str
    id: str
    path: str
    runs: Runs
    store: str
    below: str = CARDS

    @property
    def name(self) -> str:
        """Its id, and its type."""
        return f"{self.id} ({self.type})" if self.id else self.type

    def html(self) -> str:
        """Read its page.

        Raises:
            ArtifactError: It is gone.
        """
        ((_, content),) = fetch(self.runs.storage(self.store, self.below), [self.path])
        if content is None:
            raise ArtifactError(f"The card {self.name} of {self.task} is gone.", "Run the step again.")
        return content.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<card {self.name} of {self.task}>"

    def _repr_html_(self) -> str:
        from kit.views.card import frame

        return frame(self.html(), 480)


def cards(runs: Runs, run: RunInfo, steps: Iterable[StepInfo]) -> tuple[RecordedCard, ...]:
    """List the cards of some steps' tasks."""
    tasks = {(step.name, task.pathspec.task): task.pathspec for step in steps for task in step.tasks}
    above = f"{run.flow}/runs/{run.id}/steps"
    folders = [f"{above}/{step}/tasks/{task}/cards" for step, task in tasks]
    found = []
    # Where METAFLOW_CARD_LOCALROOT is set, Metaflow puts them into the datastore's root, whatever it is set to.
    places = (CARDS,) if "://" in run.store else (CARDS, "")
    for below in places:
        for entry in runs.storage(run.store, below).list_content(folders):
            parts = entry.path.split("/")
            if parts[-1].endswith(".html"):
                kind, *name, _ = parts[-1].split("-")
                address = tasks[parts[-5], parts[-3]]
                found.append(RecordedCard(address, kind, "-".join(name), entry.path, runs, run.store, below))
    return tuple(found)
