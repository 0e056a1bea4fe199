"""The command `kit`."""

from __future__ import annotations

import ast
import sys
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from kit import __version__
from kit.commands.check import check
from kit.commands.debug import debug
from kit.commands.init import init
from kit.errors import KitError
from kit.project import find_project

__all__ = ["main"]

COULD_NOT_START = 2
INTERRUPTED = 130
AT_LEAST_ONE, NOT_NEGATIVE, ABOVE_ZERO = click.IntRange(1), click.IntRange(0), click.FloatRange(0, min_open=True)
LOG_WIDTH = 120  # columns, where there is no terminal to ask


class _Group(click.Group):
    """A group whose commands say a KitError in two lines, and exit with 2; so do its groups."""

    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            if near and "Did you mean" not in error.format_message():  # as older ones of click do not say
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KitError as error:
            click.echo(f"kit: {error}", err=True)
            ctx.exit(COULD_NOT_START)
        except KeyboardInterrupt:
            click.echo("kit: interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kit")
def main() -> None:
    """A Jupyter-centric development kit for Metaflow projects."""


main.add_command(check)
main.add_command(debug)
main.add_command(init)


@main.command(short_help="Run the flows in test mode, then the debug notebooks.")
@click.argument("notebooks", nargs=-1, type=click.Path())
@click.option("-n", "workers", type=AT_LEAST_ONE, metavar="N", default=2, show_default=True, help="How many at once.")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="A value for the notebooks.")
@click.option("--timeout", type=ABOVE_ZERO, metavar="S", help="Seconds a notebook may take.")
@click.option("--cell-timeout", type=ABOVE_ZERO, metavar="S", help="Seconds a cell may take.")
@click.option("--retries", type=NOT_NEGATIVE, metavar="N", default=0, help="How often again, where the kernel dies.")
@click.option("--keep", is_flag=True, help="Keep the datastore of the runs.")
@click.option("--update", is_flag=True, help="Run twice, and write the notebooks' references.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write a JUnit XML report.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML report.")
@click.option(
    "--output", metavar="FOLDER", help="Write executed notebooks and reports there too; an s3:// one as well."
)
@click.option("--on", type=click.Choice(["metaflow"]), help="Run the suite as a Metaflow flow, a task a notebook.")
@click.option("--with", "decorators", multiple=True, metavar="SPEC", help="Passed on to that flow, as in its `--with`.")
@click.option("--cov", is_flag=True, help="Measure the coverage of the flows' folder.")
def test(
    notebooks: tuple[str, ...],
    workers: int,
    parameters: tuple[tuple[str, str], ...],
    timeout: float | None,
    cell_timeout: float | None,
    retries: int,
    keep: bool,
    update: bool,
    junit: Path | None,
    html: Path | None,
    output: str | None,
    on: str | None,
    decorators: tuple[str, ...],
    cov: bool,
) -> None:
    """Run the flows in test mode, then the debug notebooks against their runs.

    NOTEBOOKS are notebooks or folders of them; the project's by default. Their outputs are compared with the references
    beside them, in `references`, where there are any. Exit status: 0, 1 when a flow or a notebook failed or an output
    differs, 2 when it could not start, 130 when it was interrupted.
    """
    if decorators and not on:
        raise click.UsageError("--with is for the flow that --on metaflow runs")
    if on and (update or cov):
        raise click.UsageError(f"{'--update' if update else '--cov'} works on this machine alone, without --on")
    if update and any("://" in name for name in notebooks):
        raise click.UsageError("--update writes references beside notebooks on this machine alone")
    from kit.regression.coverage import measured
    from kit.regression.places import opened

    project = find_project(_start(notebooks))
    values = tuple((name, _value(text)) for name, text in parameters)
    with measured(project, cov) as coverage, ExitStack() as stack:
        place = None if on or update else stack.enter_context(opened(coverage.environ, keep))
        from kit.light import import_schemas  # while the fork server imports what kernels need

        import_schemas()
        from rich.console import Console

        from kit.regression.report import Report
        from kit.regression.suite import Options, run_suite

        console = Console() if sys.stdout.isatty() else Console(width=LOG_WIDTH)
        report = Report(console, live=sys.stdout.isatty() and console.is_interactive)
        options = Options(notebooks, workers, values, timeout, cell_timeout, retries, keep, environ=coverage.environ)
        if on:
            from kit.regression.on_metaflow import run_on_metaflow

            outcome = run_on_metaflow(project, options, decorators, report.tell)
        else:
            from kit.regression.update import update_references

            with report.watching() as watch:
                if update:
                    outcome = update_references(project, options, report.tell, watch)
                else:
                    outcome = run_suite(project, options, report.tell, watch, place)
    report.close(outcome)
    if coverage.text:
        console.print(coverage.text, markup=False, highlight=False, soft_wrap=True)
    from kit.regression.files import write_reports
    from kit.regression.remote import write_output

    for line in write_reports(project, outcome, html, junit, coverage.text):
        click.echo(line)
    if output:
        click.echo(write_output(outcome, output, coverage.text))
    if outcome.interrupted:
        raise KeyboardInterrupt
    sys.exit(0 if outcome.passed else 1)


