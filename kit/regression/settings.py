"""What [tool.kit] says about testing."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit.errors import ProjectError
from kit.model import FlowInfo
from kit.project import Project
from kit.regression.outputs.rules import Rules

__all__ = ["TestMode", "cell_timeout", "comparison_rules", "notebook_timeout", "test_mode"]

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
    tables = project.settings.get("test", {})
    if not isinstance(tables, Mapping):
        raise _wrong("[tool.kit.test]", "a table", f"Write a table a flow: [tool.kit.test.{flow.name}].")
    table = tables.get(flow.name)
    if table is None:
        return TestMode(arguments=(f"--{TEST_PARAMETER}", "1") if TEST_PARAMETER in flow.parameters else ())
    heading = f"[tool.kit.test.{flow.name}]"
    if not isinstance(table, Mapping):
        raise _wrong(heading, "a table", f"Write {TEST_PARAMETER} = true under it.")
    values = dict(table)
    config, needs = values.pop("config", {}), values.pop("needs", [])
    extra = _args(values.pop("args", []), heading)
    if not isinstance(config, Mapping):
        raise _wrong(f"`config` under {heading}", "a table", 'Write it as config = {name = "path.json"}.')
    needs = [needs] if isinstance(needs, str) else needs
    if not isinstance(needs, list) or not all(isinstance(name, str) for name in needs):
        raise _wrong(f"`needs` under {heading}", "a list of flows", 'Write it as needs = ["TrainFlow"].')
    words = tuple(word for name, value in values.items() for word in (f"--{name}", _word(value)))
    options = tuple(word for name, path in config.items() for word in ("--config", str(name), str(path)))
    return TestMode(options, (*words, *extra), tuple(needs))


def notebook_timeout(project: Project) -> int | None:
    """Read the time limit of a notebook, in seconds, from [tool.kit.notebooks]; 0 is none.

    Raises:
        ProjectError: It is not a number of seconds.
    """
    return _seconds(project, "timeout")


def cell_timeout(project: Project) -> int | None:
    """Read the time limit of a cell, in seconds, from [tool.kit.notebooks]; 0 is none.

    Raises:
        ProjectError: It is not a number of seconds.
    """
    return _seconds(project, "cell_timeout")


def _seconds(project: Project, name: str) -> int | None:
    table = project.settings.get("notebooks")
    seconds = table.get(name, 0) if isinstance(table, Mapping) else 0
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
        raise _wrong(f"`{name}` under [tool.kit.notebooks]", "a number of seconds", f"Write it as {name} = 600.")
    return math.ceil(seconds) or None


def comparison_rules(project: Project) -> Rules:
    """Read how strictly outputs are compared from [tool.kit.notebooks]: `rtol`, `atol`, `stderr` and `sanitize`.

    `sanitize` is a table of regular expressions and what is put in the place of what they find. The project's own
    folder is always taken out of texts.

    Raises:
        ProjectError: One of them is not as it should be.
    """
    table = project.settings.get("notebooks")
    values = table if isinstance(table, Mapping) else {}
    tolerances = {name: values[name] for name in ("rtol", "atol") if name in values}
    for name, value in tolerances.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise _wrong(f"`{name}` under [tool.kit.notebooks]", "a tolerance", f"Write it as {name} = 1e-6.")
    own = values.get("sanitize", {})
    if not isinstance(own, Mapping) or not all(isinstance(text, str) for text in own.values()):
        hint = "Write it as sanitize = {'build \\d+' = 'build <n>'}."
        raise _wrong("`sanitize` under [tool.kit.notebooks]", "a table of regular expressions and texts", hint)
    sanitizers = [(re.compile(re.escape(str(project.root)) + r"(?![\w-])"), "<project>")]
    for pattern, replacement in own.items():
        try:
            compiled = re.compile(pattern)
            compiled.sub(replacement, "")
            sanitizers.append((compiled, replacement))
        except (re.error, IndexError) as error:
            what = f"{pattern!r} in `sanitize` under [tool.kit.notebooks]"
            raise _wrong(what, "a regular expression", f"Mend it: {error}.") from error
    return Rules(**tolerances, sanitizers=tuple(sanitizers), stderr=values.get("stderr") is True)


def _wrong(what: str, wanted: str, hint: str) -> ProjectError:
    return ProjectError(f"{what} in pyproject.toml is not {wanted}.", hint)


def _args(value: Any, heading: str) -> list[str]:
    """Read `args`: the words of a command line, as one string or a list."""
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError:  # a quote that is not closed
        words = None
    if not isinstance(words, list):
        raise _wrong(
            f"`args` under {heading}", "words of a command line", "Write it as args = '--name \"some value\"'."
        )
    return [str(word) for word in words]


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (int, float, list, Mapping)):
        return json.dumps(value, default=str)  # dates in a list, which JSON does not have
    return str(value)
