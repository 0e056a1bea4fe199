"""The rule about dependencies: they are pinned, wherever the project says them."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from kit.checks.cell_code import code_of, commands, tree_of
from kit.checks.declared import declarations, pinned
from kit.checks.findings import Finding
from kit.checks.installs import DEPS_MAGIC, loose_in, loose_words, split
from kit.checks.notebooks import CheckedNotebook
from kit.checks.subject import Module, Subject
from kit.checks.syntax import argument, children, dotted, flow_nodes, lines_of, text

__all__ = ["pins"]

DECORATORS = {"pypi", "pypi_base", "conda", "conda_base"}
INSTALLER = "install_dependencies"
PROCESSES = {
    "os.system",
    "os.popen",
    *(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")),
}
PIPS = {"pip.main", "pip._internal.main", "pip._internal.cli.main.main"}
MEND = "Write the version: name==1.2, or a range that ends, as in >=1.2,<2."
ALWAYS_THERE = {"metaflow", "kit", "metaflow_extensions", "IPython", "setuptools", "pkg_resources", "pip", "__main__"}


def pins(subject: Subject) -> Iterator[Finding]:
    """Dependencies are pinned.

    A run of next month should be the run of today: a package without a version, or with a lower bound alone, is
    another one by then, above all in an environment that is built for each run. Looked at are the packages of @pypi,
    @conda and their flow-level forms, of install_dependencies and %mf_install_deps, what steps and notebooks install
    with pip, conda and uv, and requirements*.txt; a version or a range with an end is a pin, of a repository a tag or a
    commit.

        @pypi(packages={"pandas": ""})          # a finding; "2.2.1" is none
        !pip install polars>=1                  # a finding; polars==1.9 is none

    In pyproject.toml and environment.yml, where lower bounds are the custom, a name without any version is a finding,
    unless there is a lock file. A flow that imports packages in a project that declares nothing at all is one too.
    Left alone are requirements of developers (requirements-dev.txt, groups named test, docs), pip itself, and what is
    only known when it runs.
    """
    for module in subject.modules.values():
        for node in flow_nodes(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                for decorator in node.decorator_list:
                    yield from _decorator(subject, module, decorator)
            elif isinstance(node, ast.Call):
                yield from _call(subject, module, node)
    for notebook in subject.notebooks:
        if notebook.python:
            yield from _in_notebook(subject, notebook)
    declared = list(declarations(subject.project.root, subject.project.flows_folder))
    for one in declared:
        for number in dict.fromkeys(line for _, line in one.loose):
            message = f"{_named(name for name, line in one.loose if line == number)} not pinned"
            yield Finding(str(one.path), number, message, MEND, lines=(number,))
    if not declared:
        yield from _undeclared(subject)


def _in_notebook(subject: Subject, notebook: CheckedNotebook) -> Iterator[Finding]:
    whole = ast.Module(body=[node for cell in notebook.code for node in tree_of(cell.source).body], type_ignores=[])
    module = Module(str(notebook.path), notebook.text, whole)
    for cell in notebook.code:
        found = [(number, message) for number, message in _installed(cell.source)]
        for node in flow_nodes(tree_of(cell.source)):
            if isinstance(node, ast.Call):
                found += [(one.line, one.message) for one in _call(subject, module, node)]
        for number, message in sorted(found):
            yield Finding(str(notebook.path), cell.lines.line(number), message, MEND, cell.number)


def _installed(source: str) -> Iterator[tuple[int, str]]:
    """Find what the magics and shell lines of a cell install without a version."""
    lines = [(number, loose_in(split(line))) for number, line in commands(source)]
    for number, line in enumerate(code_of(source).splitlines(), start=1):
        found = DEPS_MAGIC.match(line)
        lines += [(number, loose_words(split(found["words"])))] if found else []
    for number, loose in lines:
        if loose:
            yield number, f"{_named(loose)} installed without a version"


def _decorator(subject: Subject, module: Module, decorator: ast.expr) -> Iterator[Finding]:
    if not isinstance(decorator, ast.Call):
        return
    name = dotted(decorator.func, module.names).rpartition(".")[2]
    if name not in DECORATORS:
        return
    loose: dict[tuple[str, int], list[str]] = defaultdict(list)
    for keyword in ("packages", "libraries"):
        for package, value, where in _entries(subject, module, argument(decorator, keyword)):
            nothing = isinstance(value, ast.Constant) and value.value is None
            version = "" if nothing else text(_literal(subject, where, value)[1])
            if version is not None and not pinned(f"{package} {version}", version):
                loose[where.path, value.lineno].append(package)
    for (path, line), packages in loose.items():
        message = f"@{name}: {_named(packages)} not pinned"
        yield Finding(path, line, message, MEND, lines=lines_of(decorator) if path == module.path else (line,))


def _entries(subject: Subject, module: Module, node: ast.expr | None) -> Iterator[tuple[str, ast.expr, Module]]:
    """Give the packages of a table and where they stand, as the source says them: {...}, dict(...), {**A}, A | B."""
    module, node = _literal(subject, module, node)
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            package = text(key)
            if key is None:
                yield from _entries(subject, module, value)
            elif package is not None:
                yield package, value, module
    elif isinstance(node, ast.Call) and dotted(node.func, module.names) == "dict":
        for keyword in node.keywords:
            if keyword.arg:
                yield keyword.arg, keyword.value, module
            else:
                yield from _entries(subject, module, keyword.value)
        for given in node.args:
            yield from _entries(subject, module, given)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _entries(subject, module, node.left)
        yield from _entries(subject, module, node.right)


def _call(subject: Subject, module: Module, call: ast.Call) -> Iterator[Finding]:
    name = dotted(call.func, module.names)
    if name.rpartition(".")[2] == INSTALLER:
        given = argument(call, "spec", 0)
        loose = [one for one in _requirements(subject, module, given) if not pinned(one)]
        message = f"{INSTALLER}: {_named(loose)} not pinned"
    elif name in PROCESSES or name in PIPS:
        words = _words(argument(call, "args", 0))
        loose = loose_in(["pip", *words] if name in PIPS else words)
        message = f"{_named(loose)} installed without a version"
    else:
        return
    if loose:
        yield Finding(module.path, call.lineno, message, MEND, lines=lines_of(call))


def _requirements(subject: Subject, module: Module, node: ast.expr | None) -> Iterator[str]:
    """Give the requirements that install_dependencies is called with, as far as the source says them."""
    module, node = _literal(subject, module, node)
    if isinstance(node, (ast.List, ast.Tuple)):
        for part in node.elts:
            yield from _requirements(subject, module, part)
    elif text(node) is not None:
        yield str(text(node))
    else:
        values = (text(value) for _, value, _ in _entries(subject, module, node))
        yield from (value for value in values if value is not None)


def _literal(subject: Subject, module: Module, node: ast.expr | None, hops: int = 0) -> tuple[Module, ast.expr | None]:
    """Follow a name to what the top of its file, or of another file of the project, assigns to it once, and where."""
    if node is None or hops > 4:
        return module, None
    if isinstance(node, ast.Subscript):
        where, table = _literal(subject, module, node.value, hops + 1)
        if isinstance(table, ast.Dict) and text(node.slice) is not None:
            found = [v for k, v in zip(table.keys, table.values, strict=True) if text(k) == text(node.slice)]
            return where, found[-1] if found else None
        return module, None
    if isinstance(node, (ast.Name, ast.Attribute)):
        owner, _, name = dotted(node, module.names).rpartition(".")
        for where in [module] if not owner else subject.by_name.get(owner.rpartition(".")[2], []):
            values = [
                one.value
                for one in where.tree.body
                if isinstance(one, (ast.Assign, ast.AnnAssign)) and one.value is not None
                for target in (one.targets if isinstance(one, ast.Assign) else [one.target])
                if isinstance(target, ast.Name) and target.id == name
            ]
            if len(values) == 1:
                return _literal(subject, where, values[0], hops + 1)
        return module, None
    return module, node


def _words(node: ast.expr | None) -> list[str]:
    """Give the words of a command: one text, a list of words, or a text that is split; `{}` for what is computed."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
        node = node.func.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_spoken(part) or "{}" for part in node.elts]
    return split(_spoken(node) or "")


