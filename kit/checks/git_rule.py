"""The rule about git: it leaves out the datastore of runs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from kit.checks.findings import Finding
from kit.checks.subject import Subject

__all__ = ["metaflow_ignored"]

GIT_SECONDS = 20


def metaflow_ignored(subject: Subject) -> Iterator[Finding]:
    """Git leaves out `.metaflow`.

    It is the local datastore: every artifact of every run, pickled. In git it makes each clone larger for ever, and
    what is in it (data, sometimes credentials) cannot be taken back. Git itself is asked where the project is in a
    repository, so that `.gitignore` of any folder, `.git/info/exclude` and your own global file count; else git reads
    the project's `.gitignore` as if it were one. A datastore that lies in a folder of the project, such as the one of
    the flows or the notebooks, is looked at too. The mend is a line `.metaflow/` in `.gitignore`, and
    `git rm -r --cached` for what is in git already.
    """
    root = subject.project.root
    stores = [path for path in subject.project.stores() if root in path.parents] or [root / ".metaflow"]
    path = root / ".gitignore"
    whole = tuple(range(1, len(_lines(path)) + 1))  # a comment anywhere in the file may say that it is meant so
    for store in stores:
        name = subject.project.relative(store)
        tracked = _git(root, "ls-files", "--", name)
        if tracked is not None and tracked.stdout.strip():
            message = f"{name}, the datastore of runs, is in git"
            mend = f"git rm -r --cached {name}, and add .metaflow/ to .gitignore."
            yield Finding(str(path), 1, message, mend, lines=whole)
        elif not _ignored(root, name):
            message = f"{name}, the datastore of runs, is not ignored by git"
            line, words, mend = 1, message, "Add the line .metaflow/ to .gitignore."
            for number, text in enumerate(_lines(path), start=1):
                if text.startswith("!") and _matches(text[1:], store.name):
                    line, words, mend = number, f"{message}: {text.strip()} takes it back", "Take this line out."
            yield Finding(str(path), line, words, mend, lines=whole)


def _ignored(root: Path, name: str) -> bool:
    words = ("check-ignore", "--quiet", "--", f"{name}/any")
    asked = _git(root, *words)
    if asked is not None and asked.returncode in (0, 1):
        return asked.returncode == 0
    with tempfile.TemporaryDirectory() as empty:  # in no repository yet: git is asked as if the project were one
        made = _git(root, "init", "--quiet", "--bare", empty)
        asked = _git(root, f"--git-dir={empty}", f"--work-tree={root}", "-c", "core.bare=false", *words)
        if made is not None and asked is not None and asked.returncode in (0, 1):
            return asked.returncode == 0
    return _listed(root / ".gitignore", Path(name).name)


def _listed(path: Path, name: str) -> bool:
    """Whether a .gitignore has a line for a name, as near as it can be told without git."""
    return any(_matches(line, name) for line in _lines(path))


def _matches(line: str, name: str) -> bool:
    pattern = line.strip().removesuffix("/**").removesuffix("/*").strip("/").removeprefix("**/")
    return bool(pattern) and fnmatch(name, pattern)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str] | None:
    """Ask git; None where there is none, or it does not answer."""
    try:
        return subprocess.run(
            ["git", "-C", str(root), *words],  # noqa: S607  # wherever it is installed
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
