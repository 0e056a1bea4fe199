"""`kit check`: a project as a whole, what is left out, and how findings are told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from check_projects import TOKEN, flow, notebook
from click.testing import CliRunner
from support import write_files

from kit.checks.rules import RULES
from kit.checks.run import check
from kit.cli import main
from kit.errors import ArgumentError, ProjectError

ROOT = Path(__file__).parents[2]
IGNORED = {".gitignore": ".metaflow/\n"}


def git(folder, *words):
    """Run git in a folder."""
    subprocess.run(["git", "-C", str(folder), *words], check=True)  # noqa: S607


# ------------------------------------------------------------------ projects that are as they should be


def test_this_project_is_clean():
    assert check([ROOT]).findings == ()


def test_a_small_flow_without_anything_to_fail_or_to_test_is_clean(found):
    hello = flow("HelloFlow", 'print("hi")', 'self.words = "a b".split()', "print(len(self.words))")
    assert found({"flows/hello.py": hello}) == []


def test_no_flow_is_imported_to_check_it(found, tmp_path):
    spy = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    found({"flows/spy.py": flow("SpyFlow", "pass", "pass", head=spy)})
    assert not (tmp_path / "ran").exists()


# ------------------------------------------------------------------ the project


def test_a_datastore_that_git_would_take_is_found_with_and_without_a_repository(found, tmp_path):
    files = {".gitignore": "*.pyc\n"}
    assert [(r, f) for r, f, *_ in found(files, "metaflow-ignored")] == [("metaflow-ignored", ".gitignore")]
    git(tmp_path, "init", "-q", "project")
    assert len(found(files, "metaflow-ignored")) == 1


IGNORING = [".metaflow", "**/.metaflow/**", ".metaflow/*", "*.metaflow", "/.metaflow/", ".*", "[.]metaflow", "*"]
NOT_IGNORING = [
    ".metaflow/\n!.metaflow/",
    "/flows/.metaflow",
    "data/.metaflow/",
    "metaflow",
    "# .metaflow",
    ".metaflows",
]


@pytest.mark.parametrize("repository", [True, False])
@pytest.mark.parametrize("line", NOT_IGNORING)
def test_what_only_looks_like_ignoring_the_datastore_does_not_count(found, tmp_path, line, repository):
    if repository:
        git(tmp_path, "init", "-q", "project")
    assert len(found({".gitignore": f"{line}\n"}, "metaflow-ignored")) == 1


def test_a_project_in_a_folder_of_a_repository_is_under_that_repositorys_rules(found, tmp_path):
    git(tmp_path, "init", "-q")
    write_files(tmp_path, {".gitignore": ".metaflow/\n"})
    assert found({".gitignore": "*.pyc\n"}, "metaflow-ignored") == []
    assert len(found({".gitignore": "!.metaflow/\n"}, "metaflow-ignored")) == 1


@pytest.mark.parametrize("repository", [True, False])
@pytest.mark.parametrize("line", ["!.metaflow", "!.metaflow/", "!.metaflow/**"])
def test_a_line_that_takes_the_ignoring_back_is_named(found, tmp_path, line, repository):
    if repository:
        git(tmp_path, "init", "-q", "project")
    ignoring = "# runs\n.metaflow/*\n\n" if "**" in line else "# runs\n.*\n\n"
    ((_, file, number, message),) = found({".gitignore": f"{ignoring}{line}\n"}, "metaflow-ignored")
    assert (file, number, message.endswith(f"{line} takes it back")) == (".gitignore", 4, True)


def test_a_datastore_in_a_folder_of_the_project_is_looked_at_too(found):
    files = {"flows/.metaflow/AFlow/1": "x", ".gitignore": "/.metaflow/\n"}
    assert [m for *_, m in found(files, "metaflow-ignored")] == [
        "flows/.metaflow, the datastore of runs, is not ignored by git"
    ]


@pytest.mark.parametrize("line", IGNORING)
@pytest.mark.parametrize("repository", [True, False])
def test_every_way_to_ignore_the_datastore_counts(found, tmp_path, line, repository):
    if repository:
        git(tmp_path, "init", "-q", "project")
    assert found({".gitignore": f"# data\n{line}\n"}, "metaflow-ignored") == []


def test_a_datastore_that_is_in_git_already_is_found_though_it_is_ignored(found, tmp_path):
    files = {".metaflow/F/1/data": "x", ".gitignore": "\n"}
    write_files(tmp_path / "project", files)
    git(tmp_path, "init", "-q", "project")
    git(tmp_path / "project", "add", "-A")
    ((_, _, _, message),) = found({".gitignore": ".metaflow/\n"}, "metaflow-ignored")
    assert message == ".metaflow, the datastore of runs, is in git"


COPIED = """
def clean(rows):
    kept = [row for row in rows if row]
    for row in kept:
        row["total"] = sum(row.values())
    return sorted(kept, key=len)
