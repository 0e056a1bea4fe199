"""A debug notebook, from what it is to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kit.debugging.model import Change, Sheet
from kit.debugging.split import BodyCell
from kit.views.page import GLYPHS

__all__ = ["notebook"]

MAX_DIFF = 400  # lines of a diff


def notebook(sheet: Sheet) -> dict[str, Any]:
    """Write a debug notebook.

    Args:
        sheet: What it says.

    Returns:
        The notebook, as the file has it: nbformat, which would write it too, takes seconds to import.
    """
    kernel = {"name": sheet.kernel.name, "display_name": sheet.kernel.title, "language": "python"}
    task = str(sheet.task.pathspec)
    cells = [
        _markdown_cell(_title(sheet)),
        _code_cell(f"%cd -q {sheet.folder}\n%load_ext kit" if sheet.folder else "%load_ext kit"),
        _code_cell(f'{sheet.parameter} = "{task}"', "parameters"),
        *_what_it_raised(sheet),
        *_what_it_left(sheet),
        *_code(sheet),
        *_line_by_line(sheet),
        *_whole_step(sheet),
    ]
    own = {"debug": task, "test": False}  # it is to fail: `kit test` runs it only where it is named
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "kit": own}
    numbered = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells, start=1)]
    return {"cells": numbered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _markdown_cell(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code_cell(source: str, *tags: str) -> dict[str, Any]:
    lines, metadata = source.splitlines(keepends=True), {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "execution_count": None, "metadata": metadata, "outputs": [], "source": lines}


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
        yield _markdown_cell(f"## What it raised\n\n{what}:\n\n{fenced(raised.traceback)}")
    elif sheet.task.status != "succeeded":
        what = raised.said or "the task was ended before it could say anything, as one that runs out of memory is"
        yield _markdown_cell(
            f"## What it raised\n\nNo exception was recorded: {what}. The cells below may end this kernel likewise; a "
            "replay of the whole step is kept from it where that can be."
        )


def _what_it_left(sheet: Sheet) -> Iterator[Any]:
    yield _markdown_cell(
        "## What it left\n\nIts artifacts, also those that it took in. Nothing is unpickled but small plain values."
    )
    yield _code_cell(f"%mf_artifacts {{{sheet.parameter}}} --preview")
    if sheet.printed:
        yield _markdown_cell(f"What it printed last:\n\n{fenced(chr(10).join(sheet.printed))}")


def _code(sheet: Sheet) -> Iterator[Any]:
    lines = ["## Its code, then and now"]
    if not sheet.origin:
        lines += ["", "How the code was when the task ran is not known."]
    elif not sheet.changes and not sheet.gone:
        lines += [
            "",
            f"Unchanged: the flow file and the modules that it imports are today as they are in {sheet.origin}.",
        ]
    elif sheet.changes:
        lines += ["", f"What has changed since the task ran: from {sheet.origin} to today's files."]
    lines += [part for note in sheet.notes for part in ("", note)]
    lines += [part for change in sheet.changes for part in ("", *_diff(change))]
    yield _markdown_cell("\n".join(lines))


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
            f"The cells below hold the step **as it was when the task ran**, from {body.origin}, and find its flow "
            "file and modules as they were" + ("." if sheet.gone else "; today's is replayed further below.")
        ]
    else:
        lines += [f"The cells below hold the step's body, from {code(body.file)}."]
    lines += [
        "`self` is the flow object as the step finds it; the working folder, the environment variables and "
        "`metaflow.current` are the step's too. Nothing that the cells do is written to the datastore."
    ]
    yield _markdown_cell("\n".join(lines))
    if sheet.kernel.has_pins:
        yield _code_cell(f"%mf_run_step {{{sheet.parameter}}} --bind{_options(sheet)}")
    if body.own_self != "self" and not body.whole:
        yield _code_cell(f"{body.own_self} = self")
    if body.whole:
        yield _markdown_cell(
            f"The step has {body.whole}: that cannot stand in a cell of its own. Here is all of the step, to be "
            "replayed as it stands in the cell."
        )
    for cell in body.cells:
        yield from _body_cell(sheet, cell)
    if sheet.raised.said:
        yield _markdown_cell(
            "After an exception, `%debug` in a new cell opens the debugger where it was raised; `breakpoint()` in a "
            "cell, in the flow file or in a module stops there."
        )


def _body_cell(sheet: Sheet, cell: BodyCell) -> Iterator[Any]:
    if cell.failed:
        what = "Caught: it was raised" if sheet.raised.caught else "The task failed"
        where = f"at line {sheet.body.failed} of {code(sheet.body.file)}"
        yield _markdown_cell(f"**✗ {what} in this cell**, {where}: {code(sheet.raised.said)}")
    above = f"%%mf_run_step {{{sheet.parameter}}}{_options(sheet)}\n" if sheet.body.whole else ""
    yield _code_cell(above + cell.source, *["failed"][: cell.failed])


def _whole_step(sheet: Sheet) -> Iterator[Any]:
    address = sheet.task.pathspec
    if sheet.gone:
        yield _markdown_cell(
            f"## {address.step}, as it was\n\n{sheet.gone} So this replays the whole step as it was when the task ran, "
            "on the same inputs. Once the flow has it again, leave out `--recorded`: then today's is replayed."
        )
        isolated = "" if sheet.kernel.has_pins else " --isolated"
        yield _code_cell(f"%mf_run_step {{{sheet.parameter}}} --recorded{isolated}")
        return
    yield _markdown_cell(
        f"## {address.step}, as it is today\n\nMend the flow file or a module, save, and replay the whole step on the "
        "same inputs. When it passes, `--to end` goes on, and "
        f"`%mf_run {address.flow}/{address.run} --resume` resumes the run."
    )
    options = "--isolated" if not sheet.kernel.has_pins else sheet.options
    yield _code_cell(f"%mf_run_step {{{sheet.parameter}}} {options}".rstrip())


def _options(sheet: Sheet) -> str:
    """Give the options with which the cells are replayed: they may be of the recorded code."""
    options = ["--recorded"] if sheet.differs else [sheet.options] if sheet.options else []
    options += [] if sheet.kernel.has_pins else ["--isolated"]
    return "".join(f" {option}" for option in options)


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
