"""How [tool.kit.test.<Flow>] has a flow run in test mode."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit.errors import ProjectError
from kit.model import FlowInfo
from kit.project import Project

__all__ = ["TestMode", "parameter_word", "test_mode", "wrong_setting"]

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

    [tool.kit.test.<Flow>] holds the Parameters by name, and four names of its own: `args` (further words of the
    command line, a string or a list), `config` (Config name to the path of its file), `environment` (of Metaflow's or
    kit's, such as "pypi-uv"; "unpinned" by default) and `needs` (flows to run first).
    Without the table, test mode is `--test_mode 1` where the flow has that Parameter, and nothing where not.

    Raises:
        ProjectError: The table is not as it should be.
    """
    tables = project.settings.get("test", {})
    if not isinstance(tables, Mapping):
        raise wrong_setting("[tool.kit.test]", "a table", f"Write a table a flow: [tool.kit.test.{flow.name}].")
    table = tables.get(flow.name)
    if table is None:
        return TestMode(arguments=(f"--{TEST_PARAMETER}", "1") if TEST_PARAMETER in flow.parameters else ())
    heading = f"[tool.kit.test.{flow.name}]"
    if not isinstance(table, Mapping):
        raise wrong_setting(heading, "a table", f"Write {TEST_PARAMETER} = true under it.")
    values = dict(table)
    config, needs = values.pop("config", {}), values.pop("needs", [])
    extra = _args(values.pop("args", []), heading)
    environment = "" if "environment" in flow.parameters else values.pop("environment", "")
    if not isinstance(environment, str):
        raise wrong_setting(f"`environment` under {heading}", "a name", 'Write it as environment = "pypi-uv".')
    if not isinstance(config, Mapping):
        raise wrong_setting(f"`config` under {heading}", "a table", 'Write it as config = {name = "path.json"}.')
    needs = [needs] if isinstance(needs, str) else needs
    if not isinstance(needs, list) or not all(isinstance(name, str) for name in needs):
        raise wrong_setting(f"`needs` under {heading}", "a list of flows", 'Write it as needs = ["TrainFlow"].')
    words = tuple(word for name, value in values.items() for word in (f"--{name}", parameter_word(value)))
    options = tuple(word for name, path in config.items() for word in ("--config", str(name), str(path)))
    options += (f"--environment={environment}",) if environment else ()
    return TestMode(options, (*words, *extra), tuple(needs))


def wrong_setting(what: str, wanted: str, hint: str) -> ProjectError:
    """Say that a setting in pyproject.toml is not what it should be, and how to write it."""
    return ProjectError(f"{what} in pyproject.toml is not {wanted}.", hint)


def _args(value: Any, heading: str) -> list[str]:
    """Read `args`: the words of a command line, as one string or a list."""
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError:  # a quote that is not closed
        words = None
    if not isinstance(words, list):
        raise wrong_setting(
            f"`args` under {heading}", "words of a command line", "Write it as args = '--name \"some value\"'."
        )
    return [str(word) for word in words]


def parameter_word(value: Any) -> str:
    """Write a Parameter's value as the command line takes it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (int, float, list, Mapping)):
        return json.dumps(value, default=str)  # dates in a list, which JSON does not have
    return str(value)
