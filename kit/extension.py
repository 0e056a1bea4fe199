"""What `%load_ext kit` does to a kernel, and how `%unload_ext kit` takes it back."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kit import complete
from kit import project as projects
from kit.errors import ModuleError
from kit.project import USER_VARIABLE, Project, find_project, store_environment, substitute_user
from kit.reload import Reloader

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from kit.magics import KitMagics

__all__ = ["MAGICS", "load", "unload"]

SHARED_MODULE = "common"

# The magics by kind, known before the module that defines them is imported.
MAGICS = {
    "line": ("mf_artifacts", "mf_debug", "mf_flow", "mf_install_deps", "mf_run", "mf_run_step"),
    "cell": ("mf_run_step", "mf_step"),
}

# How to take back what the loaded extension did, in the order in which it was done.
_undo: list[Callable[[], object]] = []


def load(shell: InteractiveShell) -> None:
    """Set the kernel up for the project of the working directory, and say so in one line."""
    unload(shell)  # a load that failed half-way, or a second one
    project = find_project()
    try:
        user = _adopt_user()
        _share_datastore(project)
        _importable(project.flows_folder)
        projects.loaded = project
        _undo.append(lambda: setattr(projects, "loaded", None))
        reloader = Reloader(shell, project)
        _register(shell, project, reloader)
    except BaseException:
        unload(shell)
        raise
    bound = _bind_common(shell, project)
    reloader.check()
    parts = [f"kit: {project.root}", project.summary(), *([f"{SHARED_MODULE} is bound"] if bound else [])]
    print(" · ".join([*parts, *([f"user {user}"] if user else [])]))  # noqa: T201  # the one line


def unload(_shell: InteractiveShell) -> None:
    """Take back what `load` did."""
    while _undo:
        _undo.pop()()


def _adopt_user() -> str | None:
    """Give Metaflow a user name where by itself it would refuse to start."""
    user = substitute_user()
    if user is not None:
        _set_variable(USER_VARIABLE, user)
    return user


def _share_datastore(project: Project) -> None:
    """Let Metaflow read and write where the project's runs are, whichever folder the kernel is in."""
    if project.sysroot is not None:
        return
    folder = project.stores()[0].parent
    for name, value in store_environment(folder).items():
        _set_variable(name, value)
    if "metaflow" in sys.modules:
        _point_client(folder)


def _point_client(folder: Path) -> None:
    """Tell a Metaflow that has already read its configuration."""
    from kit import internals

    storage = internals.LocalStorage
    before = storage.SYSROOT_VAR, storage.datastore_root, internals.LocalMetadataProvider._INFO
    storage.SYSROOT_VAR = str(folder)
    storage.datastore_root = str(folder / ".metaflow")
    internals.LocalMetadataProvider._INFO = str(folder)

    def put_back() -> None:
        storage.SYSROOT_VAR, storage.datastore_root, internals.LocalMetadataProvider._INFO = before

    _undo.append(put_back)


def _set_variable(name: str, value: str) -> None:
    before = os.environ.get(name)
    os.environ[name] = value

    def put_back() -> None:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

    _undo.append(put_back)


def _importable(folder: Path) -> None:
    """Put a folder on sys.path; forget what another project's files of the same names gave."""
    if any(path.stem in sys.modules for path in folder.glob("*.py")):
        from kit.flowfile import forget_strangers

        forget_strangers(folder)
    if str(folder) in sys.path:
        return
    sys.path.insert(0, str(folder))
    _undo.append(lambda: sys.path.remove(str(folder)) if str(folder) in sys.path else None)


class _LateMagic:
    """Stands for a magic until it is called or looked at: only then is the module that defines it imported.

    Args:
        name: The magic's name.
        magics: Gives kit's magics.
    """

    def __init__(self, name: str, magics: Callable[[], KitMagics]) -> None:
        self.__name__, self._magics = name, magics

    def __call__(self, *args: Any) -> Any:
        __tracebackhide__ = True
        return self._real()(*args)

    def __getattribute__(self, name: str) -> Any:
        if name == "__doc__":  # the class's own would be found before __getattr__ is asked
            return self._real().__doc__
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def _real(self) -> Any:
        return getattr(self._magics(), self.__name__)


def _register(shell: InteractiveShell, project: Project, reloader: Reloader) -> None:
    """Register magics, completion and the check for changed modules before each cell."""

    @cache
    def magics() -> KitMagics:
        from kit.magics import KitMagics
        from kit.session import session

        own = KitMagics(shell, session(), reloader)
        shell.register_magics(own)
        return own

    def before_cell(_info: Any) -> None:
        for path, what in reloader.check().items():
            where = project.relative(path)
            print(f"kit: {where} was not reloaded: {what}", file=sys.stderr)  # noqa: T201  # shown above the cell

    registered = shell.magics_manager.magics
    for kind, names in MAGICS.items():
        registered[kind].update({name: _LateMagic(name, magics) for name in names})
        _undo.extend(partial(registered[kind].pop, name, None) for name in names)
    matcher = complete.matcher(magics)
    shell.Completer.custom_matchers.append(matcher)
    _undo.append(lambda: shell.Completer.custom_matchers.remove(matcher))
    shell.events.register("pre_run_cell", before_cell)
    _undo.append(lambda: shell.events.unregister("pre_run_cell", before_cell))


def _bind_common(shell: InteractiveShell, project: Project) -> bool:
    """Import the project's common.py and bind it in the notebook.

    Raises:
        ModuleError: It does not import.
    """
    path = project.flows_folder / f"{SHARED_MODULE}.py"
    if not path.is_file():
        return False
    try:
        module = importlib.import_module(SHARED_MODULE)
    except Exception as error:
        raise _import_error(project, path, error) from error
    shell.user_ns[SHARED_MODULE] = module
    _undo.append(lambda: _unbind(shell, module))
    return True


def _unbind(shell: InteractiveShell, module: ModuleType) -> None:
    bound = shell.user_ns.get(SHARED_MODULE)
    if bound is module or (bound is not None and bound is sys.modules.get(SHARED_MODULE)):
        del shell.user_ns[SHARED_MODULE]


def _import_error(project: Project, path: Path, error: Exception) -> ModuleError:
    from kit.blame import blame

    found = blame(error, str(path))
    place = project.relative(found.file) + (f", line {found.line}" if found.line else "")
    hint = "Mend it, then run %load_ext kit again; kit's magics are there already."
    if isinstance(error, ModuleNotFoundError):
        hint = f"Install it (%mf_install_deps {error.name}), then run %load_ext kit again."
    return ModuleError(f"{project.relative(path)} does not import: {found.what} ({place}).", hint)
