"""A flow file loaded afresh, as Metaflow's own process would load it: class, graph, parameters, source of a step.

A flow file runs as `__main__` there, so it does here: its classes pickle by the same names, `__name__` is the same,
and what stands under `if __name__ == "__main__":` runs up to the point at which Metaflow would take over.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from kit import internals
from kit.absent import missing_module, standing_in
from kit.blame import blame, is_users
from kit.errors import FlowFileError, KitError
from kit.model import FlowInfo

__all__ = [
    "MAIN_NAMES",
    "LoadedFlow",
    "as_script",
    "forget_strangers",
    "give_main_names",
    "load",
    "load_cached",
    "read",
    "require_started",
]

# Named tuples that Metaflow puts into the `__main__` of every process that imports it.
MAIN_NAMES = ("ForeachFrame", "S3GetObject", "S3PutObject", "RangeInfo")


@dataclass(frozen=True)
class LoadedFlow:
    """A flow file that has just been executed.

    Args:
        info: Which flow, and where it stands.
        module: The module that the file made; its `__name__` is `__main__`.
        cls: The flow's class.
        digest: The SHA-1 of the file's content.
        text: The file's content.
        starts: The name of the flow that the file runs as a script; None where it runs none.
    """

    info: FlowInfo
    module: ModuleType
    cls: type[Any]
    digest: str
    text: str
    starts: str | None = None

    def function(self, step: str) -> FunctionType:
        """Give the function that a step is defined by, below what other decorators have wrapped around it."""
        function: FunctionType = inspect.unwrap(getattr(self.cls, step))
        return function

    def source(self, step: str) -> str:
        """Give the source of a step, its decorators included, dedented."""
        lines, _ = inspect.getsourcelines(self.function(step).__code__)
        return textwrap.dedent("".join(lines))


# Loading changes what the whole process shares: sys.modules, sys.path, sys.argv.
_loading = threading.RLock()


class _FlowStarted(BaseException):
    """Metaflow's command line was about to take over.

    Args:
        flow: The name of the flow that it would run.
    """

    def __init__(self, flow: str) -> None:
        super().__init__(flow)
        self.flow = flow


def load(info: FlowInfo) -> LoadedFlow:
    """Execute a flow file and give its class, new at every call.

    Args:
        info: The flow.

    Raises:
        FlowFileError: The file is gone, does not parse, does not import, or no longer defines the flow.
    """
    content = _read(info)
    module = ModuleType("__main__")
    module.__file__ = info.file
    give_main_names(module)
    linecache.checkcache(info.file)
    starts: str | None = None
    with _loading, warnings.catch_warnings(), as_script(module), _command_line_stopped():
        warnings.simplefilter("ignore")  # Metaflow's own must not become errors where the caller's warnings are
        try:
            code = compile(content, info.file, "exec", dont_inherit=True)
            with internals.parameters.flow_context(None):
                exec(code, module.__dict__)  # noqa: S102  # the user's own flow file: what `python flow.py` does
        except _FlowStarted as started:
            starts = started.flow
        except (Exception, SystemExit) as error:
            raise _load_error(info, error) from error
    from metaflow import FlowSpec

    cls = module.__dict__.get(info.name)
    if isinstance(cls, internals.FlowMutator):  # `@Mutator` without parentheses leaves itself under the flow's name
        cls = cls._flow_cls
    if not (isinstance(cls, type) and issubclass(cls, FlowSpec)):
        raise FlowFileError(
            f"{info.file} no longer defines {info.name}.", "Give the class its name back, or name another flow."
        )
    return LoadedFlow(info, module, cls, _digest(content), content.decode("utf-8", "replace"), starts)


def read(info: FlowInfo) -> LoadedFlow:
    """Execute a flow file as `load` does, also where this interpreter lacks packages that it imports.

    Stand-ins take their places: the class, its graph, its Parameters and decorators are as they are, its steps are not
    to be run.

    Args:
        info: The flow.

    Raises:
        FlowFileError: As `load` does, but not for a module that is missing.
    """
    missing: list[str] = []
    while True:
        with _loading, standing_in(missing):
            try:
                return load(info)
            except FlowFileError as error:
                name = missing_module(error.__cause__)
                if name is None or name in missing:
                    raise
                missing.append(name)


def require_started(loaded: LoadedFlow) -> None:
    """Make sure that a flow is the one that its file runs: a run is `python flow.py run`.

    Raises:
        FlowFileError: The file runs another flow, or none.
    """
    name, file = loaded.info.name, Path(loaded.info.file).name
    if loaded.starts == name:
        return
    what = f"runs {loaded.starts}, not {name}" if loaded.starts else f"defines {name} and does not run it"
    own = f'`if __name__ == "__main__": {name}()` at the end of {"a file of its own" if loaded.starts else file}'
    raise FlowFileError(f"{file} {what}.", f"Write {own}{f', or run {loaded.starts}' if loaded.starts else ''}.")


_cache: dict[tuple[str, str], LoadedFlow] = {}


def load_cached(info: FlowInfo) -> LoadedFlow:
    """Give a flow file's module, executed once as long as its content is the same.

    Artifacts read at different times are then of the same classes.
    """
    key = info.file, info.name
    with _loading:
        cached = _cache.get(key)
        if cached is None or cached.digest != _digest(_read(info)):
            cached = _cache[key] = load(info)
    return cached


def forget_strangers(folder: Path) -> None:
    """Forget modules that another project's file gave, where a folder has a file of that name: `common`, say."""
    for path in folder.glob("*.py"):
        known = getattr(sys.modules.get(path.stem), "__file__", None)
        if known and Path(known).resolve() != path.resolve() and is_users(known):
            del sys.modules[path.stem]


