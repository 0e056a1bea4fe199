"""Where am I: the root, the folders, the datastores and the user, from any folder."""

import itertools
import json
import os
import subprocess
import sys

import pytest
from support import write_files

from kit.errors import FlowFileError, NotFoundError, ProjectError
from kit.project import Project, find_project, substitute_user

FLOW = "from metaflow import FlowSpec, step\n\n\nclass {0}(FlowSpec):\n    @step\n    def start(self):\n        pass\n"
TRAIN = FLOW.format("TrainFlow")
KIT_TABLE = "[tool.kit]\n"


# ------------------------------------------------------------------ the root


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": KIT_TABLE, "train.py": TRAIN},
        {"flows/train.py": TRAIN},
        {"flows/train.py": TRAIN, "pyproject.toml": "[project]\nname = 'x'\n"},
        {"flows/train.py": TRAIN, "pyproject.toml": KIT_TABLE, ".metaflow/x": ""},
        {"train.py": TRAIN, ".metaflow/x": ""},
        {".metaflow/x": ""},
        {"src/flows/train.py": TRAIN, "pyproject.toml": "[tool.kit]\nflows = 'src/flows'\n"},
        {"flows/train.py": TRAIN, "notebooks/.metaflow/x": ""},
        {"flows/train.py": TRAIN, "flows/.metaflow/x": ""},
        {"flows/train.py": TRAIN, "flows/.metaflow/x": "", "notebooks/.metaflow/x": "", ".metaflow/x": ""},
        {"flows/sub/predict.py": TRAIN, "flows/sub/.metaflow/x": ""},
        {"pyproject.toml": KIT_TABLE, "train.py": TRAIN, "examples/a.py": FLOW.format("A"), "examples/.metaflow/x": ""},
    ],
    ids=lambda files: " ".join(files),
)
def test_the_project_is_found_from_every_folder_inside(make_project, files):
    root = make_project({**files, "notebooks/deep/er/a.ipynb": "", "docs/a.md": ""})
    folders = [root, *(path for path in root.rglob("*") if path.is_dir() and ".metaflow" not in path.parts)]
    assert {find_project(folder).root for folder in folders} == {root}


def test_the_working_directory_is_where_the_search_starts(make_project, monkeypatch):
    root = make_project({"flows/train.py": TRAIN, "notebooks/a.ipynb": ""})
    monkeypatch.chdir(root / "notebooks")
    assert find_project().root == root


