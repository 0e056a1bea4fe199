"""Dependencies that are not pinned, wherever a project says them."""

import pytest
from check_projects import flow, notebook

PINS = {"requirements.txt": "pandas==2.1\n"}


@pytest.mark.parametrize(
    ("decorator", "loose"),
    [
        ('@pypi(packages={"pandas": ""})', "@pypi: pandas is"),
        ('@pypi(packages={"pandas": ">=2"})', "@pypi: pandas is"),
        ('@conda(libraries={"pandas": "2.1", "torch": "", "numpy": "*"})', "@conda: torch, numpy are"),
        ('@pypi(packages={"pandas": "2.1", "numpy": ">=1,<2", "x": "@git+https://h/x@v1"})', None),
        ('@conda(libraries={"pytorch::pytorch": "1.11.0", "a": "=1.2", "b": VERSION})', None),
        ("@pypi(packages=packages('pandas'))", None),
    ],
)
def test_packages_of_a_step_are_pinned(found, decorator, loose):
    source = flow("AFlow", "pass", "pass").replace(
        "    @step\n    def start", f"    {decorator}\n    @step\n    def start"
    )
    messages = [m for *_, m in found({"flows/a.py": source, **PINS}, "pinned")]
    assert messages == ([f"{loose} not pinned"] if loose else [])


def test_requirements_of_install_dependencies_are_followed_into_the_shared_module(found):
    files = {
        "flows/common.py": 'PINS = {"model": {"sklearn": "scikit-learn"}, "plots": {"numpy": "numpy==1.26.4"}}\n',
        "flows/a.py": flow(
            "AFlow",
            'install_dependencies(common.PINS["plots"])',
            'install_dependencies([common.PINS["model"], "polars>=1"])',
            "pass",
            head="import common\nfrom kit import install_dependencies",
        ),
        **PINS,
    }
    assert [m for *_, m in found(files, "pinned")] == ["install_dependencies: scikit-learn, polars>=1 are not pinned"]


def test_what_a_step_or_a_notebook_installs_with_pip_is_pinned(found, tmp_path):
    start = 'import os, subprocess, sys\nos.system("pip install -q pandas numpy==1.26.4")'
    second = 'subprocess.run([sys.executable, "-m", "pip", "install", "torch"])'
    path = tmp_path / "project/notebooks/a.ipynb"
    notebook(
        path,
        "x = 1\n!pip install -U polars\n%pip install numpy==1.26.4 -r requirements.txt",
        "%mf_install_deps a=a==1 b",
    )
    assert [(f, m) for _, f, _, m in found({"flows/a.py": flow("AFlow", start, second, "pass"), **PINS}, "pinned")] == [
        ("flows/a.py", "pandas is installed without a version"),
        ("flows/a.py", "torch is installed without a version"),
        ("notebooks/a.ipynb", "polars is installed without a version"),
        ("notebooks/a.ipynb", "b is installed without a version"),
    ]


def test_files_of_requirements_are_pinned(found):
    files = {
        "requirements.txt": "# all\npandas\nnumpy==1.26  # exact\n-r more.txt\nx @ https://h/x.whl\ngit+https://h/y\nz>=1\n",
        "environment.yml": """
            dependencies:
              - python
              - pandas=2.1
              - scipy
              - pip:
                - numpy>=1
                - polars
        """,
        "pyproject.toml": '[project]\nname = "x"\ndependencies = [\n  "rich>=13",\n  "click",\n]\n[tool.kit]\n',
    }
    assert [(f, line, m) for _, f, line, m in found(files, "pinned")] == [
        ("environment.yml", 5, "scipy is not pinned"),
        ("environment.yml", 8, "polars is not pinned"),
        ("pyproject.toml", 5, "click is not pinned"),
        ("requirements.txt", 2, "pandas is not pinned"),
        ("requirements.txt", 6, "git+https://h/y is not pinned"),
        ("requirements.txt", 7, "z is not pinned"),
    ]
    locked = {key: value for key, value in files.items() if key != "requirements.txt"}
    assert [f for _, f, *_ in found({**locked, "requirements.txt": "a==1\n", "uv.lock": ""}, "pinned")] == []


def test_a_flow_that_imports_packages_in_a_project_that_declares_none_is_found(found):
    files = {
        "flows/a.py": flow("AFlow", "import pandas", "pass", head="import json\nimport helper"),
        "flows/helper.py": "",
    }
    message = "imports pandas, and nothing in the project pins packages"
    assert found(files, "pinned") == [("pinned", "flows/a.py", 8, message)]
    assert found({**files, **PINS}, "pinned") == []
