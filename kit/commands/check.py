"""The command `kit check`."""

from __future__ import annotations

import os
import sys

import click

__all__ = ["check"]


@click.command(short_help="Say which good practices a project misses.")
@click.argument("places", nargs=-1, metavar="[PATH]...", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Write the findings as a JSON list.")
@click.option("--github", is_flag=True, help="Write GitHub's annotations too; so it does under GitHub Actions.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave this rule out; may be repeated.")
@click.option("--only", multiple=True, metavar="RULE", help="Ask this rule alone; may be repeated.")
@click.option("--explain", metavar="RULE", help="Say why a rule is there, and what it looks at.")
@click.option("--list", "listing", is_flag=True, help="List the rules.")
def check(
    places: tuple[str, ...],
    as_json: bool,
    github: bool,
    ignore: tuple[str, ...],
    only: tuple[str, ...],
    explain: str | None,
    listing: bool,
) -> None:
    """Say which good practices a project misses, with file and line, and how to mend it.

    Each PATH is a file or a folder; the whole project by default. Nothing is imported, and nothing of the project is
    run. `# kit: ignore[RULE]` on a line, or alone on the line above, leaves a finding out; `ignore` under
    [tool.kit.check] in pyproject.toml leaves out a rule.
    Exit status: 0, 1 where something was found, 2 when it could not start.
    """
    from kit.light import import_schemas

    import_schemas()
    from kit.checks import report, rules
    from kit.checks.elsewhere import hint_of_flows
    from kit.checks.run import check as run_check
    from kit.errors import ProjectError

    if explain is not None:
        one = rules.rule(explain)
        click.echo(f"{one.name}: {one.summary}\n\n{one.explanation}\n\nLeave it out with # kit: ignore[{one.name}].")
        return
    if listing:
        width = max(len(one.name) for one in rules.RULES)
        for one in rules.RULES:
            click.echo(f"{one.name:<{width}}  {one.summary}")
        return
    checked = run_check(places, ignore, only)
    hint = None if places or checked.files else hint_of_flows(checked.root, project=True)
    if hint or not (places or checked.files or checked.findings):
        raise ProjectError(
            f"There is nothing to check in {checked.root}: no flow file and no notebook.",
            hint or "Write a flow in a folder `flows`, or name its folder under [tool.kit] in pyproject.toml.",
        )
    if as_json:
        click.echo(report.as_json(checked))
    else:
        for line in report.as_text(checked, click.style):
            click.echo(line)
        if github or os.environ.get("GITHUB_ACTIONS") == "true":
            for line in report.github_annotations(checked):
                click.echo(line)
    sys.exit(1 if checked.findings else 0)
