"""The magics of a flow that grows in the notebook: a step in a cell, and the flow as a whole."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from IPython.core.magic import cell_magic, line_magic, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from kit import cells, words
from kit.errors import ArgumentError, KitError
from kit.live import Progress
from kit.magic_base import MagicBase
from kit.views.page import count

if TYPE_CHECKING:
    from kit.authoring.bindings import Cell
    from kit.authoring.export import Exported
    from kit.authoring.flow import NotebookFlow
    from kit.authoring.stepcell import StepCell
    from kit.liverun import LiveRun
    from kit.model import StepResult

__all__ = ["AuthorMagics", "python_of", "step_cell"]

TRANSPARENT = ("%%time", "%%capture", "%%prun")  # cell magics that run their cell in the notebook
REMOTE = ("kubernetes", "batch")


class AuthorMagics(MagicBase):
    """The magics of a notebook's flow; the class that has them as a base registers them."""

    shell: Any
    follow: Callable[..., LiveRun]

    @magic_arguments()
    @argument("name", help="the name of the step; one of that name is replaced")
    @argument("--after", metavar="STEP[,STEP]", default="", help="the steps that lead to it; else the one before it")
    @argument("--foreach", metavar="ITEMS", default="", help="run once for each item of this artifact or expression")
    @argument("--join", action="store_true", help="a join: `inputs` are the tasks before it")
    @argument("--pypi", metavar="NAME==VERSION", nargs="+", default=[], help="what the step pins")
    @argument("--with", metavar="DECORATOR", dest="decorators", action="append", default=[], help="as in retry:times=3")
    @no_var_expand
    @cell_magic
    def mf_step(self, line: str, cell: str) -> StepResult:
        """Define a step of this notebook's flow, and run it on what the steps before it left: no run is needed.

        The cell is the step's body, without its self.next; `self` is the flow object, also afterwards. Without
        --after, the step comes after the one that was defined last before it. %mf_flow shows the flow.
        """
        __tracebackhide__ = True
        args = self._parse(self.mf_step, line)
        refuse_own_syntax(args.name, cell, self.shell.transform_cell)
        made = step_cell(args, cell, f"cell [{cells.cell_number(self.shell)}]")
        body = cells.cell_body(self.shell, line, cell, "mf_step", made.name)
        self.session.require_sound()
        with Progress(self.shell) as progress:
            done = self.flow().define(
                replace(made, filename=body.filename, line=body.line),
                lambda done, whole: progress.tell(f"{made.name}: {done} of {count(whole, 'task')}"),
            )
            progress.end(done.result, last=not done.result.stdout + done.result.stderr)
        self.user_ns["self"] = done.flow
        return done.result

    @magic_arguments()
    @argument("--name", metavar="FLOW", help="the name of the flow's class")
    @argument("--drop", metavar="STEP", help="take a step out of the flow")
    @argument("--clear", action="store_true", help="forget all steps, and begin again")
    @argument("--refresh", action="store_true", help="run the steps again that are stale, failed or have not run")
    @argument("--export", metavar="FILE", help="write the flow to a file, named from the project's root")
    @argument("--force", action="store_true", help="overwrite a file that is there")
    @argument("--common", action="store_true", help="put functions and classes into common.py, for other flows to use")
    @line_magic
    def mf_flow(self, line: str) -> NotebookFlow | Exported | LiveRun:
        """Show the flow that this notebook's steps make; --run runs it for real, with what %mf_run takes behind it."""
        __tracebackhide__ = True
        given = words.split(line)
        at = given.index("--run") if "--run" in given else len(given)
        flow = self.flow()
        if "--name" in given[at:] and "name" not in flow.carrier().parameter_names():  # its place is before --run
            moved = given[at:].index("--name") + at
            given = [*given[moved : moved + 2], *given[:moved], *given[moved + 2 :]]
            at = given.index("--run")
        args = self._parse_words(self.mf_flow, given[:at])
        if args.clear:
            flow.clear()
        if args.name:
            flow.rename(args.name)
        if args.drop:
            flow.drop(args.drop)
        if args.refresh:
            self.session.require_sound()
            with Progress(self.shell) as progress:
                flow.refresh(lambda step, done, whole: progress.tell(f"{step}: {done} of {count(whole, 'task')}"))
                progress.end(flow, last=True)
        if at < len(given):
            return self._run_for_real(flow, given[at + 1 :])
        return self._export(flow, args) if args.export else flow

    def flow(self) -> NotebookFlow:
        """Give the flow of this notebook."""
        from kit.authoring.flow import NotebookFlow

        if self.session.notebook_flow is None:
            self.session.notebook_flow = NotebookFlow(
                self.session.runs, self.shell.user_module, lambda: _executed(self.shell)
            )
        flow: NotebookFlow = self.session.notebook_flow
        return flow

    def _export(self, flow: NotebookFlow, args: argparse.Namespace) -> Exported:
        from kit.authoring.export import export, flow_name
        from kit.authoring.flow import DEFAULT_NAME

        project = self.session.project
        target = project.root / args.export
        name = flow_name(target) if flow.name == DEFAULT_NAME else flow.name
        return export(project, name, flow.shape(), flow.carrier(), target, args.force, common=args.common)

    def _run_for_real(self, flow: NotebookFlow, given: list[str]) -> LiveRun:
        from kit.authoring.export import draft

        if any(word.removeprefix("--with=").startswith(REMOTE) for word in given):
            raise ArgumentError(
                "A flow that is only in a notebook cannot be run on a cluster: its modules would not be packaged.",
                f"Export it (%mf_flow --export flows/...), then %mf_run {flow.name}.",
            )
        made = draft(self.session.project, flow.name, flow.shape(), flow.carrier())
        return self.follow(made.flow, given, made.notes)

    def redraft(self, pathspec: str | None) -> None:
        """Have a replay of a run of this notebook's flow find the cells as they are now."""
        flow, current = self.session.notebook_flow, self.session.current
        named = (pathspec or "").partition("/")[0]
        if flow is None or flow.name not in (named, current.flow if current else ""):
            return
        from kit.authoring.export import draft

        with suppress(KitError):  # what cannot be a file is what %mf_flow says
            if self.session.project.draft(flow.name):
                draft(self.session.project, flow.name, flow.shape(), flow.carrier(), only_changed=True)


