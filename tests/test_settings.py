"""What `kit test` reads before it starts: the test mode of flows, and what notebooks say of themselves."""

import json

import pytest
from support import write_files

from kit import testmode
from kit.errors import NotebookError, ProjectError
from kit.model import FlowInfo
from kit.project import find_project
from kit.regression import settings as kit_settings
from kit.regression.discover import Notebook, check_parameters, find_notebooks, read_notebook

FLOW = FlowInfo("TrainFlow", "flows/train.py", 1, ("start",), ("test_mode", "epochs"))


@pytest.fixture
def project(make_project):
    """Make a project with settings; gives it."""

    def make(settings="[tool.kit]", files=None):
        return find_project(make_project({"pyproject.toml": settings, "flows/.keep": "", **(files or {})}))

    return make


# ------------------------------------------------------------------ test mode


@pytest.mark.parametrize(
    ("table", "options", "arguments", "needs"),
    [
        ("", (), (), ()),
        ("test_mode = true", (), ("--test_mode", "1"), ()),
        ("test_mode = false", (), ("--test_mode", "0"), ()),
        ("epochs = 3\nrate = 0.5", (), ("--epochs", "3", "--rate", "0.5"), ()),
        ("name = 'a b'", (), ("--name", "a b"), ()),
        ("grid = [1, 2]\nwhere = {a = 1}", (), ("--grid", "[1, 2]", "--where", '{"a": 1}'), ()),
        ("day = 2024-05-17", (), ("--day", "2024-05-17"), ()),
        ("days = [2024-05-17]", (), ("--days", '["2024-05-17"]'), ()),
        ("args = '--tag \"a b\" --max-workers 1'", (), ("--tag", "a b", "--max-workers", "1"), ()),
        ("args = ['--tag', 'a b', 3]", (), ("--tag", "a b", "3"), ()),
        ("epochs = 1\nargs = '--tag x'", (), ("--epochs", "1", "--tag", "x"), ()),
        ("config = {main = 'small.json'}", ("--config", "main", "small.json"), (), ()),
        ("needs = 'OtherFlow'", (), (), ("OtherFlow",)),
        ("needs = ['A', 'B']", (), (), ("A", "B")),
    ],
)
def test_the_table_of_a_flow_is_its_test_mode(project, table, options, arguments, needs):
    found = testmode.test_mode(project(f"[tool.kit.test.TrainFlow]\n{table}"), FLOW)
    assert found == testmode.TestMode(options, arguments, needs)


@pytest.mark.parametrize(
    ("settings", "parameters", "arguments"),
    [
        ("[tool.kit]", ("test_mode",), ("--test_mode", "1")),
        ("[tool.kit]", ("epochs",), ()),
        ("[tool.kit.test.OtherFlow]\nepochs = 3", ("test_mode",), ("--test_mode", "1")),
    ],
)
def test_without_a_table_test_mode_is_the_parameter_of_that_name(project, settings, parameters, arguments):
    flow = FlowInfo("TrainFlow", "flows/train.py", 1, ("start",), parameters)
    assert testmode.test_mode(project(settings), flow) == testmode.TestMode(arguments=arguments)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ("[tool.kit]\ntest = 1", r"\[tool\.kit\.test\] "),
        ("[tool.kit.test]\nTrainFlow = 1", r"\[tool\.kit\.test\.TrainFlow\] "),
        ("[tool.kit.test.TrainFlow]\nargs = '--tag \"a'", "`args`"),
        ("[tool.kit.test.TrainFlow]\nargs = 3", "`args`"),
        ("[tool.kit.test.TrainFlow]\nconfig = 'small.json'", "`config`"),
        ("[tool.kit.test.TrainFlow]\nneeds = 3", "`needs`"),
        ("[tool.kit.test.TrainFlow]\nneeds = [3]", "`needs`"),
    ],
)
def test_settings_that_are_not_as_they_should_be_are_named(project, settings, what):
    with pytest.raises(ProjectError, match=what) as caught:
        testmode.test_mode(project(settings), FLOW)
    assert "pyproject.toml" in caught.value.message
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ("[tool.kit]", None),
        ("[tool.kit]\nnotebooks = 'nb'", None),
        ("[tool.kit.notebooks]\nfolder = 'nb'", None),
        ("[tool.kit.notebooks]\ntimeout = 30", 30),
        ("[tool.kit.notebooks]\ntimeout = 0", None),
    ],
)
def test_the_time_limit_of_cells_is_read_from_the_notebooks_table(project, settings, seconds):
    assert kit_settings.notebook_timeout(project(settings)) == seconds


@pytest.mark.parametrize("value", ["'soon'", "[1]", "true", "-3", "inf", "nan"])
def test_a_time_limit_that_is_no_number_of_seconds_is_an_error(project, value):
    with pytest.raises(ProjectError, match="timeout"):
        kit_settings.notebook_timeout(project(f"[tool.kit.notebooks]\ntimeout = {value}"))


