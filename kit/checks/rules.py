"""The table of rules: each good practice, and the function that finds where it is missed."""

from __future__ import annotations

from kit.checks.copies import shared_code
from kit.checks.findings import Rule
from kit.checks.flow_rules import fail_fast, step_length, syntax
from kit.checks.git_rule import metaflow_ignored
from kit.checks.notebook_rules import notebook_kit, notebook_parameters, notebook_reference
from kit.checks.pickling import picklable
from kit.checks.pinning import pins
from kit.checks.secrets import secrets
from kit.checks.testmodes import test_mode
from kit.errors import ArgumentError, did_you_mean

__all__ = ["RULES", "rule"]

RULES = (
    Rule("syntax", "every Python file and notebook can be read", syntax),
    Rule("metaflow-ignored", "git leaves out .metaflow", metaflow_ignored),
    Rule("shared-code", "flows share code through a module, and not by copying it", shared_code),
    Rule("step-length", "steps are short", step_length),
    Rule("fail-fast", "start does something that can fail, before the heavy steps", fail_fast),
    Rule("test-mode", "each flow has a test mode, and it makes the flow small", test_mode),
    Rule("pinned", "dependencies are pinned", pins),
    Rule("picklable", "what is assigned to self can be pickled", picklable),
    Rule("notebook-kit", "a notebook opens with kit", notebook_kit),
    Rule("notebook-parameters", "a notebook that reads runs takes them as parameters", notebook_parameters),
    Rule("notebook-reference", "a notebook has a reference to be compared with", notebook_reference),
    Rule("secrets", "no secret stands in a notebook's outputs or in a source", secrets),
)


def rule(name: str) -> Rule:
    """Find a rule by its name.

    Raises:
        ArgumentError: There is none of that name.
    """
    found = next((one for one in RULES if one.name == name), None)
    if found is None:
        raise ArgumentError(f"There is no rule {name!r}.", did_you_mean(name, (one.name for one in RULES), "rules"))
    return found
