"""The rule about dependencies: they are pinned, wherever the project says them."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from kit.checks.declared import declarations, pinned
from kit.checks.findings import Finding
from kit.checks.subject import Module, Subject
from kit.checks.syntax import argument, dotted, flow_nodes, lines_of, text

__all__ = ["pins"]

DECORATORS = {"pypi", "pypi_base", "conda", "conda_base"}
INSTALLER = "install_dependencies"
PROCESSES = {
    "os.system",
    "os.popen",
    *(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")),
}
MAGIC = re.compile(r"^\s*(?:[!%](?:\w+\s+-m\s+)?(?:uv\s+)?pip3?\s+install|%mf_install_deps)\s+(?P<words>.*)$")
VALUED = {"-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-i", "--index-url", "--extra-index-url",
          "-f", "--find-links", "-t", "--target", "--flow", "--step", "--python"}  # fmt: skip
MEND = "Write the version: name==1.2, or a range that ends, as in >=1.2,<2."
ALWAYS_THERE = {"metaflow", "kit", "metaflow_extensions", "IPython", "setuptools", "pkg_resources", "pip", "__main__"}


def pins(subject: Subject) -> Iterator[Finding]:
    """Dependencies are pinned.

    A run of next month should be the run of today: a package without a version, or with a lower bound alone, is
    another one by then, above all in an environment that is built for each run. Looked at are the packages of @pypi,
    @conda and their flow-level forms, of install_dependencies and %mf_install_deps, what steps and notebooks install
    with pip, and requirements.txt; a version or a range with an end is a pin. In pyproject.toml and environment.yml,
    where lower bounds are the custom, a name without any version is a finding, unless there is a lock file. A flow
    that imports packages in a project that declares nothing at all is one too.
    """
    for module in subject.modules.values():
        for node in flow_nodes(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                for decorator in node.decorator_list:
                    yield from _decorator(subject, module, decorator)
            elif isinstance(node, ast.Call):
                yield from _call(subject, module, node)
    for notebook in subject.notebooks:
        for cell in notebook.code:
            for number, line in enumerate(cell.source.splitlines(), start=1):
                found = MAGIC.match(line)
                loose = _loose_words(_split(found["words"])) if found else []
                if loose:
                    message = f"{_named(loose)} installed without a version"
                    yield Finding(str(notebook.path), cell.lines.line(number), message, MEND, cell.number)
    declared = list(declarations(subject.project.root, subject.project.flows_folder))
    for one in declared:
        if one.loose:
            message = f"{_named(name for name, _ in one.loose)} not pinned"
            numbers = tuple(line for _, line in one.loose)
            yield Finding(str(one.path), numbers[0], message, MEND, lines=numbers)
    if not declared:
        yield from _undeclared(subject)


def _decorator(subject: Subject, module: Module, decorator: ast.expr) -> Iterator[Finding]:
    if not isinstance(decorator, ast.Call):
        return
    name = dotted(decorator.func, module.names).rpartition(".")[2]
    if name not in DECORATORS:
        return
    loose: list[tuple[str, int]] = []
    for keyword in ("packages", "libraries"):
        given = _literal(subject, module, argument(decorator, keyword))
        for key, value in zip(given.keys, given.values, strict=True) if isinstance(given, ast.Dict) else ():
            package, version = text(key), text(value)
            if package is not None and version is not None and not pinned(f"{package} {version}", version):
                loose.append((package, decorator.lineno))
    if loose:
        message = f"@{name}: {_named(package for package, _ in loose)} not pinned"
        yield Finding(module.path, decorator.lineno, message, MEND, lines=lines_of(decorator))


def _call(subject: Subject, module: Module, call: ast.Call) -> Iterator[Finding]:
    name = dotted(call.func, module.names)
    if name.rpartition(".")[2] == INSTALLER and call.args:
        loose = [one for one in _requirements(subject, module, call.args[0]) if not pinned(one)]
        message = f"{INSTALLER}: {_named(loose)} not pinned"
    elif name in PROCESSES and call.args:
        loose = _loose_words(_pip_words(call.args[0]))
        message = f"{_named(loose)} installed without a version"
    else:
        return
    if loose:
        yield Finding(module.path, call.lineno, message, MEND, lines=lines_of(call))


def _requirements(subject: Subject, module: Module, node: ast.expr | None) -> Iterator[str]:
    """Give the requirements that install_dependencies is called with, as far as the source says them."""
    node = _literal(subject, module, node)
    if isinstance(node, ast.Dict):
        yield from (value for value in map(text, node.values) if value is not None)
    elif isinstance(node, (ast.List, ast.Tuple)):
        for part in node.elts:
            yield from _requirements(subject, module, part)
    elif text(node) is not None:
        yield str(text(node))


def _literal(subject: Subject, module: Module, node: ast.expr | None, hops: int = 0) -> ast.expr | None:
    """Follow a name to what the top of its file, or of another file of the project, assigns to it once."""
    if node is None or hops > 4:
        return None
    if isinstance(node, ast.Subscript):
        table = _literal(subject, module, node.value, hops + 1)
        if isinstance(table, ast.Dict) and text(node.slice) is not None:
            found = [v for k, v in zip(table.keys, table.values, strict=True) if text(k) == text(node.slice)]
            return found[-1] if found else None
        return None
    if isinstance(node, (ast.Name, ast.Attribute)):
        owner, _, name = dotted(node, module.names).rpartition(".")
        for where in [module] if not owner else _modules(subject, owner):
            values = [
                one.value
                for one in where.tree.body
                if isinstance(one, (ast.Assign, ast.AnnAssign)) and one.value is not None
                for target in (one.targets if isinstance(one, ast.Assign) else [one.target])
                if isinstance(target, ast.Name) and target.id == name
            ]
            if len(values) == 1:
                return _literal(subject, where, values[0], hops + 1)
        return None
    return node


def _modules(subject: Subject, dotted_name: str) -> list[Module]:
    stem = dotted_name.rpartition(".")[2]
    return [module for path, module in subject.modules.items() if Path(path).stem == stem]


def _pip_words(node: ast.expr) -> list[str]:
    """Give what follows `pip install` in a command, as one text or a list of words."""
    whole = text(node)
    words = _split(whole) if whole is not None else []
    if isinstance(node, (ast.List, ast.Tuple)):
        words = [text(part) or "" for part in node.elts]
    for at, word in enumerate(words[:-1]):
        if Path(word).name in ("pip", "pip3") and words[at + 1] == "install":
            return words[at + 2 :]
    return []


def _loose_words(words: Iterable[str]) -> list[str]:
    loose: list[str] = []
    before = ""
    for word in words:
        if word in ("&&", "||", ";", "|", ">"):
            break
        if re.match(r"[A-Za-z0-9][\w.-]*(?:\[[\w,. -]*\])?(?:[<>=!~].*)?$|git\+", word) and before not in VALUED:
            requirement = word.partition("=")[2] if re.match(r"[\w.]+=[^=]", word) else word
            if not pinned(requirement) and not word.endswith((".txt", ".whl", ".gz", ".toml")) and "{" not in word:
                loose.append(requirement)
        before = word
    return [] if any(word in ("--check", "--flow") for word in words) else loose


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []


def _undeclared(subject: Subject) -> Iterator[Finding]:
    """Find flow files whose imports nothing declares; what their steps install or pin themselves is a declaration."""
    own = {Path(path).stem for path in subject.modules}
    own |= {folder.name for path in subject.modules for folder in Path(path).parents}
    for path in dict.fromkeys(flow.info.file for flow in subject.flows):
        module = subject.modules[path]
        words = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
        if words & (DECORATORS | {INSTALLER, "kubernetes", "batch", "uv"}):
            continue
        names: dict[str, int] = {}
        for node in flow_nodes(module.tree):
            for name in _imports(node):
                if name not in own and name not in ALWAYS_THERE and name not in sys.stdlib_module_names:
                    names.setdefault(name, getattr(node, "lineno", 1))
        if names:
            message = f"imports {_named(names, verb=False)}, and nothing in the project pins packages"
            mend = "List them with versions in pyproject.toml or requirements.txt, or pin them with @pypi."
            yield Finding(path, next(iter(names.values())), message, mend, lines=tuple(names.values()))


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.split(".")[0]]
    return []


def _named(names: Iterable[str], verb: bool = True) -> str:
    unique = list(dict.fromkeys(names))
    shown = ", ".join(unique[:4]) + (f" and {len(unique) - 4} more" if len(unique) > 4 else "")
    return f"{shown} {'is' if len(unique) == 1 else 'are'}" if verb else shown
