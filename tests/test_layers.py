"""Which way imports point, and what an import of kit costs: read from the source, and seen in a process of its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

KIT = Path(__file__).parents[1] / "kit"
MAX_LINES = 400

# Each row imports only rows above it (and a room's modules each other): no arrow points back up.
LAYERS = (
    {"annotations", "blame", "drafts", "errors", "flowsource", "model", "internals"},
    {
        "absent",
        "flowscan",
        "installed",
        "interpreters",
        "kernels",
        "late",
        "light",
        "records",
        "requirements",
        "sweep",
        "tracebacks",
    },
    {"blobs", "processes", "saying", "source", "views", "words"},
    {"project", "previews", "installer", "flowfile", "foreach", "listing", "metadata", "scope", "runlog", "runwords"},
    {"preflight", "envs", "stores", "configured", "testmode"},
    {"taskstores"},
    {"runs", "deps", "pins", "locks", "reload"},
    {"resolve", "lineage", "flowrun", "stepenvs", "details", "loading", "rundiff"},
    {"gather"},
    {"artifact_table", "comparison", "pinned"},
    {"replay", "kernelspecs", "runcommand"},
    {"liverun"},
    {"live"},
    {"session", "cells", "authoring"},
    {"debugging", "offers", "magic_base"},
    {"author_magics", "magic_line"},
    {"magics", "complete", "regression", "notebook_cells"},
    {"checks", "starter"},
    {"commands"},
    {"extension", "cli", "pytest_plugin", "papermill_engine"},
    {"", "__main__"},  # `import kit` itself: the public names, each fetched when it is asked for
)
ROW = {room: row for row, rooms in enumerate(LAYERS) for room in rooms}

# What points up, and may: it is imported when it is used, not when its module is.
LATE = {
    ("model", "views"),  # a result that is shown draws itself
}

GRAMMAR = {"rfc3987_syntax"}  # which nbformat imports for nothing, and JupyterLab installs
IPYTHON_ROOMS = {"author_magics", "magic_base", "notebook_cells"}
IPYTHON_ROOMS |= {"magics", "complete", "live", "reload", "extension"}


def module_name(path):
    """Give a file's dotted name below kit, "" for kit/__init__.py."""
    parts = path.relative_to(KIT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(KIT.rglob("*.py"))}


def imports(module, late):
    """Give the dotted names that a module imports: at its import, or later too; type checkers' own are left out."""
    package = "kit" + (f".{module}" if MODULES[module].name == "__init__.py" and module else "")
    found, pending = set(), list(ast.parse(MODULES[module].read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{package}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending += node.orelse
        elif late or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending += ast.iter_child_nodes(node)
    return found


def rooms(module, late):
    """Give the rooms of kit that a module imports: modules of kit, and folders."""
    names = {name.removeprefix("kit.") for name in imports(module, late) if name.startswith("kit.")}
    return {name.split(".")[0] if name.split(".")[0] in ROW else "" for name in names}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    room = module.split(".")[0]
    assert room in ROW, f"kit/{room} has no row in LAYERS yet"
    for imported in rooms(module, late=True) - {room}:
        if (room, imported) in LATE:
            assert imported not in rooms(module, late=False), f"kit.{module} imports {imported} too early"
        elif imported:  # `from kit import __version__` is no arrow
            assert ROW[imported] < ROW[room], f"kit.{module} imports kit.{imported}, which is not below it"


def test_every_row_names_what_there_is():
    assert set(ROW) == {module.split(".")[0] for module in MODULES}


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] == "views"])
def test_views_know_the_model_alone(module):
    assert rooms(module, late=True) <= {"views", "model"}


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] not in IPYTHON_ROOMS])
def test_the_core_does_without_ipython(module):
    assert not {name for name in imports(module, late=True) if name.split(".")[0] == "IPython"}


def test_steps_import_the_reading_of_requirements_where_little_else_is_installed():
    for module in ("", "errors", "requirements", "deps", "installer", "preflight"):
        outside = {name.split(".")[0] for name in imports(module, late=False)} - set(sys.stdlib_module_names) - {"kit"}
        assert outside == set(), f"kit.{module}"


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_files_are_short_enough_to_be_read_in_one_go(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import kit", {"metaflow", "IPython", "jinja2", "matplotlib", "numpy", "pandas", "papermill", "rich"}),
        ("import kit, kit.deps", {"metaflow", "IPython", "jinja2", "packaging", "uv"}),
        ("import kit.internals, kit.runs, kit.flowfile, kit.pins", {"metaflow", "IPython", "jinja2"}),
        ("import kit.debugging.write", {"IPython", "jsonschema", "nbformat"}),  # seconds, beside JupyterLab
        ("from click.testing import CliRunner as C; from kit.cli import main; C().invoke(main, ['check'])", GRAMMAR),
        ("import kit.magics", {"metaflow", "jinja2", "matplotlib", "numpy", "pandas", "papermill"}),
        ("import kit.extension", {"metaflow", "jinja2", "matplotlib", "numpy", "pandas", "papermill"}),
        ("import kit.checks.report", {"metaflow", "IPython", "jinja2", "nbformat", "jsonschema", "papermill", "rich"}),
        ("import kit.cli", {"metaflow", "IPython", "jinja2", "matplotlib", "numpy", "pandas", "papermill", "rich"}),
    ],
)
def test_an_import_brings_nothing_that_is_not_needed_yet(statement, absent):
    code = f"import sys\n{statement}\nprint(*sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
