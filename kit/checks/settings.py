"""What [tool.kit.check] says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kit.errors import ProjectError, did_you_mean
from kit.project import STEP_STATEMENTS

__all__ = ["CheckSettings", "read_settings"]


@dataclass(frozen=True)
class CheckSettings:
    """The settings of `kit check`.

    Args:
        ignore: Rules that are left out.
        exclude: Patterns of files, as seen from the project's root, that are not checked.
        step_statements: How many statements a step may have.
    """

    ignore: frozenset[str] = frozenset()
    exclude: tuple[str, ...] = ()
    step_statements: int = STEP_STATEMENTS


def read_settings(settings: Mapping[str, Any], rules: Collection[str]) -> CheckSettings:
    """Read [tool.kit.check] of pyproject.toml.

    Args:
        settings: The table [tool.kit].
        rules: The names of the rules.

    Raises:
        ProjectError: The table is not as it should be.
    """
    table = settings.get("check", {})
    if not isinstance(table, Mapping):
        raise ProjectError("[tool.kit.check] in pyproject.toml is not a table.", "Write it as a heading of its own.")
    for name in table:
        if name not in {"ignore", "exclude", "step_statements"}:
            raise ProjectError(
                f"[tool.kit.check] in pyproject.toml does not take {name!r}.",
                did_you_mean(str(name), ("ignore", "exclude", "step_statements"), "settings of kit check"),
            )
    ignore = _texts(table, "ignore", '["test-mode"]')
    for name in ignore:
        if name not in rules:
            raise ProjectError(
                f"`ignore` under [tool.kit.check] names {name!r}, and there is no such rule.",
                did_you_mean(name, rules, "rules"),
            )
    most = table.get("step_statements", STEP_STATEMENTS)
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ProjectError(
            "`step_statements` under [tool.kit.check] in pyproject.toml is not a number of statements.",
            f"Write it as step_statements = {STEP_STATEMENTS}.",
        )
    return CheckSettings(frozenset(ignore), _texts(table, "exclude", '["flows/old/*"]'), most)


def _texts(table: Mapping[str, Any], name: str, example: str) -> tuple[str, ...]:
    values = table.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ProjectError(
            f"`{name}` under [tool.kit.check] in pyproject.toml is not a list of texts.",
            f"Write it as {name} = {example}.",
        )
    return tuple(values)
