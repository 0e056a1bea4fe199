"""From a task that failed to its debug notebook."""

from __future__ import annotations

import json
import linecache
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kit import flowfile
from kit.debugging.changes import changes, gone_since, imports_others, most_like, uses_others
from kit.debugging.choice import choose_task
from kit.debugging.failure import Recorded, recorded
from kit.debugging.kernel import FITTING, KernelChoice, choose_kernel, pins_have_changed
from kit.debugging.model import Kernel, Sheet, StepBody
from kit.debugging.notebook import notebook
from kit.debugging.recorded import source_now, source_then
from kit.debugging.source import Definition, Source
from kit.debugging.split import in_one_piece, split, whole
from kit.details import logs
from kit.errors import ArgumentError, KitError, NotebookError, ReplayError, did_you_mean
from kit.foreach import said as foreach_said
from kit.model import Pathspec, RunInfo, StepInfo, TaskInfo
from kit.project import Project
from kit.runs import Runs
from kit.scope import MINE, Scope
from kit.source import definition, statements
from kit.views import Displayed
from kit.views.page import Cell, Page
from kit.views.recorded import RECORDED_CHARACTERS

__all__ = ["Written", "write_notebook"]


@dataclass(frozen=True, repr=False)
class Written(Displayed):
    """A debug notebook that was written.

    Args:
        path: Where it is.
        task: The task that it is about.
        kernel: The name of its kernel.
        notes: What there is to say about it, a sentence each.
    """

    path: Path
    task: Pathspec
    kernel: str
    notes: tuple[str, ...]

    def _page(self) -> Page:
        title = (
            Cell("wrote"),
            Cell(_shown(self.path), code=True, link=_from_notebook(self.path)),
            Cell(f"for {self.task}, kernel {self.kernel}"),
        )
        return Page(title, notes=self.notes)