# ------------------------------------------------------------------ a notebook


def notebook(*cells, kit=None, minor=4, **metadata):
    """Write a notebook as JSON; a cell is its source, or its source and its tags."""
    made = []
    for cell in cells:
        source, tags = cell if isinstance(cell, tuple) else (cell, None)
        meta = {} if tags is None else {"tags": tags}
        made.append({"cell_type": "code", "source": source, "metadata": meta, "outputs": [], "execution_count": None})
    if kit is not None:
        metadata["kit"] = kit
    return json.dumps({"nbformat": 4, "nbformat_minor": minor, "metadata": metadata, "cells": made})


@pytest.fixture
def read(project):
    """Write a notebook and read it."""

    def of(content):
        made = project(files={"notebooks/a.ipynb": content})
        return read_notebook(made, made.notebooks_folder / "a.ipynb")

    return of


def test_a_notebook_says_which_runs_it_wants_and_which_parameters_it_sets(read):
    found = read(
        notebook("%load_ext kit", ('train_run = "TrainFlow"', ["parameters"]), kit={"runs": {"train_run": "TrainFlow"}})
    )
    assert found.name == "notebooks/a.ipynb"
    assert found.runs == {"train_run": "TrainFlow"}
    assert found.declared == {"train_run"}


@pytest.mark.parametrize(
    ("source", "declared"),
    [
        ("", set()),
        ("a = 1\nb: int = 2\nc = d = 3\n(e, [f, *g]) = x", {"a", "b", "c", "d", "e", "f", "g"}),
        ("a = b", {"a"}),
        ("a.b = 1\nc[d] = 2", set()),
        ("%matplotlib inline\na = 1\nb : int = 2", {"a", "b"}),
        ("# a comment: b = 2\na = 1  # c = 3", {"a"}),
        ("print('a = 1')", set()),
        ('a = "\\d"', {"a"}),
    ],
)
def test_the_parameters_are_the_names_that_the_tagged_cell_sets(read, source, declared):
    found = read(notebook("before = 1", (source, ["other", "parameters"]), ("later = 1", ["parameters"]))).declared
    assert {name for name in found if name.isidentifier()} == declared


def test_a_notebook_without_a_tagged_cell_declares_none(read):
    assert read(notebook("a = 1", ("b = 2", ["other"]))).declared is None
    assert read(notebook()) == Notebook(read(notebook()).path, "notebooks/a.ipynb")


def test_a_markdown_cell_that_is_tagged_is_no_parameters_cell(read):
    content = json.loads(notebook(("a = 1", ["parameters"])))
    content["cells"][0] = {"cell_type": "markdown", "source": "a = 1", "metadata": {"tags": ["parameters"]}}
    assert read(json.dumps(content)).declared is None


def test_a_notebook_of_format_3_is_read(read):
    cell = {
        "cell_type": "code",
        "input": "a = 1",
        "outputs": [],
        "language": "python",
        "metadata": {"tags": ["parameters"]},
    }
    content = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": [cell]}]}
    assert read(json.dumps(content)).declared == {"a"}


def test_cells_without_ids_are_read_without_a_warning(read):
    assert read(notebook(("a = 1", ["parameters"]), minor=5)).declared == {"a"}


@pytest.mark.parametrize("content", ["", "{", "not a notebook", "<<<<<<< HEAD\n{}\n", '{"a": 1,}', "\ufeff{}"])
def test_what_is_no_json_is_said_to_be_none(read, content):
    with pytest.raises(NotebookError, match=r"notebooks/a\.ipynb is not valid JSON") as caught:
        read(content)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[1, 2]",
        "3",
        "null",
        '"text"',
        '{"nbformat": 4, "nbformat_minor": 5}',
        '{"nbformat": 4, "nbformat_minor": 5, "cells": []}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": [], "cells": []}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": {}}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
        '{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
    ],
)
def test_json_that_is_no_notebook_is_said_to_be_none(read, content):
    with pytest.raises(NotebookError, match=r"notebooks/a\.ipynb is not a notebook: ") as caught:
        read(content)
    assert len(str(caught.value).splitlines()) == 2


def test_a_notebook_that_is_not_utf_8_is_said_to_be_none(project):
    made = project(files={"notebooks/a.ipynb": ""})
    path = made.notebooks_folder / "a.ipynb"
    path.write_bytes(notebook("größe = 1").replace("\\u00f6", "ö").encode("latin-1"))
    with pytest.raises(NotebookError, match=r"notebooks/a\.ipynb is not"):
        read_notebook(made, path)


