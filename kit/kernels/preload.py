"""What a fork server imports before it forks, and whether that still is what is installed.

The standard library alone: kit/kernels/zygote.py loads this file by its path.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import sys
import threading

__all__ = ["forget_inline_backend", "import_all", "stamp", "warm_up_figures"]

RETRY = "--without="  # the modules, after a comma each, that turned out not to be fit for a fork


def import_all(arguments: list[str], environ: dict[str, str]) -> str:
    """Import modules; gives why nothing can be forked, "" where it can.

    A module that fails, prints, warns or starts a thread as it is imported would show in the kernels: this process
    begins again without it.

    Args:
        arguments: The modules, and after RETRY those that were tried in vain.
        environ: The environment to begin again with.
    """
    unfit = {name for argument in arguments if argument.startswith(RETRY) for name in argument[len(RETRY) :].split(",")}
    if threading.active_count() > 1:
        return "the interpreter starts threads before it runs anything"
    for name in arguments:
        if name.startswith(RETRY) or name in unfit or not _is_installed(name):
            continue
        if not _import_quietly(name):
            again = [a for a in sys.orig_argv if not a.startswith(RETRY)] + [RETRY + ",".join({*unfit, name})]
            os.set_inheritable(int(sys.argv[1]), True)
            os.execve(sys.executable, again, environ)  # noqa: S606  # no shell; the same command
    return "" if "ipykernel.kernelapp" in sys.modules else "ipykernel cannot be imported"


def _is_installed(name: str) -> bool:
    with contextlib.suppress(ImportError, ValueError):
        return importlib.util.find_spec(name.partition(".")[0]) is not None
    return False


def _import_quietly(name: str) -> bool:
    """Import a module; whether nobody could notice."""
    out, err, said = sys.stdout, sys.stderr, io.StringIO()
    sys.stdout = sys.stderr = said
    try:
        importlib.import_module(name)
    except BaseException:
        return False
    finally:
        sys.stdout, sys.stderr = out, err
    return not said.getvalue() and threading.active_count() == 1


def warm_up_figures() -> None:
    """Draw a figure that nobody sees, without pyplot's state: fonts and caches are then there for every kernel."""
    if "matplotlib.backends.backend_agg" not in sys.modules:
        return
    with contextlib.suppress(Exception):  # a kernel will say what is wrong when it draws
        from matplotlib.figure import Figure

        figure = Figure()
        axes = figure.add_subplot()
        axes.plot([0, 1.5])
        axes.set_title("warm")
        figure.savefig(io.BytesIO(), format="png", bbox_inches="tight")


def forget_inline_backend() -> None:
    """Let each kernel import matplotlib's inline backend itself: it looks for IPython's shell as it is imported."""
    if sys.modules.pop("matplotlib_inline.backend_inline", None) is not None:
        del sys.modules["matplotlib_inline"].backend_inline


def stamp() -> dict[str, tuple[int, int]]:
    """Tell the state of what was imported: the folders that installers write to, and each file outside of them."""
    installed = {path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")}
    own = (*installed, sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    outside = {file for file in files if isinstance(file, str) and not file.startswith(own)}
    outside.discard(os.path.join(os.path.dirname(os.path.abspath(__file__)), "zygote.py"))
    return {path: _state(path) for path in installed | outside}


def _state(path: str) -> tuple[int, int]:
    with contextlib.suppress(OSError):
        return os.stat(path).st_mtime_ns, os.stat(path).st_size
    return 0, 0
