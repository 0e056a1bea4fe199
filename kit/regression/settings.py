"""What [tool.kit.notebooks] says about how notebooks are run and compared."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from kit.project import Project
from kit.regression.outputs.rules import Rules
from kit.testmode import wrong_setting

__all__ = ["cell_timeout", "comparison_rules", "notebook_timeout"]


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
        raise wrong_setting(f"`{name}` under [tool.kit.notebooks]", "a number of seconds", f"Write it as {name} = 600.")
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
            raise wrong_setting(f"`{name}` under [tool.kit.notebooks]", "a tolerance", f"Write it as {name} = 1e-6.")
    own = values.get("sanitize", {})
    if not isinstance(own, Mapping) or not all(isinstance(text, str) for text in own.values()):
        hint = "Write it as sanitize = {'build \\d+' = 'build <n>'}."
        raise wrong_setting("`sanitize` under [tool.kit.notebooks]", "a table of regular expressions and texts", hint)
    sanitizers = [(re.compile(re.escape(str(project.root)) + r"(?![\w-])"), "<project>")]
    for pattern, replacement in own.items():
        try:
            compiled = re.compile(pattern)
            compiled.sub(replacement, "")
            sanitizers.append((compiled, replacement))
        except (re.error, IndexError) as error:
            what = f"{pattern!r} in `sanitize` under [tool.kit.notebooks]"
            raise wrong_setting(what, "a regular expression", f"Mend it: {error}.") from error
    return Rules(**tolerances, sanitizers=tuple(sanitizers), stderr=values.get("stderr") is True)