@pytest.mark.parametrize(
    ("files", "inner"),
    [
        ({"flows/a.py": TRAIN, "sub/flows/b.py": TRAIN}, "sub"),
        ({"pyproject.toml": KIT_TABLE, "sub/flows/b.py": TRAIN}, "sub"),
        ({"flows/a.py": TRAIN, "sub/pyproject.toml": KIT_TABLE}, "sub"),
        ({".metaflow/x": "", "a.py": TRAIN, "sub/flows/b.py": TRAIN}, "sub"),
        ({"flows/a.py": TRAIN, "sub/b.py": TRAIN, "sub/.metaflow/x": ""}, "sub"),
        ({"flows/a.py": TRAIN, "flows/pyproject.toml": KIT_TABLE}, "flows"),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_project_inside_another_is_a_project_of_its_own(make_project, files, inner):
    root = make_project(files)
    assert find_project(root / inner).root == root / inner
    assert find_project(root).root == root


def test_runs_left_in_a_folder_without_flows_make_no_project_of_it(make_project):
    root = make_project({"a.py": TRAIN, ".metaflow/x": "", "notebooks/.metaflow/x": ""})
    assert find_project(root / "notebooks").root == root


def test_no_project_is_an_error_that_says_what_makes_one(tmp_path):
    with pytest.raises(ProjectError, match="There is no Metaflow project in") as caught:
        find_project(tmp_path)
    assert "flows" in caught.value.hint


# ------------------------------------------------------------------ pyproject.toml


@pytest.mark.parametrize(
    ("settings", "flows", "notebooks"),
    [
        ("", "flows", "notebooks"),
        ("[tool.kit]", "flows", "notebooks"),
        ("[tool.kit]\nflows = 'src/flows'", "src/flows", "notebooks"),
        ("[tool.kit]\nflows = '.'", "", "notebooks"),
        ("[tool.kit]\nnotebooks = 'nb'", "flows", "nb"),
        ("[tool.kit.notebooks]\nfolder = 'nb/debug'\ntimeout = 3", "flows", "nb/debug"),
        ("[tool.kit.notebooks]\ntimeout = 3", "flows", "notebooks"),
        ("[tool.kit]\nflows = 'src/flows'\nnotebooks = 'nb'", "src/flows", "nb"),
    ],
)
def test_pyproject_names_the_folders(make_project, settings, flows, notebooks):
    root = make_project({"pyproject.toml": settings, "flows/a.py": TRAIN, "src/flows/b.py": TRAIN})
    project = find_project(root)
    assert (project.flows_folder, project.notebooks_folder) == (root / flows, root / notebooks)


def test_flows_are_in_the_root_where_there_is_no_folder_for_them(make_project):
    root = make_project({"pyproject.toml": KIT_TABLE, "train.py": TRAIN, "lib/other.py": FLOW.format("Hidden")})
    project = find_project(root)
    assert project.flows_folder == root
    assert list(project.scan().flows) == ["TrainFlow"]


def test_flows_in_subfolders_of_the_flows_folder_are_found(make_project):
    project = find_project(make_project({"flows/daily/train.py": TRAIN, "flows/a.py": FLOW.format("A")}))
    assert set(project.scan().flows) == {"TrainFlow", "A"}


@pytest.mark.parametrize("text", ["[tool.kit\n", "[tool.kit]\nflows = flows\n", "\x00"])
def test_settings_that_are_no_toml_are_an_error_that_names_the_file(make_project, text):
    root = make_project({"pyproject.toml": text, "flows/a.py": TRAIN})
    with pytest.raises(ProjectError, match=r"pyproject\.toml is not valid TOML"):
        find_project(root / "flows")


def test_settings_that_are_not_utf_8_are_an_error(make_project):
    root = make_project({"flows/a.py": TRAIN})
    root.joinpath("pyproject.toml").write_bytes("# größe\n[tool.kit]\nflows = 'x'\n".encode("latin-1"))
    with pytest.raises(ProjectError, match=r"pyproject\.toml is not valid TOML"):
        find_project(root)


@pytest.mark.parametrize("value", ["3", "'flows'", "[1]"])
def test_settings_that_are_no_table_are_an_error(make_project, value):
    root = make_project({"pyproject.toml": f"[tool]\nkit = {value}\n", "flows/a.py": TRAIN})
    with pytest.raises(ProjectError, match=r"\[tool\.kit\] .* is not a table"):
        find_project(root)


def test_broken_settings_above_the_project_are_none_of_its_business(make_project):
    root = make_project({"pyproject.toml": "[broken\n", "project/flows/a.py": TRAIN})
    assert find_project(root / "project" / "flows").root == root / "project"


def test_a_flows_folder_that_is_not_there_is_an_error(make_project):
    root = make_project({"pyproject.toml": "[tool.kit]\nflows = 'flws'\n", "flows/a.py": TRAIN})
    with pytest.raises(ProjectError, match="names the folder 'flws' for flows"):
        find_project(root)


# ------------------------------------------------------------------ flows


def test_a_flow_is_found_by_name_and_a_wrong_name_is_answered(make_project):
    project = find_project(make_project({"flows/train.py": TRAIN}))
    assert project.flow("TrainFlow").steps == ("start",)
    with pytest.raises(NotFoundError, match="There is no flow TrainFlw in flows") as caught:
        project.flow("TrainFlw")
    assert caught.value.hint == "Did you mean TrainFlow?"


def test_a_flow_whose_file_does_not_parse_is_said_to_be_broken_not_absent(make_project):
    project = find_project(make_project({"flows/train.py": f"{TRAIN}    def oops(:\n"}))
    with pytest.raises(FlowFileError, match=r"flows/train\.py does not parse: line 8: "):
        project.flow("TrainFlow")


def test_paths_are_written_as_seen_from_the_root(make_project, tmp_path):
    root = make_project({"flows/train.py": TRAIN})
    project = find_project(root)
    assert project.relative(root / "flows" / "train.py") == os.path.join("flows", "train.py")
    assert project.relative(tmp_path / "x") == str(tmp_path / "x")


# ------------------------------------------------------------------ datastores

STORE_FOLDERS = ("..", ".", "flows", "notebooks")


every_combination = pytest.mark.parametrize(
    "present", [c for n in range(len(STORE_FOLDERS) + 1) for c in itertools.combinations(STORE_FOLDERS, n)]
)


@every_combination
def test_every_datastore_that_runs_may_have_gone_to_is_read(make_project, present):
    root = make_project({"flows/train.py": TRAIN, "notebooks/a.ipynb": "", "docs/a.md": ""})
    made = {name: (root / name).resolve() / ".metaflow" for name in STORE_FOLDERS}
    for name in present:
        made[name].mkdir()
    expected = [made[name] for name in (".", "flows", "notebooks") if name in present]
    if ".." in present and "." not in present:  # where a run from the root goes, then
        expected.append(made[".."])
    for start in (root, root / "flows", root / "notebooks"):
        assert find_project(start).stores() == tuple(expected or [made["."]])


@every_combination
@pytest.mark.parametrize("start", STORE_FOLDERS[1:])
def test_where_metaflow_itself_would_write_is_among_them(make_project, monkeypatch, present, start):
    from metaflow.plugins.datastores.local_storage import LocalStorage

    root = make_project({"flows/train.py": TRAIN, "notebooks/a.ipynb": ""})
    for name in present:
        (root / name / ".metaflow").mkdir()
    monkeypatch.setattr(LocalStorage, "SYSROOT_VAR", None)
    monkeypatch.chdir(root / start)
    store = LocalStorage.get_datastore_root_from_config(print, create_on_absent=False)
    assert store is None or store in map(str, find_project().stores())


def test_the_variable_names_the_one_datastore(make_project, tmp_path, monkeypatch):
    root = make_project({"flows/train.py": TRAIN, ".metaflow/x": "", "flows/.metaflow/x": ""})
    monkeypatch.chdir(tmp_path)
    for value in (str(tmp_path / "data"), "data"):
        project = find_project(root, {"METAFLOW_DATASTORE_SYSROOT_LOCAL": value})
        assert project.stores() == (tmp_path / "data" / ".metaflow",)


def test_metaflows_configuration_names_the_one_datastore_too(make_project, tmp_path):
    root = make_project({"flows/train.py": TRAIN, ".metaflow/x": ""})
    write_files(tmp_path / "home", {"config.json": json.dumps({"METAFLOW_DATASTORE_SYSROOT_LOCAL": "/data"})})
    environ = {"METAFLOW_HOME": str(tmp_path / "home")}
    assert [str(store) for store in find_project(root, environ).stores()] == ["/data/.metaflow"]


def test_each_datastore_is_named_once(make_project):
    root = make_project({"pyproject.toml": KIT_TABLE, "train.py": TRAIN, ".metaflow/x": ""})
    assert find_project(root).stores() == (root / ".metaflow",)
    assert Project(root, root, root).stores() == (root / ".metaflow",)


# ------------------------------------------------------------------ the user

USERS = [
    ({}, None, "jupyter"),
    ({"USER": "root"}, None, "jupyter"),
    ({"USER": "anna"}, None, None),
    ({"USERNAME": "anna", "USER": "root"}, None, None),
    ({"USERNAME": "root", "USER": "root", "SUDO_USER": "root"}, None, "jupyter"),
    ({"USER": "root", "SUDO_USER": "anna"}, None, None),
    ({"USER": ""}, None, "jupyter"),
    ({"USER": "root", "METAFLOW_USER": "anna"}, None, None),
    ({"USER": "root", "METAFLOW_USER": "root"}, None, "jupyter"),
    ({"USER": "root", "METAFLOW_USER": "", "NB_USER": "jovyan"}, None, "jovyan"),
    ({"USER": "root", "JUPYTERHUB_USER": "berta"}, None, "berta"),
    ({"USER": "root", "NB_USER": "jovyan"}, None, "jovyan"),
    ({"USER": "root", "NB_USER": "jovyan", "JUPYTERHUB_USER": "berta"}, None, "berta"),
    ({"USER": "root", "NB_USER": "root", "JUPYTERHUB_USER": ""}, None, "jupyter"),
    ({"USER": "anna", "JUPYTERHUB_USER": "berta"}, None, None),
    ({"USER": "root", "METAFLOW_PRODUCTION_TOKEN": "token"}, None, None),
    ({"USER": "root"}, {"METAFLOW_USER": "anna"}, None),
    ({"USER": "root"}, {"METAFLOW_USER": "root"}, "jupyter"),
    ({"USER": "root"}, {"METAFLOW_DEFAULT_DATASTORE": "local"}, "jupyter"),
    ({"USER": "root", "METAFLOW_USER": "root"}, {"METAFLOW_USER": "anna"}, "jupyter"),
    ({"USER": "root", "METAFLOW_PROFILE": "team"}, {"METAFLOW_USER": "größe"}, None),
]


@pytest.fixture
def as_user(tmp_path):
    """Give an environment with variables and a configuration file of Metaflow's."""

    def environ(variables, config):
        profile = variables.get("METAFLOW_PROFILE")
        if config is not None:
            name = f"config_{profile}.json" if profile else "config.json"
            write_files(tmp_path, {name: json.dumps(config, ensure_ascii=False)})
        return {"METAFLOW_HOME": str(tmp_path), **variables}

    return environ


@pytest.mark.parametrize(("variables", "config", "expected"), USERS)
def test_metaflow_is_given_a_user_only_where_it_would_refuse(as_user, variables, config, expected):
    assert substitute_user(as_user(variables, config)) == expected


ASK_METAFLOW = """
from metaflow.exception import MetaflowUnknownUser
from metaflow.util import resolve_identity
try:
    resolve_identity()
    print("knows")
except MetaflowUnknownUser:
    print("refuses")
"""


@pytest.mark.parametrize(
    ("variables", "config", "expected"),
    [
        case
        for case in USERS  # a process each: those without what only Metaflow knows are left out
        if case[0].keys() & {"METAFLOW_USER", "METAFLOW_PRODUCTION_TOKEN", "SUDO_USER"} or case[1]
    ],
)
def test_metaflow_itself_refuses_exactly_there(as_user, tmp_path, variables, config, expected):
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **as_user(variables, config)}
    done = subprocess.run(
        [sys.executable, "-c", ASK_METAFLOW], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ("knows" if expected is None else "refuses")


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", '"x"'])
def test_a_configuration_that_is_no_table_is_passed_over(tmp_path, content):
    write_files(tmp_path, {"config.json": content})
    assert substitute_user({"METAFLOW_HOME": str(tmp_path), "USER": "root"}) == "jupyter"


def test_a_metaflow_that_is_imported_already_is_asked_itself(monkeypatch):
    import metaflow  # noqa: F401

    for name in ("USERNAME", "USER", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    assert substitute_user() == "jupyter"
    monkeypatch.setenv("NB_USER", "jovyan")
    assert substitute_user() == "jovyan"
    monkeypatch.setenv("USERNAME", "anna")
    assert substitute_user() is None
