"""Edits of the project's modules, as the next cell finds them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_client import Kernel
from support import write_files

pytestmark = pytest.mark.kernel

COMMON = '''
    """What the flows share."""

    import functools


    def noted(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper


    class Model:
        def __init__(self, weight):
            self.__weight = weight

        @property
        def weight(self):
            return self.__weight

        @weight.setter
        def weight(self, value):
            raise ValueError(value)

        # a comment

        @noted
        def predict(self, x):
            return self.__weight / x


    @noted
    def scale(x):
        # another comment
        return 2 / x
'''


@pytest.fixture
def project(make_project: Callable[[dict[str, str]], Path]) -> Path:
    return make_project({"flows/common.py": COMMON})


@pytest.fixture
def kernel(project: Path, start_kernel: Callable[..., Kernel]) -> Kernel:
    started = start_kernel(project)
    started.check("%load_ext kit")
    return started


# Calls that fail, and the line at which they do.
CALLS = {
    "alias(0)": "return 10 / x",
    "model.predict(0)": "return 10 * self.__weight / x",
    "model.weight = 1": "raise KeyError(value)",
}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_errors_in_edited_functions_are_shown_at_the_lines_of_the_file(project: Path, kernel: Kernel) -> None:
    common = project / "flows" / "common.py"
    kernel.check("model, alias = common.Model(3), common.scale")
    edit(common, "2 / x", "10 / x")
    edit(common, "self.__weight / x", "10 * self.__weight / x")
    edit(common, "raise ValueError(value)", "raise KeyError(value)")
    assert kernel.check("alias(5), model.predict(5), model.weight").text == "(2.0, 6.0, 3)"
    for code, text in CALLS.items():
        lines = common.read_text().splitlines()
        number = next(number for number, line in enumerate(lines, 1) if text in line)
        assert re.search(rf"-> {number} +{re.escape(text)}", kernel.run(code).traceback)


def test_state_of_a_module_survives_an_edit_of_another_function(project: Path, kernel: Kernel) -> None:
    common = project / "flows" / "common.py"
    kernel.check("common.kept = 'kept'")
    edit(common, "2 / x", "4 / x")
    assert kernel.check("common.scale(1), common.kept").text == "(4.0, 'kept')"


def test_a_file_that_is_only_touched_is_not_reloaded(project: Path, kernel: Kernel) -> None:
    common = project / "flows" / "common.py"
    kernel.check("common.scale.kept = 'kept'; before = common.scale.__code__")
    common.touch()
    assert kernel.check("common.scale.__code__ is before").text == "True"
    assert kernel.check("import sys; 'IPython.extensions.autoreload' in sys.modules").text == "False"


def test_a_module_that_failed_is_reloaded_once_what_it_needs_is_there(project: Path, kernel: Kernel) -> None:
    common, helper = project / "flows" / "common.py", project / "flows" / "helper.py"
    write_files(project, {"flows/helper.py": "def one():\n    return 1\n"})
    kernel.check("import helper")
    edit(common, "import functools", "import functools\nfrom helper import two")
    edit(common, "2 / x", "two() / x")
    assert "flows/common.py was not reloaded: ImportError" in kernel.run("1").stderr
    edit(helper, "return 1\n", "return 1\n\n\ndef two():\n    return 2\n")
    output = kernel.check("common.scale(1), common.two()")
    assert output.stderr == ""
    assert output.text == "(2.0, 2)"


def test_what_failed_half_way_is_whole_again_when_it_is_mended(project: Path, kernel: Kernel) -> None:
    common = project / "flows" / "common.py"
    edit(common, "2 / x", "8 / x")
    edit(common, "import functools", "import functools\nimport no_such_module")
    assert "no_such_module" in kernel.run("1").stderr
    edit(common, "import no_such_module", "")
    assert kernel.check("common.scale(1)").text == "8.0"


def test_a_base_flow_in_common_follows_its_file(project: Path, kernel: Kernel) -> None:
    common = project / "flows" / "common.py"
    edit(
        common, "import functools", "import functools\nfrom metaflow import FlowSpec\nclass Base(FlowSpec):\n    a = 1"
    )
    assert kernel.check("common.Base.a").text == "1"
    edit(common, "a = 1", "a = 2")
    edit(common, "2 / x", "6 / x")
    assert kernel.check("common.Base.a, common.scale(1)").text == "(2, 6.0)"
    edit(common, "a = 2", "a = 1 / 0")
    assert "was not reloaded: ZeroDivisionError: division by zero" in kernel.run("1").stderr
    edit(common, "a = 1 / 0", "a = 3")
    assert kernel.check("common.Base.a").text == "3"
    kernel.check("%unload_ext kit")
    assert "NameError" in kernel.run("common").error
