"""The contract with Metaflow: a new release that has moved one of these names is told apart here, name by name."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit import internals

KIT = Path(__file__).parents[1] / "kit"
PUBLIC = {"metaflow", "metaflow.cards"}


@pytest.mark.parametrize("name", internals.NAMES)
def test_metaflow_has_the_name(name):
    module_name, attribute = internals.NAMES[name]
    module = importlib.import_module(module_name)
    assert not attribute or hasattr(module, attribute), f"{module_name} has no {attribute} any more"
    assert getattr(internals, name) is (getattr(module, attribute) if attribute else module)


@pytest.mark.parametrize(
    ("name", "member"), [(name, member) for name, members in internals.MEMBERS.items() for member in members]
)
def test_metaflow_has_the_member(name, member):
    assert hasattr(getattr(internals, name), member), f"{internals.NAMES[name]} has no {member} any more"


def test_members_are_of_names_in_the_list():
    assert set(internals.MEMBERS) <= set(internals.NAMES)


def test_every_name_in_the_list_is_used():
    sources = "".join(path.read_text(encoding="utf-8") for path in KIT.rglob("*.py") if path.name != "internals.py")
    unused = [name for name in internals.NAMES if not re.search(rf'internals\.({name}\b|NAMES\["{name}"\])', sources)]
    assert unused == []


def test_a_name_that_is_not_in_the_list_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = internals.nothing


def test_asking_is_what_imports_metaflow():
    code = "import sys; from kit import internals; {0}; internals.cli; {0}".format("print('metaflow' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(KIT.rglob("*.py")) if path.name != "internals.py" and "template" not in path.parts],
    ids=lambda path: str(path.relative_to(KIT)),
)
def test_no_other_module_imports_from_metaflows_private_modules(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    froms = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    private = {name for name in froms | plain if name and name.split(".")[0] == "metaflow"} - PUBLIC
    assert private == set()
