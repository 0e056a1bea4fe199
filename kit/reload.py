"""Autoreload of the project's modules, beside the user's own `%autoreload` or without it.

IPython's ModuleReloader does the work (its mode 2: functions and methods are patched in place); it is made at the
first edit, since making it costs more than all the rest of `%load_ext kit`. Flow files are kept out of it, since it
breaks on a class of Metaflow's: a changed one is forgotten, and read afresh when it is next needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from kit.errors import ModuleError
from kit.project import Project

__all__ = ["Reloader"]

OWN_PACKAGES = frozenset({"kit", "metaflow_extensions"})


@dataclass(frozen=True)
class _File:
    """A module's file as it was when it was last looked at.

    Args:
        state: Its time, size and inode: as long as they stay, it is not read again.
        digest: The hash of its content.
        content: What the module in memory was made from.
    """

    state: tuple[int, int, int]
    digest: str
    content: bytes


class Reloader:
    """Reloads the modules of a project when their files change.

    Args:
        shell: The IPython shell.
        project: The project.
    """

    def __init__(self, shell: Any, project: Project) -> None:
        self._shell, self._project = shell, project
        self._root = f"{project.root}{os.sep}"
        self._files: dict[str, _File] = {}
        self._failures: dict[str, str] = {}
        self._reloader: Any = None  # IPython's, from the first edit on
        self.check()

    def check(self) -> dict[str, str]:
        """Reload what has changed since the last call.

        Returns:
            The files that have just failed to reload, with what went wrong.
        """
        changed: list[tuple[str, ModuleType, bytes]] = []
        for name, module in self._modules():
            before = self._content_before_a_change(str(module.__file__))
            if before is not None:
                changed.append((name, module, before))
        if not changed:
            return {}
        known = self._failures
        # One that failed gets another try, since what it needs may be there now; it may hold parts of several contents.
        again = [(name, module, b"") for name, module in self._modules() if module.__file__ in known]
        changed = [(name, module, b"" if module.__file__ in known else old) for name, module, old in changed]
        waiting = {name: (module, old) for name, module, old in [*again, *changed]}
        for _ in range(2):  # a module may need another one that is reloaded after it
            said = {name: self._renew(name, module, old) for name, (module, old) in waiting.items()}
            waiting = {name: (module, b"") for name, (module, _) in waiting.items() if said[name]}
        self._failures = {str(module.__file__): str(said[name]) for name, (module, _) in waiting.items()}
        files = {module.__file__ for _, module, _ in changed}
        return {path: what for path, what in self._failures.items() if path in files or path not in known}

    def require_sound(self) -> None:
        """Make sure that every module is what its file says.

        Raises:
            ModuleError: A file has changed and could not be reloaded.
        """
        for path, what in self._failures.items():
            where = self._project.relative(path)
            raise ModuleError(
                f"{where} has changed and does not reload: {what}.",
                "The old code is still in the kernel: mend the file, then run this again.",
            )

    def _modules(self) -> Iterator[tuple[str, ModuleType]]:
        """Give the modules in memory that are the project's own: not kit's, not installed ones."""
        root = self._root
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or not file.startswith(root) or not file.endswith(".py"):
                continue
            inside = file[len(root) - 1 :]
            hidden = f"{os.sep}." in inside or f"{os.sep}site-packages{os.sep}" in inside
            if not hidden and name != "__main__" and name.split(".")[0] not in OWN_PACKAGES:
                yield name, module

    def _content_before_a_change(self, path: str) -> bytes | None:
        """Give what a file held at the last call, where it holds something else now; None where it does not."""
        try:
            stat = os.stat(path)
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            before = self._files.get(path)
            if before is not None and before.state == state:
                return None
            content = Path(path).read_bytes()
        except OSError:
            return None
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self._files[path] = _File(state, digest, content)
        return before.content if before is not None and before.digest != digest else None

    def _renew(self, name: str, module: ModuleType, before: bytes) -> str | None:
        """Make a module in memory what its file says; gives what went wrong."""
        if _holds_flow(module):
            return self._forget(name, module)
        if self._reloader is None:
            from IPython.extensions.autoreload import ModuleReloader

            self._reloader = ModuleReloader(self._shell)
            self._reloader.enabled, self._reloader.check_all = True, False
        reloader = self._reloader
        reloader.modules = {name: True}
        reloader.modules_mtimes[name] = -1.0  # it would see newer files alone: cp -p and rsync bring older ones
        reloader.failed.clear()
        deduper = getattr(
            reloader, "deduper_reloader", None
        )  # IPython 9 patches what differs from the old source alone
        if deduper is not None:
            deduper.source_by_modname[name] = _text(before)
        with _captured() as printed:
            reloader.check()
        if not reloader.failed:
            older = [
                {key[1]: reference()}
                for key, references in reloader.old_objects.items()
                for reference in references
                if key[0] == name
            ]
            _put_lines_right(module, [vars(module), *older])
            return None
        lines = [line for line in printed.getvalue().splitlines() if line.strip()]
        what = next((line for line in reversed(lines) if not line.startswith((" ", "]"))), "it cannot be imported")
        return what.strip().rstrip("]") + _line_of(str(module.__file__))

    def _forget(self, name: str, module: ModuleType) -> str | None:
        """Forget a module with a flow; where the notebook has a name for it, bind the new one to that name."""
        namespace = self._shell.user_ns
        bound = [key for key, value in namespace.items() if value is module]
        sys.modules.pop(name, None)
        if not bound:
            return None
        try:
            new = importlib.import_module(name)
        except (Exception, SystemExit) as error:
            sys.modules[name] = module
            said = next(iter(str(error).splitlines()), "")
            return f"{type(error).__name__}: {said}".removesuffix(": ")
        namespace.update(dict.fromkeys(bound, new))
        return None


def _holds_flow(module: ModuleType) -> bool:
    """Whether a module in memory defines a class of Metaflow's, which IPython's reloader would leave half-patched."""
    base = getattr(sys.modules.get("metaflow.flowspec"), "FlowSpec", None)
    return base is not None and any(
        isinstance(value, type) and value.__module__ == module.__name__ and issubclass(value, base)
        for value in list(vars(module).values())
    )


def _text(content: bytes) -> str:
    try:
        return decode_source(content)
    except (SyntaxError, UnicodeError):
        return ""


def _put_lines_right(module: ModuleType, namespaces: list[dict[str, Any]]) -> None:
    """Give functions that were patched the code that their file has at its own lines.

    IPython compiles a changed function by itself, so that its first line is line 1: a traceback would show another
    line, and a breakpoint would not stop.

    Args:
        module: The module that was reloaded.
        namespaces: What it holds, and what it held before and others may still hold, by name.
    """
    try:
        whole = compile(Path(str(module.__file__)).read_bytes(), str(module.__file__), "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):  # edited again meanwhile: the next call sees to it
        return
    for namespace in namespaces:
        _take_code(namespace, whole)


def _take_code(namespace: Mapping[str, Any], code: CodeType) -> None:
    for new in code.co_consts:
        if not isinstance(new, CodeType):
            continue
        value = namespace.get(new.co_name)
        if isinstance(value, type):
            _take_code(vars(value), new)
            continue
        for function in _functions(value):
            old = function.__code__
            same = (old.co_name, old.co_filename, old.co_freevars) == (new.co_name, new.co_filename, new.co_freevars)
            if same and old.co_code == new.co_code:  # the getter and the setter of a property have one name
                function.__code__ = new


def _functions(value: Any) -> list[FunctionType]:
    """Give the functions behind an attribute of a module or a class: a method's, a property's, a decorated one."""
    found: list[FunctionType] = []
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, property):
            pending += [value.fget, value.fset, value.fdel]
        elif isinstance(value, (staticmethod, classmethod)):
            pending.append(value.__func__)
        elif isinstance(value, FunctionType) and value not in found:  # a closure may hold itself
            found.append(value)
            cells = value.__closure__ or ()
            pending += [cell.cell_contents for cell in cells if cell != CellType()]  # an empty one has no contents
    return found


def _line_of(path: str) -> str:
    """Name the line of a syntax error, "" for another kind of error."""
    try:
        compile(Path(path).read_bytes(), path, "exec")
    except SyntaxError as error:
        return f" (line {error.lineno})"
    except (OSError, ValueError):
        pass
    return ""


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    """Keep what the reloader prints about a failure: kit says it in one line."""
    logger, printed = logging.getLogger("autoreload"), io.StringIO()
    before, logger.disabled = logger.disabled, True
    try:
        with contextlib.redirect_stderr(printed):
            yield printed
    finally:
        logger.disabled = before
