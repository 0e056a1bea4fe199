"""The command `kit debug`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from kit.errors import ArgumentError

__all__ = ["debug"]


@click.command()
@click.argument("pathspec")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The notebook; notebooks/debug_STEP_TASK.ipynb.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--tag", "tags", multiple=True, help="Runs with this tag, where no run is named; may be repeated.")
@click.option("--namespace", default="", metavar="NS", help="Runs of this namespace, such as user:anna.")
@click.option(
    "--isolated/--no-isolated",
    default=None,
    help="Build a kernel with the step's pins; by default where they are unmet.",
)
@click.option(
    "--kernel", default="", metavar="NAME", help="The notebook's kernel, as `jupyter kernelspec list` has it."
)
@click.option("--open", "opened", is_flag=True, help="Open it in JupyterLab.")
def debug(
    pathspec: str,
    output: Path | None,
    force: bool,
    tags: tuple[str, ...],
    namespace: str,
    isolated: bool | None,
    kernel: str,
    opened: bool,
) -> None:
    """Write a debug notebook for a task that failed.

    PATHSPEC is Flow[/run[/step[/task]]]: of a run, the first task that failed; of a flow alone, the latest run that
    failed. The notebook has the task's exception, its inputs bound, its step in cells, and its code as it was when it
    ran beside today's. A file that is there already is not written over.
    """
    from kit.debugging.kernel import KernelChoice
    from kit.debugging.write import write_notebook
    from kit.scope import Scope
    from kit.session import session

    if kernel and isolated:
        raise click.UsageError("--kernel and --isolated both choose the kernel")
    here = session()
    written = write_notebook(
        here.runs,
        pathspec,
        output,
        scope=Scope(tags, namespace),
        kernel=KernelChoice(kernel, isolated),
        force=force,
        say=click.echo,
    )
    click.echo(repr(written))
    if opened:
        _open(written.path, here.project.root)


def _open(path: Path, root: Path) -> None:
    """Open a notebook in JupyterLab, whose file browser shows the whole project."""
    from importlib.util import find_spec

    if find_spec("jupyterlab") is None:
        raise ArgumentError("JupyterLab is not installed here.", "Install jupyterlab, or open the notebook elsewhere.")
    inside = [f"--ServerApp.root_dir={root}"] if root in path.parents else []
    command = [sys.executable, "-m", "jupyterlab", str(path), *inside]
    if os.name == "posix":  # what ends this process then ends JupyterLab
        sys.stdout.flush()
        os.execv(sys.executable, command)  # noqa: S606
    sys.exit(subprocess.call(command))