@main.command(short_help="Write a notebook's steps to a flow file.")
@click.argument("notebook", type=click.Path(path_type=Path))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--name", help="The name of the flow.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--common", is_flag=True, help="Put functions and classes into common.py, for other flows to use.")
def export(notebook: Path, file: Path | None, name: str | None, force: bool, common: bool) -> None:
    """Write the flow that the steps of NOTEBOOK make to FILE, without executing the notebook.

    FILE is the notebook's name in the flows' folder by default.
    """
    from kit.authoring.export import export, flow_name, module_name
    from kit.notebook_cells import read_flow

    project = find_project(_start((str(notebook),)))
    found = read_flow(notebook, project)
    stem = notebook.stem if notebook.stem.isidentifier() else module_name(notebook.stem)
    target = (file or project.flows_folder / f"{stem}.py").absolute()
    chosen = name or found.name or flow_name(target)
    folder = notebook.absolute().parent
    done = export(project, chosen, found.shape, found.carrier, target, force, found.doc, folder, common)
    click.echo(repr(done))


@main.group(short_help="List, lock and remove the environments of steps.")
def env() -> None:
    """The environments of steps: what --environment=pypi-uv and --isolated build."""


@env.command("list")
def list_environments() -> None:
    """List the environments of this user."""
    from kit import envs

    for one in envs.environments():
        asked = ", ".join(one.requirements)
        click.echo(f"{one.key}  Python {one.python}  {len(one.packages)} packages  {one.folder}\n    {asked}")


@env.command("remove", short_help="Remove environments.")
@click.argument("keys", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Remove them all.")
def remove_environments(keys: tuple[str, ...], everything: bool) -> None:
    """Remove environments by their KEYS, as `kit env list` gives them, or the beginnings of these."""
    from kit import envs, kernelspecs

    if not keys and not everything:
        raise click.UsageError("name the keys of environments, or --all")
    for one in envs.remove(None if everything else keys, say=click.echo):
        click.echo(f"removed {one.key}")
        for name in kernelspecs.unregister(one):
            click.echo(f"removed the kernel {name}, which ran in it")


@env.command("lock", short_help="Write the resolved pins of a flow's steps beside it.")
@click.argument("flow")
def lock_environments(flow: str) -> None:
    """Write the resolved pins of FLOW's steps beside its file: runs with --environment=pypi-uv then use these."""
    from kit import envs, flowfile, locks, stepenvs

    loaded = flowfile.read(find_project().flow(flow))
    specs = stepenvs.asked(loaded)
    built = envs.build_all(specs, say=click.echo)
    path = locks.write(loaded.info.file, {step: (spec, built[step]) for step, spec in specs.items()})
    for step in specs:
        click.echo(f"{step}: {len(built[step].packages)} packages for Python {built[step].python}")
    click.echo(f"written to {path}")


def _start(notebooks: tuple[str, ...]) -> Path:
    """Give the folder whose project is meant: the one of the first notebook that is there, else this one."""
    named = next((Path(name).resolve() for name in notebooks if Path(name).exists()), None)
    if named is None:
        return Path.cwd()
    return named if named.is_dir() else named.parent


def _value(text: str) -> Any:
    """Read a parameter's value as Python reads a literal; what is none is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
