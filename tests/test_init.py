"""`kit init`: a project that runs at once, and that never takes the place of what is there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import kit
from kit.cli import main
from kit.project import find_project

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def init(*arguments):
    """Run `kit init` where there is no terminal to ask."""
    return CliRunner().invoke(main, ["init", *map(str, arguments)])


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
    assert f"kit-for-metaflow~={kit.__version__}" in tables["project"]["dependencies"]
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


def test_in_a_terminal_each_file_that_differs_is_asked_about(tmp_path):
    for name in ("README.md", ".gitignore"):
        (tmp_path / name).write_text("mine")
    ours, theirs = pty.openpty()
    os.write(ours, b"y\nn\n")
    with os.fdopen(theirs) as terminal:
        done = subprocess.run(
            [sys.executable, "-m", "kit", "init", tmp_path], stdin=terminal, capture_output=True, text=True, check=True
        )  # fmt: skip
    os.close(ours)
    assert "README.md is there and differs. Write over it? [y/N]" in done.stdout
    assert "replaced README.md" in done.stdout
    assert (tmp_path / ".gitignore").read_text() == "mine"


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
