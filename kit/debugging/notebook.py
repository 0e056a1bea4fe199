"""A debug notebook, from what it is to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kit.debugging.model import Change, Sheet
from kit.debugging.names import Earlier
from kit.debugging.nodes import new_code_cell, new_markdown_cell, new_notebook
from kit.debugging.split import BodyCell
from kit.views.page import GLYPHS

__all__ = ["notebook"]

PARAMETER = "failed_task"
MAX_DIFF = 400  # lines of a diff


def notebook(sheet: Sheet) -> Any:
    """Write a debug notebook.

    Args:
        sheet: What it says.

    Returns:
        The notebook, as nbformat has it.
    """
    kernel = {"name": sheet.kernel.name, "display_name": sheet.kernel.title, "language": "python"}
    task = str(sheet.task.pathspec)
    cells = [
        new_markdown_cell(_title(sheet)),
        new_code_cell(f"%cd -q {sheet.folder}\n%load_ext kit" if sheet.folder else "%load_ext kit"),
        new_code_cell(f'{PARAMETER} = "{task}"', metadata={"tags": ["parameters"]}),
        *_what_it_raised(sheet),
        *_what_it_left(sheet),
        *_code(sheet),
        *_line_by_line(sheet),
        *_whole_step(sheet),
    ]
    own = {"debug": task, "test": False}  # it is to fail: `kit test` runs it only where it is named
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}, "kit": own})


def _title(sheet: Sheet) -> str:
    run, task = sheet.run, sheet.task
    address = task.pathspec
    ended = f", at {datetime.fromtimestamp(task.ended):%Y-%m-%d %H:%M:%S}" if task.ended else ""
    status = task.status if task.status != "running" or run.alive is not False else "dead"
    facts = [
        f"{GLYPHS[status]} {status}{ended}" + (f", in attempt {task.attempt}, counted from 0" if task.attempt else "")
    ]
    facts += [f"given by the foreach: {code(sheet.foreach)}"] if sheet.foreach else []
    facts += [f"run {code(str(run.id))}, started {run.created:%Y-%m-%d %H:%M:%S} by {code(run.user or 'nobody known')}"]
    facts[-1] += f", tags {', '.join(map(code, run.tags))}" if run.tags else ""
    said = f"\n\n{code(sheet.raised.said)}" if sheet.raised.said else ""
    listed = "\n".join(f"- {fact}" for fact in facts)
    notes = "".join(f"\n\n{note}" for note in sheet.kernel.notes)
    return f"# Debug {code(str(address))}{said}\n\n{listed}{notes}"


def _what_it_raised(sheet: Sheet) -> Iterator[Any]:
    raised = sheet.raised
    if raised.traceback:
        what = "The last that it wrote to stderr" if raised.printed else "The exception, as Metaflow recorded it"
        if raised.caught:
            what = f"The task did not fail: `@catch` kept its exception as {code(raised.caught)}"
        yield new_markdown_cell(f"## What it raised\n\n{what}:\n\n{fenced(raised.traceback)}")
    elif sheet.task.status != "succeeded":
        what = raised.said or "the task was ended before it could say anything, as one that runs out of memory is"
        yield new_markdown_cell(
            f"## What it raised\n\nNo exception was recorded: {what}. The cells below may end this kernel likewise; a "
            "replay of the whole step is kept from it where that can be."
        )


def _what_it_left(sheet: Sheet) -> Iterator[Any]:
    yield new_markdown_cell(
        "## What it left\n\nIts artifacts, also those that it took in. Nothing is unpickled but small plain values."
    )
    yield new_code_cell(f"%mf_artifacts {{{PARAMETER}}} --preview")
    if sheet.printed:
        yield new_markdown_cell(f"What it printed last:\n\n{fenced(chr(10).join(sheet.printed))}")


def _code(sheet: Sheet) -> Iterator[Any]:
    lines = ["## Its code, then and now", ""]
    if not sheet.origin:
        lines += ["How the code was when the task ran is not known."]
    elif not sheet.changes:
        lines += [f"Unchanged: the flow file and the modules that it imports are today as they are in {sheet.origin}."]
    else:
        lines += [f"What has changed since the task ran: from {sheet.origin} to today's files."]
    lines += [part for note in sheet.notes for part in ("", note)]
    lines += [part for change in sheet.changes for part in ("", *_diff(change))]
    yield new_markdown_cell("\n".join(lines))


def _diff(change: Change) -> list[str]:
    shown = change.lines[:MAX_DIFF]
    left = len(change.lines) - len(shown)
    rest = [f"… and {left:,} lines more.", ""] if left else []
    return [
        f"<details{'' if change.folded else ' open'}><summary>{_escaped(change.name)}</summary>",
        "",
        fenced("\n".join(shown), "diff"),
        "",
        *rest,
        "</details>",
    ]


def _line_by_line(sheet: Sheet) -> Iterator[Any]:
    body, step = sheet.body, sheet.task.pathspec.step or ""
    lines = [f"## {step}, line by line", ""]
    if sheet.differs:
        lines += [
            f"The cells below hold the step **as it was when the task ran**, from {body.origin}; today's is replayed "
            "further below."
        ]
    else:
        lines += [f"The cells below hold the step's body, from {code(body.file)}."]
    lines += [
        "`self` is the flow object as the step finds it; the working folder, the environment variables and "
        "`metaflow.current` are the step's too. Nothing that the cells do is written to the datastore."
    ]
    yield new_markdown_cell("\n".join(lines))
    yield new_code_cell(f"%mf_run_step {{{PARAMETER}}} --bind{_words(sheet.options)}")
    yield from _earlier(sheet)
    if body.names:
        yield new_code_cell("\n".join(f"{own} = {bound}" for own, bound in body.names.items()))
    if body.whole:
        yield new_markdown_cell(
            f"The step has {body.whole}: that cannot stand in a cell of its own. Here is all of the step, to be "
            "replayed as it stands in the cell."
        )
    for cell in body.cells:
        yield from _body_cell(sheet, cell)
    if sheet.raised.said:
        yield new_markdown_cell(
            "After an exception, `%debug` in a new cell opens the debugger where it was raised; `breakpoint()` in a "
            "cell, in the flow file or in a module stops there."
        )


def _earlier(sheet: Sheet) -> Iterator[Any]:
    found = sheet.body.earlier
    if found:
        text = (
            "What the step used and what has changed since, as it was. Objects that are read from artifacts are of "
            "today's classes all the same."
        )
        yield new_markdown_cell(text)
    if not sheet.body.whole:
        yield from (new_code_cell(each) for each in _as_they_were(found, PARAMETER))


def _as_they_were(found: Earlier, task: str) -> Iterator[str]:
    """Write what brings back what a step used: cells, or the first lines of the one cell that is the step's body."""
    if found.imports:
        lines = ["from kit.debugging import recorded_code", "", f"with recorded_code({task}):"]
        yield "\n".join([*lines, *(f"    {each}" for each in found.imports)])
    if found.statements:
        yield found.statements
    yield from found.methods