def write_notebook(
    runs: Runs,
    pathspec: str,
    output: Path | None = None,
    *,
    current: Pathspec | None = None,
    scope: Scope = MINE,
    kernel: KernelChoice = FITTING,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> Written:
    """Write the debug notebook of a task.

    Args:
        runs: The project's runs.
        pathspec: `Flow[/run[/step[/task]]]`; without a task the first that failed, without a run the latest that did.
        output: Where to write it; by default the project's notebooks, as `debug_STEP_TASK.ipynb`.
        current: The run named last; a bare step is meant relative to it.
        scope: Among which runs the one that is left out is looked for.
        kernel: Which kernel it gets.
        force: Whether to write over a file that is there.
        say: Takes a line for the user, while an environment is built.

    Raises:
        NotFoundError: There is no such task, or none that failed.
        NotebookError: There is such a file already, or it cannot be written.
        ReplayError: The flow no longer has the step, and its code was not recorded.
    """
    run, task, chosen = choose_task(runs, pathspec, current, scope)
    step = task.pathspec.step or ""
    path = _path(runs.project, task.pathspec, output, force)
    raised = recorded(runs, run, task)
    script = runs.metadata(task.pathspec, run.store).get("script-name", "")
    now, gone = source_now(runs, run, script)
    then, why = source_then(runs, run, task.pathspec, now.home / now.file)
    today, gone = _of_today(runs, run, now, gone, step)
    before = then.step(step) if then else None
    if then is not None and before is None:
        why = f"The step is not to be found in {then.origin}."
    one = before or today
    if one is None:
        raise ReplayError(gone, f"Bring it back. {why}")
    differs = then is not None and before is not None and (today is None or uses_others(before, today, then, now))
    like = most_like(before, then, now) if then and before and today is None else today
    lost = gone_since(then, now) if then else ()
    notes = [gone, f"Gone since: {', '.join(lost)}." if lost else "", why, then.note if then else ""]
    notes.append(_contradiction(raised, one, step, before is not None))
    built = choose_kernel(runs, run, step, kernel, say)
    sheet = Sheet(
        run=run,
        task=task,
        foreach=_foreach(task),
        raised=raised,
        printed=_printed(runs, run, task),
        body=_body(one, raised, then if before else None, now, built),
        differs=differs,
        changes=tuple(changes(then, now, before, like)) if then else (),
        origin=then.origin if then else "",
        notes=tuple(filter(None, notes)),
        kernel=built,
        options="--unpinned" if not gone and pins_have_changed(runs, run, step) else "",
        folder="" if _is_inside(path, runs.project.root) else str(runs.project.root),
        gone=gone,
    )
    _write(path, sheet)
    fate = (f"{task.pathspec} did not fail.",) if task.status == "succeeded" else ()
    return Written(path, task.pathspec, sheet.kernel.name, (*chosen, *fate, *sheet.notes, *sheet.kernel.notes))


def _of_today(runs: Runs, run: RunInfo, now: Source, gone: str, step: str) -> tuple[Definition | None, str]:
    """Find a step in today's code; None, and a sentence that says why, where there is none."""
    found = None if gone else now.step(step)
    if found is not None or gone:
        return found, gone
    try:
        return _loaded_step(runs, run, step), ""
    except KitError as error:
        return None, error.message


def _foreach(task: TaskInfo) -> str:
    """Write what its foreachs gave a task; Metaflow records the beginning of each value."""
    cut = any(value is not None and len(value) >= RECORDED_CHARACTERS for value in task.values)
    return foreach_said(task) + ("…" if cut else "")


def _printed(runs: Runs, run: RunInfo, task: TaskInfo) -> tuple[str, ...]:
    found = logs(runs, run, [StepInfo(task.pathspec.step or "", task.status, (task,))])
    return next((log.lines for log in found if log.stream == "stdout"), ())


def _body(one: Definition, raised: Recorded, then: Source | None, now: Source, kernel: Kernel) -> StepBody:
    """Take the body that the notebook's cells hold: as it was where that is known (`then`), else today's."""
    text, first = statements(one.text, one.function)
    frame = raised.in_step(one.function.name, one.path)
    line = _line_of(one, frame.line, frame.text) if frame else None
    at = line - first + 1 if line and first else 1 if line else None  # a body on the line of its `def` has no other
    whole_for = in_one_piece(text) if kernel.has_pins else "pins that this kernel does not meet"
    if then and not whole_for and imports_others(one, then, now):
        whole_for = "an import of a module that has changed since"
    return StepBody(
        file=one.path,
        origin=then.origin if then else "",
        cells=(whole(text, at),) if whole_for else split(text, at),
        whole=whole_for,
        own_self=next((argument.arg for argument in one.function.args.args), "self"),
        failed=line,
    )


def _line_of(one: Definition, line: int, said: str) -> int | None:
    """Find the line of a step's definition that a traceback names; where the file has moved on, by what it said."""
    lines = one.text.split("\n")
    first, last = one.function.lineno, one.function.end_lineno or one.function.lineno
    if first <= line <= last and (not said or lines[line - 1].strip() == said):
        return line
    same = [number for number in range(first, last + 1) if said and lines[number - 1].strip() == said]
    return same[0] if len(same) == 1 else None


def _contradiction(raised: Recorded, one: Definition, step: str, known: bool) -> str:
    """Say so where the traceback shows a line that the source does not have: it is not the code that ran."""
    frame = raised.in_step(step, one.path)
    if frame is None or not frame.text:
        return ""
    lines = one.text.split("\n")
    there = lines[frame.line - 1].strip() if frame.line <= len(lines) else ""
    if there == frame.text:
        return ""
    what = "this is not the code that ran" if known else "the file has changed since"
    return f"The traceback has another line {frame.line} of `{one.path}` than the source has: {what}."


def _loaded_step(runs: Runs, run: RunInfo, step: str) -> Definition:
    """Find a step that the project's source does not show, such as one of a class in an installed package."""
    loaded = flowfile.load(runs.flow_file(run))
    if not hasattr(getattr(loaded.cls, step, None), "is_step"):
        raise ReplayError(
            f"{runs.project.relative(loaded.info.file)} no longer has the step {step}.",
            did_you_mean(step, loaded.info.steps, f"steps of {run.flow}"),
        )
    written = loaded.function(step).__code__
    text = "".join(linecache.getlines(written.co_filename))
    return Definition(Path(written.co_filename).name, text, definition(text, written))


def _path(project: Project, task: Pathspec, output: Path | None, force: bool) -> Path:
    """Say where the notebook goes.

    Raises:
        NotebookError: There is a file already; the hint proposes another name.
        ArgumentError: It is not the name of a notebook.
    """
    parts = [re.sub(r"\W+", "_", str(part)) for part in (task.step, task.task, task.run)]
    if output is not None and output.is_dir():
        output = output / f"debug_{parts[0]}_{parts[1]}.ipynb"
    path = Path(os.path.abspath(output or project.notebooks_folder / f"debug_{parts[0]}_{parts[1]}.ipynb"))
    if path.suffix != ".ipynb":
        raise ArgumentError(
            f"{path.name} is not the name of a notebook.", f"Write --output {_shown(path.with_suffix('.ipynb'))}."
        )
    if not path.exists():
        return path
    others = [path.with_stem(f"{path.stem}_{end}") for end in (parts[2], *range(2, 100))]
    free = next((other for other in others if not other.exists()), others[-1])
    if output is None:  # one of that name may be of another task, run or flow
        own = next((one for one in (path, *others) if one.exists() and _is_about(one, task)), None)
        if own is None:
            return free
        path = own
    if not force:
        raise NotebookError(
            f"{_shown(path)} is there already.",
            f"Write another one, --output {_shown(free)}, or write over it with --force.",
        )
    return path


def _is_about(path: Path, task: Pathspec) -> bool:
    """Whether a notebook that is there is the task's own; one that cannot be read may be."""
    try:
        about = json.loads(path.read_bytes())["metadata"]["kit"]["debug"]
    except (OSError, ValueError):
        return True
    except (KeyError, TypeError):
        return False
    return bool(about == str(task))


def _from_notebook(path: Path) -> str:
    """Name a file from the folder of the notebook that is running; from the working folder where there is none."""
    running = os.environ.get("JPY_SESSION_NAME", "")  # Jupyter's own; a kernel of another front end has none
    folder = os.path.dirname(running) if os.path.isabs(running) else ""
    return Path(os.path.relpath(path, folder if os.path.isdir(folder) else None)).as_posix()


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _is_inside(path: Path, root: Path) -> bool:
    return root in path.resolve().parents


def _write(path: Path, sheet: Sheet) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(notebook(sheet), indent=1, ensure_ascii=False) + "\n"
        path.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        raise NotebookError(
            f"{path} cannot be written: {error.strerror}.", "Name another one with --output."
        ) from error