"""


def test_a_function_that_was_copied_between_flow_files_is_found_in_the_later_one(found):
    renamed = COPIED.replace("clean", "tidy")
    files = {
        "flows/a.py": flow("AFlow", "pass", "pass", head=COPIED),
        "flows/b.py": flow("BFlow", "pass", "pass", head=renamed),
    }
    assert found(files, "shared-code") == [
        ("shared-code", "flows/b.py", 3, "the function tidy is a copy of clean (flows/a.py:3)")
    ]


def test_a_copy_of_what_the_shared_module_has_is_found_in_the_flow_file(found):
    files = {"flows/a.py": flow("AFlow", "pass", "pass", head=COPIED), "flows/common.py": COPIED}
    assert [(f, m) for _, f, _, m in found(files, "shared-code")] == [
        ("flows/a.py", "the function clean is a copy of clean (flows/common.py:2)")
    ]


def test_statements_that_were_copied_into_a_step_are_found(found):
    work = "\n".join(f"x{n} = sum(range({n}, self.size))" for n in range(7))
    files = {f"flows/{n}.py": flow(f"{n}Flow", f"{work}\nself.{n} = x1", "pass") for n in "AB"}
    ((_, file, line, message),) = found(files, "shared-code")
    assert (file, line) == ("flows/B.py", 7)
    assert message == "6 statements or more are a copy of those at flows/A.py:7"


def test_small_things_and_different_things_may_look_alike(found):
    join = "self.results = [one.result for one in range(3)]\nself.merge_artifacts(self.inputs, exclude=['a', 'b'])"
    small = "def read(path):\n    return path.read_text()"
    files = {
        "flows/a.py": flow("AFlow", join, "print(1)", head=small),
        "flows/b.py": flow("BFlow", join, "print(1)", head=small),
        "flows/c.py": flow("CFlow", "pass", "pass", head=COPIED.replace("len", "str")),
        "flows/d.py": flow("DFlow", "pass", "pass", head=COPIED),
    }
    assert found(files, "shared-code") == []


# ------------------------------------------------------------------ leaving out


@pytest.mark.parametrize(
    "comment", ["# kit: ignore[picklable]", "# kit: ignore[step-length, picklable] it is meant so", "#kit:ignore"]
)
def test_a_comment_on_the_line_leaves_a_finding_out(found, comment):
    assert found({"flows/a.py": flow("AFlow", f"self.f = lambda: 1  {comment}", "pass")}, "picklable") == []


def test_a_comment_on_another_rule_a_text_or_another_line_leaves_nothing_out(found):
    work = 'self.f = lambda: "# kit: ignore[picklable]"\nself.x = 1  # kit: ignore[picklable]'
    work += '\nself.g = open("x")  # kit: ignore[pinned]'
    assert len(found({"flows/a.py": flow("AFlow", work, "pass")}, "picklable")) == 2


def test_a_comment_may_stand_on_a_decorator_of_the_step_or_on_the_last_line_of_a_statement(found):
    work = "self.f = [\n    lambda: 1,\n]  # kit: ignore[picklable]"
    source = flow("AFlow", work, "self.x = load()", "pass").replace(
        "@step\n    def start", "@step  # kit: ignore[fail-fast]\n    def start"
    )
    assert found({"flows/a.py": source}, "fail-fast", "picklable") == []


def test_a_comment_in_a_cell_leaves_its_findings_out(found, tmp_path):
    path = tmp_path / "project/notebooks/a.ipynb"
    notebook(
        path,
        "# kit: ignore[notebook-kit, notebook-reference]\nx = 1",
        (f"# kit: ignore[secrets]\nprint({TOKEN!r})", TOKEN),
    )
    assert found({}) == []


@pytest.mark.parametrize("comments", ["# kit: ignore[picklable]", "# kit: ignore[picklable]\n\n# meant so"])
def test_a_comment_alone_on_its_line_is_about_the_next_one(found, comments):
    work = f"{comments}\nself.f = lambda: 1\nself.g = lambda: 1"
    ((*_, message),) = found({"flows/a.py": flow("AFlow", work, "pass")}, "picklable")
    assert message.startswith("self.g ")


def test_a_comment_leaves_one_of_several_requirements_out(found):
    files = {"requirements.txt": "pandas  # kit: ignore[pinned]\nnumpy\n"}
    assert [n for _, _, n, _ in found(files, "pinned")] == [2]


def test_a_comment_in_a_cell_that_names_no_rule_is_a_finding(found, tmp_path):
    notebook(tmp_path / "project/notebooks/a.ipynb", "# kit: ignore[notebok-kit]\nimport kit")
    ((rule, _, _, message),) = found({}, "notebook-kit")
    assert (rule, message) == ("syntax", "# kit: ignore[notebok-kit] names no rule")


def test_a_comment_that_names_no_rule_is_a_finding(found):
    ((_, _, line, message),) = found({"flows/a.py": "x = 1  # kit: ignore[piclable]\n"})
    assert (line, message) == (1, "# kit: ignore[piclable] names no rule")


def test_the_project_leaves_out_rules_and_files(found):
    files = {
        "flows/a.py": flow("AFlow", "self.f = lambda: 1", "pass"),
        "flows/old/b.py": flow("BFlow", "self.f = open('x')", "pass"),
    }
    files["pyproject.toml"] = '[tool.kit.check]\nexclude = ["flows/old/*"]\nignore = ["test-mode"]\n'
    assert [(r, f) for r, f, *_ in found(files)] == [("picklable", "flows/a.py")]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('ignore = ["pined"]', "names 'pined', and there is no such rule"),
        ("ignore = 'pinned'", "not a list of texts"),
        ("step_statements = true", "not a number of statements"),
        ("steps = 3", "does not take 'steps'"),
    ],
)
def test_settings_that_are_wrong_are_refused(found, table, message):
    with pytest.raises(ProjectError, match=message.replace("[", r"\[")):
        found({"pyproject.toml": f"[tool.kit.check]\n{table}\n"})


# ------------------------------------------------------------------ places


def test_named_files_and_folders_are_checked_alone(found):
    lambdas = flow("AFlow", "self.f = lambda: 1", "pass")
    files = {
        "flows/a.py": lambdas,
        "flows/b.py": lambdas.replace("AFlow", "BFlow"),
        "scripts/c.py": lambdas.replace("AFlow", "CFlow"),
    }
    for place in ("flows/b.py", "scripts", "scripts/c.py"):
        assert {f for _, f, *_ in found(files, "picklable", places=[place])} == {
            place if place.endswith(".py") else "scripts/c.py"
        }


def test_flows_of_the_same_name_in_folders_of_their_own_are_all_checked(found):
    lambdas = flow("MainFlow", "self.f = lambda: 1", "pass")
    files = {"flows/one/flow.py": lambdas, "flows/two/flow.py": lambdas}
    assert {f for _, f, *_ in found(files, "picklable")} == set(files)


def test_a_folder_of_flows_that_is_no_project_is_checked_as_one(tmp_path):
    write_files(tmp_path / "loose", {"a.py": flow("AFlow", "self.f = lambda: 1", "pass")})
    assert [f.rule for f in check([tmp_path / "loose"], only=["picklable"]).findings] == ["picklable"]


def test_a_folder_whose_pyproject_says_nothing_to_kit_is_checked_as_a_project(tmp_path):
    files = {"pyproject.toml": "[project]\nname = 'x'\n", "jobs/a.py": flow("AFlow", "self.f = lambda: 1", "pass")}
    write_files(tmp_path / "loose", files)
    assert [f.rule for f in check([tmp_path / "loose"], only=["picklable"]).findings] == ["picklable"]


def test_a_place_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="There is no file or folder"):
        check([tmp_path / "nothing"])


# ------------------------------------------------------------------ the command


@pytest.fixture
def bad(make_project, monkeypatch):
    """Enter a project with one finding."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    root = make_project(
        {"flows/a.py": flow("AFlow", "self.f = lambda: 1", "pass"), **IGNORED, "pyproject.toml": "[tool.kit]\n"}
    )
    monkeypatch.chdir(root)
    return root