def step_cell(args: argparse.Namespace, body: str, cell: str) -> StepCell:
    """Make a step of what `%%mf_step` was given.

    Args:
        args: Its line, parsed.
        body: The lines below it.
        cell: Which cell it is, for people.
    """
    from kit.authoring.stepcell import StepCell

    after = tuple(name.strip() for name in args.after.split(",") if name.strip())
    pinned, decorators = tuple(args.pypi), tuple(args.decorators)
    return StepCell(args.name, body.rstrip("\n") + "\n", after, args.foreach, args.join, pinned, decorators, cell)


def refuse_own_syntax(step: str, body: str, transform: Callable[[str], str]) -> None:
    """Refuse IPython's own syntax in a step: a flow file cannot hold it.

    Raises:
        ArgumentError: The body has some.
    """
    try:
        ast.parse(body)
    except SyntaxError as error:
        try:
            ast.parse(transform(body))
        except SyntaxError:
            return  # it is no Python in any way: the error is raised at its own line
        lines = body.splitlines()
        found = lines[min(error.lineno or 1, len(lines)) - 1].strip()
        raise ArgumentError(
            f"{step} uses IPython's own syntax, which a flow file cannot hold: {found}",
            "Write it in Python (subprocess.run for a shell command), or in a cell of its own.",
        ) from None


def python_of(raw: str, transform: Callable[[str], str]) -> str:
    """Give the Python that IPython makes of a cell; of %%time and its like, of the cell below.

    Args:
        raw: The cell as it was typed.
        transform: IPython's own.
    """
    first, newline, rest = raw.lstrip().partition("\n")
    return transform(f"{newline}{rest}" if first.split(" ")[0] in TRANSPARENT else raw)


def _executed(shell: Any) -> Iterator[Cell]:
    """Give the cells that were executed in this session, in order."""
    from kit.authoring.bindings import Cell

    history = shell.history_manager.input_hist_raw if shell.history_manager else []
    for number, raw in enumerate(history[1:], start=1):
        yield Cell(f"cell [{number}]", _python(raw, shell.transform_cell))


@lru_cache(maxsize=2048)
def _python(raw: str, transform: Callable[[str], str]) -> str:
    try:
        return python_of(raw, transform)
    except SyntaxError:
        return ""