@contextmanager
def as_script(module: ModuleType) -> Iterator[None]:
    """Let a flow file's module be what `python flow.py` makes of it, and put everything back.

    It is `__main__`, where pickle, `inspect` and multiprocessing look names up; its folder is on sys.path; its path is
    sys.argv. A notebook's module, which has no file, is `__main__` alone.
    """
    file = getattr(module, "__file__", None)
    main, path, folders, argv = sys.modules["__main__"], sys.path, list(sys.path), sys.argv
    sys.modules["__main__"] = module
    if file:
        folder = str(Path(file).parent)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        sys.argv = [file]
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        sys.path = path
        sys.path[:] = folders
        sys.argv = argv


@contextmanager
def _command_line_stopped() -> Iterator[None]:
    """Stop where `TrainFlow()` at the end of a flow file would start Metaflow's command line."""

    def stop(flow: Any, *_args: Any, **_kwargs: Any) -> None:
        raise _FlowStarted(str(flow.name))

    cli = internals.cli
    main, cli.main = cli.main, stop
    try:
        yield
    finally:
        cli.main = main


def give_main_names(module: ModuleType) -> None:
    """Give a module the names that Metaflow puts into the `__main__` of a process that imports it."""
    homes = [internals.tuple_util, sys.modules.get(internals.NAMES["s3"][0])]  # s3 is imported where it is used
    for home in homes:
        for name in MAIN_NAMES:
            if hasattr(home, name):
                setattr(module, name, getattr(home, name))


def _read(info: FlowInfo) -> bytes:
    try:
        return Path(info.file).read_bytes()
    except OSError as error:
        raise FlowFileError(
            f"{info.file} cannot be read: {error.strerror}.", f"It defined {info.name}: put it back."
        ) from error


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _load_error(info: FlowInfo, error: BaseException) -> FlowFileError:
    """Say in one line where and why a flow file did not load; the user's own frames go below."""
    found = blame(error, info.file)
    where = f"{found.file}, line {found.line}" if found.line else found.file
    hint = "Mend that line, then try again."
    if isinstance(error, ModuleNotFoundError):
        hint = "Install it (%mf_install_deps), or put the module beside the flow file."
    elif isinstance(error, KitError):
        hint = error.hint
    return FlowFileError(f"{info.name} does not load: {found.what} ({where}).", hint, found.frames)