@pytest.mark.parametrize(
    "kit", [3, "TrainFlow", ["a"], {"runs": 3}, {"runs": ["TrainFlow"]}, {"runs": {"a": 1}}, {"runs": None}]
)
def test_metadata_of_another_shape_is_answered_with_how_to_write_it(read, kit):
    with pytest.raises(NotebookError, match=r"kit\.runs") as caught:
        read(notebook(kit=kit))
    assert '{"kit": {"runs": {"train_run": "TrainFlow"}}}' in caught.value.hint


@pytest.mark.parametrize("kit", [{}, {"runs": {}}, {"other": 1}])
def test_metadata_without_runs_wants_none(read, kit):
    assert read(notebook(kit=kit)).runs == {}


# ------------------------------------------------------------------ its parameters


@pytest.mark.parametrize(
    ("declared", "names"), [(frozenset("ab"), ["a"]), (frozenset("ab"), ["a", "b"]), (None, []), (frozenset(), [])]
)
def test_a_notebook_may_be_given_what_it_declares(tmp_path, declared, names):
    check_parameters(Notebook(tmp_path, "a.ipynb", {}, declared), names)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (None, "a.ipynb has no cell tagged `parameters`, and is given x, y."),
        (frozenset("a"), "a.ipynb does not set x, y in its cell tagged `parameters`."),
        (frozenset("x"), "a.ipynb does not set y in its cell tagged `parameters`."),
    ],
)
def test_a_notebook_is_not_given_what_would_have_no_effect(tmp_path, declared, message):
    with pytest.raises(NotebookError) as caught:
        check_parameters(Notebook(tmp_path, "a.ipynb", {}, declared), ["x", "y"])
    assert caught.value.message == message


# ------------------------------------------------------------------ which notebooks


@pytest.fixture
def three(project):
    """Make a project with three notebooks, and what looks like some."""
    files = {
        "notebooks/b.ipynb": "{}",
        "notebooks/a.ipynb": "{}",
        "notebooks/deep/c.ipynb": "{}",
        "notebooks/.ipynb_checkpoints/a-checkpoint.ipynb": "{}",
        "notebooks/deep/.hidden/d.ipynb": "{}",
        "notebooks/readme.md": "",
        "notebooks/folder.ipynb/x.md": "",
        "other/e.ipynb": "{}",
    }
    return project(files=files)


def names(project, found):
    """Give paths as seen from the root."""
    return [project.relative(path) for path in found]


def test_the_notebooks_of_the_projects_folder_are_found_in_order(three):
    assert names(three, find_notebooks(three, [])) == [
        "notebooks/a.ipynb",
        "notebooks/b.ipynb",
        "notebooks/deep/c.ipynb",
    ]


def test_files_and_folders_are_taken_as_they_are_named_and_each_notebook_once(three, monkeypatch):
    monkeypatch.chdir(three.root)
    found = find_notebooks(three, ["other", "notebooks/b.ipynb", three.notebooks_folder])
    assert names(three, found) == ["other/e.ipynb", "notebooks/b.ipynb", "notebooks/a.ipynb", "notebooks/deep/c.ipynb"]
    assert all(path.is_absolute() for path in found)


def test_a_hidden_folder_that_is_named_itself_is_read(three):
    found = find_notebooks(three, [three.notebooks_folder / ".ipynb_checkpoints"])
    assert names(three, found) == ["notebooks/.ipynb_checkpoints/a-checkpoint.ipynb"]


@pytest.mark.parametrize("place", ["gone.ipynb", "gone"])
def test_a_notebook_that_is_not_there_is_an_error(three, place):
    with pytest.raises(NotebookError, match=f"There is no notebook {place}"):
        find_notebooks(three, [three.notebooks_folder, place])


def test_a_project_or_a_folder_without_notebooks_is_an_error(project, tmp_path):
    made = project()
    with pytest.raises(NotebookError, match=r"There are no notebooks in notebooks\."):
        find_notebooks(made, [])
    write_files(tmp_path / "empty", {"a.md": ""})
    with pytest.raises(NotebookError, match=r"There are no notebooks in .*empty"):
        find_notebooks(made, [tmp_path / "empty"])


def test_the_rules_of_comparison_are_read(project):
    settings = "[tool.kit.notebooks]\nrtol = 0.01\natol = 0\nstderr = true\nsanitize = { 'build \\d+' = 'build <n>' }"
    rules = kit_settings.comparison_rules(project(settings))
    assert (rules.rtol, rules.atol, rules.stderr) == (0.01, 0, True)
    text = "build 17"
    for pattern, replacement in rules.sanitizers:
        text = pattern.sub(replacement, text)
    assert text == "build <n>"


@pytest.mark.parametrize("line", ["rtol = -1", "atol = 'x'", "rtol = true", "sanitize = 1", "sanitize = { '(' = '' }"])
def test_a_rule_of_comparison_that_makes_no_sense_is_refused(project, line):
    with pytest.raises(ProjectError, match=line.split()[0]):
        kit_settings.comparison_rules(project(f"[tool.kit.notebooks]\n{line}"))
