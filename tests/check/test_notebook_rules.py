"""What `kit check` finds in notebooks: debug notebooks that lack something, secrets in outputs."""

import pytest
from check_projects import TOKEN, flow, notebook
from support import write_files

from kit.checks.run import check
from kit.checks.secret_shapes import secret_kinds


def test_a_debug_notebook_loads_kit_takes_its_run_and_has_a_reference(found, tmp_path):
    path = tmp_path / "project/notebooks/debug.ipynb"
    notebook(path, "from metaflow import Flow", "run = Flow('AFlow').latest_run")
    rules = ("notebook-kit", "notebook-parameters", "notebook-reference")
    lines = path.read_text().splitlines()
    first, second = (
        next(n for n, text in enumerate(lines, 1) if word in text) for word in ("import Flow", "latest_run")
    )
    assert [(r, line, m.split(":")[0]) for r, _, line, m in found({}, *rules)] == [
        ("notebook-kit", first, "does not load kit"),
        ("notebook-reference", first, "has no reference"),
        ("notebook-parameters", second, "reads runs and has no cell tagged `parameters`"),
    ]
    notebook(path, "run = 'AFlow'", "%load_ext kit\n%mf_artifacts {run}", runs={"run": "AFlow"}, tags=["parameters"])
    write_files(path.parent, {"references/debug.json": "{}"})
    assert found({}, *rules) == []


def test_a_notebook_that_reads_no_run_needs_no_parameters(found, tmp_path):
    notebook(tmp_path / "project/notebooks/plain.ipynb", "import kit\nprint(1)")
    assert found({}, "notebook-kit", "notebook-parameters") == []


@pytest.mark.parametrize(
    ("cell", "reads"),
    [
        ("run = metaflow.Flow(pathspec='AFlow').latest_run", True),
        ("run = Run(f'AFlow/{n}')", True),
        ("from kit import artifacts\nartifacts('AFlow')", True),
        ("# Flow('AFlow')", False),
        ("%mf_artifacts?", False),
        ("%mf_run_step --help", False),
        ("from prefect import Flow\nFlow('x')", False),
        ('text = """\n%mf_artifacts AFlow\n"""', False),
    ],
)
def test_a_notebook_reads_runs_where_its_code_says_so(found, tmp_path, cell, reads):
    notebook(tmp_path / "project/notebooks/a.ipynb", "%load_ext kit", cell)
    assert len(found({}, "notebook-parameters")) == reads


@pytest.mark.parametrize(
    ("cell", "loads"),
    [
        ("import os, kit", True),
        ("import os; import kit as k", True),
        ("get_ipython().extension_manager.load_extension('kit')", True),
        ("try:\n    %load_ext kit\nexcept Exception:\n    pass", True),
        ('"""\n%load_ext kit\n"""', False),
        ("# %load_ext kit", False),
        ("import kitchen", False),
    ],
)
def test_a_notebook_loads_kit_where_its_code_does(found, tmp_path, cell, loads):
    notebook(tmp_path / "project/notebooks/a.ipynb", cell, "x = 1")
    assert len(found({}, "notebook-kit")) == (not loads)


def test_kit_is_loaded_before_runs_are_read(found, tmp_path):
    notebook(tmp_path / "project/notebooks/a.ipynb", "run = Flow('AFlow').latest_run", "%load_ext kit")
    ((*_, message),) = found({}, "notebook-kit")
    assert message == "reads runs before it loads kit, in cell 2"


def test_the_cell_of_parameters_sets_what_the_metadata_wants(found, tmp_path):
    path = tmp_path / "project/notebooks/a.ipynb"
    notebook(path, "other = 1", "%load_ext kit\n%mf_artifacts {run}", runs={"run": "AFlow"}, tags=["parameters"])
    ((*_, message),) = found({}, "notebook-parameters")
    assert message == "its metadata wants runs for run, which its cell tagged `parameters` does not set"