def _spoken(node: ast.expr | None) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) if text(part) is not None else "{}" for part in node.values)  # type: ignore[misc]
    return text(node)


def _undeclared(subject: Subject) -> Iterator[Finding]:
    """Find files whose imports nothing declares; what their steps install or pin themselves is a declaration."""
    own = {Path(path).stem for path in subject.modules}
    own |= {folder.name for path in subject.modules for folder in Path(path).parents}
    root = subject.project.root
    own |= {path.parent.name for folder in (root, root / "src") for path in folder.glob("*/*.py")}
    own |= {path.stem for folder in (root, root / "src") for path in folder.glob("*.py")}
    for path in _used(subject):
        module = subject.modules[path]
        words = {node.id for node in flow_nodes(module.tree) if isinstance(node, ast.Name)}
        if words & (DECORATORS | {INSTALLER, "kubernetes", "batch", "uv"}):
            continue
        names: dict[str, int] = {}
        for node in _reached(module.tree):
            for name in _imports(node):
                if name not in own and name not in ALWAYS_THERE and name not in sys.stdlib_module_names:
                    names.setdefault(name, getattr(node, "lineno", 1))
        if names:
            message = f"imports {_named(names, verb=False)}, and nothing in the project pins packages"
            mend = "List them with versions in pyproject.toml or requirements.txt, or pin them with @pypi."
            yield Finding(path, next(iter(names.values())), message, mend, lines=tuple(names.values()))


def _used(subject: Subject) -> list[str]:
    """Give the flow files, and the modules beside them that they import."""
    flow_files = list(dict.fromkeys(flow.info.file for flow in subject.flows))
    imported = {
        name for path in flow_files for node in flow_nodes(subject.modules[path].tree) for name in _imports(node)
    }
    return [*flow_files, *(p for p in subject.modules if p not in flow_files and Path(p).stem in imported)]


def _reached(node: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes of a file, without what is for type checkers alone."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        if not (isinstance(current, ast.If) and dotted(current.test, {}).endswith("TYPE_CHECKING")):
            pending += reversed(children(current))


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
