"""The command `kit init`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kit.errors import ArgumentError

if TYPE_CHECKING:
    from kit.starter.project import Plan

__all__ = ["init"]

NUMPY = '"numpy>=1.26,<3"'
SHOWN = 4  # files, or lines of one, that a message names


@click.command(short_help="Write a project that runs at once.")
@click.argument("name", default=".")
@click.option("--keep", is_flag=True, help="Leave files that are there and differ, without asking.")
@click.option("--merge", is_flag=True, help="The same, but append to .gitignore and pyproject.toml what they lack.")
@click.option("--force", is_flag=True, help="Write over files that are there and differ, without asking.")
def init(name: str, keep: bool, merge: bool, force: bool) -> None:
    """Write a project that runs at once: flows, a debug notebook, tests, and what pins and checks them.

    NAME is its folder, which is made if it is not there; this folder by default. A folder that has flows already keeps
    them: it gets settings, and a debug notebook for each. A file that is there already and differs is never written
    over unasked: in a terminal you are asked for each, elsewhere nothing is written and the exit status is 2.
    """
    from kit.starter.project import plan, write

    if keep + merge + force > 1:
        raise click.UsageError("--keep, --merge and --force are three answers to one question: give one")
    if not name.strip():
        raise ArgumentError("The name of the project is empty.", "Name a folder, or none for this one.")
    planned = plan(Path(name))
    over = set(planned.differing) if force else set()
    append = set(planned.additions) if merge else set()
    if planned.differing and not keep and not merge and not force:
        if not sys.stdin.isatty():
            raise _refusal(planned)
        over, append = _asked(planned)
    written = write(planned, over, append)
    for one in written:
        if one in append:
            click.echo(f"appended to {one}: {_some(planned.additions[one].what)}")
        else:
            click.echo(f"{'replaced' if one in over else 'wrote'} {one}")
    for one in planned.differing:
        if one not in written:
            click.echo(f"kept {one}, which differs from kit's")
    if written:
        _say_what_is_next(planned, over)
    else:
        click.echo("nothing to write: every file is there")


def _refusal(planned: Plan) -> ArgumentError:
    merged = "--merge appends what can be appended and leaves the rest, " if planned.additions else ""
    return ArgumentError(
        f"{planned.root} has other files of these names: {_some(planned.differing)}.",
        f"Nothing was written. --keep leaves them and writes the others, {merged}--force writes over them.",
    )


def _asked(planned: Plan) -> tuple[set[str], set[str]]:
    """Ask about each file that differs; gives those to write over, and those to append to."""
    over, append = set(), set()
    try:
        for one in planned.differing:
            more = planned.additions.get(one)
            if more is not None:
                if click.confirm(f"{one} is there. Append {_some(more.what)} to it?"):
                    append.add(one)
            elif click.confirm(f"{one} is there and differs. Write over it?"):
                over.add(one)
    except click.Abort:
        click.echo("\nNothing was written.", err=True)
        raise KeyboardInterrupt from None
    return over, append


def _say_what_is_next(planned: Plan, over: set[str]) -> None:
    there = planned.there
    if there is not None:
        stay = "stays as it is" if len(there.files) == 1 else "stay as they are"
        click.echo(f"\n{_some(there.files)} {stay}; the example of a new project is left out")
    elif planned.kit is not None and "pyproject.toml" in planned.differing and "pyproject.toml" not in over:
        needed = f'"{planned.kit.requirement}" and {NUMPY}'
        click.echo(f"\nThe dependencies in pyproject.toml are for you to edit: the example needs {needed}")
    elif planned.kit is not None and planned.kit.here_alone:
        click.echo(
            "\nkit was installed here from a folder, and pyproject.toml names that: for other people and CI, put there"
        )
        click.echo("where they get kit.")
    click.echo("\nNext:")
    if planned.root != Path.cwd():
        folder = os.path.relpath(planned.root)
        click.echo(f"  cd {shlex.quote(f'./{folder}' if folder.startswith('-') else folder)}")
    if there is not None:
        click.echo("  kit check    # which good practices are missing")
        click.echo("  kit test     # the flows, in test mode where they have one, then the debug notebooks")
        return
    click.echo("  kit test                            # the flows in test mode, then the debug notebook")
    click.echo("  pytest                              # the unit tests")
    click.echo("  jupyter lab notebooks/debug.ipynb   # after python flows/train.py run")


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
