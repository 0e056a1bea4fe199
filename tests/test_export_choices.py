"""Which of a notebook's definitions an exported flow file takes, where it stands, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result
from nbformat.v4 import new_code_cell, new_notebook
from support import write_files

from kit.cli import main

LINEAR = "from sklearn.linear_model import LinearRegression"
START = "%%mf_step start\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    common = "import math\nRATE = 2\ndef rated(x):\n    return math.sqrt(x) * RATE\ndef other(x):\n    return x\n"
    write_files(tmp_path, {"pyproject.toml": "[tool.kit]\n", "flows/common.py": common, "notebooks/a.txt": ""})
    return tmp_path


@pytest.fixture
def export(root: Path) -> Callable[..., Result]:
    def write(*cells: str, name: str = "made", options: tuple[str, ...] = ()) -> Result:
        path = root / "notebooks" / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=[new_code_cell(each) for each in cells]), path)
        return CliRunner().invoke(main, ["export", str(path), *options])

    return write


def made(root: Path) -> str:
    return (root / "flows" / "made.py").read_text()


@pytest.mark.parametrize(
    ("cell", "body", "carried"),
    [
        (
            "C = {}\nC['a'] = 1\nC.update(b=2)\ndel C['a']",
            "self.x = C",
            "C = {}\nC['a'] = 1\nC.update(b=2)\ndel C['a']",
        ),
        ("n = 1\nn += 2\nL = [n]\nL.append(n)", "self.x = L", "n = 1\nn += 2\nL = [n]\nL.append(n)"),
        ("A, (B, *C) = 1, (2, 3)", "self.x = C", "A, (B, *C) = 1, (2, 3)"),
        ("import os\nH = os.environ.get('H', 'x').strip()", "self.x = H", "H = os.environ.get('H', 'x').strip()"),
        ("import numpy as np\nG = np.linspace(0, 1, 3).reshape(3, 1)", "self.x = G", "G = np.linspace"),
        ("from datetime import date, timedelta\nD = date(2024, 1, 2) + timedelta(days=1)", "self.x = D", "D = date("),
        ("class P:\n    pass\nQ = P()", "self.x = Q", "class P:\n    pass\n\n\nQ = P()"),
        ("from enum import Enum\nclass K(Enum):\n    A = 1\nD = {'k': K.A}", "self.x = D", "D = {'k': K.A}"),
        (f"{LINEAR}\nm = LinearRegression()", "self.m = m.fit([[1]], [1])", "m = LinearRegression()"),
        ("class A:\n    pass\ndef f(self):\n    return 1\nA.f = f", "self.x = A().f()", "A.f = f"),
        (
            "R = {}\ndef reg(f):\n    R[f.__name__] = f\n    return f\n@reg\ndef g(): pass",
            "self.x = [*R]",
            "@reg\ndef g()",
        ),
        (
            "import functools\n@functools.singledispatch\ndef f(x): return 1\n@f.register\ndef _(x: int): return 2",
            "self.x = f(1)",
            "@f.register\ndef _(x: int): return 2",
        ),
        (
            "class B:\n    all = []\n    def __init_subclass__(cls): B.all.append(cls)\nclass C(B): pass",
            "B",
            "class C(B)",
        ),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import io\ndef f(x: 'io.IO'): pass",
            "f",
            "    import io",
        ),
        ("def top(text, n=3):\n    return [text, n]", "self.x = top('a')", "def top(text, n=3)"),
        ("def f(x):\n    return x\n    # last word", "self.x = f(1)", "return x\n    # last word"),
        (
            "import matplotlib\nimport matplotlib.pyplot as plt\nmatplotlib.use('Agg')",
            "plt.figure()",
            "matplotlib.use('Agg')",
        ),
        ("F = [str.upper, len]", "self.x = F", "F = [str.upper, len]"),
        ("from random import random, seed\nseed(3)", "self.x = random()", "seed(3)"),
        ("import random\nrandom.seed(3)", "import random\nself.x = random.random()", "random.seed(3)"),
        ("import random\ndef fix(n):\n    random.seed(n)\nfix(n=3)\nrandom.random()", "random", "fix(n=3)"),
        ("CACHE = {}\ndef f(x):\n    CACHE[x] = 1\nf(3)", "f(1)", "CACHE = {}"),
    ],
)
def test_what_a_constant_is_made_of_and_becomes_is_carried_in_order(
    root: Path, export: Callable[..., Result], cell: str, body: str, carried: str
) -> None:
    done = export(cell, START + body)
    assert done.exit_code == 0, done.output
    lines = [line for line in carried.replace("'", '"').splitlines() if line]
    text = made(root).replace("'", '"').replace(": return", ":\n    return").replace(": pass", ":\n    pass")
    places = [text.find(line.split(": return")[0].split(": pass")[0]) for line in lines]
    assert -1 not in places, text
    assert places == sorted(places), text
    compile(text, "made.py", "exec")


@pytest.mark.parametrize(
    ("cell", "body", "said"),
    [
        ("L = []\ndef add(x):\n    L.append(x)\nadd(1)", "self.x = L", "L, which is not any more what"),
        ("L = []\ndef add(to, x):\n    to.append(x)\nadd(L, 1)", "self.x = L", "cell [1], line 4 changes it"),
        ("import random\nL = [1, 2]\nrandom.shuffle(L)", "self.x = L", "cell [1], line 3 changes it"),
        ("L = [{}]\nfor each in L:\n    each['a'] = open('x')", "self.x = L", "cell [1], line 2 changes it"),
        ("A = []\nB = A\nB.append(open('x'))", "self.x = A", "cell [1], line 3 changes it"),
        (f"{LINEAR}\nm = LinearRegression()\nm.fit([[1]], [1])", "self.x = m", "cell [1], line 3 changes it"),
        ("C = {}\nC['a'] = open('x')", "self.x = C", "cell [1], line 2 changes it"),
        ("x = 1\ndel x", "self.x = x", "x, which cell [1] deleted"),
        ("Z = zip([1], [2])", "self.x = Z", "Z, which is computed"),
        ("import numpy as np\nrng = np.random.default_rng(0)", "self.x = rng", "rng, which is computed"),
        ("import datetime\nnow = datetime.datetime.now()", "self.x = now", "now, which is computed"),
        ("m = 1\nn = 2 * m\nm = 5", "self.x = n + m", "a file has one"),
    ],
)
def test_what_is_changed_where_a_file_cannot_show_it_is_refused_by_name(
    root: Path, export: Callable[..., Result], cell: str, body: str, said: str
) -> None:
    done = export(cell, START + body)
    assert done.exit_code == 2, made(root)
    assert said in done.output


def test_a_step_keeps_the_definition_that_it_ran_with(root: Path, export: Callable[..., Result]) -> None:
    done = export("def f():\n    return 1", f"{START}self.x = f()", "def f():\n    return 2")
    assert "return 1" in made(root)
    assert "f is as start found it (cell [1], line 1): cell [3], line 1 changes it later." in done.output


def test_a_refresh_is_as_if_the_steps_had_run_again(root: Path, export: Callable[..., Result]) -> None:
    export("def f():\n    return 1", f"{START}self.x = f()", "def f():\n    return 2", "flow = %mf_flow --refresh")
    assert "return 2" in made(root)


def test_two_steps_that_ran_with_different_definitions_are_refused(export: Callable[..., Result]) -> None:
    cells = ("T = 1", f"{START}self.x = T", "T = 2", "%%mf_step fit\nself.y = T")
    assert "start finds T as cell [1], line 1 made it, fit as cell [3], line 1 did" in export(*cells).output
    assert export("T = 1", cells[1], "T = 1  # again", cells[3]).exit_code == 0


def test_a_step_that_changes_what_another_one_reads_is_refused(export: Callable[..., Result]) -> None:
    done = export("SEEN = []", f"{START}SEEN.append(1)", "%%mf_step fit\nself.n = len(SEEN)")
    assert "start changes SEEN, which fit uses too" in done.output


def test_settings_of_modules_that_the_steps_use_are_carried(root: Path, export: Callable[..., Result]) -> None:
    done = export(
        "import os, warnings, logging, sys\nimport numpy as np\nimport pandas as pd",
        "warnings.filterwarnings('ignore')\nnp.random.seed(3)\npd.set_option('display.width', 80)\nnp.seterr(all=AS)",
        "os.environ['A'] = '1'\nos.environ['API_KEY'] = '1'\nlogging.disable()\nsys.path.append('..')\nAS = 'ignore'",
        f"{START}self.x = np.sum(sys.argv)",
    )
    text = made(root)
    lines = ['warnings.filterwarnings("ignore")', "np.random.seed(3)", "np.seterr(all=AS)", 'os.environ["A"] = "1"']
    assert all(line in text for line in lines), text
    assert all(word not in text for word in ("pd", "API_KEY", "logging", "sys.path")), text
    assert "np.random.seed(3) (cell [2], line 2) is carried: each task of a run begins with it" in done.output
    assert "os.environ['API_KEY'] = '1' (cell [3], line 2) is not carried: it looks like a secret." in done.output


def test_what_a_reset_of_the_notebook_took_away_is_gone(root: Path, export: Callable[..., Result]) -> None:
    before = "import random\nN = 1\ndef fix():\n    random.seed(0)\nfix()"
    done = export(before, "%reset -f", "import random", f"{START}self.x = random.random()", "%reset -f out\nM = 2")
    assert done.exit_code == 0, done.output
    assert "seed" not in made(root)
    assert "N, which is defined nowhere" in export(before, "%reset -f", f"{START}self.x = N").output


def test_a_seed_whose_value_only_the_notebook_knows_is_said_and_not_carried(
    root: Path, export: Callable[..., Result]
) -> None:
    cells = ("import random, time\nrandom.seed(time.time())", f"{START}self.x = random.random()")
    assert "random.seed(time.time()) (cell [1], line 2) is not carried: its value is computed" in export(*cells).output
    assert "seed" not in made(root)


def test_what_common_has_already_is_imported_from_it(root: Path, export: Callable[..., Result]) -> None:
    mine = 'import math\nRATE = 2\ndef rated(x):\n    """Said here."""\n    return math.sqrt(x) * RATE'
    assert export(mine, f"{START}self.x = rated(4)").exit_code == 0
    assert "from common import rated" in made(root)
    assert "def rated" not in made(root)
    export(mine.replace("RATE = 2", "RATE = 3"), f"{START}self.x = rated(4)")
    assert "def rated" in made(root), "what it uses is another one"
    export("def other(x):\n    return -x", f"{START}self.x = other(4)")
    assert "def other" in made(root)


def test_a_module_that_only_the_notebook_finds_is_refused(root: Path, export: Callable[..., Result]) -> None:
    write_files(root, {"notebooks/helpers.py": "def f():\n    return 1\n"})
    refused = export("import helpers", f"{START}self.x = helpers.f()").output
    assert "The steps use helpers, which only the notebook finds: helpers.py lies in notebooks.\nMove it to" in refused
    write_files(root, {"flows/helpers.py": "def f():\n    return 1\n"})
    assert export("import helpers", f"{START}self.x = helpers.f()").exit_code == 0


def test_what_to_look_after_is_said(export: Callable[..., Result]) -> None:
    long = "\n".join(f"self.x{number} = {number}" for number in range(26))
    said = export("P = 'a.txt'", f"{START}self.x = open(P)", f"%%mf_step more\n{long}").output
    assert "from there it is notebooks/a.txt." in said
    assert "more has 26 statements: move its work into functions" in said


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("random", (), "would be imported in place of the module random"),
        ("pandas", (), "would be imported in place of the module pandas"),
        ("common", (), "would be imported in place of the module common"),
        ("made", ("--name", "1x"), "'1x' cannot be the name of a flow"),
        ("made", ("--name", "FlowSpec"), "a name of Metaflow's own"),
        ("made", (".",), "is a folder"),
    ],
)
def test_names_that_would_break_are_refused(
    export: Callable[..., Result], name: str, options: tuple[str, ...], said: str
) -> None:
    done = export(f"{START}self.x = 1", name=name, options=options)
    assert (done.exit_code, said in done.output) == (2, True), done.output


def test_a_file_has_a_name_that_can_be_imported(root: Path, export: Callable[..., Result]) -> None:
    assert export(f"{START}self.x = 1", name="1 été-plan").exit_code == 0
    assert "class Flow1EtePlanFlow(FlowSpec)" in (root / "flows" / "flow_1_ete_plan.py").read_text()


def test_exporting_twice_gives_the_same_file(root: Path, export: Callable[..., Result]) -> None:
    export("N = 1", f"{START}self.x = N")
    before = made(root)
    assert export("N = 1", f"{START}self.x = N").exit_code == 0
    assert made(root) == before


def test_functions_go_to_common_where_that_is_asked_for(root: Path, export: Callable[..., Result]) -> None:
    cells = (
        "import math\nimport re\nmath.seed(2)\nWIDTH = 3\nSTEP = 4\nSEEN = []\nSEEN.append(WIDTH)",
        "def padded(x):\n    return re.sub('a', 'b', x.ljust(WIDTH + SEEN[0]))",
        "def both(x):\n    return padded(x) * other(2)\ndef other(x):\n    return x",
        f"{START}self.x = both('a') + str(WIDTH), math.pi, STEP",
    )
    done = export(*cells, options=("--common",))
    assert done.exit_code == 0, done.output
    common, text = (root / "flows" / "common.py").read_text(), made(root)
    assert "from common import WIDTH, both" in text
    assert "math.seed(2)\nSTEP = 4" in text, "what is set stays with the steps"
    assert "def " not in text.partition("class MadeFlow")[0]
    assert common.startswith("import math\nimport re\nRATE = 2\ndef rated(x):\n"), common
    assert common.count("def other") == 1, "it is there already, as it is in the notebook"
    assert "SEEN.append(WIDTH)" in common
    assert "flows/common.py has SEEN, WIDTH, both, padded now." in done.output
    assert export(*cells, options=("--common",)).exit_code == 0, "again"
    assert (root / "flows" / "common.py").read_text() == common
    assert made(root) == text


def test_nothing_of_common_is_overwritten(root: Path, export: Callable[..., Result]) -> None:
    before = (root / "flows" / "common.py").read_text()
    done = export("def rated(x):\n    return 0", f"{START}self.x = rated(1)", options=("--common",))
    assert "cell [1], line 1 defines rated, and common.py has another rated." in done.output
    assert (root / "flows" / "common.py").read_text() == before
    (root / "flows" / "common.py").unlink()
    done = export("def rated(x):\n    return 0", f"{START}self.x = rated(1)", options=("--common",))
    assert (root / "flows" / "common.py").read_text() == "def rated(x):\n    return 0\n"
    assert "from common import rated" in made(root)


PINNED = """
import numpy as np
import pandas as pd
from packaging.version import Version
import common

