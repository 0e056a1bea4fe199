"""A notebook's flow as a file, read from its cells: what is carried, what is refused, and how it is written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from support import run_flow, write_files

from kit.cli import main

SETTINGS = '[tool.kit]\n[tool.ruff]\nsrc = [".", "flows"]\n'  # a step has the flow file's folder on its path
HEAD = "from metaflow import Parameter"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_files(tmp_path, {"pyproject.toml": SETTINGS, "flows/common.py": "def double(x):\n    return 2 * x\n"})
    return tmp_path


@pytest.fixture
def export(project: Path) -> Callable[..., Result]:
    """Write cells to a notebook, and export it to flows/made.py."""

    def write(*cells: str, options: tuple[str, ...] = ()) -> Result:
        path = project / "made.ipynb"
        made = [new_markdown_cell(c[3:]) if c.startswith("md:") else new_code_cell(c) for c in cells]
        nbformat.write(new_notebook(cells=made), path)
        file = str(project / "flows" / "made.py")
        return CliRunner().invoke(main, ["export", str(path), file, *options])

    return write


def source(project: Path) -> str:
    return (project / "flows" / "made.py").read_text()


def test_a_flow_file_holds_what_the_steps_use_and_nothing_else(project: Path, export: Callable[..., Result]) -> None:
    done = export(
        "md:# Fit a model\nwords",
        "%load_ext kit\nimport math, os.path as p\nimport json",
        "%%time\nfrom metaflow import Parameter\nfrom common import double\nimport numpy as np",
        'alpha = Parameter("alpha", default=RATE)',
        "# how fast\nRATE = 0.5\nUNUSED = 1",
        "def twice(x):\n    return rooted(double(x))",
        "def rooted(x):\n    return math.sqrt(x) * RATE",
        "def unused():\n    return np.zeros(3)",
        "%%mf_step start\n# the items\nself.items=[1,4]",
        "%%mf_step fit --foreach items\nself.score = twice(self.input)",
        "%%mf_step join --join\nself.total = sum(i.score for i in inputs)",
        "!ls\nunused()",
    )
    assert done.exit_code == 0, done.output
    assert source(project) == (
        '"""Fit a model."""\n\nimport math\n\nfrom metaflow import FlowSpec, Parameter, step\n\n'
        "from common import double\n\n# how fast\nRATE = 0.5\n\n\n"
        "def twice(x):\n    return rooted(double(x))\n\n\n"
        "def rooted(x):\n    return math.sqrt(x) * RATE\n\n\n"
        'class MadeFlow(FlowSpec):\n    """Fit a model."""\n\n    alpha = Parameter("alpha", default=RATE)\n\n'
        "    @step\n    def start(self):\n        # the items\n        self.items = [1, 4]\n"
        '        self.next(self.fit, foreach="items")\n\n'
        "    @step\n    def fit(self):\n        self.score = twice(self.input)\n        self.next(self.join)\n\n"
        "    @step\n    def join(self, inputs):\n        self.total = sum(i.score for i in inputs)\n"
        "        self.next(self.end)\n\n"
        "    @step\n    def end(self):\n        pass\n\n\n"
        'if __name__ == "__main__":\n    MadeFlow()\n'
    )


@pytest.mark.parametrize(
    ("cell", "body", "carried"),
    [
        ("import os.path\nimport os", "self.x = os.path.sep", "import os.path"),
        ("import xml.etree.ElementTree\nimport xml.dom", "xml.etree.ElementTree.Element('a')", "import xml.etree"),
        ("import collections.abc as abc", "self.x = abc.Sized", "from collections import abc"),
        ("from math import *", "self.x = sqrt(pi)", "from math import pi, sqrt"),
        ("A, B = 1, 2\nC = [A, B]", "self.x = [i for i in C]", "A, B = 1, 2\nC = [A, B]"),
        ("W = re.compile('a')\nimport re", "self.x = 1 if W else 2", "import re"),
        ("f = lambda x: x + Z\nZ = 1", "self.x = f(1)", "Z = 1"),
        ("class A:\n    y = Q\nQ = 2\nclass B(A):\n    pass", "self.x = B", "class A"),
        ("def deco(f):\n    return f\n@deco\ndef g(x=W, *, y: int = 3): return x\nW = 2", "g()", "W = 2"),
        ("try:\n    import ujson as j\nexcept ImportError:\n    import json as j", "j.dumps(1)", "import json as j"),
        ("n = 1\nn = 2", "self.x = n", "n = 2"),
        ("def outer():\n    def inner():\n        return K\n    return inner\nK = 4", "self.x = outer()()", "K = 4"),
        ("", "self.x = common.double(2)", "import common"),
        ("", "display(3)", "from IPython.display import display"),
        ("K = 1", "def inner(a=K):\n    class Local:\n        k = a\n    return Local\nself.x = inner().k", "K = 1"),
        ("import math", "self.x = f'{math.pi:.2f}'", "import math"),
    ],
)
def test_what_a_step_uses_is_found_however_it_is_used(
    project: Path, export: Callable[..., Result], cell: str, body: str, carried: str
) -> None:
    done = export(cell, f"%%mf_step start\n{body}")
    assert done.exit_code == 0, done.output
    assert carried in source(project)
    compile(source(project), "made.py", "exec")


@pytest.mark.parametrize(
    ("cell", "body", "said"),
    [
        ("total = sum(open('x'))", "self.x = total", "total, which is computed in cell [1], line 1"),
        ("for i in range(3): pass", "self.x = i", "i, which is computed"),
        ("files = !ls", "self.x = files", "files, which is computed"),
        ("with open('x') as handle: pass", "self.x = handle", "handle, which is computed"),
        ("def f():\n    return df\ndf = make()", "self.x = f()", "f (cell [1], line 1) uses df"),
        (f"{HEAD}\na = Parameter('a', default=1)", "self.x = a", "Write self.a"),
        ("", "self.x = nowhere", "nowhere, which is defined nowhere"),
        ("", "!ls", "IPython's own syntax, which a flow file cannot hold: !ls"),
        ("", "%time self.x = 1", "IPython's own syntax"),
        ("", "self.x = inputs", "--join"),
        ("step = 3", "self.x = step", "Metaflow's own name"),
        ("", "if 1:\n    return\nself.x = 1", "a step does not return"),
        ("", "self.next(self.end)", "--after"),
        ("", "self.start = 1", "start is a step of this flow"),
        ("", "self.x = (", "does not parse"),
    ],
)
def test_what_only_running_the_notebook_gives_is_refused_by_name(
    project: Path, export: Callable[..., Result], cell: str, body: str, said: str
) -> None:
    done = export(cell, f"%%mf_step start\n{body}")
    assert done.exit_code == 2
    assert said in done.output
    assert not (project / "flows" / "made.py").exists()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (("a --foreach [1,2]",), "The foreach that a begins is not joined"),
        (("a", "b --after start"), "The branches after start are not joined: a, b"),
        (("a --after nowhere",), "a cannot come after nowhere"),
        (("a", "b", "c --after a", "end --after c"), "end comes after c"),
        (("a", "b --after a --join"), "nothing is split before it"),
        (("a --foreach [1]", "b --join", "c --foreach [1]"), "b is a join, so c cannot begin a split right after it"),
        (("a --foreach [1]", "b --join", "c", "d --after b"), "Metaflow wants a step between"),
        (("a --foreach [1]", "b --after start"), "cannot lead to b too"),
        (("a --after b", "b --after a"), "in a circle"),
        (("Fit",), "cannot be the name of a step"),
        (("next",), "Metaflow's own"),
        (("a --pypi pandas",), "is not name==version"),
        (("a --foreach 1+",), "is not a Python expression"),
        (("a --foreach [1] --join",), "cannot be a join and run for each item"),
        (("step",), "Metaflow's own"),
        (("card", "a --with card"), "card is a step of this flow and a decorator"),
        (("a --with nothing",), "Metaflow has no step decorator nothing"),
    ],
)
def test_steps_that_make_no_flow_are_refused(export: Callable[..., Result], steps: tuple[str, ...], said: str) -> None:
    done = export(*(f"%%mf_step {step}\npass" for step in ("start", *steps)))
    assert done.exit_code == 2
    assert said in done.output


def test_decorators_are_written_as_a_person_would(project: Path, export: Callable[..., Result]) -> None:
    options = "--with retry:times=3,minutes_between_retries=0 --with catch:var=failure --with card --pypi pandas==2.2.3"
    done = export(
        f"%%mf_step start {options}\nself.x = 1", "%%mf_step fit --with card:type=blank,id=a --with card\npass"
    )
    assert done.exit_code == 0, done.output
    assert "from metaflow import FlowSpec, card, catch, pypi, retry, step\n" in source(project)
    assert (
        '    @pypi(packages={"pandas": "2.2.3"})\n    @retry(times=3, minutes_between_retries=0)\n'
        '    @catch(var="failure")\n    @card\n    @step\n    def start(self):\n'
    ) in source(project)
    assert '    @card(type="blank", id="a")\n    @card\n    @step\n' in source(project)


def test_a_file_of_somebody_else_is_not_overwritten(project: Path, export: Callable[..., Result]) -> None:
    (project / "flows" / "made.py").write_text("mine = 1\n")
    assert "is there already" in export("%%mf_step start\nself.x = 1").output
    assert source(project) == "mine = 1\n"
    assert export("%%mf_step start\nself.x = 1", options=("--force",)).exit_code == 0
    assert export("%%mf_step start\nself.x = 2").exit_code == 0, "what kit wrote itself may be written again"
    assert "self.x = 2" in source(project)
    (project / "flows" / "made.py").write_text(source(project) + "# by hand\n")
    refused = export("%%mf_step start\nself.x = 3").output
    assert "flows/made.py was changed since it was exported" in refused
    assert "\n-# by hand\n" in refused, "what would be lost is shown"


def test_a_flow_has_one_file(project: Path, export: Callable[..., Result]) -> None:
    other = "from metaflow import FlowSpec, step\nclass MadeFlow(FlowSpec):\n    @step\n    def start(self): pass\n"
    write_files(project, {"flows/other.py": other})
    assert "flows/other.py defines MadeFlow already" in export("%%mf_step start\nself.x = 1").output


def test_the_name_is_the_notebooks_own_or_the_files(project: Path, export: Callable[..., Result]) -> None:
    export("%mf_flow --name TrainFlow", "%%mf_step start\nself.x = 1")
    assert "class TrainFlow(FlowSpec)" in source(project)
    export("%mf_flow --name TrainFlow", "%%mf_step start\nself.x = 1", options=("--name", "OtherFlow", "--force"))
    assert "class OtherFlow(FlowSpec)" in source(project)


SHAPES = (
    "md:# Shapes",
    "from dataclasses import dataclass\nfrom metaflow import Parameter, JSONType\nimport common",
    "depths = Parameter('depths', type=JSONType, default='[1, 2]')\nscale = Parameter('scale', default=2)",
    "@dataclass\nclass Model:\n    weight: int\n    def apply(self, x):\n        return helped(x) * self.weight",
    "def helped(x):\n    return common.double(x)",
    "import numpy as np\nnp.seterr(all='ignore')\nGRID = np.arange(2)\nHEAVY = Model(7)",
    "import random\ndef seeded(n):\n    random.seed(n)\n    np.random.seed(n)\nseeded(7)",
    "CONFIG = {'rate': 1}\nTOOLS = {}",
    "CONFIG['rate'] = 3\ndef tool(f):\n    TOOLS[f.__name__] = f\n    return f",
    "@tool\ndef plus(x):\n    return x + CONFIG['rate'] + HEAVY.weight",
    "%%mf_step load\nself.rows = [1, 2, 3]\nself.used = {name: f(1) for name, f in TOOLS.items()}, GRID.tolist()",
    "%%mf_step deep --foreach depths\nself.depth = self.input",
    "%%mf_step each --foreach self.rows[:2]\nself.model = Model(self.depth * self.scale)\n"
    "self.y = self.model.apply(self.input)",
    "%%mf_step low\nself.part = self.y\nself.kept = self.y + 1",
    "%%mf_step high --after each\nself.part = -self.y",
    "%%mf_step meet --join\nself.parts = [inputs.low.part, inputs.high.part]\nself.kept = inputs.low.kept\n"
    "self.merge_artifacts(inputs, include=['rows'])",
    "%%mf_step inner --join\nself.all = [i.parts for i in inputs]\nself.merge_artifacts(inputs, include=['rows'])",
    "%%mf_step outer --join\nself.all = [i.all for i in inputs]\nself.merge_artifacts(inputs, include=['rows'])",
    "%%mf_step last\nself.best = Model(len(self.all))\nself.drawn = random.random(), float(np.random.rand())",
    "CONFIG = {'rate': 100}",
)


@pytest.mark.flow
def test_an_exported_flow_passes_ruff_and_runs(project: Path, export: Callable[..., Result]) -> None:
    done = export(*SHAPES)
    assert done.exit_code == 0, done.output
    file = project / "flows" / "made.py"
    for words in (["check"], ["format", "--check"]):
        ruff = subprocess.run([sys.executable, "-m", "ruff", *words, str(file)], cwd=project, capture_output=True)
        assert ruff.returncode == 0, ruff.stdout.decode()
    assert "Done!" in run_flow(file)


def test_nothing_of_the_notebook_is_executed(project: Path, export: Callable[..., Result]) -> None:
    assert export("raise SystemExit(3)", "1/0", "%%mf_step start\nself.x = 1").exit_code == 0


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"cells": [{"cell_type": "code", "source": "x = 1"}]})])
def test_what_is_no_notebook_with_steps_is_said(project: Path, content: str) -> None:
    (project / "made.ipynb").write_text(content)
    done = CliRunner().invoke(main, ["export", str(project / "made.ipynb")])
    assert done.exit_code == 2
    assert "made.ipynb" in done.output
