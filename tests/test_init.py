"""`kit init`: a project that runs at once, and that never takes the place of what is there."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from click.testing import CliRunner
from support import write_files

import kit
from kit.cli import main
from kit.errors import ProjectError
from kit.project import find_project
from kit.starter.project import plan, write

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GIT = shutil.which("git")
GIT_USER = ["-c", "user.name=anna", "-c", "user.email=anna@host.example"]


def init(*arguments):
    """Run `kit init` where there is no terminal to ask."""
    return CliRunner().invoke(main, ["init", *map(str, arguments)])


def installed_from(site, direct_url, monkeypatch):
    """Let kit have been installed from somewhere, as PEP 610 has it."""
    write_files(site, {"kit_for_metaflow-0.dist-info/METADATA": "Name: kit-for-metaflow\nVersion: 0\n"})
    if direct_url:
        (site / "kit_for_metaflow-0.dist-info/direct_url.json").write_text(json.dumps(direct_url))
    monkeypatch.syspath_prepend(site)


def files(root):
    """Give {path: content} of a folder."""
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.flow
@pytest.mark.kernel
def test_a_new_project_runs_at_once_and_every_check_of_it_is_green(tmp_path):
    root = tmp_path / "My 1st Project"
    assert init(root).exit_code == 0
    for command in (
        ["kit", "check"],
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "."],
        ["pytest", "-q", "-p", "no:cacheprovider"],
        ["kit", "test"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=root, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout + done.stderr)
    # Its notebook is compared: after a change that is meant, copy the reference that `kit test --update` writes
    # in a new project to kit/starter/template/notebooks/references.
    assert "outputs: 4 same" in " ".join(done.stdout.split())


def test_the_names_of_the_project_follow_its_folder(tmp_path):
    root = tmp_path / "Bikes & more"
    init(root)
    tables = tomllib.loads((root / "pyproject.toml").read_text())
    assert tables["project"]["name"] == "bikes-more"
    assert (root / "README.md").read_text().startswith("# Bikes & more\n")
    assert find_project(root / "notebooks").root == root
    assert not (root / ".git").exists()


def test_without_a_name_it_is_this_folder_and_its_own_files_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    done = init()
    assert done.exit_code == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert "cd " not in done.output


def test_a_second_time_there_is_nothing_to_write(tmp_path):
    init(tmp_path)
    before = files(tmp_path)
    assert init(tmp_path).output == "nothing to write: every file is there\n"
    assert files(tmp_path) == before


def test_where_nobody_can_be_asked_files_that_differ_are_named_and_nothing_is_written(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/train.py").write_text("mine")
    done = init(tmp_path)
    assert done.exit_code == 2
    assert "other files of these names: flows/train.py." in done.output
    assert "--keep leaves them" in done.output
    assert files(tmp_path) == {"flows/train.py": "mine"}


@pytest.mark.parametrize(("option", "kept"), [("--keep", True), ("--force", False)])
def test_an_option_says_what_becomes_of_files_that_differ(tmp_path, option, kept):
    (tmp_path / "README.md").write_text("mine")
    done = init(tmp_path, option)
    assert done.exit_code == 0
    assert ((tmp_path / "README.md").read_text() == "mine") is kept
    assert ("kept README.md" if kept else "replaced README.md") in done.output
    assert (tmp_path / "flows/train.py").exists()


def asked(root, answers):
    """Run `kit init` in a terminal of its own, and answer it."""
    ours, theirs = pty.openpty()
    os.write(ours, answers)
    with os.fdopen(theirs) as terminal:
        done = subprocess.run(
            [sys.executable, "-m", "kit", "init", root], stdin=terminal, capture_output=True, text=True, check=False
        )  # fmt: skip
    os.close(ours)
    return done


def test_in_a_terminal_each_file_that_differs_is_asked_about(tmp_path):
    for name in ("README.md", "environment.yml"):
        (tmp_path / name).write_text("mine")
    (tmp_path / ".gitignore").write_text("*.csv\n")
    done = asked(tmp_path, b"y\ny\nn\n")
    assert done.returncode == 0
    assert "README.md is there and differs. Write over it? [y/N]" in done.stdout
    assert ".gitignore is there. Append .metaflow/, .kit/, .venv/, __pycache__/ and 5 more to it? [y/N]" in done.stdout
    assert "replaced README.md" in done.stdout
    assert (tmp_path / ".gitignore").read_text().startswith("*.csv\n.metaflow/\n")
    assert (tmp_path / "environment.yml").read_text() == "mine"


def test_who_ends_the_questions_has_nothing_written(tmp_path):
    for name in ("README.md", "environment.yml"):
        (tmp_path / name).write_text("mine")
    done = asked(tmp_path, b"y\n\x04")
    assert done.returncode == 130
    assert "Nothing was written." in done.stderr
    assert set(files(tmp_path)) == {"README.md", "environment.yml"}


@pytest.mark.parametrize(
    ("present", "lacking"),
    [
        ("data/\n.metaflow\n/.kit/\n", ".venv/\n__pycache__/\n"),
        ("data/", "\n.metaflow/\n.kit/\n"),
        ("data/\r\n.metaflow\r\n", ".kit/\r\n.venv/\r\n"),
    ],
)
def test_lines_that_gitignore_lacks_are_appended_to_its_own(tmp_path, present, lacking):
    (tmp_path / ".gitignore").write_bytes(present.encode())
    assert "appended to .gitignore" in init(tmp_path, "--merge").output
    now = (tmp_path / ".gitignore").read_bytes().decode()
    assert now.startswith(present + lacking)
    assert init(tmp_path).output == "nothing to write: every file is there\n"


def test_tables_that_pyproject_lacks_are_appended_and_what_it_says_stays(tmp_path):
    own = '[project]\nname = "mine"\nversion = "1"\ndependencies = []\n\n[tool.ruff]\nline-length = 88 # mine\n'
    (tmp_path / "pyproject.toml").write_text(own)
    done = init(tmp_path, "--merge")
    now = (tmp_path / "pyproject.toml").read_text()
    assert now.startswith(own)
    tables = tomllib.loads(now)
    assert tables["tool"]["ruff"] == {"line-length": 88}
    assert tables["tool"]["kit"]["flows"] == "flows"
    assert tables["tool"]["pytest"]["ini_options"]["pythonpath"] == ["flows"]
    assert "jupyterlab" in tables["project"]["optional-dependencies"]["dev"][0]
    assert "The dependencies in pyproject.toml are for you to edit" in done.output


@pytest.mark.parametrize("own", ["not toml", "tool = { x = 1 }\n"])
def test_a_pyproject_that_takes_no_further_table_is_left_alone(tmp_path, own):
    (tmp_path / "pyproject.toml").write_text(own)
    assert "kept pyproject.toml" in init(tmp_path, "--merge").output
    assert (tmp_path / "pyproject.toml").read_text() == own


FLOW = """
from metaflow import FlowSpec, step

