"""What [tool.kit] says about testing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit.errors import ProjectError
from kit.model import FlowInfo
from kit.project import Project

__all__ = ["TestMode", "notebook_timeout", "test_mode"]

TEST_PARAMETER = "test_mode"


@dataclass(frozen=True)
class TestMode:
    """How a flow is run in test mode.

    Args:
        options: What precedes `run` on Metaflow's command line.
        arguments: What follows it.
        needs: Flows that must have run before.
    """

    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def test_mode(project: Project, flow: FlowInfo) -> TestMode:
    """Read the test mode of a flow.

    [tool.kit.test.<Flow>] holds the Parameters by name, and three names of its own: `args` (further words of the
    command line, a string or a list), `config` (Config name to the path of its file) and `needs` (flows to run first).
    Without the table, test mode is `--test_mode 1` where the flow has that Parameter, and nothing where not.

    Raises:
        ProjectError: The table is not as it should be.
    """
    table = project.settings.get("test", {}).get(flow.name)
    if table is None:
        return TestMode(arguments=(f"--{TEST_PARAMETER}", "1") if TEST_PARAMETER in flow.parameters else ())
    if not isinstance(table, Mapping):
        raise ProjectError(
            f"[tool.kit.test.{flow.name}] in pyproject.toml is not a table.", f"Write {TEST_PARAMETER} = true under it."
        )
    values = dict(table)
    args, config, needs = values.pop("args", ()), values.pop("config", {}), values.pop("needs", ())
    words = tuple(word for name, value in values.items() for word in (f"--{name}", _word(value)))
    extra = shlex.split(args) if isinstance(args, str) else [str(word) for word in args]
    options = tuple(word for name, path in dict(config).items() for word in ("--config", str(name), str(path)))
    return TestMode(options, (*words, *extra), (needs,) if isinstance(needs, str) else tuple(needs))


def notebook_timeout(project: Project) -> int | None:
    """Read the time limit of a cell, in seconds, from [tool.kit.notebooks]."""
    table = project.settings.get("notebooks")
    timeout = table.get("timeout") if isinstance(table, Mapping) else None
    return int(timeout) if timeout else None


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value)