def _body_cell(sheet: Sheet, cell: BodyCell) -> Iterator[Any]:
    if cell.failed:
        what = "Caught: it was raised" if sheet.raised.caught else "The task failed"
        where = f"at line {sheet.body.failed} of {code(sheet.body.file)}"
        yield new_markdown_cell(f"**✗ {what} in this cell**, {where}: {code(sheet.raised.said)}")
    above = ""
    if sheet.body.whole:
        own = _as_they_were(sheet.body.earlier, repr(str(sheet.task.pathspec)))
        above = "\n\n".join([f"%%mf_run_step {{{PARAMETER}}}{_words(sheet.options)}", *own]) + "\n"
    yield new_code_cell(above + cell.source, metadata={"tags": ["failed"]} if cell.failed else {})


def _whole_step(sheet: Sheet) -> Iterator[Any]:
    address = sheet.task.pathspec
    yield new_markdown_cell(
        f"## {address.step}, as it is today\n\nMend the flow file or a module, save, and replay the whole step on the "
        "same inputs. When it passes, `--to end` goes on, and "
        f"`%mf_run {address.flow}/{address.run} --resume` resumes the run."
    )
    options = "--isolated" if not sheet.kernel.has_pins else sheet.options
    yield new_code_cell(f"%mf_run_step {{{PARAMETER}}}{_words(options)}")


def _words(options: str) -> str:
    return f" {options}" if options else ""


def code(text: str) -> str:
    """Write a text as code in a line of Markdown, whatever it holds."""
    text = " ".join(text.split())
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    mark = "`" * (longest + 1)
    return f"{mark} {text} {mark}" if longest else f"`{text}`"


def fenced(text: str, language: str = "") -> str:
    """Write lines as a block of code in Markdown, whatever they hold."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    mark = "`" * max(3, longest + 1)
    return f"{mark}{language}\n{text.rstrip()}\n{mark}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
