"""The magics: parse the line, call the function, show what it gives."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from kit import cells, deps, words
from kit import session as sessions
from kit.artifact_table import ArtifactTable, RunTable
from kit.author_magics import AuthorMagics
from kit.errors import ArgumentError
from kit.live import live
from kit.model import OWN_ARTIFACTS, FlowInfo, StepResult
from kit.reload import Reloader
from kit.runs import Scope
from kit.runwords import own_words, without_flow

if TYPE_CHECKING:
    from kit import kernelspecs, pinned
    from kit.debugging import write
    from kit.liverun import LiveRun
    from kit.replay import Body, Request, StepInputs
    from kit.runcommand import RunRequest

__all__ = ["KitMagics"]


@magics_class
class KitMagics(AuthorMagics):
    """kit's magics.

    Args:
        shell: The IPython shell.
        session: The extension's session.
        reloader: Reloads the project's modules.
    """

    def __init__(self, shell: Any, session: sessions.Session, reloader: Reloader) -> None:
        super().__init__(shell, session, reloader)
        self.evaluate: Callable[[str], Any] = shell.ev
        self.set_next_input: Callable[[str], None] = shell.set_next_input
        self.bindings = cells.Bindings(shell.user_ns)

    @magic_arguments()
    @argument("pathspec", nargs="?", help="Flow[/run[/step[/task]]], or step[depth=3]; without it, the flows and runs")
    @argument("names", nargs="*", help="artifacts to load into the notebook")
    @argument("--as", dest="renamed", metavar="NEW=NAME", action="append", default=[], help="load NAME as NEW")
    @argument("--all", action="store_true", help="load every artifact of the task")
    @argument("--gather", action="store_true", help="one row a foreach task: its foreach values and the artifacts")
    @argument("--diff", metavar="PATHSPEC", help="what differs from another run, step or task, by content hash")
    @argument("--preview", action="store_true", help="show small values too: numbers, text, lists and dicts of these")
    @argument("--logs", action="store_true", help="show the last lines that the tasks printed")
    @argument("--cards", action="store_true", help="list the cards too; .cards() of the table shows them")
    @argument("--tag", dest="tags", action="append", default=[], help="runs with this tag, where no run is named")
    @argument("--namespace", metavar="NS", default="", help="runs of this namespace, such as user:anna")
    @argument("--all-namespaces", action="store_true", help="runs of every namespace")
    @argument("--successful", action="store_true", help="the latest run that succeeded, where no run is named")
    @argument("--limit", type=int, default=5, help="how many runs of each flow to list")
    @line_magic
    def mf_artifacts(self, line: str) -> Any:
        """List what a run, a step or a task produced, or load artifacts by name. Listing unpickles nothing."""
        args = self._parse(self.mf_artifacts, line)
        scope = Scope(tuple(args.tags), args.namespace, args.all_namespaces)
        if args.pathspec is None:
            return RunTable(self.session.runs, args.limit, scope, args.successful)
        table = ArtifactTable(self.session.runs, self.session.resolve(args.pathspec, args.successful, scope))
        if args.diff:
            return table.diff(ArtifactTable(self.session.runs, self.session.other(args.diff, args.successful, scope)))
        if args.gather:
            return table.gather(*args.names)
        also = (("previews", args.preview), ("logs", args.logs), ("cards", args.cards))
        return self._load(table, args).also(*(name for name, wanted in also if wanted))

    def _load(self, table: ArtifactTable, args: argparse.Namespace) -> ArtifactTable:
        """Load the artifacts that were named; gives the listing of these, or of all where none was."""
        renamed = dict(map(_assignment, args.renamed))
        wanted = {name: name for name in args.names if name not in renamed.values()} | renamed
        if args.all:
            wanted |= {info.name: info.name for info in table.task()[0].artifacts if info.name not in OWN_ARTIFACTS}
        if not wanted:
            return table
        notes = [table.holder(name)[1] for name in wanted.values()]
        self.user_ns.update({new: table.load(name) for new, name in wanted.items()})
        return table.showing(wanted.values(), [*_loaded(wanted), *_once(notes)])

    @magic_arguments()
    @argument("pathspec", help="Flow[/run]/step[/task], or a step of the run named last")
    @argument("--foreach", metavar="VALUE", help="the task of a foreach that was given this value")
    @argument("--index", metavar="I", help="the task of a foreach with this index (1,2 in a nested one)")
    @argument("--set", dest="overrides", metavar="NAME=EXPR", action="append", default=[], help="replace an input")
    @argument("--to", metavar="STEP", help="go on to this step; a task none of whose inputs changed is not run again")
    @argument("--attempt", type=int, metavar="N", help="the number of the attempt, counted from 0")
    @argument(
        "--flow-option",
        dest="flow_options",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an option of a flow decorator, such as branch=test",
    )
    @argument("--unpinned", action="store_true", help="run with other packages than the step pins, where it does")
    @argument("--isolated", action="store_true", help="in the step's own pinned environment, as another process")
    @argument("--recorded", action="store_true", help="with the code as it was when the task ran, where that is known")
    @argument("--push", action="store_true", help="put the artifacts that the step set into the notebook")
    @argument("--successful", action="store_true", help="the latest run that succeeded, where no run is named")
    @argument(
        "--inputs", action="store_true", help="do not run: bind self as the step finds it, its body in a new cell"
    )
    @argument(
        "--bind",
        action="store_true",
        help="as --inputs, in place: without the new cell, in the step's own working folder",
    )
    @line_cell_magic
    def mf_run_step(self, line: str, cell: str | None = None) -> StepResult | StepInputs:
        """Replay a recorded task in this kernel and compare what it leaves; `self` is then the flow object.

        As a cell magic, the cell is the step's body for this replay.
        """
        __tracebackhide__ = True
        from kit import replay

        args = self._parse(self.mf_run_step, line)
        request = self._request(args, None if cell is None else cells.cell_body(self.shell, line, cell))
        self.redraft(args.pathspec)
        with self._code(args):
            if args.inputs or args.bind:
                self.session.require_sound()
                target = self.session.resolve(args.pathspec, args.successful)
                return self._bind(replay.step_inputs(self.session.runs, target, request), new_cell=args.inputs)
            with live(self.shell):
                done = self.session.run_step(args.pathspec, request, args.successful)
        self.user_ns["self"] = done.flow
        if args.push:
            self.user_ns.update({name: done.result.artifacts[name] for name in done.assigned})
        return done.result

    def _code(self, args: argparse.Namespace) -> AbstractContextManager[None]:
        """Give the code that a replay is of: today's, or what was recorded."""
        if not args.recorded:
            return nullcontext()
        from kit.debugging.modules import recorded_code

        return recorded_code(args.pathspec, self.session)

    def _request(self, args: argparse.Namespace, body: Body | None) -> Request:
        from kit import replay

        return replay.Request(
            overrides={name: self.evaluate(expr) for name, expr in map(_assignment, args.overrides)},
            index=_indices(args.index),
            value=args.foreach,
            to=args.to,
            attempt=args.attempt,
            flow_options=dict(map(_assignment, args.flow_options)),
            unpinned=args.unpinned,
            isolated=args.isolated,
            body=body,
        )

    def _bind(self, found: StepInputs, new_cell: bool) -> StepInputs:
        """Bind what a step's body needs, and put the body into a new cell."""
        kept = self.bindings.bind(found)
        if new_cell:
            self.set_next_input(found.body)
        elif found.surroundings:
            found.surroundings.enter()
        if not kept:
            return found
        note = f"The notebook has something else under these names of the flow file, and keeps it: {', '.join(kept)}."
        return replace(found, notes=(*found.notes, note))

    @magic_arguments()
    @argument("flow", nargs="?", help="the flow, with its Parameters as --name value; to resume, also Flow/run")
    @argument("--test", action="store_true", help="in test mode")
    @argument("--tag", dest="tags", metavar="TAG", action="append", default=[], help="a tag for the run")
    @argument(
        "--with", dest="decorators", metavar="SPEC", action="append", default=[], help="a decorator for all steps"
    )
    @argument(
        "--environment", metavar="E", default="", help="Metaflow's environment: pypi-uv, unpinned, pypi, conda ..."
    )
    @argument("--resume", metavar="STEP", nargs="?", const="", help="resume a run: from STEP, or where it failed")
    @argument(
        "--background", action="store_true", help="go on at once; the value has .status, .logs(), .stop(), .wait()"
    )
    @line_magic
    def mf_run(self, line: str) -> LiveRun:
        """Run a flow in a process of its own and watch it; what follows -- is for its Parameters alone."""
        __tracebackhide__ = True
        return self.follow(None, words.split(line))

    def follow(self, flow: str | FlowInfo | None, given: list[str], notes: tuple[str, ...] = ()) -> LiveRun:
        """Start a run, and follow it to its end where it is not left in the background.

        Args:
            flow: A flow whose file is elsewhere; None where the words name one.
            given: What `%mf_run` takes.
            notes: What there is to say of the run beforehand.
        """
        __tracebackhide__ = True
        from kit.live import Screen, keep_quiet

        args, request = self._run_request(given, flow)
        run = self.session.start(flow or args.flow, replace(request, notes=notes))
        if args.background:
            return run
        with self.session.following(run), Screen(self.shell) as screen:
            run.watch(screen.show)
        keep_quiet(self.shell, run)
        return run

    def _flow_of(self, passed: list[str], resume: str | None) -> tuple[str | None, list[str], str | None]:
        """Find the flow behind an option that is a flag, else the current one; the other words; what to resume."""
        flows, current = self.session.project.scan().flows, self.session.current
        if resume and (current is None or resume.partition("/")[0] in flows):
            return resume, passed, ""
        found, passed = without_flow(passed, flows)
        return found or (current.flow if current else None), passed, resume

    def _run_request(self, given: list[str], flow: str | FlowInfo | None) -> tuple[argparse.Namespace, RunRequest]:
        from kit.runcommand import RunRequest

        own, passed = own_words(given)
        args = self._parse_words(self.mf_run, own)
        if flow is not None:
            if args.flow is not None:
                raise ArgumentError(f"{args.flow!r} belongs to no option.", "Write Parameters as --name value.")
        elif args.flow is None:
            args.flow, passed, args.resume = self._flow_of(passed, args.resume)
        if flow is None and args.flow is None:
            raise ArgumentError("%mf_run needs a flow.", "Name one, as in %mf_run TrainFlow.")
        own = self.session.notebook_flow
        if flow is None and own is not None and args.flow == own.name not in self.session.project.scan().flows:
            what = f"{own.name} is the flow of this notebook's cells, which has no file yet."
            raise ArgumentError(what, "Run it with %mf_flow --run, or write its file: %mf_flow --export flows/NAME.py")
        chosen = {name: getattr(args, name) for name in ("test", "environment", "resume")}
        return args, RunRequest(tuple(passed), tags=tuple(args.tags), decorators=tuple(args.decorators), **chosen)

    @magic_arguments()
    @argument("requirements", nargs="*", help="requirements, or import_name=requirement")
    @argument("-r", dest="files", metavar="FILE", action="append", default=[], help="a requirements file")
    @argument("--flow", metavar="FLOW[/RUN]", help="the pins of a flow: of its file, or of a recorded run")
    @argument("--step", metavar="STEP", help="of this step of the flow alone")
    @argument("--check", action="store_true", help="install nothing; fail if anything is missing")
    @argument("--dry-run", action="store_true", help="install nothing; show what would be")
    @argument("--upgrade", action="store_true", help="replace versions that do not fit")
    @argument("--from-source", action="store_true", help="build what has no wheels for this Python")
    @argument("--isolated", action="store_true", help="in an environment of its own, registered as a Jupyter kernel")
    @line_magic
    def mf_install_deps(self, line: str) -> pinned.Installed | kernelspecs.Registered:
        """Install pinned requirements into this kernel, or into a kernel of their own, where they are not there yet."""
        args = self._parse(self.mf_install_deps, line)
        from kit import kernelspecs, pinned

        wanted = [*deps.parse_words(args.requirements), *chain.from_iterable(map(deps.read_file, args.files))]
        found = pinned.flow_pins(self.session.runs, args.flow, args.step) if args.flow else ()
        if not wanted and not args.flow:
            raise ArgumentError(
                "%mf_install_deps needs requirements.", "Name some, -r requirements.txt, or --flow FLOW."
            )
        options = {name: getattr(args, name) for name in ("upgrade", "check", "dry_run", "from_source")}
        with live(self.shell):
            if args.isolated:
                return kernelspecs.register(wanted, found, "/".join(filter(None, (args.flow, args.step))))
            return pinned.install(wanted, found, **options)

    @magic_arguments()
    @argument("pathspec", nargs="?", help="Flow[/run[/step[/task]]]; without it, the run named last")
    @argument("--output", metavar="FILE", help="the notebook; debug_STEP_TASK.ipynb among the project's by default")
    @argument("--force", action="store_true", help="write over a file that is there")
    @argument("--isolated", action="store_true", help="build a kernel with the step's pins, though they are met here")
    @argument("--kernel", metavar="NAME", default="", help="the notebook's kernel, as jupyter kernelspec list has it")
    @line_magic
    def mf_debug(self, line: str) -> write.Written:
        """Write a debug notebook for a task that failed: its exception, its step in cells, its code then and now."""
        args = self._parse(self.mf_debug, line)
        from kit.debugging import kernel, write

        pathspec = args.pathspec or str(self.session.current or "")
        if not pathspec:
            raise ArgumentError("%mf_debug needs a task that failed.", "Name its flow, as in %mf_debug TrainFlow.")
        self.redraft(args.pathspec)
        choice = kernel.KernelChoice(args.kernel, args.isolated or None)
        output, current = Path(args.output) if args.output else None, self.session.current
        return write.write_notebook(
            self.session.runs, pathspec, output, current=current, kernel=choice, force=args.force
        )


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier() or not value.strip():
        raise ArgumentError(f"{text!r} is not NAME=VALUE.", "Write it without spaces around the =, as in --set n=3.")
    return name.strip(), value.strip()


def _indices(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"{text!r} is not a foreach index.", "Write a number, or 1,2 in a nested foreach."
        ) from None


def _loaded(wanted: dict[str, str]) -> list[str]:
    names = [new if new == name else f"{name} as {new}" for new, name in wanted.items()]
    return [f"loaded {', '.join(names)}"]


def _once(notes: list[str]) -> list[str]:
    return [note for note in dict.fromkeys(notes) if note]
