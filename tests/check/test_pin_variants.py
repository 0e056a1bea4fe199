"""The many ways in which dependencies are not pinned, and as many in which they are."""

import pytest
from check_projects import flow, notebook

GIT = "git+https://h/a/b"


@pytest.mark.parametrize(
    ("line", "is_loose"),
    [
        ("pandas", True),
        ("pandas!=1", True),
        ("pandas==*", True),
        (f"-e {GIT}#egg=b", True),
        (f"{GIT}@main", True),
        ("https://h/a/b/archive/refs/heads/x.zip", True),
        ("https://h/a/b/archive/main.tar.gz", True),
        ("pandas===1.0", False),
        ("pandas ~= 1.0  # note", False),
        (f"{GIT}@v1.0", False),
        (f"{GIT}@0123456789abcdef0123456789abcdef01234567#egg=b", False),
        ("https://h/a/b/archive/v1.0.zip", False),
        ("-e .", False),
        ("../lib", False),
        ("pandas==1.0 \\\n    --hash=sha256:abc", False),
        ("-c constraints.txt\npandas", False),
    ],
)
def test_a_line_of_requirements_names_one_version(found, line, is_loose):
    assert [n for _, _, n, _ in found({"requirements.txt": f"a==1\n{line}\n"}, "pinned")] == [2] * is_loose


def test_requirements_are_followed_to_the_files_that_they_read_but_not_to_those_of_developers(found):
    files = {
        "requirements.txt": "-r more.txt\n-r requirements/base.txt\n",
        "more.txt": "pandas\n",
        "requirements/base.txt": "polars\n",
        "requirements-dev.txt": "pytest\n",
        "pyproject.toml": '[tool.kit]\n[project]\nname = "x"\ndependencies = ["a>=1"]\n'
        '[project.optional-dependencies]\nml = ["torch", "x[plots]"]\ntest = ["pytest"]\n'
        '[tool.poetry.dependencies]\npython = "*"\nnumpy = {version = "*", extras = ["x"]}\n',
    }
    assert [(f, n, m) for _, f, n, m in found(files, "pinned")] == [
        ("more.txt", 1, "pandas is not pinned"),
        ("pyproject.toml", 6, "torch is not pinned"),
        ("pyproject.toml", 10, "numpy is not pinned"),
        ("requirements/base.txt", 1, "polars is not pinned"),
    ]


def test_environments_of_conda_are_read_in_every_form(found):
    files = {
        "env.yml": "dependencies:\n  - a=1\n  - b=*\n  - pip:\n    - " + GIT + "\n    - c==1\n",
        "conda.yml": "dependencies: [a, python, b=2]\n",
    }
    assert [(f, n, m) for _, f, n, m in found(files, "pinned")] == [
        ("conda.yml", 1, "a is not pinned"),
        ("env.yml", 3, "b is not pinned"),
        ("env.yml", 5, f"{GIT} is not pinned"),
    ]


@pytest.mark.parametrize(
    "packages", ['dict(a="", b="1")', '{**BASE, "b": "1"}', 'BASE | {"b": "1"}', '{"a": None}', '{"a": "@' + GIT + '"}']
)
def test_a_table_of_packages_may_be_put_together(found, packages):
    source = flow("AFlow", "pass", "pass", head='BASE = {"a": ""}')
    source = source.replace("    @step", f"    @pypi(packages={packages})\n    @step", 1)
    assert [m for *_, m in found({"flows/a.py": source, "requirements.txt": "a==1"}, "pinned")] == [
        "@pypi: a is not pinned"
    ]


def test_a_loose_package_is_found_on_its_own_line_in_the_file_that_names_it(found):
    source = flow("AFlow", "pass", "pass", head="from common import PINS")
    files = {
        "flows/common.py": 'PINS = {\n    "numpy": "1.26",\n    "pandas": "",\n}\n',
        "flows/a.py": source.replace("    @step", "    @pypi(packages=PINS)\n    @step", 1),
        "requirements.txt": "a==1",
    }
    assert [(f, n) for _, f, n, _ in found(files, "pinned")] == [("flows/common.py", 3)]


LOOSE_CELLS = [
    "!{sys.executable} -m pip install pandas",
    "pip install pandas",
    "!sudo pip install pandas > log",
    "!apt-get update && pip install pandas",
    "!pip install \\\n    pandas",
    "%%bash\nset -e\npip install pandas",
    "%conda install -c conda-forge pandas",
    "!uv add pandas",
    "if True:\n    %pip install pandas",
    "import os\nos.system('pip install pandas')",
    "import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', 'pandas'])",
    "from kit import install_dependencies\ninstall_dependencies({'pandas': 'pandas'})",
]
FIXED_CELLS = [
    "!pip install -U pip setuptools wheel",
    "!pip install -c constraints.txt pandas",
    "%conda install -c conda-forge pandas=2.1",
    "!pip install {package} $OTHER",
    "!echo pip install pandas",
    "!pip uninstall -y pandas",
    "text = '''\n!pip install pandas\n'''",
    "%%html\n!pip install pandas",
    "%mf_install_deps --flow AFlow",
    "import kit\nkit.install_dependencies(PINS)",
]


def test_what_a_cell_installs_is_pinned_in_whatever_way_it_does(found, tmp_path):
    for n, cell in enumerate(LOOSE_CELLS + FIXED_CELLS):
        notebook(tmp_path / f"project/notebooks/n{n:02}.ipynb", "import sys", cell)
    hit = {f for _, f, *_ in found({"requirements.txt": "a==1"}, "pinned")}
    assert hit == {f"notebooks/n{n:02}.ipynb" for n in range(len(LOOSE_CELLS))}


LOOSE_STEPS = [
    "os.system(f'{sys.executable} -m pip install pandas')",
    "subprocess.run(args=['pip', 'install', 'pandas'])",
    "subprocess.run('pip install pandas'.split())",
    "subprocess.run(['conda', 'install', '-y', 'pandas'])",
    "pip.main(['install', 'pandas'])",
    "install_dependencies(spec={'pandas': 'pandas'})",
]
FIXED_STEPS = [
    "os.system(f'pip install pandas=={VERSION}')",
    "subprocess.run(['pip', 'install', *pins, package])",
    "subprocess.run([sys.executable, '-m', 'pip', 'install', '--upgrade', 'pip'])",
]


def test_what_a_step_installs_is_pinned_in_whatever_way_it_does(found):
    head = "import os, subprocess, sys, pip\nfrom kit import install_dependencies"
    cases = enumerate(LOOSE_STEPS + FIXED_STEPS)
    files = {f"flows/f{n}.py": flow(f"F{n}Flow", step, "pass", head=head) for n, step in cases}
    hit = {f for _, f, *_ in found({**files, "requirements.txt": "a==1"}, "pinned")}
    assert hit == {f"flows/f{n}.py" for n in range(len(LOOSE_STEPS))}


def test_packages_of_the_project_itself_and_of_type_checkers_need_no_pin(found):
    head = "from typing import TYPE_CHECKING\nimport mine, theirs\nif TYPE_CHECKING:\n    import polars"
    files = {"flows/a.py": flow("AFlow", "pass", "pass", head=head), "src/mine/__init__.py": "", "theirs.py": ""}
    assert found(files, "pinned") == []
    files |= {"flows/a.py": flow("AFlow", "pass", "pass", head="import common"), "flows/common.py": "import pandas\n"}
    assert [(f, n) for _, f, n, _ in found(files, "pinned")] == [("flows/common.py", 1)]