class Box:
    def area(self, n): return np.square(n)

    @property
    def side(self):
        # the comment stays
        return np.sqrt(2)

def table(n) -> pd.DataFrame:
    '''Make one.'''
    return pd.DataFrame({"a": range(n)})
"""


def test_what_not_every_environment_has_is_imported_where_it_is_used(
    root: Path, export: Callable[..., Result], tmp_path: Path
) -> None:
    done = export(
        PINNED,
        f"{START}self.a = Box().area(2) + Box().side + common.rated(4)",
        "%%mf_step pinned --pypi packaging==24.0\nself.same = Version('1') > Version('0')",
        "%%mf_step last\n# of the table\nself.rows = len(table(2))",
    )
    text = made(root)
    assert done.exit_code == 0, done.output
    head = text.partition("class Box")[0]
    assert head.count("import") == 4
    assert "if TYPE_CHECKING:\n    import pandas as pd\n" in head
    for part in (
        "        import numpy as np\n\n        return np.square(n)\n",
        "        import numpy as np\n\n        # the comment stays\n        return np.sqrt(2)\n",
        '    """Make one."""\n    import pandas as pd\n\n    return pd.DataFrame',
        "    def start(self):\n        import common\n\n        self.a",
        "    def pinned(self):\n        from packaging.version import Version\n\n        self.same",
    ):
        assert part in text, part


def test_what_the_file_itself_needs_of_a_package_is_said_where_a_step_does_not_pin_it(
    root: Path, export: Callable[..., Result]
) -> None:
    cells = ("import numpy as np\nSIZES = np.arange(3)", f"{START}self.n = SIZES.sum()")
    said = "The file imports numpy at its top, for SIZES: where the pins of fit do not bring it"
    assert said in " ".join(export(*cells, "%%mf_step fit --pypi packaging==24.0\npass").output.split())
    assert said not in " ".join(export(*cells, "%%mf_step fit --pypi NumPy==2.0\npass", name="b").output.split())


def test_a_step_does_not_import_what_the_file_imports_at_its_top(root: Path, export: Callable[..., Result]) -> None:
    done = export(
        "import os\nimport math",
        f"{START}# roots\nimport common, math\nfrom os import sep\nself.x = math.sqrt(common.rated(4)), sep",
        "%%mf_step other\nimport os; import json\nimport math\nself.y = common.rated(4), json.dumps(math.pi)\nmath = 3",
        "%%mf_step last\nself.z = math.pi, os.sep",
    )
    assert done.exit_code == 0, done.output
    text = made(root)
    assert "# roots\n        from os import sep\n\n        self.x" in text
    assert "        import json\n        import math\n\n        self.y" in text, "what is bound again is the step's own"


def test_an_import_that_acts_on_a_package_is_kept_though_nothing_names_it(
    root: Path, export: Callable[..., Result]
) -> None:
    enable = "from sklearn.experimental import enable_iterative_imputer"
    use = "from sklearn.impute import IterativeImputer"
    kept = f"{enable}  # noqa: F401\n"
    assert export(f"{enable}\n{use}", f"{START}self.x = IterativeImputer()").exit_code == 0
    assert made(root).count(kept) == 1
    assert export(f"{START}{enable}\n{use}\nself.x = IterativeImputer()").exit_code == 0
    assert made(root).count(f"        {kept}") == 1
    pinned = "%%mf_step start --pypi scikit-learn==1.5.2\nself.x = IterativeImputer()"
    assert export(f"{enable}\n{use}", pinned).exit_code == 0
    assert made(root).count(f"        {kept}") == 1
    export(f"{enable}\n{use}", f"{START}self.x = 1")
    assert "sklearn" not in made(root)


def test_magics_that_only_the_notebook_has_are_said_without_their_values(export: Callable[..., Result]) -> None:
    said = " ".join(export("%cd ..\n%env TOKEN=s3cret\n%env PATH", f"{START}self.x = 1").output.split())
    assert "%cd .. (cell [1], line 1) is not carried: a run begins in the folder in which it is started." in said
    assert "%env TOKEN (cell [1], line 2) is not carried: set it by a statement" in said
    assert "s3cret" not in said
    assert "PATH" not in said


def test_a_name_of_a_star_is_found_among_several(root: Path, export: Callable[..., Result]) -> None:
    assert export("from math import *\nfrom common import *", f"{START}self.x = rated(pi)").exit_code == 0
    assert "from math import pi" in made(root)
    assert "from common import rated" in made(root)


def test_only_the_steps_of_a_circle_are_named(export: Callable[..., Result]) -> None:
    circle = [f"%%mf_step {step}\npass" for step in ("a", "b --after a,d", "c --after b", "d --after c", "e --after d")]
    assert "kit: b, c, d lead to one another in a circle." in export(*circle).output