def test_the_command_says_where_what_and_how_to_mend_it(bad):
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 1
    assert done.output.splitlines()[:2] == [
        "flows/a.py:7: picklable self.f is a lambda, which cannot be pickled: start of AFlow fails when it ends",
        "    Write a function at the top of a module, or keep what it computes.",
    ]
    assert "1 finding in 1 file: 1 file checked." in done.output
    assert CliRunner().invoke(main, ["check", "--ignore", "picklable"]).exit_code == 0


def test_the_command_writes_json(bad):
    done = CliRunner().invoke(main, ["check", "--json"])
    (one,) = json.loads(done.output)
    assert (one["rule"], one["file"], one["line"], one["cell"]) == ("picklable", "flows/a.py", 7, None)
    assert CliRunner().invoke(main, ["check", "--json", "--ignore", "picklable"]).output == "[]\n"


@pytest.mark.parametrize(("arguments", "environ"), [(["--github"], {}), ([], {"GITHUB_ACTIONS": "true"})])
def test_the_command_annotates_for_github(bad, monkeypatch, arguments, environ):
    monkeypatch.setenv("GITHUB_WORKSPACE", str(bad.parent))
    done = CliRunner().invoke(main, ["check", *arguments], env=environ)
    annotation = next(line for line in done.output.splitlines() if line.startswith("::"))
    assert annotation.startswith(
        "::error file=project/flows/a.py,line=7,title=kit check%3A picklable::self.f is a lambda"
    )