class NightlySalesFlow(FlowSpec):
    @step
    def start(self):
        self.sum = 3
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    NightlySalesFlow()
"""


@pytest.mark.parametrize("folder", [".", "flows", "src/pipelines"])
def test_a_folder_that_has_flows_keeps_them_and_gets_what_they_lack(tmp_path, folder):
    write_files(tmp_path, {f"{folder}/sales.py": FLOW})
    done = init(tmp_path)
    assert done.exit_code == 0, done.output
    assert "stays as it is; the example of a new project is left out" in done.output
    made = set(files(tmp_path)) - {str(Path(folder, "sales.py"))}
    assert made == {".gitignore", "pyproject.toml", "notebooks/debug_nightly_sales.ipynb"}
    assert find_project(tmp_path / "notebooks").scan().flows.keys() == {"NightlySalesFlow"}
    notebook = nbformat.read(tmp_path / "notebooks/debug_nightly_sales.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata["kit"]["runs"] == {"nightly_sales_run": "NightlySalesFlow"}
    assert init(tmp_path).output == "nothing to write: every file is there\n"


@pytest.mark.flow
@pytest.mark.kernel
def test_the_notebook_of_a_flow_that_was_there_runs(tmp_path):
    write_files(tmp_path, {"sales.py": FLOW})
    init(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "kit", "test"], cwd=tmp_path, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("direct_url", "expected"),
    [
        (None, f"kit-for-metaflow~={kit.__version__}"),
        (
            {"url": "https://host.example/team/kit.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"kit-for-metaflow @ git+https://host.example/team/kit.git@{COMMIT}",
        ),
        (
            {"url": "https://anna:secret@host.example/kit.whl", "archive_info": {}},
            "kit-for-metaflow @ https://host.example/kit.whl",
        ),
        ({"url": "file:///no/such/folder", "dir_info": {}}, f"kit-for-metaflow~={kit.__version__}"),
    ],
)
def test_a_project_installs_kit_from_where_it_was_installed_from(tmp_path, monkeypatch, direct_url, expected):
    installed_from(tmp_path / "site", direct_url, monkeypatch)
    init(tmp_path / "new")
    tables = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())
    assert tables["project"]["dependencies"][0] == expected


def test_a_project_says_that_a_folder_of_this_machine_is_nowhere_else(tmp_path, monkeypatch):
    clone = tmp_path / "a clone"
    clone.mkdir()
    installed_from(tmp_path / "site", {"url": clone.as_uri(), "dir_info": {}}, monkeypatch)
    done = init(tmp_path / "new")
    assert "for other people and CI, put there" in done.output
    assert "kit came from a folder of one machine" in (tmp_path / "new/README.md").read_text()
    tables = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())
    assert tables["project"]["dependencies"][0] == f"kit-for-metaflow @ {clone.as_uri()}"


def test_a_clone_counts_as_its_repository_where_that_has_its_commit(tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    for command in (
        ["init", "-q", str(clone)],
        ["-C", str(clone), *GIT_USER, "commit", "-q", "--allow-empty", "-m", "one"],
        ["-C", str(clone), "remote", "add", "origin", "https://anna:secret@host.example/kit.git"],
        ["-C", str(clone), "update-ref", "refs/remotes/origin/main", "HEAD"],
    ):
        subprocess.run([GIT, *command], check=True)
    head = subprocess.check_output([GIT, "-C", str(clone), "rev-parse", "HEAD"], text=True).strip()
    installed_from(tmp_path / "site", {"url": clone.as_uri(), "dir_info": {"editable": True}}, monkeypatch)
    done = init(tmp_path / "new")
    assert "secret" not in (tmp_path / "new/pyproject.toml").read_text()
    tables = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())
    assert tables["project"]["dependencies"][0] == f"kit-for-metaflow @ git+https://host.example/kit.git@{head}"
    assert "other people" not in done.output


@pytest.mark.parametrize(
    ("folder", "name", "title"),
    [
        ("metaflow", "metaflow-project", "metaflow"),
        ("numpy", "numpy-project", "numpy"),
        ("Über Räder", "uber-rader", "Über Räder"),
        ("日本", "project", "日本"),
        ("two\nlines", "two-lines", "two lines"),
        ("123", "123", "123"),
    ],
)
def test_any_name_of_a_folder_gives_a_name_that_can_be_installed(tmp_path, folder, name, title):
    init(tmp_path / folder)
    assert tomllib.loads((tmp_path / folder / "pyproject.toml").read_text())["project"]["name"] == name
    assert (tmp_path / folder / "README.md").read_text().startswith(f"# {title}\n\n")
    environment = yaml.safe_load((tmp_path / folder / "environment.yml").read_text())
    assert environment["name"] == name


def test_an_empty_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert init("").exit_code == 2
    assert files(tmp_path) == {}


def test_where_one_file_cannot_be_written_none_is(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    planned = plan(tmp_path)
    (tmp_path / "notebooks").write_text("came in between")
    with pytest.raises(ProjectError, match="Nothing was changed"):
        write(planned, over={"README.md"})
    assert files(tmp_path) == {"README.md": "mine", "notebooks": "came in between"}


def test_what_lies_in_the_way_is_named_before_anything_is_written(tmp_path):
    (tmp_path / "flows").write_text("a file")
    done = init(tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path / 'flows'} is a file" in done.output
    assert files(tmp_path) == {"flows": "a file"}


def test_a_link_is_never_followed_to_another_file(tmp_path):
    outside, root = tmp_path / "outside.md", tmp_path / "project"
    root.mkdir()
    outside.write_text("mine")
    Path(root / "README.md").symlink_to(outside)
    assert init(root).exit_code == 2
    assert init(root, "--force").exit_code == 0
    assert outside.read_text() == "mine"
