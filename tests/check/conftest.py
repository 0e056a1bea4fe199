"""A project of a test's own, checked."""

import os

import pytest
from support import write_files

from kit.checks.run import check

PROJECT = {"pyproject.toml": "[tool.kit]\n", ".gitignore": ".metaflow/\n"}


@pytest.fixture
def found(tmp_path):
    """Check a project of these files by some rules; gives (rule, file, line, message) of what is found."""

    def look(files, *only, places=()):
        root = tmp_path / "project"
        write_files(root, {**PROJECT, **files})
        (root / "flows").mkdir(exist_ok=True)
        checked = check([root / place for place in places] or [root], only=only)
        return [(f.rule, os.path.relpath(f.file, root), f.line, f.message) for f in checked.findings]

    return look