def test_the_readme_lists_the_rules_as_the_command_does():
    rows = [line.split("|")[1:3] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `")]
    listed = {name.strip().strip("`"): summary.strip() for name, summary in rows}
    assert {one.name: listed.get(one.name) for one in RULES} == {one.name: one.summary for one in RULES}


def test_a_project_with_nothing_to_check_is_not_said_to_be_fine(make_project, monkeypatch):
    monkeypatch.chdir(make_project({"flows/notes.txt": "", **IGNORED}))
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 2
    assert "There is nothing to check" in done.output


def test_the_command_names_the_folder_of_flows_where_there_is_no_project(tmp_path, monkeypatch):
    files = {"pipelines/a.py": flow("AFlow", "pass", "pass"), "pipelines/deep/b.py": flow("BFlow", "pass", "pass")}
    write_files(tmp_path / "loose", {**files, "venv/pyvenv.cfg": "", "venv/c.py": flow("CFlow", "pass", "pass")})
    monkeypatch.chdir(tmp_path / "loose")
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 2
    assert "Flows are in pipelines: kit check pipelines looks at them" in done.output
    assert 'flows = "pipelines" under [tool.kit]' in done.output
    assert CliRunner().invoke(main, ["check", "pipelines", "--only", "shared-code"]).exit_code == 0


def test_the_command_names_the_folder_of_flows_where_the_project_has_none(make_project, monkeypatch):
    files = {"pyproject.toml": "[tool.kit]\n", "jobs/a.py": flow("AFlow", "pass", "pass")}
    monkeypatch.chdir(make_project(files))
    done = CliRunner().invoke(main, ["check"])
    assert (done.exit_code, "kit check jobs" in done.output) == (2, True)


def test_the_command_checks_what_is_here_where_it_is_named(tmp_path, monkeypatch):
    write_files(tmp_path / "loose", {"a.py": flow("AFlow", "pass", "pass")})
    monkeypatch.chdir(tmp_path / "loose")
    assert "Flows are here: kit check . looks at them" in CliRunner().invoke(main, ["check"]).output


def test_the_command_explains_every_rule_and_lists_them():
    listed = CliRunner().invoke(main, ["check", "--list"]).output
    for one in RULES:
        assert f"{one.name} " in listed
        explained = CliRunner().invoke(main, ["check", "--explain", one.name])
        assert explained.exit_code == 0
        assert len(explained.output.split()) > 30


def test_the_command_exits_with_2_where_it_cannot_start(bad, tmp_path):
    for arguments in (["--explain", "piclable"], ["--only", "nothing"], ["nowhere.py"]):
        assert CliRunner().invoke(main, ["check", *arguments]).exit_code == 2
    done = subprocess.run(
        [sys.executable, "-m", "kit", "check"], cwd=tmp_path.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "There is no Metaflow project" in done.stderr