def test_a_notebook_outside_the_folder_of_notebooks_is_looked_at_for_secrets_alone(found, tmp_path):
    notebook(tmp_path / "project/scratch.ipynb", ("print(key)", f"key {TOKEN}"))
    assert [(r, f) for r, f, *_ in found({"flows/a.py": flow("AFlow", "pass", "pass")})] == [
        ("secrets", "scratch.ipynb")
    ]


def test_a_file_that_is_no_notebook_is_found(found):
    ((rule, file, line, message),) = found({"notebooks/a.ipynb": "{"}, "syntax")
    assert (rule, file, line) == ("syntax", "notebooks/a.ipynb", 1)
    assert "not valid JSON" in message


# ------------------------------------------------------------------ secrets

SHAPES = [
    ("AKIA" + "IOSFODNN7EXAMPLE", "an AWS access key"),
    ("aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYzq0rT7h1aK", "an AWS secret key"),
    (TOKEN, "a GitHub token"),
    ("github" + "_pat_" + "11ABCDEFG0abcdefghijkl_mnopqrstuv", "a GitHub token"),
    ("gl" + "pat-" + "a1b2c3d4e5f6g7h8i9j0", "a GitLab token"),
    ("xo" + "xb-" + "123456789012-abcdefGHIJ", "a Slack token"),
    ("AI" + "za" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q", "a Google API key"),
    ("sk" + "_live_" + "a1b2c3d4e5f6g7h8i9j0k1", "a Stripe key"),
    ("sk" + "-proj-" + "A1b2C3d4E5f6G7h8I9j0K1l2", "an API key (sk-...)"),
    ("-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1c7wz9jX0q", "a private key"),
    ("Authorization: Bearer " + "a1b2c3d4e5f6g7h8i9j0k1l2", "a bearer token"),
    ("ey" + "JhbGciOiJIUzI1NiJ9." + "ey" + "JzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uh", "a JSON Web Token"),
    ("postgresql://anna:" + "hunter2hunter" + "@db.host:5432/x", "a password in an address"),
    ("{'password': '" + "tr0ub4dor-and-3" + "'}", "a password or key"),
]


@pytest.mark.parametrize(("text", "kind"), SHAPES, ids=[kind for _, kind in SHAPES])
def test_a_secret_in_an_output_is_found_and_never_shown(found, tmp_path, text, kind):
    path = tmp_path / "project/notebooks/a.ipynb"
    notebook(path, "%load_ext kit", ("print(key)", f"first\nit is {text}\n"))
    findings = check([tmp_path / "project"], only=["secrets"]).findings if found({}, "secrets") else ()
    assert [(f.cell, f.message) for f in findings] == [(2, f"{kind} in the output of cell 2")]
    assert "it is" in path.read_text().splitlines()[findings[0].line - 1]
    assert not any(word in str(findings) for word in text.split() if len(word) > 15)


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "x" * 36,
        "password = '********'",
        "password = os.environ['PASSWORD']",
        '{"api_key": "your-api-key-1"}',
        "postgresql://user:${PASSWORD}@host/db",
        "postgresql://user:{password}@host/db",
        "https://example.com:8080/a@b",
        'class="sk-estimator-doc-link sk-toggleable__label-arrow-1A"',
        "sha256:" + "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "Bearer of bad news, and of good ones as well",
        "-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA1c7wz9jX0q",
        "tokens: 12345678901234567890",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(text):
    assert secret_kinds(text) == ()


def test_a_secret_in_a_source_and_in_metadata_is_found(found, tmp_path):
    path = tmp_path / "project/notebooks/a.ipynb"
    notebook(path, f"import kit\nkey = '{TOKEN}'", runs={"key": TOKEN})
    findings = found({"flows/a.py": f"KEY = '{TOKEN}'\n"}, "secrets")
    assert sorted((f, m) for _, f, _, m in findings) == [
        ("flows/a.py", "a GitHub token in the source"),
        ("notebooks/a.ipynb", "a GitHub token in the notebook's metadata"),
        ("notebooks/a.ipynb", "a GitHub token in the source of cell 1"),
    ]
