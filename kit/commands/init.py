"""The command `kit init`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from kit.errors import ArgumentError

__all__ = ["init"]

SHOWN = 4  # files that a message names


@click.command()
@click.argument("name", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--keep", is_flag=True, help="Leave files that are there and differ, without asking.")
@click.option("--force", is_flag=True, help="Write over files that are there and differ, without asking.")
def init(name: Path, keep: bool, force: bool) -> None:
    """Write a project that runs at once: flows, a debug notebook, tests, and what pins and checks them.

    NAME is its folder, which is made if it is not there; this folder by default. A file that is there already and
    differs is never written over unasked: in a terminal you are asked for each, elsewhere nothing is written and the
    exit status is 2.
    """
    from kit.starter.project import plan, write

    if keep and force:
        raise click.UsageError("--keep and --force say the opposite of each other")
    planned = plan(name)
    over = set(planned.differing) if force else set()
    if planned.differing and not keep and not force:
        if not sys.stdin.isatty():
            shown = ", ".join(planned.differing[:SHOWN])
            more = len(planned.differing) - SHOWN
            raise ArgumentError(
                f"{planned.root} has other files of these names: {shown}{f' and {more} more' if more > 0 else ''}.",
                "Nothing was written. --keep leaves them and writes the others, --force writes over them.",
            )
        over = {one for one in planned.differing if click.confirm(f"{one} is there and differs. Write over it?")}
    written = write(planned, over)
    for one in written:
        click.echo(f"{'replaced' if one in over else 'wrote'} {one}")
    for one in planned.differing:
        if one not in over:
            click.echo(f"kept {one}, which differs from kit's")
    if not written:
        click.echo("nothing to write: every file is there")
        return
    click.echo("\nNext:")
    if planned.root != Path.cwd():
        click.echo(f"  cd {shlex.quote(os.path.relpath(planned.root))}")
    click.echo("  kit test                            # the flows in test mode, then the debug notebook")
    click.echo("  pytest                              # the unit tests")
    click.echo("  jupyter lab notebooks/debug.ipynb   # after python flows/train.py run")
