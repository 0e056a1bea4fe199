"""Rules about the project as a whole: what git leaves out, and code that was copied."""

from __future__ import annotations

import ast
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from kit.checks.findings import Finding
from kit.checks.subject import Module, Subject
from kit.checks.syntax import Function, body, flow_nodes, lines_of, self_attribute

__all__ = ["metaflow_ignored", "shared_code"]

GIT_SECONDS = 20
COPIED_STATEMENTS = 3  # a function of fewer, and so of little, may be there twice
COPIED_NODES = 30  # or as many parts of a syntax tree, in fewer statements
COPIED_RUN = 6  # statements in a row, inside of functions that differ otherwise
MEND_COPY = "Keep it once, in a module beside the flows such as common.py, and import it."


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
    for store in stores:
        name = subject.project.relative(store)
        tracked = _git(root, "ls-files", "--", name)
        if tracked is not None and tracked.stdout.strip():
            message = f"{name}, the datastore of runs, is in git"
            yield Finding(*_gitignore(root), message, f"git rm -r --cached {name}, and add .metaflow/ to .gitignore.")
        elif not _ignored(root, name):
            mend = "Add the line .metaflow/ to .gitignore."
            yield Finding(*_gitignore(root), f"{name}, the datastore of runs, is not ignored by git", mend)


def _gitignore(root: Path) -> tuple[str, int]:
    return str(root / ".gitignore"), 1


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
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    patterns = [line.strip().removesuffix("/**").removesuffix("/*").strip("/").removeprefix("**/") for line in lines]
    return any(pattern and fnmatch(name, pattern) for pattern in patterns)


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


def shared_code(subject: Subject) -> Iterator[Finding]:
    """Flows share code through a module, and not by copying it.

    A copy is mended in one place and forgotten in the other, and a notebook cannot import it. A finding is a function
    or a class, of three statements or more, that stands in a flow file and, the same but for its name, its docstring
    and comments, in another file of the flows' folder; or six statements in a row that do. It is reported in each
    flow file but the first; copies within one file are left alone, and so are names and values at the top of files.
    """
    flow_files = {module.path for flow in subject.flows for module, _ in flow.classes}
    pieces: dict[str, list[tuple[Module, Function | ast.ClassDef]]] = defaultdict(list)
    flow_classes = {id(node) for flow in subject.flows for _, node in flow.classes}
    for module in subject.modules.values():
        for node in flow_nodes(module.tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or id(node) in flow_classes:
                continue
            if _weighs(node):
                pieces[_content(node)].append((module, node))
    reported: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for copies in pieces.values():
        for first, module, node in _copies(copies, flow_files):
            lines = (node.lineno, node.end_lineno or node.lineno)
            if any(start <= lines[0] and lines[1] <= end for start, end in reported[module.path]):
                continue  # a method of a class that is a copy itself
            reported[module.path].append(lines)
            where = f"{subject.project.relative(first[0].path)}:{first[1].lineno}"
            what = "class" if isinstance(node, ast.ClassDef) else "function"
            message = f"the {what} {node.name} is a copy of {first[1].name} ({where})"
            yield Finding(module.path, node.lineno, message, MEND_COPY, lines=lines_of(node))
    yield from _copied_runs(subject, flow_files, reported)


def _copies(
    copies: list[tuple[Module, Function | ast.ClassDef]], flow_files: set[str]
) -> Iterator[tuple[tuple[Module, Function | ast.ClassDef], Module, Function | ast.ClassDef]]:
    """Give the pieces in flow files that stand in another file too; one in a shared module is the original."""
    ordered = sorted(copies, key=lambda piece: (piece[0].path in flow_files, piece[0].path, piece[1].lineno))
    for module, node in ordered[1:]:
        if module.path in flow_files and module.path != ordered[0][0].path:
            yield ordered[0], module, node


def _weighs(node: Function | ast.ClassDef) -> bool:
    statements = [one for part in body(node) if not _wiring(part) for one in flow_nodes(part)]
    return (
        sum(isinstance(one, ast.stmt) for one in statements) >= COPIED_STATEMENTS or len(statements) >= 2 * COPIED_NODES
    ) and len(statements) >= COPIED_NODES


def _wiring(statement: ast.stmt) -> bool:
    """Whether a statement only joins steps together, as every flow has to: self.next, self.merge_artifacts."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and self_attribute(call.func) in ("next", "merge_artifacts")


def _content(node: Function | ast.ClassDef) -> str:
    """Write what a function or class does, without its name, docstring and decorators."""
    head = "" if isinstance(node, ast.ClassDef) else ast.dump(node.args)
    return f"{type(node).__name__} {head} {[ast.dump(part) for part in body(node)]}"


def _copied_runs(
    subject: Subject, flow_files: set[str], reported: dict[str, list[tuple[int, int]]]
) -> Iterator[Finding]:
    """Find statements in a row, in functions of flow files, that stand in another file too."""
    seen: dict[tuple[str, ...], tuple[str, int]] = {}
    for module in sorted(subject.modules.values(), key=lambda one: (one.path in flow_files, one.path)):
        own: dict[tuple[str, ...], tuple[str, int]] = {}
        for statements in _blocks(module.tree):
            dumps = [ast.dump(one) for one in statements]
            at = 0
            while at + COPIED_RUN <= len(statements):
                key = tuple(dumps[at : at + COPIED_RUN])
                known = seen.get(key)
                line = statements[at].lineno
                if known is None or module.path not in flow_files:
                    own.setdefault(key, (module.path, line))
                    at += 1
                    continue
                if not any(start <= line <= end for start, end in reported[module.path]):
                    where = f"{subject.project.relative(known[0])}:{known[1]}"
                    message = f"{COPIED_RUN} statements or more are a copy of those at {where}"
                    yield Finding(module.path, line, message, MEND_COPY, lines=(line,))
                at += COPIED_RUN
                while at < len(statements) and tuple(dumps[at - COPIED_RUN + 1 : at + 1]) in seen:
                    at += 1
        seen |= {key: value for key, value in own.items() if key not in seen}


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    for node in flow_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield body(node)
