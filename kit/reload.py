"""Autoreload of the project's modules, beside the user's own `%autoreload` or without it.

IPython's ModuleReloader does the work (its mode 2: functions and methods are patched in place). Flow files are kept
out of it, since it breaks on a class of Metaflow's: a changed one is forgotten, and read afresh when it is next needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from IPython.extensions.autoreload import ModuleReloader

from kit.errors import ModuleError
from kit.project import Project

__all__ = ["Reloader"]

OWN_PACKAGES = frozenset({"kit", "metaflow_extensions"})


class Reloader:
    """Reloads the modules of a project when their files change.

    Args:
        shell: The IPython shell.
        project: The project.
    """

    def __init__(self, shell: Any, project: Project) -> None:
        self._project = project
        self._digests: dict[str, tuple[tuple[int, int, int], str]] = {}
        self._failures: dict[str, str] = {}
        self._reloader = ModuleReloader(shell)
        self._reloader.enabled, self._reloader.check_all = True, False
        self.check()

    def check(self) -> dict[str, str]:
        """Reload what has changed since the last call.

        Returns:
            The files that have just failed to reload, with what went wrong.
        """
        flow_files = self._project.scan().flow_files
        for name, module, path in list(self._modules()):
            changed = self._changed(path)
            if str(path) in flow_files:
                if changed:
                    sys.modules.pop(name, None)
                continue
            if name not in self._reloader.modules:
                self._reloader.mark_module_reloadable(name)
            if changed:  # ModuleReloader sees newer files alone: cp -p and rsync bring older ones
                self._reloader.modules_mtimes[name] = -1.0
                self._reloader.failed.pop(module.__file__, None)
        return self._reload()

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

    def _reload(self) -> dict[str, str]:
        new = {}
        with _captured() as printed:
            self._reloader.check()
        failed = set(self._reloader.failed)
        self._failures = {path: what for path, what in self._failures.items() if path in failed}
        for path in failed - set(self._failures):
            lines = [line for line in printed.getvalue().splitlines() if line.strip()]
            what = next((line for line in reversed(lines) if not line.startswith((" ", "]"))), "it cannot be imported")
            new[path] = self._failures[path] = what.strip().rstrip("]") + _line_of(path)
        return new

    def _modules(self) -> Iterator[tuple[str, ModuleType, Path]]:
        """Give the modules in memory that are the project's own: not kit's, not installed ones."""
        root = f"{self._project.root}{os.sep}"
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or not file.startswith(root) or not file.endswith(".py"):
                continue
            inside = file[len(root) - 1 :]
            hidden = f"{os.sep}." in inside or f"{os.sep}site-packages{os.sep}" in inside
            if not hidden and name != "__main__" and name.split(".")[0] not in OWN_PACKAGES:
                yield name, module, Path(file)

    def _changed(self, path: Path) -> bool:
        """Whether a file's content is another than at the last call; False at the first."""
        try:
            stat = path.stat()
        except OSError:
            return False
        state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        before = self._digests.get(str(path))
        if before is not None and before[0] == state:
            return False
        digest = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
        self._digests[str(path)] = (state, digest)
        return before is not None and before[1] != digest


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
